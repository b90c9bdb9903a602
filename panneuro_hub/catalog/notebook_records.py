"""Records of published notebooks, and the keys of their versions.

``.panneuro/notebooks/NAME/0003.ipynb`` is version 3 of the notebook ``NAME``, as it was
published. ``0003.json`` is its record, which is written last, and ``0003.png`` is a
picture from it, if there is one. A ``/`` of ``NAME`` is written ``%2F``.
A version never changes; publishing again makes a new one.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, Literal, NamedTuple, get_args
from urllib.parse import quote, unquote

from panneuro_hub.catalog.dataset_keys import RECORDS_FOLDER, find_dataset_problem
from panneuro_hub.catalog.json_fields import (
    JsonFields,
    MalformedRecordError,
    find_text_problem,
    is_byte_count,
    is_sha256,
    parse_json_object,
)
from panneuro_hub.catalog.manifest import encode_json
from panneuro_hub.names import is_name
from panneuro_hub.wire.credential import format_time

NOTEBOOKS_FOLDER = f"{RECORDS_FOLDER}/notebooks/"
LARGEST_NOTEBOOK = 32 * 2**20  # bytes
LARGEST_PREVIEW = 2**19  # bytes
LARGEST_RECORD = 2**20  # bytes
LAST_NUMBER = 9999

NotebookSuffix = Literal["ipynb", "json", "png"]

_SCHEMA = 1
LONGEST_LINE = 500  # characters
_LONGEST_TEXT = 10_000  # characters
MOST_PACKAGES = 3000
LONGEST_PACKAGE = 200  # characters
MOST_DATASETS = 500
_KEY = re.compile(
    rf"{re.escape(NOTEBOOKS_FOLDER)}([^/]+)/([0-9]{{4}})\.({'|'.join(get_args(NotebookSuffix))})"
)
_LABEL = re.compile(r"([^@]*)@([0-9]{1,4})")


class NotebookKey(NamedTuple):
    """The parts of a key of a notebook's version."""

    name: str
    number: int
    ending: NotebookSuffix


def find_notebook_problem(name: str) -> str | None:
    """Return the problem of a notebook's name, or `None` if the name is valid.

    The rules are those of datasets' names, without ``@``, which begins the number of a version.
    """
    problem = find_dataset_problem(name)
    if problem is not None:
        return problem.replace("a dataset needs", "a notebook needs").replace(
            "dataset's name", "notebook's name"
        )
    if "@" in name:
        return f"{name!r} has an '@' in it, which begins the number of a version"
    return None


def make_notebook_folder(name: str) -> str:
    """Return the folder of all versions of a notebook."""
    return f"{NOTEBOOKS_FOLDER}{quote(name, safe=',=+')}/"


def make_notebook_key(name: str, number: int, ending: NotebookSuffix) -> str:
    """Return the key of a version of a notebook, of its record or of its picture."""
    return f"{make_notebook_folder(name)}{number:04d}.{ending}"


def parse_notebook_key(key: str) -> NotebookKey | None:
    """Return the parts of a key, or `None` if it is not the key of a notebook's version."""
    found = _KEY.fullmatch(key)
    if found is None:
        return None
    name, number = unquote(found[1]), int(found[2])
    ending: NotebookSuffix = found[3]  # type: ignore[assignment]
    right = (
        number > 0
        and find_notebook_problem(name) is None
        and key == make_notebook_key(name, number, ending)
    )
    return NotebookKey(name, number, ending) if right else None


def split_label(text: str) -> tuple[str, int | None]:
    """Split ``NAME`` or ``NAME@3`` into name and number, without checking them."""
    found = _LABEL.fullmatch(text)
    return (found[1], int(found[2])) if found else (text, None)


