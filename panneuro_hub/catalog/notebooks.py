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

from panneuro_hub.catalog.objects import AT_ONCE, Trouble, exists, read_object
from panneuro_hub.catalog.png import plain_png
from panneuro_hub.catalog.published import (
    LARGEST_NOTEBOOK,
    LARGEST_PREVIEW,
    LARGEST_RECORD,
    LAST_NUMBER,
    NOTEBOOKS,
    Published,
    folder_of,
    key_of,
    notebook_problem,
    place_of,
)
from panneuro_hub.catalog.reading import Malformed
from panneuro_hub.catalog.stored_keys import keys_below
from panneuro_hub.errors import PanNeuroError

if TYPE_CHECKING:
    from obstore.store import S3Store

_MOST_OBJECTS = 10_000
_MOST_BYTES = 2**25  # of all records together
_MOST_TROUBLES = 100
_TRIES = 20  # versions, where others publish at the same time
_Version: TypeAlias = tuple[str, int]
_TAKEN = (AlreadyExistsError, PreconditionError)


class NotPublished(PanNeuroError):
    """There is no such notebook, or no such version of it; the text names it."""


class Crowded(PanNeuroError):
    """A notebook cannot have another version."""


@dataclass(frozen=True)
class Notebook:
    """A notebook with its versions.

    Parameters
    ----------
    name : str
    versions : tuple of Published
        The oldest first; at least one.
    """

    name: str
    versions: tuple[Published, ...]

    @property
    def latest(self) -> Published:
        """The newest version."""
        return self.versions[-1]


@dataclass(frozen=True)
class Listing:
    """A project's notebooks.

    Parameters
    ----------
    notebooks : tuple of Notebook
        By their names.
    troubles : tuple of Trouble
    """

    notebooks: tuple[Notebook, ...]
    troubles: tuple[Trouble, ...]


def listing(store: S3Store, project: str) -> Listing:
    """All notebooks of a project.

    Raises
    ------
    obstore.exceptions.BaseError
        If the store cannot be listed.
    """
    return _listed(store, project, NOTEBOOKS)


def history(store: S3Store, project: str, name: str) -> Listing:
    """One notebook of a project; none where there is none of that name; raises as `listing`."""
    if notebook_problem(name) is not None:
        return Listing((), ())
    return _listed(store, project, folder_of(name))


def find(store: S3Store, project: str, name: str, number: int | None = None) -> Published:
    """One version of a notebook.

    Parameters
    ----------
    number : int, optional
        The newest that can be read, where not given.

    Raises
    ------
    NotPublished
        If there is none.
    Malformed
        If what lies there is not its record.
    """
    problem = notebook_problem(name)
    if problem is not None:
        raise NotPublished(problem)
    if number is None:
        found = history(store, project, name)
        if found.notebooks:
            return found.notebooks[0].latest
        if found.troubles:
            raise Malformed(f"no version of {project}/{name} can be read: {found.troubles[-1]}")
        raise NotPublished(f"there is no notebook {project}/{name}")
    which = project, name, number
    encoded = read_object(store, key_of(name, number, "json"), LARGEST_RECORD)
    if encoded is None:
        raise NotPublished(f"there is no notebook {_label(*which)}")
    return _own(Published.decode(encoded), which)


def read(store: S3Store, published: Published) -> bytes:
    """The notebook itself, as its record says that it is.

    Raises
    ------
    NotPublished
        If it is gone.
    Malformed
        If it is not what the record says.
    """
    key = key_of(published.name, published.number, "ipynb")
    notebook = read_object(store, key, min(LARGEST_NOTEBOOK, published.size))
    if notebook is None:
        raise NotPublished(f"the notebook {published.label} has been taken away")
    if not published.is_of(notebook):
        raise Malformed(
            f"the notebook {published.label} is not what was published under this number: "
            "somebody has replaced it in the store"
        )
    return notebook


def preview(store: S3Store, published: Published) -> bytes | None:
    """The picture of a notebook as a PNG; `None` where there is none that can be shown."""
    if published.preview_sha256 is None:
        return None
    key = key_of(published.name, published.number, "png")
    try:
        picture = read_object(store, key, LARGEST_PREVIEW)
    except Malformed:
        return None
    if picture is None or hashlib.sha256(picture).hexdigest() != published.preview_sha256:
        return None
    return plain_png(picture, LARGEST_PREVIEW)


def publish(
    store: S3Store, notebook: bytes, about: Published, picture: bytes | None = None
) -> Published:
    """Publish a new version; nothing that is there is replaced.

    What has broken off may be done again with the same arguments: no version comes
    twice of that.

    Parameters
    ----------
    notebook : bytes
    about : Published
        Its record; the number that is free is put into it.
    picture : bytes, optional
        A PNG, if the record has its checksum.

    Returns
    -------
    Published
        With its number.

    Raises
    ------
    Crowded
        If there are too many versions, or too many people publish at a time.
    Malformed
        If the record is not one of `notebook`.
    obstore.exceptions.BaseError
        If the store refuses something.
    """
    if not about.is_of(notebook):
        raise Malformed("the record is not one of this notebook")
    last = _last_number(store, about.name)
    if last and _is_ours(store, replace(about, number=last)):
        return replace(about, number=last)
    for number in range(last + 1, min(last + _TRIES, LAST_NUMBER) + 1):
        made = replace(about, number=number)
        if _put_version(store, notebook, made, picture):
            return made
    if last + _TRIES > LAST_NUMBER:
        raise Crowded(
            f"{about.name} has {LAST_NUMBER} versions, and cannot have more; choose another name"
        )
    raise Crowded(f"others publish {about.name} just now; try again")


