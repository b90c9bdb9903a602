"""Settings of configurable classes out of a YAML file: no Python in what deployments hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from panneuro_hub.errors import PanNeuroError


def read_settings(path: Path) -> dict[str, dict[str, Any]]:
    """Read what a file sets, such as ``JupyterHub: {port: 8000}``.

    Parameters
    ----------
    path : Path
        A file that there is not sets nothing.

    Returns
    -------
    dict
        Traits and their values, by class.

    Raises
    ------
    PanNeuroError
        If the file is no YAML, or holds anything but settings.
    """
    if not path.exists():
        return {}
    try:
        classes = YAML(typ="safe").load(path.read_text(encoding="utf-8")) or {}
    except (YAMLError, UnicodeDecodeError) as error:
        raise PanNeuroError(f"{path} is no YAML: {error}") from None
    for name, traits in classes.items() if isinstance(classes, dict) else [("it", None)]:
        if not isinstance(traits, dict):
            raise PanNeuroError(
                f"{path}: {name} must hold settings, such as JupyterHub: {{port: 8000}}"
            )
    return dict(classes)
