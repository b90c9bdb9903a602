"""Read a virtual dataset of HDF5 from the datasets that it is made of."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import h5py
import numpy as np

from panneuro_hub.lab.hdf5.virtual_mappings import (
    UNLIMITED,
    AxisPositions,
    AxisSelection,
    SourcePiece,
    UnmappableError,
    VirtualMapping,
    find_piece,
    overlaps_mapping,
)
from panneuro_hub.lab.read_errors import BrokenLinkError

_MOST_MAPPINGS = 100_000
_MOST_BLOCKS = 10_000  # files with a number in their name

FindSource = Callable[[str, str], Any]
"""Gives a source by the names of file and dataset, or `None` if the file has no such dataset."""


class VirtualSources:
    """The parts of a virtual dataset.

    Parameters
    ----------
    dataset : h5py.h5d.DatasetID
    find : callable
        Opens a source.

    Raises
    ------
    BrokenLinkError
        If the shape depends on sources that are missing.
    UnmappableError
        If it is made in a way that is not implemented.
    """

    def __init__(self, dataset: Any, find: FindSource) -> None:
        self._find = find
        plist = dataset.get_create_plist()
        count = plist.get_virtual_count()
        if count > _MOST_MAPPINGS:
            raise UnmappableError(f"{count:,} parts, which are more than {_MOST_MAPPINGS:,}")
        kind = dataset.get_type()
        if kind.detect_class(h5py.h5t.REFERENCE):
            raise UnmappableError("references of another file, which mean nothing in this one")
        self.fill = np.zeros((), dataset.dtype)
        if plist.fill_value_defined() and not kind.detect_class(h5py.h5t.VLEN):
            plist.get_fill_value(self.fill)
        mappings = [_mapping(plist, number) for number in range(count)]
        open_ended = any(axis.size >= UNLIMITED for one in mappings for axis in one.target)
        self._mappings = [part for one in mappings for part in self._bounded(one)]
        # The library would open sources, if the shape depends on them.
        self.shape = self._extent(plist) if open_ended else tuple(dataset.shape)
        self.maxshape = _largest(plist, self.shape)

    def read(self, wanted: Sequence[AxisPositions], dtype: Any) -> Any:
        """Return the values at some coordinates, axis by axis.

        Elements that no source has get the fill value, as HDF5 says. A source file that is
        missing is an error all the same, because it would be taken for such elements.
        """
        found = np.full([len(part) for part in wanted], self.fill, dtype)
        for mapping in self._mappings:
            if overlaps_mapping(mapping, wanted):
                source = self._source(mapping)
                part = find_piece(mapping, source.shape, wanted)
                if part is not None:
                    _put(found, part, _values(source, part, dtype))
        return found

    def _source(self, mapping: VirtualMapping) -> Any:
        source = self._find(mapping.file, mapping.dataset)
        if source is None:
            raise BrokenLinkError(f"{mapping.dataset} in {mapping.file!r}, which is not there")
        return source

    def _bounded(self, mapping: VirtualMapping) -> list[VirtualMapping]:
        """Give a mapping without an end the size that its sources have."""
        endless = [n for n, axis in enumerate(mapping.target) if axis.size >= UNLIMITED]
        if not endless:
            return [mapping]
        if len(endless) > 1:
            raise UnmappableError("sources without an end in more than one dimension")
        if mapping.source is None or all(axis.size < UNLIMITED for axis in mapping.source):
            return self._numbered(mapping, endless[0])
        shape = self._source(mapping).shape
        theirs = mapping.source_axes(shape)
        number = next(n for n, axis in enumerate(theirs) if axis.size >= UNLIMITED)
        ending = theirs[number].within(shape[number])
        target, source = list(mapping.target), list(theirs)
        target[endless[0]] = target[endless[0]].first(ending.size)
        source[number] = ending
        return [VirtualMapping(mapping.file, mapping.dataset, tuple(target), tuple(source))]

    def _numbered(self, mapping: VirtualMapping, along: int) -> list[VirtualMapping]:
        """Find the blocks of a mapping that has a number in the name of its sources."""
        axis = mapping.target[along]
        found: list[VirtualMapping] = []
        for block in range(_MOST_BLOCKS + 1):
            file, dataset = (_named(name, block) for name in (mapping.file, mapping.dataset))
            if (file, dataset) == (mapping.file, mapping.dataset):
                raise UnmappableError("one source for a dimension without an end")
            try:
                if self._find(file, dataset) is None:
                    break
            except BrokenLinkError:
                if not found:
                    raise
                break
            target = list(mapping.target)
            target[along] = AxisSelection.regular(
                axis.start + block * axis.stride, axis.block, 1, axis.block
            )
            found.append(VirtualMapping(file, dataset, tuple(target), mapping.source))
        else:
            raise UnmappableError(f"more than {_MOST_BLOCKS:,} files")
        return found

    def _extent(self, plist: Any) -> tuple[int, ...]:
        stored = plist.get_virtual_vspace(0).shape
        endless = [
            number
            for number in range(len(stored))
            if any(
                _mapping(plist, one).target[number].size >= UNLIMITED
                for one in range(plist.get_virtual_count())
            )
        ]
        ends = [
            max((one.target[n].end for one in self._mappings), default=0)
            for n in range(len(stored))
        ]
        return tuple(
            end if number in endless else size
            for number, (size, end) in enumerate(zip(stored, ends, strict=True))
        )


def _mapping(plist: Any, number: int) -> VirtualMapping:
    target = _axes(plist.get_virtual_vspace(number))
    if target is None:
        target = tuple(
            AxisSelection.regular(0, size, 1, size)
            for size in plist.get_virtual_vspace(number).shape
        )
    return VirtualMapping(
        plist.get_virtual_filename(number),
        plist.get_virtual_dsetname(number),
        target,
        _axes(plist.get_virtual_srcspace(number)),
    )


def _axes(space: Any) -> tuple[AxisSelection, ...] | None:
    kind = space.get_select_type()
    if kind == h5py.h5s.SEL_ALL:
        return None
    if kind != h5py.h5s.SEL_HYPERSLABS or not space.is_regular_hyperslab():
        raise UnmappableError("parts that are not regular")
    return tuple(
        AxisSelection.regular(*numbers) for numbers in zip(*_hyperslab(space), strict=True)
    )


def _hyperslab(space: Any) -> tuple[tuple[int, ...], ...]:
    start, stride, count, block = space.get_regular_hyperslab()
    return start, stride, count, block


def _named(name: str, block: int) -> str:
    """Put a number in a name, as HDF5 does."""
    return name.replace("%%", "\0").replace("%b", str(block)).replace("\0", "%")


def _largest(plist: Any, shape: tuple[int, ...]) -> tuple[int | None, ...]:
    if not plist.get_virtual_count():
        return shape
    limits = plist.get_virtual_vspace(0).get_simple_extent_dims(maxdims=True)
    return tuple(None if limit in (-1, UNLIMITED) else int(limit) for limit in limits)


def _values(source: Any, part: SourcePiece, dtype: Any) -> Any:
    """Read from a source; HDF5 converts the values as it does for a virtual dataset."""
    # h5py takes one list of numbers at most; of the others it reads all from first to last.
    lists = [n for n, where in enumerate(part.wanted) if not isinstance(where, range)]
    index: list[Any] = []
    inner: list[Any] = []
    for number, where in enumerate(part.wanted):
        if isinstance(where, range):
            index.append(slice(where.start, where.stop, where.step))
            inner.append(np.arange(len(where)))
        elif number == lists[0]:
            index.append(where)
            inner.append(np.arange(len(where)))
        else:
            index.append(slice(int(where[0]), int(where[-1]) + 1))
            inner.append(where - where[0])
    if source.dtype != dtype and source.dtype.kind != "O":
        values = source.astype(dtype)[tuple(index)]
    else:
        values = source[tuple(index)]
    return values[np.ix_(*inner)] if len(lists) > 1 else values


def _put(found: Any, part: SourcePiece, values: Any) -> None:
    if math.prod(part.shape) != np.size(values):
        raise UnmappableError("a source of another size")
    values = np.reshape(values, part.shape)
    ranges = [where for where in part.found if isinstance(where, range)]
    if len(ranges) == len(part.found):
        found[tuple(slice(where.start, where.stop, where.step) for where in ranges)] = values
    else:
        found[np.ix_(*(np.asarray(where) for where in part.found))] = values
