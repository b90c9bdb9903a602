"""Published notebooks in an object store.

`store` is always an obstore store whose root is the prefix of a project. What lies
in it may be anybody's who writes there: what is malformed is told, never fatal to
a listing, and no more is read than a notebook can have.
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
_MOST_TROUBLES = 100
_MAX_ATTEMPTS = 20  # versions, where others publish at the same time
_Version: TypeAlias = tuple[str, int]
_EXISTS_ERRORS = (AlreadyExistsError, PreconditionError)


class NotebookNotFoundError(PanNeuroError):
    """There is no such notebook, or no such version of it; the text names it."""


class NotebookVersionError(PanNeuroError):
    """A notebook cannot have another version."""


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
        By their names.
    troubles : tuple of CatalogProblem
    """

    notebooks: tuple[NotebookHistory, ...]
    troubles: tuple[CatalogProblem, ...]


def list_notebooks(store: S3Store, project: str) -> NotebookListing:
    """All notebooks of a project.

    Raises
    ------
    obstore.exceptions.BaseError
        If the store cannot be listed.
    """
    return _list_versions(store, project, NOTEBOOKS_FOLDER)


def read_history(store: S3Store, project: str, name: str) -> NotebookListing:
    """Return one notebook of a project, or `None`; raises as `list_notebooks`."""
    if find_notebook_problem(name) is not None:
        return NotebookListing((), ())
    return _list_versions(store, project, make_notebook_folder(name))


def find_version(
    store: S3Store, project: str, name: str, number: int | None = None
) -> NotebookRecord:
    """One version of a notebook.

    Parameters
    ----------
    number : int, optional
        The newest that can be read, where not given.

    Raises
    ------
    NotebookNotFoundError
        If there is none.
    MalformedRecordError
        If what lies there is not its record.
    """
    problem = find_notebook_problem(name)
    if problem is not None:
        raise NotebookNotFoundError(problem)
    if number is None:
        found = read_history(store, project, name)
        if found.notebooks:
            return found.notebooks[0].latest
        if found.troubles:
            raise MalformedRecordError(
                f"no version of {project}/{name} can be read: {found.troubles[-1]}"
            )
        raise NotebookNotFoundError(f"there is no notebook {project}/{name}")
    which = project, name, number
    encoded = read_object(store, make_notebook_key(name, number, "json"), LARGEST_RECORD)
    if encoded is None:
        raise NotebookNotFoundError(f"there is no notebook {_make_label(*which)}")
    return _check_place(NotebookRecord.decode(encoded), which)


def read_notebook(store: S3Store, published: NotebookRecord) -> bytes:
    """The notebook itself, as its record says that it is.

    Raises
    ------
    NotebookNotFoundError
        If it is gone.
    MalformedRecordError
        If it is not what the record says.
    """
    key = make_notebook_key(published.name, published.number, "ipynb")
    notebook = read_object(store, key, min(LARGEST_NOTEBOOK, published.size))
    if notebook is None:
        raise NotebookNotFoundError(f"the notebook {published.label} has been taken away")
    if not published.matches_content(notebook):
        raise MalformedRecordError(
            f"the notebook {published.label} is not what was published under this number: "
            "somebody has replaced it in the store"
        )
    return notebook


def read_preview(store: S3Store, published: NotebookRecord) -> bytes | None:
    """The picture of a notebook as a PNG; `None` where there is none that can be shown."""
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
    store: S3Store, notebook: bytes, about: NotebookRecord, picture: bytes | None = None
) -> NotebookRecord:
    """Publish a new version; nothing that is there is replaced.

    What has broken off may be done again with the same arguments: no version comes
    twice of that.

    Parameters
    ----------
    notebook : bytes
    about : NotebookRecord
        Its record; the number that is free is put into it.
    picture : bytes, optional
        A PNG, if the record has its checksum.

    Returns
    -------
    NotebookRecord
        With its number.

    Raises
    ------
    NotebookVersionError
        If there are too many versions, or too many people publish at a time.
    MalformedRecordError
        If the record is not one of `notebook`.
    obstore.exceptions.BaseError
        If the store refuses something.
    """
    if not about.matches_content(notebook):
        raise MalformedRecordError("the record is not one of this notebook")
    last = _last_number(store, about.name)
    if last and _is_ours(store, replace(about, number=last)):
        return replace(about, number=last)
    for number in range(last + 1, min(last + _MAX_ATTEMPTS, LAST_NUMBER) + 1):
        made = replace(about, number=number)
        if _put_version(store, notebook, made, picture):
            return made
    if last + _MAX_ATTEMPTS > LAST_NUMBER:
        raise NotebookVersionError(
            f"{about.name} has {LAST_NUMBER} versions, and cannot have more; choose another name"
        )
    raise NotebookVersionError(f"others publish {about.name} just now; try again")


