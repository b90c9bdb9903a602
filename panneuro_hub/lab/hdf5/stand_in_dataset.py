"""Make a plain HDF5 dataset that stands for one with its values in other files.

HDF5's library reads raw data from other files by the names in the file, from the machine's own
disk. An object of that kind is therefore never given to anybody. A dataset of the same type and
shape takes its place; it lies in a small file in memory, and its bytes come from a function.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from panneuro_hub.catalog.seekable_file import SeekableFile

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

FetchBytes = Callable[[int, int], bytes | memoryview]
"""Gives the bytes of the dataset from the first number to before the second one."""

_APART = 2**16  # bytes


class StandInFile(SeekableFile):
    """A file that keeps what is written to it, and takes one part of it from a function.

    Parameters
    ----------
    fetch : callable
        Gives bytes of that part, counted from its beginning.
    """

    def __init__(self, fetch: FetchBytes) -> None:
        super().__init__()
        self._fetch = fetch
        self._written: list[tuple[int, bytes]] = []
        self._region = range(0)

    def place(self, start: int, size: int) -> None:
        """Say where the part is that comes from the function."""
        self._region = range(start, start + size)

    def writable(self) -> bool:
        """Return true."""
        return True

    def truncate(self, size: int | None = None) -> int:
        """Set the size of the file; this takes no memory."""
        self._size = self._position if size is None else size
        return self._size

    def write(self, data: ReadableBuffer) -> int:
        """Keep some bytes; only the metadata of HDF5 are ever written."""
        piece = bytes(data)
        self._written.append((self._position, piece))
        self._position += len(piece)
        self._size = max(self._size, self._position)
        return len(piece)

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Fill `buffer`, from the function or with what was written."""
        target = memoryview(buffer).cast("B")
        start = self._position
        stop = min(start + len(target), self._size)
        if stop <= start:
            return 0
        found = bytearray(stop - start)
        for offset, piece in self._written:
            _overlay(found, start, offset, piece)
        first, last = max(start, self._region.start), min(stop, self._region.stop)
        if first < last:
            data = self._fetch(first - self._region.start, last - self._region.start)
            found[first - start : last - start] = data
        target[: len(found)] = found
        self._position = stop
        return len(found)


def _overlay(found: bytearray, start: int, offset: int, piece: bytes) -> None:
    first, last = max(start, offset), min(start + len(found), offset + len(piece))
    if first < last:
        found[first - start : last - start] = piece[first - offset : last - offset]


def make_stand_in(original: Any, shape: tuple[int, ...], fetch: FetchBytes) -> Any:
    """Return the low-level identifier of a dataset that is like `original`, but plain.

    Parameters
    ----------
    original : h5py.h5d.DatasetID
    shape : tuple of int
    fetch : callable
        Gives the bytes of its values, in the order of the array and in the type of the file.
    """
    import h5py

    file = StandInFile(fetch)
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_layout(h5py.h5d.CONTIGUOUS)
    plist.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    plist.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    kind = original.get_type().copy()
    space = h5py.h5s.create_simple(shape) if shape else h5py.h5s.create(h5py.h5s.SCALAR)
    # Far from the metadata: HDF5 reads a little more of these than it needs.
    apart = {"alignment_threshold": 1, "alignment_interval": _APART}
    with h5py.File(file, "w", **apart) as new:
        made = h5py.h5d.create(new.id, b"data", kind, space, plist)
        start = made.get_offset()
    size = kind.get_size()
    for length in shape:
        size *= length
    file.place(start or 0, size)
    return h5py.h5d.open(h5py.File(file, "r").id, b"data")
