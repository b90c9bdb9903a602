"""Published notebooks in an object store.

`store` is always an obstore store whose root is the prefix of a project. Everybody who can
write in the project can change its objects. A malformed one becomes a problem of the listing,
and no more bytes are read than a notebook can have.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias

from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError

from panneuro_hub.catalog.json_fields import MalformedRecordError
from panneuro_hub.catalog.notebook_records import (
    LARGEST_NOTEBOOK,
    LARGEST_PREVIEW,
    LARGEST_RECORD,
    LAST_NUMBER,
    NOTEBOOKS_FOLDER,
    NotebookRecord,
    find_notebook_problem,
    make_notebook_folder,
    make_notebook_key,
    parse_notebook_key,
)
from panneuro_hub.catalog.object_reads import (
    MAX_REQUESTS,
    CatalogProblem,
    object_exists,
    read_object,
)
from panneuro_hub.catalog.png import strip_png
from panneuro_hub.catalog.stored_keys import list_stored_keys
from panneuro_hub.errors import PanNeuroError

if TYPE_CHECKING:
    from obstore.store import S3Store

_MOST_OBJECTS = 10_000
_MOST_BYTES = 2**25  # of all records together
_MOST_PROBLEMS = 100
_MAX_ATTEMPTS = 20  # version numbers to try, if others publish at the same time
_Version: TypeAlias = tuple[str, int]
_EXISTS_ERRORS = (AlreadyExistsError, PreconditionError)


class NotebookNotFoundError(PanNeuroError):
    """The notebook, or this version of it, does not exist; the text names it."""

    code = "notebook-not-found"
    status = 404


class NotebookVersionError(PanNeuroError):
    """A notebook cannot have another version."""

    code = "notebook-version"
    status = 409


@dataclass(frozen=True)
class NotebookHistory:
    """A notebook with its versions.

    Parameters
    ----------
    name : str
    versions : tuple of NotebookRecord
        The oldest first; at least one.
    """

    name: str
    versions: tuple[NotebookRecord, ...]

    @property
    def latest(self) -> NotebookRecord:
        """The newest version."""
        return self.versions[-1]


@dataclass(frozen=True)
class NotebookListing:
    """A project's notebooks.

    Parameters
    ----------
    notebooks : tuple of NotebookHistory
        Sorted by name.
    problems : tuple of CatalogProblem
    """

    notebooks: tuple[NotebookHistory, ...]
    problems: tuple[CatalogProblem, ...]


def list_notebooks(store: S3Store, project: str) -> NotebookListing:
    """Return all notebooks of a project.

    Raises
    ------
    obstore.exceptions.BaseError
        If the store cannot be listed.
    """
    return _list_versions(store, project, NOTEBOOKS_FOLDER)


def read_history(store: S3Store, project: str, name: str) -> NotebookListing:
    """Return a listing of one notebook of a project; raises as `list_notebooks`."""
    if find_notebook_problem(name) is not None:
        return NotebookListing((), ())
    return _list_versions(store, project, make_notebook_folder(name))


def find_version(
    store: S3Store, project: str, name: str, number: int | None = None
) -> NotebookRecord:
    """Return the record of one version of a notebook.

    Parameters
    ----------
    number : int, optional
        The newest readable version if not given.

    Raises
    ------
    NotebookNotFoundError
        If there is none.
    MalformedRecordError
        If the object is not its record.
    """
    problem = find_notebook_problem(name)
    if problem is not None:
        raise NotebookNotFoundError(problem)
    if number is None:
        found = read_history(store, project, name)
        if found.notebooks:
            return found.notebooks[0].latest
        if found.problems:
            raise MalformedRecordError(
                f"no version of {project}/{name} can be read: {found.problems[-1]}"
            )
        raise NotebookNotFoundError(f"there is no notebook {project}/{name}")
    which = project, name, number
    encoded = read_object(store, make_notebook_key(name, number, "json"), LARGEST_RECORD)
    if encoded is None:
        raise NotebookNotFoundError(f"there is no notebook {_make_label(*which)}")
    return _check_place(NotebookRecord.decode(encoded), which)


def read_notebook(store: S3Store, published: NotebookRecord) -> bytes:
    """Return the content of a notebook, checked against its record.

    Raises
    ------
    NotebookNotFoundError
        If it has been removed.
    MalformedRecordError
        If it does not match the record.
    """
    key = make_notebook_key(published.name, published.number, "ipynb")
    notebook = read_object(store, key, min(LARGEST_NOTEBOOK, published.size))
    if notebook is None:
        raise NotebookNotFoundError(f"the notebook {published.label} has been removed")
    if not published.matches_content(notebook):
        raise MalformedRecordError(
            f"the notebook {published.label} does not match what was published under this number: "
            "somebody has replaced it in the store"
        )
    return notebook


def read_preview(store: S3Store, published: NotebookRecord) -> bytes | None:
    """Return the picture of a notebook as a PNG, or `None` if there is no valid one."""
    if published.preview_sha256 is None:
        return None
    key = make_notebook_key(published.name, published.number, "png")
    try:
        picture = read_object(store, key, LARGEST_PREVIEW)
    except MalformedRecordError:
        return None
    if picture is None or hashlib.sha256(picture).hexdigest() != published.preview_sha256:
        return None
    return strip_png(picture, LARGEST_PREVIEW)


def publish_version(
    store: S3Store, notebook: bytes, record: NotebookRecord, picture: bytes | None = None
) -> NotebookRecord:
    """Publish a new version without replacing anything.

    After an interruption, call it again with the same arguments; it does not publish
    a version twice.

    Parameters
    ----------
    notebook : bytes
    record : NotebookRecord
        Its record; a free number is put into it.
    picture : bytes, optional
        A PNG, if the record has its checksum.

    Returns
    -------
    NotebookRecord
        With its number.

    Raises
    ------
    NotebookVersionError
        If there are too many versions, or if too many people publish at the same time.
    MalformedRecordError
        If the record does not match `notebook`.
    obstore.exceptions.BaseError
        If the store refuses something.
    """
    if not record.matches_content(notebook):
        raise MalformedRecordError("the record does not match this notebook")
    last = _find_last_number(store, record.name)
    if last and _is_same_record(store, replace(record, number=last)):
        return replace(record, number=last)
    for number in range(last + 1, min(last + _MAX_ATTEMPTS, LAST_NUMBER) + 1):
        record = replace(record, number=number)
        if _put_version(store, notebook, record, picture):
            return record
    if last + _MAX_ATTEMPTS > LAST_NUMBER:
        raise NotebookVersionError(
            f"{record.name} has {LAST_NUMBER} versions, and cannot have more; choose another name"
        )
    raise NotebookVersionError(f"others are publishing {record.name} now; try again")


def _put_version(
    store: S3Store, notebook: bytes, record: NotebookRecord, picture: bytes | None
) -> bool:
    """Store a version under its number; return `False` if somebody else has the number."""
    key = make_notebook_key(record.name, record.number, "ipynb")
    if not _put_new(store, key, notebook) and not _has_content(store, key, notebook):
        return False
    if picture is not None:
        _put_new(store, make_notebook_key(record.name, record.number, "png"), picture)
    return _put_new(
        store, make_notebook_key(record.name, record.number, "json"), record.encode()
    ) or _is_same_record(store, record)


def _put_new(store: S3Store, key: str, data: bytes) -> bool:
    """Store an object if its key is free; return whether it was stored."""
    try:
        store.put(key, data, mode="create", use_multipart=False)
    except _EXISTS_ERRORS:
        return False
    except BaseError as refusal:
        # Some stores do not support conditional writes and answer NotImplemented.
        if "NotImplemented" not in str(refusal):
            raise
        if object_exists(store, key):
            return False
        store.put(key, data, use_multipart=False)
    return True


def _has_content(store: S3Store, key: str, data: bytes) -> bool:
    try:
        return read_object(store, key, len(data)) == data
    except MalformedRecordError:
        return False


def _is_same_record(store: S3Store, record: NotebookRecord) -> bool:
    return _has_content(
        store, make_notebook_key(record.name, record.number, "json"), record.encode()
    )


def _find_last_number(store: S3Store, name: str) -> int:
    """Return the greatest number that has a record, valid or not."""
    places = (
        parse_notebook_key(key.path) for key in list_stored_keys(store, make_notebook_folder(name))
    )
    return max((one.number for one in places if one and one.ending == "json"), default=0)


@dataclass
class _FolderContents:
    """The objects of a folder of notebooks: sizes by version, and problems."""

    notebooks: dict[_Version, int] = field(default_factory=dict)
    records: dict[_Version, int] = field(default_factory=dict)
    problems: list[CatalogProblem] = field(default_factory=list)


def _list_versions(store: S3Store, project: str, folder: str) -> NotebookListing:
    seen = _scan_folder(store, folder)
    problems = seen.problems
    versions: dict[str, list[NotebookRecord]] = {}
    for which, found in _read_all(store, project, seen.records):
        problem = found if isinstance(found, str) else _find_problem(found, seen.notebooks)
        if problem is not None:
            problems.append(CatalogProblem(make_notebook_key(*which, "json"), problem))
        elif isinstance(found, NotebookRecord):
            versions.setdefault(found.name, []).append(found)
    for which in sorted(seen.notebooks.keys() - seen.records.keys()):
        why = "it has no record: its publication is under way or was interrupted"
        problems.append(CatalogProblem(make_notebook_key(*which, "ipynb"), why))
    return NotebookListing(
        tuple(
            NotebookHistory(name, tuple(sorted(found, key=lambda one: one.number)))
            for name, found in sorted(versions.items())
        ),
        _limit_problems(problems, folder),
    )


def _scan_folder(store: S3Store, folder: str) -> _FolderContents:
    seen = _FolderContents()
    to_read = 0
    for count, key in enumerate(list_stored_keys(store, folder)):
        place = parse_notebook_key(key.path)
        if place is not None and place.ending == "json":
            to_read += min(key.size, LARGEST_RECORD)
        if count == _MOST_OBJECTS or to_read > _MOST_BYTES:
            seen.problems.insert(
                0, CatalogProblem(folder, f"only the first {count:,} objects of it were read")
            )
            return seen
        if place is None:
            why = "its name is not that of a notebook's version"
            seen.problems.append(CatalogProblem(key.path, why))
        elif place.ending == "json":
            seen.records[place.name, place.number] = key.size
        elif place.ending == "ipynb":
            seen.notebooks[place.name, place.number] = key.size
    return seen


def _read_all(
    store: S3Store, project: str, sizes: dict[_Version, int]
) -> Iterable[tuple[_Version, NotebookRecord | str | None]]:
    """Return records, or their problems; `None` for a record deleted meanwhile."""

    def one(which: _Version) -> NotebookRecord | str | None:
        # Read no more than the listing showed: the object may have been replaced by a larger one.
        largest = min(LARGEST_RECORD, sizes[which])
        try:
            encoded = read_object(store, make_notebook_key(*which, "json"), largest)
            return (
                None
                if encoded is None
                else _check_place(NotebookRecord.decode(encoded), (project, *which))
            )
        except MalformedRecordError as problem:
            return str(problem)

    with ThreadPoolExecutor(MAX_REQUESTS, "panneuro-notebooks") as pool:
        return list(zip(sizes, pool.map(one, sizes), strict=True))


def _check_place(found: NotebookRecord, which: tuple[str, str, int]) -> NotebookRecord:
    if (found.project, found.name, found.number) != which:
        raise MalformedRecordError(
            f"it names the notebook {found.label}, but its key is that of {_make_label(*which)}"
        )
    return found


def _make_label(project: str, name: str, number: int) -> str:
    return f"{project}/{name}@{number}"


def _find_problem(found: NotebookRecord | None, notebooks: dict[_Version, int]) -> str | None:
    if found is None:
        return None
    size = notebooks.get((found.name, found.number))
    if size is None:
        return "the notebook itself is not there"
    if size != found.size:
        return f"the notebook has {size} bytes, and its record says {found.size}"
    return None


def _limit_problems(problems: list[CatalogProblem], folder: str) -> tuple[CatalogProblem, ...]:
    left = len(problems) - _MOST_PROBLEMS
    if left <= 0:
        return tuple(problems)
    return (
        *problems[:_MOST_PROBLEMS],
        CatalogProblem(folder, f"and {left} more problems"),
    )
