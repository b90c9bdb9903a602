"""Sharing a notebook of this server's files, and opening a copy of a shared one."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path, PurePosixPath
from typing import Any

from panneuro_hub.catalog.notebook_records import NotebookRecord
from panneuro_hub.catalog.notebook_store import NotebookNotFoundError
from panneuro_hub.client.notebook_sharing import (
    NotebookDescription,
    ShareResult,
    copy_notebook,
    share_notebook,
    write_new_file,
)
from panneuro_hub.client.path_text import format_path
from panneuro_hub.client.transfer_errors import LocalFileError
from panneuro_hub.jupyter.panel_errors import BadRequestError, ServerFileNotFoundError
from panneuro_hub.jupyter.request_fields import (
    read_flag,
    read_json_fields,
    read_optional_text,
    read_required_text,
)
from panneuro_hub.lab import current_session

_FREE_NAMES = 1000
_PROJECT_DRIVE = re.compile(r"project-[a-z0-9-]+:")


def share_requested_notebook(body: bytes, root: Path) -> ShareResult:
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
    fields = read_json_fields(body)
    path = read_required_text(fields, "path", "that of a notebook")
    said = NotebookDescription(
        title=read_optional_text(fields, "title"),
        description=read_optional_text(fields, "description"),
        note=read_optional_text(fields, "note"),
        datasets=tuple((read_optional_text(fields, "datasets") or "").replace(",", " ").split()),
    )
    view = current_session.session()
    name = read_optional_text(fields, "name")
    whole = f"{view.project}/{name}" if name else None
    return share_notebook(
        resolve_server_path(path, root),
        whole,
        said,
        dry=read_flag(fields, "dry"),
        allow_secrets=read_flag(fields, "allow_secrets"),
    )


def resolve_server_path(path: str, root: Path) -> Path:
    """Return the path on disk of a file of this server.

    Raises
    ------
    LocalFileError
        If it is none of this server's own files, or no notebook.
    """
    parts = PurePosixPath(path).parts
    if parts and _PROJECT_DRIVE.match(parts[0]):
        raise LocalFileError(
            f"{format_path(path)}: it is not among this server's own files; save it there first"
        )
    if not path.endswith(".ipynb") or "\0" in path:
        raise LocalFileError(f"{format_path(path)}: it is no notebook (.ipynb)")
    if path.startswith("/") or ".." in parts:
        raise LocalFileError(f"{format_path(path)}: it is not among this server's files")
    return root.joinpath(*parts)


def fetch_requested_notebook(body: bytes) -> tuple[NotebookRecord, dict[str, Any]]:
    """The shared notebook that a request names, as untrusted content.

    Raises
    ------
    BadRequestError
        If the request names none.
    PanNeuroError
        As `client.sharing.copy`.
    """
    name = read_required_text(read_json_fields(body), "notebook", "PROJECT/NAME@VERSION")
    current_session.session()
    with tempfile.TemporaryDirectory(prefix="panneuro-copy-") as folder:
        try:
            copied = copy_notebook(name, Path(folder) / "copy.ipynb")
        except NotebookNotFoundError as missing:
            raise ServerFileNotFoundError(str(missing)) from missing
        content = copied.path.read_bytes()
    try:
        return copied.published, remove_trust(json.loads(content))
    except (ValueError, RecursionError, AttributeError, LookupError, TypeError) as problem:
        raise LocalFileError(f"{format_path(name)}: what was shared is no notebook") from problem


def save_copy(notebook: dict[str, Any], name: str, root: Path) -> str:
    """Write a copy among this server's files, under a name that is free; gives the name.

    Jupyter's own way to save a file follows a link of that name to wherever it leads.

    Raises
    ------
    BadRequestError
        If there are too many copies already.
    LocalFileError
        If it cannot be written.
    """
    try:
        data = (json.dumps(notebook, indent=1, ensure_ascii=False) + "\n").encode()
    except UnicodeEncodeError as problem:
        raise LocalFileError(
            f"{format_path(name)}: its text has half of a character in it"
        ) from problem
    for number in range(1, _FREE_NAMES):
        path = f"{name}-copy-{number}.ipynb" if number > 1 else f"{name}.ipynb"
        if write_new_file(root / path, data):
            return path
    raise BadRequestError(f"there are {_FREE_NAMES} copies of {name}.ipynb here; remove some")


def remove_trust(notebook: dict[str, Any]) -> dict[str, Any]:
    """A notebook without anything that says that its reader trusts it."""
    notebook["metadata"].pop("signature", None)
    for cell in notebook["cells"]:
        cell["metadata"].pop("trusted", None)
    return notebook
