"""What the browser asks, taken apart: everything in it is data from outside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from panneuro_hub.catalog import Malformed
from panneuro_hub.catalog.manifest import About
from panneuro_hub.catalog.reading import Fields, is_count
from panneuro_hub.client.dataset import Said
from panneuro_hub.client.errors import DatasetEmbargoError, FileProblem, WrongName
from panneuro_hub.client.files import name_problem
from panneuro_hub.client.places import Name
from panneuro_hub.client.shown_paths import shown
from panneuro_hub.jupyter.refusals import BadRequest
from panneuro_hub.jupyter.requests import flag, read, text

MOST_FILES = 50_000
_LONGEST_NAME = 255  # bytes: of one part of a path, on the disks that there are
_WORDS = ("title", "description", "citation", "license")


@dataclass(frozen=True)
class Announced:
    """A file that the browser will send.

    Parameters
    ----------
    path : str
        In the dataset, with ``/`` between its parts.
    size : int
        In bytes.
    changed : int
        When it was changed last, in milliseconds, as the browser says.
    """

    path: str
    size: int
    changed: int


@dataclass(frozen=True)
class AskedUpload:
    """An upload, before anything of it has come.

    Parameters
    ----------
    name : Name
        Of a dataset, with its project.
    said : Said
    update : bool
        Whether what is there is replaced or added to.
    files : tuple of Announced
    include_all : bool
        Whether files of tools, which are left out otherwise, are sent as well.
    """

    name: Name
    said: Said
    update: bool
    files: tuple[Announced, ...]
    include_all: bool = False

    @property
    def size(self) -> int:
        """All files together, in bytes."""
        return sum(file.size for file in self.files)

    @classmethod
    def parse(cls, body: bytes) -> AskedUpload:
        """Read a request.

        Raises
        ------
        BadRequest, DatasetEmbargoError, WrongName, FileProblem
            If it cannot be; the text says what is wrong, and with which file.
        """
        fields = read(body)
        try:
            name = Name.parse(fields.text("dataset"))
            said = _said(fields, name)
            files = _files(fields.objects("files"))
        except Malformed as problem:
            raise BadRequest(str(problem)) from problem
        return cls(name, said, flag(fields, "update"), files, flag(fields, "include_all"))


def _said(fields: Fields, name: Name) -> Said:
    if not name.dataset:
        raise WrongName(f"{name} names no dataset; write {name}/NAME-OF-THE-DATASET")
    if fields.document.get("embargo_until"):
        # A page that was open while this server was renewed still has the field.
        raise DatasetEmbargoError
    words: dict[str, Any] = {word: text(fields, word) for word in _WORDS}
    said = Said(**words)
    # As it will be published: what cannot be said is refused before anything is sent.
    About(
        dataset=name.dataset,
        project=name.project,
        format="files",
        created=datetime.now(UTC),
        created_by="",
        **said.given(),
    )
    return said


def _files(listed: list[Any]) -> tuple[Announced, ...]:
    if not listed:
        raise BadRequest("there is no file in what was dropped")
    if len(listed) > MOST_FILES:
        raise BadRequest(
            f"these are {len(listed)} files, and {MOST_FILES} can come through the browser; "
            "panneuro upload, in a terminal, takes any number"
        )
    files = tuple(_file(one) for one in listed)
    _check_tree([file.path for file in files])
    return files


def _file(one: Any) -> Announced:
    document: Mapping[str, Any] = one if isinstance(one, dict) else {}
    path, size = document.get("path"), document.get("size")
    changed = document.get("changed", 0)
    if not isinstance(path, str) or not is_count(size) or not is_count(changed):
        raise BadRequest("each file must have a path, a size, and a time of its last change")
    wrong = name_problem(path)
    if wrong is None and any(len(part.encode()) > _LONGEST_NAME for part in path.split("/")):
        wrong = f"a part of its path is longer than {_LONGEST_NAME} bytes"
    if wrong is not None:
        raise FileProblem(f"{shown(path[:1000])}: {wrong}")
    return Announced(path, size, changed)


def _check_tree(paths: list[str]) -> None:
    """Refuse what no folder can hold: a file twice, or a file that is a folder as well."""
    seen: set[str] = set()
    for path in paths:
        if path in seen:
            raise FileProblem(f"{shown(path)}: it is there twice")
        seen.add(path)
    for path in paths:
        parts = path.split("/")
        for end in range(1, len(parts)):
            outer = "/".join(parts[:end])
            if outer in seen:
                raise FileProblem(f"{shown(outer)}: it is a file and a folder at the same time")
