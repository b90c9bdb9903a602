"""One object of the store as a file to seek in; nothing of it goes to disk."""

from __future__ import annotations

import mmap
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Protocol

from obstore.exceptions import PreconditionError

from panneuro_hub.catalog.range_file import RangeFile
from panneuro_hub.errors import PanNeuroError
from panneuro_hub.lab.store_errors import PathLabel, translate_store_errors

if TYPE_CHECKING:
    from obstore import GetOptions
    from obstore.store import S3Store

_PART_SIZE = 2**23  # bytes: a longer read is cut into such parts, which come side by side
_MAX_REQUESTS = 8


class ObjectChangedError(PanNeuroError, OSError):
    """An object was replaced by another one while it was read."""

    code = "object-changed"
    status = 409


class LinkedFiles(Protocol):
    """The files that an object may refer to; `DatasetLinks` is the one implementation."""

    def open(self, origin: ObjectFile, name: str) -> ObjectFile:
        """Open the file that `origin` refers to as `name`."""


class ObjectFile(RangeFile):
    """An object as a file: seeks, reads what is asked for, and keeps the last blocks.

    It is of one version: where the object is replaced, reading on raises `ObjectChangedError`.
    May be pickled and sent to Dask workers, where it reads with their session's keys.

    Parameters
    ----------
    store : S3Store
        Rooted at the prefix of a project.
    place : PathLabel
        Of the object, for the texts of errors.
    key : str
        Of the object, below the store's root.
    size : int
        In bytes.
    tag : str or None
        The version's tag, as the store said it.
    neighbours : LinkedFiles, optional
        The files that it may refer to; without them it may refer to none.
    """

    mode = "rb"

    def __init__(
        self,
        store: S3Store,
        place: PathLabel,
        key: str,
        size: int,
        tag: str | None,
        neighbours: LinkedFiles | None = None,
    ) -> None:
        super().__init__(self._range, size)
        self._opened = (store, place, key, size, tag)
        self.name = place.uri
        self.place = place
        self.key = key
        self.neighbours = neighbours

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return type(self), (*self._opened, self.neighbours)

    def __repr__(self) -> str:
        return f"<{self.name}, {self._opened[3]} bytes>"

    def whole(self) -> memoryview:
        """All of it, in memory."""
        return self._range(0, self._opened[3])

    def _range(self, start: int, end: int) -> memoryview:
        if end - start <= _PART_SIZE:
            return self._part(start, end)
        # Of the system's, which needs not be cleared first.
        whole = memoryview(mmap.mmap(-1, end - start))

        def fill(first: int) -> None:
            last = min(first + _PART_SIZE, end)
            whole[first - start : last - start] = self._part(first, last)

        with ThreadPoolExecutor(_MAX_REQUESTS, "panneuro-read") as pool:
            list(pool.map(fill, range(start, end, _PART_SIZE)))
        return whole

    def _part(self, start: int, end: int) -> memoryview:
        if start == end:
            return memoryview(b"")
        store, place, key, _, tag = self._opened
        with translate_store_errors(place):
            try:
                data = memoryview(store.get(key, options=_make_options(start, end, tag)).bytes())
            except PreconditionError as replaced:
                raise ObjectChangedError(
                    f"{place.path!r} was replaced by another version while it was read; "
                    "open it again"
                ) from replaced
        if len(data) != end - start:
            raise ObjectChangedError(f"{place.path!r} is shorter than it was; open it again")
        return data


def _make_options(start: int, end: int, tag: str | None) -> GetOptions:
    options: GetOptions = {"range": (start, end)}
    if tag is not None:
        options["if_match"] = tag
    return options


def open_object_file(
    store: S3Store, place: PathLabel, key: str, neighbours: LinkedFiles | None = None
) -> ObjectFile:
    """Open an object; nothing of its content is read.

    Raises
    ------
    PathNotFoundError, AccessDenied, ServiceUnavailableError
        As for `translate_store_errors`.
    """
    with translate_store_errors(place):
        about = store.head(key)
    return ObjectFile(store, place, key, about["size"], about["e_tag"], neighbours)