def _put_version(
    store: S3Store, notebook: bytes, made: NotebookRecord, picture: bytes | None
) -> bool:
    """Put a version under its number; `False` where that is somebody else's."""
    key = make_notebook_key(made.name, made.number, "ipynb")
    if not _put_new(store, key, notebook) and not _holds(store, key, notebook):
        return False
    if picture is not None:
        _put_new(store, make_notebook_key(made.name, made.number, "png"), picture)
    return _put_new(
        store, make_notebook_key(made.name, made.number, "json"), made.encode()
    ) or _is_ours(store, made)


def _put_new(store: S3Store, key: str, data: bytes) -> bool:
    """Put an object where none is; whether it was put."""
    try:
        store.put(key, data, mode="create", use_multipart=False)
    except _EXISTS_ERRORS:
        return False
    except BaseError as refusal:
        # There are stores that know no such condition.
        if "NotImplemented" not in str(refusal):
            raise
        if object_exists(store, key):
            return False
        store.put(key, data, use_multipart=False)
    return True


def _holds(store: S3Store, key: str, data: bytes) -> bool:
    try:
        return read_object(store, key, len(data)) == data
    except MalformedRecordError:
        return False


def _is_ours(store: S3Store, made: NotebookRecord) -> bool:
    return _holds(store, make_notebook_key(made.name, made.number, "json"), made.encode())


def _last_number(store: S3Store, name: str) -> int:
    """The greatest number that has a record, whatever that holds."""
    places = (
        parse_notebook_key(key.path) for key in list_stored_keys(store, make_notebook_folder(name))
    )
    return max((one.number for one in places if one and one.ending == "json"), default=0)


@dataclass
class _FolderContents:
    """What lies in a folder of notebooks: sizes by version, and what is no version."""

    notebooks: dict[_Version, int] = field(default_factory=dict)
    records: dict[_Version, int] = field(default_factory=dict)
    troubles: list[CatalogProblem] = field(default_factory=list)


def _list_versions(store: S3Store, project: str, folder: str) -> NotebookListing:
    seen = _scan_folder(store, folder)
    troubles = seen.troubles
    versions: dict[str, list[NotebookRecord]] = {}
    for which, found in _read_all(store, project, seen.records):
        problem = found if isinstance(found, str) else _find_problem(found, seen.notebooks)
        if problem is not None:
            troubles.append(CatalogProblem(make_notebook_key(*which, "json"), problem))
        elif isinstance(found, NotebookRecord):
            versions.setdefault(found.name, []).append(found)
    for which in sorted(seen.notebooks.keys() - seen.records.keys()):
        why = "it has no record: it is being published, or that was broken off"
        troubles.append(CatalogProblem(make_notebook_key(*which, "ipynb"), why))
    return NotebookListing(
        tuple(
            NotebookHistory(name, tuple(sorted(found, key=lambda one: one.number)))
            for name, found in sorted(versions.items())
        ),
        _limit_troubles(troubles, folder),
    )


def _scan_folder(store: S3Store, folder: str) -> _FolderContents:
    seen = _FolderContents()
    to_read = 0
    for count, key in enumerate(list_stored_keys(store, folder)):
        place = parse_notebook_key(key.path)
        if place is not None and place.ending == "json":
            to_read += min(key.size, LARGEST_RECORD)
        if count == _MOST_OBJECTS or to_read > _MOST_BYTES:
            seen.troubles.insert(
                0, CatalogProblem(folder, f"only {count:,} objects of it are looked at")
            )
            return seen
        if place is None:
            why = "its name is not that of a notebook's version"
            seen.troubles.append(CatalogProblem(key.path, why))
        elif place.ending == "json":
            seen.records[place.name, place.number] = key.size
        elif place.ending == "ipynb":
            seen.notebooks[place.name, place.number] = key.size
    return seen


def _read_all(
    store: S3Store, project: str, sizes: dict[_Version, int]
) -> Iterable[tuple[_Version, NotebookRecord | str | None]]:
    """Records, or what is wrong with them; `None` for what has just gone."""

    def one(which: _Version) -> NotebookRecord | str | None:
        # No more than was seen, whatever lies there by now.
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
            f"it says that it is of {found.label}, and lies where {_make_label(*which)} does"
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


def _limit_troubles(troubles: list[CatalogProblem], folder: str) -> tuple[CatalogProblem, ...]:
    left = len(troubles) - _MOST_TROUBLES
    if left <= 0:
        return tuple(troubles)
    return (
        *troubles[:_MOST_TROUBLES],
        CatalogProblem(folder, f"and {left} more that cannot be used"),
    )