@dataclass(frozen=True, kw_only=True)
class NotebookEnvironment:
    """The known part of the environment in which a notebook ran.

    Parameters
    ----------
    image : str
        Its name in the collaboration.
    language, language_version : str
        Such as ``python`` and ``3.12.4``.
    packages : tuple of str
        Such as ``numpy==2.1.0``, sorted by name.

    Raises
    ------
    MalformedRecordError
        If one of them is not valid.
    """

    image: str = ""
    language: str = ""
    language_version: str = ""
    packages: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        read = JsonFields({}, "the environment")
        for name in ("image", "language", "language_version"):
            _check_text(read, name, getattr(self, name), LONGEST_LINE)
        _check_texts(read, "packages", self.packages, MOST_PACKAGES, LONGEST_PACKAGE)

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object that `from_json` reads."""
        return {**vars(self), "packages": list(self.packages)}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> NotebookEnvironment:
        """Read the output of `to_json`; `MalformedRecordError` if it is malformed."""
        read = JsonFields(document, "the environment")
        return cls(
            image=read.text("image", ""),
            language=read.text("language", ""),
            language_version=read.text("language_version", ""),
            packages=read.texts("packages"),
        )


@dataclass(frozen=True, kw_only=True)
class NotebookRecord:
    """One version of a published notebook.

    Nobody has checked its content: everybody who can write in the project can write a record.

    Parameters
    ----------
    project, name : str
    number : int
        1 for the first version.
    created : datetime
        In UTC, to the second.
    created_by : str
    size : int
        Of the notebook, in bytes.
    sha256 : str
        Of the notebook.
    title, description, note : str
        One line; the purpose of the notebook; the changes of this version.
    environment : NotebookEnvironment
    datasets : tuple of str
        The datasets that it reads, such as ``nhp-navigation/session-12``.
    preview_sha256 : str or None
        Of the picture, if there is one.

    Raises
    ------
    MalformedRecordError
        If one of them is not valid.
    """

    project: str
    name: str
    number: int
    created: datetime
    created_by: str
    size: int
    sha256: str
    title: str = ""
    description: str = ""
    note: str = ""
    environment: NotebookEnvironment = field(default_factory=NotebookEnvironment)
    datasets: tuple[str, ...] = ()
    preview_sha256: str | None = None

    def __post_init__(self) -> None:
        problem = find_notebook_problem(self.name)
        if problem is not None:
            raise MalformedRecordError(problem)
        read = JsonFields({}, f"the notebook {self.name!r}")
        if not is_name(self.project):
            raise read.wrong("project", "must be the name of a project")
        if not is_byte_count(self.number) or not 1 <= self.number <= LAST_NUMBER:
            raise read.wrong("number", f"must be a whole number from 1 to {LAST_NUMBER}")
        if not is_byte_count(self.size) or self.size > LARGEST_NOTEBOOK:
            raise read.wrong("bytes", f"must be a whole number, {LARGEST_NOTEBOOK} at most")
        if not is_sha256(self.sha256):
            raise read.wrong("sha256", "must be 64 lower-case hexadecimal digits")
        if self.preview_sha256 is not None and not is_sha256(self.preview_sha256):
            raise read.wrong("preview_sha256", "must be 64 lower-case hexadecimal digits")
        object.__setattr__(self, "created", read.moment("created", self.created))
        for line in ("created_by", "title"):
            _check_text(read, line, getattr(self, line), LONGEST_LINE)
        for text in ("description", "note"):
            _check_text(read, text, getattr(self, text), _LONGEST_TEXT, lines=True)
        self._check_datasets(read)

    @property
    def label(self) -> str:
        """Return the name with project and number: ``nhp-navigation/tuning@3``."""
        return f"{self.project}/{self.name}@{self.number}"

    def has_same_content(self, other: NotebookRecord) -> bool:
        """Return whether only number and time differ in `other`."""
        return all(
            getattr(self, each.name) == getattr(other, each.name)
            for each in fields(self)
            if each.name not in ("number", "created")
        )

    def matches_content(self, notebook: bytes) -> bool:
        """Return whether this is the record of these bytes."""
        return len(notebook) == self.size and hashlib.sha256(notebook).hexdigest() == self.sha256

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object that `from_json` reads."""
        return {
            "version": _SCHEMA,
            "project": self.project,
            "name": self.name,
            "number": self.number,
            "title": self.title,
            "description": self.description,
            "note": self.note,
            "created": format_time(self.created),
            "created_by": self.created_by,
            "bytes": self.size,
            "sha256": self.sha256,
            "preview_sha256": self.preview_sha256,
            "datasets": list(self.datasets),
            "environment": self.environment.to_json(),
        }

    def encode(self) -> bytes:
        """Return the record as stored bytes."""
        return encode_json(self.to_json())

    @classmethod
    def decode(cls, data: bytes | str) -> NotebookRecord:
        """Read what `encode` wrote; `MalformedRecordError` as for `from_json`."""
        return cls.from_json(parse_json_object(data, "the notebook's record"))

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> NotebookRecord:
        """Read what `to_json` wrote; keys of newer versions are ignored.

        Raises
        ------
        MalformedRecordError
            If it is not the record of a notebook.
        """
        read = JsonFields(document, "the notebook's record")
        read.version(_SCHEMA)
        environment = document.get("environment", {})
        if not isinstance(environment, dict):
            raise read.wrong("environment", "must be an object")
        picture = document.get("preview_sha256")
        return cls(
            project=read.text("project"),
            name=read.text("name"),
            number=read.number("number"),
            created=read.time("created"),
            created_by=read.text("created_by"),
            size=read.number("bytes"),
            sha256=read.text("sha256"),
            title=read.text("title", ""),
            description=read.text("description", ""),
            note=read.text("note", ""),
            environment=NotebookEnvironment.from_json(environment),
            datasets=read.texts("datasets"),
            preview_sha256=None if picture is None else read.text("preview_sha256"),
        )

    def _check_datasets(self, read: JsonFields) -> None:
        _check_texts(read, "datasets", self.datasets, MOST_DATASETS, LONGEST_LINE)
        for dataset in self.datasets:
            project, _, name = dataset.partition("/")
            if not is_name(project) or find_dataset_problem(name) is not None:
                raise read.wrong("datasets", f"has {dataset!r}, which names no dataset")


def _check_text(
    read: JsonFields, name: str, text: str, longest: int, *, lines: bool = False
) -> None:
    problem = find_text_problem(text, longest, lines=lines)
    if problem is not None:
        raise read.wrong(name, problem)


def _check_texts(
    read: JsonFields, name: str, texts: tuple[str, ...], most: int, longest: int
) -> None:
    if len(texts) > most:
        raise read.wrong(name, f"has more than {most} entries")
    for text in texts:
        _check_text(read, name, text, longest)
