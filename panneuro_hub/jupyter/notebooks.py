"""Sharing a notebook of this server's files, and opening a copy of a shared one."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path, PurePosixPath
from typing import Any

from panneuro_hub.catalog.notebooks import NotPublished
from panneuro_hub.catalog.published import Published
from panneuro_hub.client.errors import FileProblem
from panneuro_hub.client.sharing import Said, Shared, copy, share, write_new
from panneuro_hub.client.shown_paths import shown
from panneuro_hub.jupyter.refusals import BadRequest, NoNotebook
from panneuro_hub.jupyter.requests import flag, needed, read, text
from panneuro_hub.lab import here

_FREE_NAMES = 1000
_OF_PROJECT = re.compile(r"project-[a-z0-9-]+:")


def share_asked(body: bytes, root: Path) -> Shared:
    """Share the notebook that a request names, or only say what that would be.

    Parameters
    ----------
    body : bytes
        JSON with ``path``, and ``name``, ``title``, ``description``, ``note``, ``datasets``,
        ``dry`` and ``allow_secrets``.
    root : Path
        Of this server's files.

    Raises
    ------
    BadRequest, FileProblem
        If it names no notebook of this server's files.
    PanNeuroError
        As `client.sharing.share`.
    """
    fields = read(body)
    path = needed(fields, "path", "that of a notebook")
    said = Said(
        title=text(fields, "title"),
        description=text(fields, "description"),
        note=text(fields, "note"),
        datasets=tuple((text(fields, "datasets") or "").replace(",", " ").split()),
    )
    view = here.session()
    name = text(fields, "name")
    whole = f"{view.project}/{name}" if name else None
    return share(
        place_of(path, root),
        whole,
        said,
        dry=flag(fields, "dry"),
        allow_secrets=flag(fields, "allow_secrets"),
    )


def place_of(path: str, root: Path) -> Path:
    """Where a file of this server lies on its disk.

    Raises
    ------
    FileProblem
        If it is none of this server's own files, or no notebook.
    """
    parts = PurePosixPath(path).parts
    if parts and _OF_PROJECT.match(parts[0]):
        raise FileProblem(
            f"{shown(path)}: it is not among this server's own files; save it there first"
        )
    if not path.endswith(".ipynb") or "\0" in path:
        raise FileProblem(f"{shown(path)}: it is no notebook (.ipynb)")
    if path.startswith("/") or ".." in parts:
        raise FileProblem(f"{shown(path)}: it is not among this server's files")
    return root.joinpath(*parts)


def fetch_asked(body: bytes) -> tuple[Published, dict[str, Any]]:
    """The shared notebook that a request names, as untrusted content.

    Raises
    ------
    BadRequest
        If the request names none.
    PanNeuroError
        As `client.sharing.copy`.
    """
    name = needed(read(body), "notebook", "PROJECT/NAME@VERSION")
    here.session()
    with tempfile.TemporaryDirectory(prefix="panneuro-copy-") as folder:
        try:
            copied = copy(name, Path(folder) / "copy.ipynb")
        except NotPublished as missing:
            raise NoNotebook(str(missing)) from missing
        content = copied.path.read_bytes()
    try:
        return copied.published, untrusted(json.loads(content))
    except (ValueError, RecursionError, AttributeError, LookupError, TypeError) as problem:
        raise FileProblem(f"{shown(name)}: what was shared is no notebook") from problem


def save_copy(notebook: dict[str, Any], name: str, root: Path) -> str:
    """Write a copy among this server's files, under a name that is free; gives the name.

    Jupyter's own way to save a file follows a link of that name to wherever it leads.

    Raises
    ------
    BadRequest
        If there are too many copies already.
    FileProblem
        If it cannot be written.
    """
    try:
        data = (json.dumps(notebook, indent=1, ensure_ascii=False) + "\n").encode()
    except UnicodeEncodeError as problem:
        raise FileProblem(f"{shown(name)}: its text has half of a character in it") from problem
    for number in range(1, _FREE_NAMES):
        path = f"{name}-copy-{number}.ipynb" if number > 1 else f"{name}.ipynb"
        if write_new(root / path, data):
            return path
    raise BadRequest(f"there are {_FREE_NAMES} copies of {name}.ipynb here; remove some")


def untrusted(notebook: dict[str, Any]) -> dict[str, Any]:
    """A notebook without anything that says that its reader trusts it."""
    notebook["metadata"].pop("signature", None)
    for cell in notebook["cells"]:
        cell["metadata"].pop("trusted", None)
    return notebook
