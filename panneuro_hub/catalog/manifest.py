"""The manifest of a dataset, and the short record of it in the catalog.

The manifest is written after all files of the dataset, so a dataset with a manifest
is complete. Readers ignore unknown keys, so that newer versions can add some.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import date, datetime
from itertools import pairwise
from typing import Any, Literal, get_args

from panneuro_hub.catalog.dataset_keys import find_dataset_problem, find_path_problem
from panneuro_hub.catalog.json_fields import (
    JsonFields,
    MalformedRecordError,
    find_text_problem,
    is_byte_count,
    is_sha256,
    parse_json_object,
)
from panneuro_hub.names import is_name
from panneuro_hub.wire.credential import format_time

VERSION = 1
Format = Literal["bids", "nwb", "zarr", "files"]
FORMATS: tuple[Format, ...] = get_args(Format)

_LONGEST_LINE = 500  # characters
_LONGEST_TEXT = 100_000  # characters
_LINES = ("title", "created_by", "license")
_TEXTS = ("description", "readme", "citation")


@dataclass(frozen=True, order=True, slots=True)
class FileRow:
    """One file of a dataset.

    Parameters
    ----------
    path : str
        Relative to the dataset, with ``/`` between its parts.
    size : int
        In bytes.
    sha256 : str
        Of its content, 64 lower-case hexadecimal digits.

    Raises
    ------
    MalformedRecordError
        If one of them is not valid.
    """

    path: str
    size: int
    sha256: str

    def __post_init__(self) -> None:
        problem = find_path_problem(self.path)
        if problem is None and not is_byte_count(self.size):
            problem = "its size must be a whole number of bytes, 0 or more"
        if problem is None and not is_sha256(self.sha256):
            problem = "its sha256 must be 64 lower-case hexadecimal digits"
        if problem is not None:
            raise MalformedRecordError(f"the file {self.path[:200]!r}: {problem}")


@dataclass(frozen=True, order=True, slots=True)
class FileReplacement:
    """New content that an update is putting in the place of a file, or was when it broke off.

    While a manifest names one, the file has either its old content or this.

    Parameters
    ----------
    file : FileRow
        The new content.
    by : str
        The person whose update it is.
    since : datetime
        When the update began to replace files; in UTC, to the second.

    Raises
    ------
    MalformedRecordError
        If one of them is not valid.
    """

    file: FileRow
    by: str
    since: datetime

    def __post_init__(self) -> None:
        read = JsonFields({}, f"the replacement of {self.file.path[:200]!r}")
        problem = find_text_problem(self.by, _LONGEST_LINE)
        if problem is not None:
            raise read.wrong("by", problem)
        object.__setattr__(self, "since", read.moment("since", self.since))

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object that manifests hold."""
        return {**_write_file(self.file), "by": self.by, "since": format_time(self.since)}


@dataclass(frozen=True, kw_only=True)
class DatasetMetadata:
    """Metadata of a dataset, from people and from its files.

    Parameters
    ----------
    dataset, project : str
        The dataset's name in the project, such as ``2026/session-12``, and the project.
    format : {"bids", "nwb", "zarr", "files"}
    created : datetime
        When it became complete; in UTC, to the second.
    created_by : str
        The person who uploaded it.
    title, description, readme, citation, license : str
        As their author wrote them; ``""`` if not given.
    asks_to_wait_until : date or None
        The day before which the author asks others not to use the data. This is a request and
        locks nothing: the collaboration alone decides about access. Only manifests that an earlier
        version wrote begin with one; an update keeps it. In JSON its name is ``embargo_until``.
    subjects, modalities : tuple of str

    Raises
    ------
    MalformedRecordError
        If one of them is not valid.
    """

    dataset: str
    project: str
    format: Format
    created: datetime
    created_by: str
    title: str = ""
    description: str = ""
    readme: str = ""
    citation: str = ""
    license: str = ""
    asks_to_wait_until: date | None = None
    subjects: tuple[str, ...] = ()
    modalities: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        problem = find_dataset_problem(self.dataset)
        if problem is not None:
            raise MalformedRecordError(problem)
        whole = self._name_fields()
        if not is_name(self.project):
            raise whole.wrong("project", "must be the name of a project")
        if self.format not in FORMATS:
            raise whole.wrong("format", f"must be one of {', '.join(FORMATS)}")
        object.__setattr__(self, "created", whole.moment("created", self.created))
        for name in _LINES + _TEXTS:
            self._check(name, getattr(self, name), lines=name in _TEXTS)
        for name in ("subjects", "modalities"):
            for word in getattr(self, name):
                self._check(name, word, lines=False)

    @property
    def name(self) -> str:
        """Return the dataset's name with its project, as `panneuro_hub.lab.open` takes it."""
        return f"{self.project}/{self.dataset}"

    def asks_to_wait(self, today: date) -> bool:
        """Return whether the author's request to wait applies today."""
        return self.asks_to_wait_until is not None and today < self.asks_to_wait_until

    def _check(self, name: str, text: str, *, lines: bool) -> None:
        problem = find_text_problem(text, _LONGEST_TEXT if lines else _LONGEST_LINE, lines=lines)
        if problem is not None:
            raise self._name_fields().wrong(name, problem)

    def _name_fields(self) -> JsonFields:
        return JsonFields({}, f"the dataset {self.dataset!r}")

    def _describe(self) -> dict[str, Any]:
        """Return the fields of this class, as JSON."""
        wait = self.asks_to_wait_until
        names = [each.name for each in fields(DatasetMetadata) if each.name != "asks_to_wait_until"]
        return {
            "version": VERSION,
            **{name: getattr(self, name) for name in names},
            "created": format_time(self.created),
            "embargo_until": wait.isoformat() if wait else None,
            "subjects": list(self.subjects),
            "modalities": list(self.modalities),
        }


