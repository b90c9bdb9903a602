"""Compute which parts of other arrays make up a virtual dataset of HDF5.

Pure arithmetic on selections: nothing here opens a file. A selection along one axis is a
start, a stride, a number of blocks and the length of a block, as HDF5 calls them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from panneuro_hub.lab.read_errors import BrokenLinkError

UNLIMITED = 2**64 - 1  # as HDF5 writes it
AxisPositions = range | np.ndarray[Any, Any]
"""Coordinates along an axis, in increasing order."""


class UnmappableError(BrokenLinkError):
    """Two selections do not fit each other, or fit in a way that is not implemented."""

    code = "unmappable"


@dataclass(frozen=True)
class AxisSelection:
    """A selection along one axis.

    Parameters
    ----------
    start, stride, block : int
        The first coordinate, the distance between two blocks, and the length of a block.
    size : int
        Number of the selected coordinates.
    """

    start: int
    stride: int
    block: int
    size: int

    @classmethod
    def regular(cls, start: int, stride: int, count: int, block: int) -> AxisSelection:
        """Make one of HDF5's numbers."""
        unlimited = count == UNLIMITED
        return cls(start, stride, block, 0)._of_size(UNLIMITED if unlimited else count * block)

    def _of_size(self, size: int) -> AxisSelection:
        # Of a selection without an end the blocks count: each may be in a file of its own.
        if size <= self.block or (self.stride == self.block and size != UNLIMITED):
            return AxisSelection(self.start, max(1, size), max(1, size), size)
        return AxisSelection(self.start, self.stride, self.block, size)

    @property
    def end(self) -> int:
        """The coordinate after the last selected one."""
        if self.size == 0:
            return 0
        return self.coordinate(self.size - 1) + 1

    def coordinate(self, position: int) -> int:
        """Return the coordinate of the selected element of that number."""
        return self.start + position // self.block * self.stride + position % self.block

    def within(self, extent: int) -> AxisSelection:
        """Return the part of it that lies before `extent`."""
        whole, rest = divmod(max(0, extent - self.start), self.stride)
        fitting = whole * self.block + min(rest, self.block)
        return self._of_size(min(self.size, fitting))

    def first(self, size: int) -> AxisSelection:
        """Return the first `size` selected elements of it."""
        return self._of_size(min(self.size, size))

    def coordinates(self, positions: AxisPositions) -> AxisPositions:
        """Return the coordinates of the selected elements of these numbers."""
        if not len(positions):
            return range(0)
        if self.size <= self.block:
            return _shifted(positions, self.start)
        if self.block == 1 and isinstance(positions, range):
            first = self.start + positions.start * self.stride
            step = positions.step * self.stride
            return range(first, first + step * len(positions), step)
        numbers = np.asarray(positions)
        return np.asarray(self.start + numbers // self.block * self.stride + numbers % self.block)

    def intersect(self, wanted: AxisPositions) -> tuple[AxisPositions, AxisPositions]:
        """Return which of the coordinates in `wanted` are selected.

        Returns
        -------
        found : range or array
            Their indices in `wanted`.
        positions : range or array
            Their numbers in the selection.
        """
        if not len(wanted) or not self.size:
            return range(0), range(0)
        if isinstance(wanted, range) and self.size <= self.block:
            first = max(0, -(-(self.start - wanted.start) // wanted.step))
            last = min(len(wanted), -(-(self.start + self.size - wanted.start) // wanted.step))
            found = range(first, max(first, last))
            return found, _shifted(wanted[found.start : found.stop], -self.start)
        if isinstance(wanted, range) and self.block == 1 and wanted.step == 1:
            low = max(0, -(-(wanted.start - self.start) // self.stride))
            high = min(self.size, -(-(wanted.stop - self.start) // self.stride))
            numbers = range(low, max(low, high))
            offset = self.start + low * self.stride - wanted.start
            return range(offset, offset + self.stride * len(numbers), self.stride), numbers
        blocks, inside = np.divmod(np.asarray(wanted) - self.start, self.stride)
        positions = blocks * self.block + inside
        selected = (blocks >= 0) & (inside < self.block) & (positions < self.size)
        return np.flatnonzero(selected), positions[selected]


@dataclass(frozen=True)
class VirtualMapping:
    """A part of a virtual dataset, and where its values are.

    Parameters
    ----------
    file, dataset : str
        Names of the source, as they are written in the file.
    target : tuple of AxisSelection
        The part of the virtual dataset.
    source : tuple of AxisSelection or None
        The part of the source; `None` for all of it.
    """

    file: str
    dataset: str
    target: tuple[AxisSelection, ...]
    source: tuple[AxisSelection, ...] | None

    def source_axes(self, shape: tuple[int, ...]) -> tuple[AxisSelection, ...]:
        """Return the part of a source of that shape."""
        if self.source is None:
            return tuple(AxisSelection(0, size, size, size) for size in shape)
        if len(self.source) != len(shape):
            raise UnmappableError("a source with another number of dimensions")
        return self.source


@dataclass(frozen=True)
class SourcePiece:
    """Values to copy from a source.

    Parameters
    ----------
    found : tuple of positions
        Where they belong in the array that was asked for, axis by axis.
    wanted : tuple of positions
        Where they are in the source, axis by axis.
    """

    found: tuple[AxisPositions, ...]
    wanted: tuple[AxisPositions, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the values, in the array that was asked for."""
        return tuple(len(part) for part in self.found)


def overlaps_mapping(mapping: VirtualMapping, wanted: Sequence[AxisPositions]) -> bool:
    """Say whether a mapping has any of the coordinates that are wanted."""
    pairs = zip(mapping.target, wanted, strict=True)
    return all(len(axis.intersect(part)[0]) for axis, part in pairs)


def find_piece(
    mapping: VirtualMapping, shape: tuple[int, ...], wanted: Sequence[AxisPositions]
) -> SourcePiece | None:
    """Return what to copy from a source of that shape, or `None` for nothing.

    What the source does not have, because it is shorter than the selection, is left out.

    Raises
    ------
    UnmappableError
        If the two selections differ in shape by more than dimensions of length 1.
    """
    sources = mapping.source_axes(shape)
    pairs = dict(zip(_long(mapping.target), _long(sources), strict=False))
    sizes = [mapping.target[ours].size for ours in _long(mapping.target)]
    if sizes != [sources[theirs].size for theirs in _long(sources)]:
        raise UnmappableError("parts of sources that have another shape than they have in it")
    found: list[AxisPositions] = []
    read: list[AxisPositions] = [axis.coordinates(range(min(1, axis.size))) for axis in sources]
    for number, (axis, part) in enumerate(zip(mapping.target, wanted, strict=True)):
        there, positions = axis.intersect(part)
        if number in pairs:
            theirs = pairs[number]
            there, positions = _available(sources[theirs], shape[theirs], there, positions)
            read[theirs] = sources[theirs].coordinates(positions)
        found.append(there)
    fits = all(not len(part) or part[-1] < size for part, size in zip(read, shape, strict=True))
    return SourcePiece(tuple(found), tuple(read)) if fits and all(map(len, found)) else None


def _available(
    axis: AxisSelection, extent: int, found: AxisPositions, positions: AxisPositions
) -> tuple[AxisPositions, AxisPositions]:
    """Leave out the positions that lie behind the end of the source."""
    size = axis.within(extent).size
    if isinstance(positions, range):
        count = len(range(positions.start, min(positions.stop, size), positions.step))
    else:
        count = int(np.searchsorted(positions, size))
    return found[:count], positions[:count]


def _long(axes: Sequence[AxisSelection]) -> list[int]:
    return [number for number, axis in enumerate(axes) if axis.size != 1]


def _shifted(positions: AxisPositions, by: int) -> AxisPositions:
    if isinstance(positions, range):
        return range(positions.start + by, positions.stop + by, positions.step)
    return positions + by


def find_coordinates(
    args: Any, shape: tuple[int, ...]
) -> tuple[list[AxisPositions], tuple[int, ...]]:
    """Return the coordinates that an index asks for, axis by axis.

    Returns
    -------
    wanted : list of positions
    dropped : tuple of int
        Axes of which a single element was asked for, which the result does not have.

    Raises
    ------
    IndexError, TypeError
        If the index does not fit, as for an `h5py.Dataset`.
    """
    items = list(args) if isinstance(args, tuple) else [args]
    if len(items) == 1 and isinstance(items[0], np.ndarray) and items[0].dtype == bool:
        items = _of_mask(items[0], shape)
    gaps = [number for number, item in enumerate(items) if item is Ellipsis]
    at = gaps[0] if gaps else len(items)
    filling: list[Any] = [slice(None)] * (len(shape) - len(items) + len(gaps))
    items = [*items[:at], *filling, *items[at + 1 :]]
    if len(gaps) > 1 or len(items) != len(shape):
        raise TypeError(f"{len(items)} indices for {len(shape)} dimensions")
    pairs = zip(items, shape, strict=True)
    wanted = [_along(item, size) for item, size in pairs]
    single = (number for number, item in enumerate(items) if _is_number(item))
    return wanted, tuple(single)


def _of_mask(mask: Any, shape: tuple[int, ...]) -> list[Any]:
    if mask.shape != shape or mask.ndim != 1:
        raise TypeError("a mask of several dimensions cannot select from a virtual dataset")
    return [mask]


def _is_number(item: Any) -> bool:
    return isinstance(item, int | np.integer) and not isinstance(item, bool | np.bool_)


def _along(item: Any, size: int) -> AxisPositions:
    if isinstance(item, slice):
        positions = range(*item.indices(size))
        if positions.step < 0:
            raise ValueError("a step must be 1 or more")
        return positions
    if _is_number(item):
        position = int(item) + (size if item < 0 else 0)
        if not 0 <= position < size:
            raise IndexError(f"index {int(item)} is out of range for an axis of {size}")
        return range(position, position + 1)
    numbers = np.asarray(item)
    if numbers.dtype == bool and numbers.shape == (size,):
        return np.flatnonzero(numbers)
    if numbers.ndim != 1 or numbers.dtype.kind not in "iu":
        raise TypeError(f"{type(item).__name__} is not an index")
    numbers = np.where(numbers < 0, numbers.astype(np.int64) + size, numbers.astype(np.int64))
    if len(numbers) and (np.diff(numbers) <= 0).any():
        raise TypeError("indices must be in increasing order")
    if len(numbers) and not (numbers[0] >= 0 and numbers[-1] < size):
        raise IndexError(f"indices are out of range for an axis of {size}")
    return numbers
