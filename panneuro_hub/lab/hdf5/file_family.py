"""Keep the files that were opened through links from one file."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import local
from typing import Any, Generic, TypeVar

from panneuro_hub.errors import PanNeuroError
from panneuro_hub.lab.object_file import ObjectFile
from panneuro_hub.lab.read_errors import BrokenLinkError, UnreadableFileError
from panneuro_hub.lab.store_errors import PathLabel

Linked = TypeVar("Linked")
_MOST_FILES = 1000  # that links of groups lead to
_SOURCES_KEPT = 32  # of virtual datasets
_MOST_NESTED = 16  # virtual datasets of virtual datasets
_MOST_READS = 5_000  # of sources of virtual datasets that are sources themselves


class FileFamily(Generic[Linked]):
    """The files that links lead to from one file; each is opened once.

    Parameters
    ----------
    opener : callable
        Opens an HDF5 file as a member of the family.
    """

    def __init__(self, opener: Callable[[ObjectFile, FileFamily[Linked]], Linked]) -> None:
        self._opener = opener
        self._files: dict[str, Linked] = {}
        self._sources: OrderedDict[str, Linked] = OrderedDict()
        self._entered = local()

    def add(self, source: ObjectFile, file: Linked) -> None:
        """Take in the file that the links begin in."""
        if not self._files:
            self._files[source.name] = file

    def open(self, origin: ObjectFile, name: str) -> Linked:
        """Open the file that a link of a group in `origin` names.

        Raises
        ------
        BrokenLinkError
            If it is not a file of the dataset, or not HDF5.
        """
        source = open_linked_file(origin, name)
        if source.name not in self._files:
            if len(self._files) >= _MOST_FILES:
                raise BrokenLinkError(f"{name!r}, the file after {_MOST_FILES:,} other files")
            self._files[source.name] = self._opened(source, name)
        return self._files[source.name]

    def source(self, origin: ObjectFile, name: str) -> Linked:
        """Open a file that a virtual dataset in `origin` names; only the last ones are kept."""
        source = open_linked_file(origin, name)
        if source.name in self._files:
            return self._files[source.name]
        if source.name not in self._sources:
            self._sources[source.name] = self._opened(source, name)
        self._sources.move_to_end(source.name)
        while len(self._sources) > _SOURCES_KEPT:
            self._sources.popitem(last=False)
        return self._sources[source.name]

    @contextmanager
    def entering(self, identifier: Any) -> Iterator[None]:
        """Refuse virtual datasets that are made of themselves, or of too many others."""
        state = self._entered
        stack: list[Any] = getattr(state, "stack", [])
        state.stack = stack
        if not stack:
            state.reads = 0
        if identifier in stack:
            raise BrokenLinkError("itself, in a circle of virtual datasets")
        if len(stack) >= _MOST_NESTED:
            raise BrokenLinkError(f"more than {_MOST_NESTED} virtual datasets, each made of others")
        stack.append(identifier)
        try:
            yield
        finally:
            stack.pop()

    def count_read(self) -> None:
        """Refuse virtual datasets that multiply: each level may read the one below many times."""
        if len(getattr(self._entered, "stack", [])) > 1:
            self._entered.reads += 1
            if self._entered.reads > _MOST_READS:
                raise BrokenLinkError(
                    f"more than {_MOST_READS:,} parts of virtual datasets that are made of others"
                )

    def _opened(self, source: ObjectFile, name: str) -> Linked:
        try:
            return self._opener(source, self)
        except OSError as problem:
            if isinstance(problem.__context__, PanNeuroError):
                raise problem.__context__ from None
            raise BrokenLinkError(
                f"{name!r}, which cannot be opened as HDF5: {problem}"
            ) from problem


def open_linked_file(origin: ObjectFile, name: str) -> ObjectFile:
    """Open the file that `origin` names, as one of its dataset.

    Raises
    ------
    BrokenLinkError
        If it is not a file of the dataset.
    """
    if origin.neighbours is None:
        raise BrokenLinkError(f"{name!r}, and only files that lab.open opened have links")
    return origin.neighbours.open(origin, name)


@contextmanager
def name_read_errors(place: PathLabel, name: str | None) -> Iterator[None]:
    """Name the file and the dataset in errors of reading."""
    where = f"{place.path!r}" + (f": {name}" if name else "")
    try:
        yield
    except BrokenLinkError as broken:
        raise type(broken)(broken.cause, where) from broken
    except (OSError, RuntimeError) as problem:
        if isinstance(problem, PanNeuroError):
            raise
        if isinstance(problem.__context__, PanNeuroError):
            raise problem.__context__ from None
        reason = " ".join(str(problem).split())[:300]
        raise UnreadableFileError(f"{where} cannot be read: {reason}") from problem