@dataclass(frozen=True, kw_only=True)
class Manifest(DatasetMetadata):
    """A complete dataset with all its files.

    Parameters
    ----------
    files : tuple of FileRow
        Sorted by path.
    changing : tuple of FileReplacement
        Updates that are replacing files now, or that were interrupted.

    Raises
    ------
    MalformedRecordError
        As for `DatasetMetadata`, or if a path occurs twice or the sizes add up to too much.
    """

    files: tuple[FileRow, ...]
    changing: tuple[FileReplacement, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        files = tuple(sorted(self.files))
        for one, next_one in pairwise(files):
            if one.path == next_one.path:
                raise self._name_fields().wrong("files", f"has {one.path[:200]!r} twice")
        if not is_byte_count(sum(file.size for file in files)):
            raise self._name_fields().wrong("files", "come to more bytes than can be counted")
        object.__setattr__(self, "files", files)
        object.__setattr__(self, "changing", tuple(sorted(self.changing)))

    @property
    def size(self) -> int:
        """Return the size of all files, in bytes."""
        return sum(file.size for file in self.files)

    @property
    def sha256(self) -> str:
        """Return the digest of all files (`digest_files`)."""
        return digest_files(self.files)

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object that `from_json` reads."""
        return {
            **self._describe(),
            "bytes": self.size,
            "files_count": len(self.files),
            "sha256": self.sha256,
            "files": [_write_file(file) for file in self.files],
            **({"changing": [one.to_json() for one in self.changing]} if self.changing else {}),
        }

    def encode(self) -> bytes:
        """Return the manifest as stored bytes."""
        return encode_json(self.to_json())

    @classmethod
    def decode(cls, data: bytes | str) -> Manifest:
        """Read what `encode` wrote; `MalformedRecordError` as for `from_json`."""
        return cls.from_json(parse_json_object(data, "the manifest"))

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Manifest:
        """Read what `to_json` wrote; keys of newer versions are ignored.

        Raises
        ------
        MalformedRecordError
            If it is not a manifest, or its sums do not match its files.
        """
        read = JsonFields(document, _name_document("the manifest", document))
        read.version(VERSION)
        files = tuple(_read_file(one, read) for one in read.objects("files"))
        changing = read.objects("changing") if "changing" in document else []
        manifest = cls(
            **_read_metadata(read),
            files=files,
            changing=tuple(_read_replacement(one, read) for one in changing),
        )
        for name, sum_of_files in (
            ("bytes", manifest.size),
            ("files_count", len(files)),
            ("sha256", manifest.sha256),
        ):
            if document.get(name) != sum_of_files:
                raise read.wrong(name, "does not match its files; the manifest is damaged")
        return manifest


@dataclass(frozen=True, kw_only=True)
class DatasetRecord(DatasetMetadata):
    """A complete dataset as the catalog lists it.

    Parameters
    ----------
    size, files_count : int
        The size in bytes, and the number of files.
    sha256 : str
        The digest of all files (`digest_files`).
    manifest_sha256 : str
        The checksum of the manifest behind this record.

    Raises
    ------
    MalformedRecordError
        As for `DatasetMetadata`.
    """

    size: int
    files_count: int
    sha256: str
    manifest_sha256: str = field(repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("sha256", "manifest_sha256"):
            if not is_sha256(getattr(self, name)):
                raise self._name_fields().wrong(name, "must be 64 lower-case hexadecimal digits")

    @classmethod
    def of(cls, manifest: Manifest, encoded: bytes | None = None) -> DatasetRecord:
        """Return the record of a manifest, which the store holds as `encoded`."""
        if encoded is None:
            encoded = manifest.encode()
        return cls(
            **{each.name: getattr(manifest, each.name) for each in fields(DatasetMetadata)},
            size=manifest.size,
            files_count=len(manifest.files),
            sha256=manifest.sha256,
            manifest_sha256=hashlib.sha256(encoded).hexdigest(),
        )

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object that `from_json` reads."""
        return {
            **self._describe(),
            "bytes": self.size,
            "files_count": self.files_count,
            "sha256": self.sha256,
            "manifest_sha256": self.manifest_sha256,
        }

    def encode(self) -> bytes:
        """Return the record as stored bytes."""
        return encode_json(self.to_json())

    @classmethod
    def decode(cls, data: bytes | str) -> DatasetRecord:
        """Read what `encode` wrote; `MalformedRecordError` as for `from_json`."""
        return cls.from_json(parse_json_object(data, "the record"))

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> DatasetRecord:
        """Read what `to_json` wrote; keys of newer versions are ignored.

        Raises
        ------
        MalformedRecordError
            If it is not a record.
        """
        read = JsonFields(document, _name_document("the record", document))
        read.version(VERSION)
        return cls(
            **_read_metadata(read),
            size=read.number("bytes"),
            files_count=read.number("files_count"),
            sha256=read.text("sha256"),
            manifest_sha256=read.text("manifest_sha256"),
        )


@dataclass(frozen=True, kw_only=True)
class UploadNote:
    """The note of an upload under way, for others to see.

    Parameters
    ----------
    dataset : str
    by : str
        The person who uploads.
    began : datetime
        With a time zone.
    files_count, size : int
        The number of files and their size in bytes once the upload is complete.

    Raises
    ------
    MalformedRecordError
        If one of them is not valid.
    """

    dataset: str
    by: str
    began: datetime
    files_count: int
    size: int

    def __post_init__(self) -> None:
        read = JsonFields({}, f"the upload into {self.dataset[:200]!r}")
        problem = find_dataset_problem(self.dataset)
        if problem is not None:
            raise MalformedRecordError(problem)
        problem = find_text_problem(self.by, _LONGEST_LINE)
        if problem is not None:
            raise read.wrong("by", problem)
        object.__setattr__(self, "began", read.moment("began", self.began))

    def encode(self) -> bytes:
        """Return the note as stored bytes."""
        return encode_json(
            {
                "version": VERSION,
                "dataset": self.dataset,
                "by": self.by,
                "began": format_time(self.began),
                "files_count": self.files_count,
                "bytes": self.size,
            }
        )

    @classmethod
    def decode(cls, data: bytes | str) -> UploadNote:
        """Read what `encode` wrote; keys of newer versions are ignored.

        Raises
        ------
        MalformedRecordError
            If it is not the note of an upload.
        """
        read = JsonFields(parse_json_object(data, "the upload's note"), "the upload's note")
        read.version(VERSION)
        return cls(
            dataset=read.text("dataset"),
            by=read.text("by"),
            began=read.time("began"),
            files_count=read.number("files_count"),
            size=read.number("bytes"),
        )


def digest_files(files: Iterable[FileRow]) -> str:
    """Return one SHA-256 for all of a dataset's content.

    It is the ``sha256sum`` of the output of ``sha256sum`` for all files, sorted by bytes
    (``LC_ALL=C sort``), so anybody can compute it without this package.
    """
    lines = sorted(f"{file.sha256}  {file.path}\n".encode() for file in files)
    return hashlib.sha256(b"".join(lines)).hexdigest()


def encode_json(document: Mapping[str, Any]) -> bytes:
    """Return `document` as JSON, always as the same bytes."""
    return json.dumps(document, ensure_ascii=False, indent=1).encode()


def _read_file(document: Any, read: JsonFields) -> FileRow:
    if not isinstance(document, dict):
        raise read.wrong("files", "must be a list of objects")
    one = JsonFields(document, f"{read.what}: a file")
    return FileRow(one.text("path"), one.number("size"), one.text("sha256"))


def _write_file(file: FileRow) -> dict[str, Any]:
    return {"path": file.path, "size": file.size, "sha256": file.sha256}


def _read_replacement(document: Any, read: JsonFields) -> FileReplacement:
    one = JsonFields(document if isinstance(document, dict) else {}, f"{read.what}: a replacement")
    return FileReplacement(_read_file(document, read), one.text("by"), one.time("since"))


def _read_metadata(read: JsonFields) -> dict[str, Any]:
    return {
        "dataset": read.text("dataset"),
        "project": read.text("project"),
        "format": read.text("format"),
        "created": read.time("created"),
        "created_by": read.text("created_by"),
        **{name: read.text(name, "") for name in ("title", "license", *_TEXTS)},
        "asks_to_wait_until": read.day("embargo_until"),
        "subjects": read.texts("subjects"),
        "modalities": read.texts("modalities"),
    }


def _name_document(what: str, document: Mapping[str, Any]) -> str:
    dataset = document.get("dataset")
    return f"{what} of {dataset[:200]!r}" if isinstance(dataset, str) else what
