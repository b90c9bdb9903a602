"""Read the environment in which a notebook ran, as far as the sharing process knows it."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from importlib import metadata

from panneuro_hub.catalog.json_fields import find_text_problem
from panneuro_hub.catalog.notebook_file import NotebookFile
from panneuro_hub.catalog.notebook_records import (
    LONGEST_PACKAGE,
    MOST_PACKAGES,
    NotebookEnvironment,
)
from panneuro_hub.client.connection import is_in_session

_PYTHON = "python"


def describe_environment(
    notebook: NotebookFile, variables: Mapping[str, str] = os.environ
) -> tuple[NotebookEnvironment, str | None]:
    """The environment of a notebook, and what has to be said of it.

    A session's image has one environment, in which its kernels run: that of this
    process. On another machine nobody knows which one the kernel had, so that only
    what the notebook itself tells is taken.

    Parameters
    ----------
    notebook : NotebookFile
    variables : mapping of str to str
        Of this process.
    """
    if not is_in_session(variables):
        return _note_language(notebook), (
            "the packages that it ran with are not recorded, since this is no server of the hub"
        )
    image = variables.get("PANNEURO_IMAGE", "")
    own = platform.python_version()
    if notebook.language not in ("", _PYTHON) or notebook.language_version not in ("", own):
        told = _note_language(notebook, image)
        ran = f"{notebook.language} {notebook.language_version}".strip()
        return told, (
            f"the packages that it ran with are not recorded: it says that it ran in {ran}, "
            f"and this server has python {own}; run it again here to have them"
        )
    return NotebookEnvironment(
        image=image, language=_PYTHON, language_version=own, packages=list_packages()
    ), None


def list_packages() -> tuple[str, ...]:
    """Every package of this process, such as ``numpy==2.1.0``, by their names."""
    found = set()
    for one in metadata.distributions():
        # One without a name is what a removal that broke off has left.
        name = one.metadata["Name"] if one.metadata and "Name" in one.metadata else None
        if name:
            found.add(f"{name}=={one.version}")
    fit = (line for line in found if find_text_problem(line, LONGEST_PACKAGE) is None)
    return tuple(sorted(fit, key=str.lower)[:MOST_PACKAGES])


def _note_language(notebook: NotebookFile, image: str = "") -> NotebookEnvironment:
    return NotebookEnvironment(
        image=image, language=notebook.language, language_version=notebook.language_version
    )
