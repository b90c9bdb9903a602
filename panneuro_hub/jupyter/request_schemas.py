"""Read and check the requests of the browser, which are data from outside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from panneuro_hub.catalog import MalformedRecordError
from panneuro_hub.catalog.json_fields import JsonFields, is_byte_count
from panneuro_hub.catalog.manifest import DatasetMetadata
from panneuro_hub.client.dataset_names import DatasetName
from panneuro_hub.client.local_files import find_name_problem
from panneuro_hub.client.path_text import format_path
from panneuro_hub.client.transfer.dataset_transfer import DatasetDescription
from panneuro_hub.client.transfer_errors import DatasetEmbargoError, LocalFileError, WrongNameError
from panneuro_hub.jupyter.panel_errors import BadRequestError
from panneuro_hub.jupyter.request_fields import read_flag, read_json_fields, read_optional_text

MOST_FILES = 50_000
_LONGEST_NAME = 255  # bytes: of one part of a path, on the disks that there are
_DESCRIPTION_FIELDS = ("title", "description", "citation", "license")


@dataclass(frozen=True)
class AnnouncedFile:
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
class UploadRequest:
    """An upload, before anything of it has come.

    Parameters
    ----------
    name : DatasetName
        Of a dataset, with its project.
    said : DatasetDescription
    update : bool
        Whether what is there is replaced or added to.
    files : tuple of AnnouncedFile
    include_all : bool
        Whether files of tools, which are left out otherwise, are sent as well.
    """

    name: DatasetName
    said: DatasetDescription
    update: bool
    files: tuple[AnnouncedFile, ...]
    include_all: bool = False

    @property
    def size(self) -> int:
        """All files together, in bytes."""
        return sum(file.size for file in self.files)

    @classmethod
    def parse(cls, body: bytes) -> UploadRequest:
        """Read a request.

        Raises
        ------
        BadRequest, DatasetEmbargoError, WrongName, FileProblem
            If it cannot be; the text says what is wrong, and with which file.
        """
        fields = read_json_fields(body)
        try:
            name = DatasetName.parse(fields.text("dataset"))
            said = _read_text(fields, name)
            files = _read_files(fields.objects("files"))
        except MalformedRecordError as problem:
            raise BadRequestError(str(problem)) from problem
        return cls(name, said, read_flag(fields, "update"), files, read_flag(fields, "include_all"))


def _read_text(fields: JsonFields, name: DatasetName) -> DatasetDescription:
    if not name.dataset:
        raise WrongNameError(f"{name} names no dataset; write {name}/NAME-OF-THE-DATASET")
    if fields.document.get("embargo_until"):
        # A page that was open while this server was renewed still has the field.
        raise DatasetEmbargoError
    words: dict[str, Any] = {word: read_optional_text(fields, word) for word in _DESCRIPTION_FIELDS}
    said = DatasetDescription(**words)
    # As it will be published: what cannot be said is refused before anything is sent.
    DatasetMetadata(
        dataset=name.dataset,
        project=name.project,
        format="files",
        created=datetime.now(UTC),
        created_by="",
        **said.given(),
    )
    return said


def _read_files(listed: list[Any]) -> tuple[AnnouncedFile, ...]:
    if not listed:
        raise BadRequestError("there is no file in what was dropped")
    if len(listed) > MOST_FILES:
        raise BadRequestError(
            f"these are {len(listed)} files, and {MOST_FILES} can come through the browser; "
            "panneuro upload, in a terminal, takes any number"
        )
    files = tuple(_read_file(one) for one in listed)
    _check_tree([file.path for file in files])
    return files


def _read_file(one: Any) -> AnnouncedFile:
    document: Mapping[str, Any] = one if isinstance(one, dict) else {}
    path, size = document.get("path"), document.get("size")
    changed = document.get("changed", 0)
    if not isinstance(path, str) or not is_byte_count(size) or not is_byte_count(changed):
        raise BadRequestError("each file must have a path, a size, and a time of its last change")
    wrong = find_name_problem(path)
    if wrong is None and any(len(part.encode()) > _LONGEST_NAME for part in path.split("/")):
        wrong = f"a part of its path is longer than {_LONGEST_NAME} bytes"
    if wrong is not None:
        raise LocalFileError(f"{format_path(path[:1000])}: {wrong}")
    return AnnouncedFile(path, size, changed)


def _check_tree(paths: list[str]) -> None:
    """Refuse what no folder can hold: a file twice, or a file that is a folder as well."""
    seen: set[str] = set()
    for path in paths:
        if path in seen:
            raise LocalFileError(f"{format_path(path)}: it is there twice")
        seen.add(path)
    for path in paths:
        parts = path.split("/")
        for end in range(1, len(parts)):
            outer = "/".join(parts[:end])
            if outer in seen:
                raise LocalFileError(
                    f"{format_path(outer)}: it is a file and a folder at the same time"
                )