def _put_version(store: S3Store, notebook: bytes, made: Published, picture: bytes | None) -> bool:
    """Put a version under its number; `False` where that is somebody else's."""
    key = key_of(made.name, made.number, "ipynb")
    if not _put_new(store, key, notebook) and not _holds(store, key, notebook):
        return False
    if picture is not None:
        _put_new(store, key_of(made.name, made.number, "png"), picture)
    return _put_new(store, key_of(made.name, made.number, "json"), made.encode()) or _is_ours(
        store, made
    )


def _put_new(store: S3Store, key: str, data: bytes) -> bool:
    """Put an object where none is; whether it was put."""
    try:
        store.put(key, data, mode="create", use_multipart=False)
    except _TAKEN:
        return False
    except BaseError as refusal:
        # There are stores that know no such condition.
        if "NotImplemented" not in str(refusal):
            raise
        if exists(store, key):
            return False
        store.put(key, data, use_multipart=False)
    return True


def _holds(store: S3Store, key: str, data: bytes) -> bool:
    try:
        return read_object(store, key, len(data)) == data
    except Malformed:
        return False


def _is_ours(store: S3Store, made: Published) -> bool:
    return _holds(store, key_of(made.name, made.number, "json"), made.encode())


def _last_number(store: S3Store, name: str) -> int:
    """The greatest number that has a record, whatever that holds."""
    places = (place_of(key.path) for key in keys_below(store, folder_of(name)))
    return max((one.number for one in places if one and one.ending == "json"), default=0)


@dataclass
class _Seen:
    """What lies in a folder of notebooks: sizes by version, and what is no version."""

    notebooks: dict[_Version, int] = field(default_factory=dict)
    records: dict[_Version, int] = field(default_factory=dict)
    troubles: list[Trouble] = field(default_factory=list)


def _listed(store: S3Store, project: str, folder: str) -> Listing:
    seen = _seen(store, folder)
    troubles = seen.troubles
    versions: dict[str, list[Published]] = {}
    for which, found in _read_all(store, project, seen.records):
        problem = found if isinstance(found, str) else _problem(found, seen.notebooks)
        if problem is not None:
            troubles.append(Trouble(key_of(*which, "json"), problem))
        elif isinstance(found, Published):
            versions.setdefault(found.name, []).append(found)
    for which in sorted(seen.notebooks.keys() - seen.records.keys()):
        why = "it has no record: it is being published, or that was broken off"
        troubles.append(Trouble(key_of(*which, "ipynb"), why))
    return Listing(
        tuple(
            Notebook(name, tuple(sorted(found, key=lambda one: one.number)))
            for name, found in sorted(versions.items())
        ),
        _shortened(troubles, folder),
    )


def _seen(store: S3Store, folder: str) -> _Seen:
    seen = _Seen()
    to_read = 0
    for count, key in enumerate(keys_below(store, folder)):
        place = place_of(key.path)
        if place is not None and place.ending == "json":
            to_read += min(key.size, LARGEST_RECORD)
        if count == _MOST_OBJECTS or to_read > _MOST_BYTES:
            seen.troubles.insert(0, Trouble(folder, f"only {count:,} objects of it are looked at"))
            return seen
        if place is None:
            why = "its name is not that of a notebook's version"
            seen.troubles.append(Trouble(key.path, why))
        elif place.ending == "json":
            seen.records[place.name, place.number] = key.size
        elif place.ending == "ipynb":
            seen.notebooks[place.name, place.number] = key.size
    return seen


def _read_all(
    store: S3Store, project: str, sizes: dict[_Version, int]
) -> Iterable[tuple[_Version, Published | str | None]]:
    """Records, or what is wrong with them; `None` for what has just gone."""

    def one(which: _Version) -> Published | str | None:
        # No more than was seen, whatever lies there by now.
        largest = min(LARGEST_RECORD, sizes[which])
        try:
            encoded = read_object(store, key_of(*which, "json"), largest)
            return None if encoded is None else _own(Published.decode(encoded), (project, *which))
        except Malformed as problem:
            return str(problem)

    with ThreadPoolExecutor(AT_ONCE, "panneuro-notebooks") as pool:
        return list(zip(sizes, pool.map(one, sizes), strict=True))


def _own(found: Published, which: tuple[str, str, int]) -> Published:
    if (found.project, found.name, found.number) != which:
        raise Malformed(
            f"it says that it is of {found.label}, and lies where {_label(*which)} does"
        )
    return found


def _label(project: str, name: str, number: int) -> str:
    return f"{project}/{name}@{number}"


def _problem(found: Published | None, notebooks: dict[_Version, int]) -> str | None:
    if found is None:
        return None
    size = notebooks.get((found.name, found.number))
    if size is None:
        return "the notebook itself is not there"
    if size != found.size:
        return f"the notebook has {size} bytes, and its record says {found.size}"
    return None


def _shortened(troubles: list[Trouble], folder: str) -> tuple[Trouble, ...]:
    left = len(troubles) - _MOST_TROUBLES
    if left <= 0:
        return tuple(troubles)
    return (*troubles[:_MOST_TROUBLES], Trouble(folder, f"and {left} more that cannot be used"))
