"""A seekable file over a function that fetches ranges of bytes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING

from panneuro_hub.catalog.seekable_file import SeekableFile

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

BLOCK_SIZE = 2**18  # bytes
_CACHED_BLOCKS = 96  # blocks: 24 MiB
_MOST_AHEAD = 2**23  # bytes
_MOST_LONG_AHEAD = 2**25  # bytes

FetchRange = Callable[[int, int], bytes | memoryview]


class RangeFile(SeekableFile):
    """A read-only file that fetches ranges and caches the latest blocks.

    Reads smaller than a block come from cached blocks, since readers of HDF5 ask for many
    small pieces close together. Larger reads are fetched as they are. Sequential reads of
    either kind fetch more and more ahead.

    Parameters
    ----------
    fetch : callable
        Returns all bytes from the first offset to before the second one.
    size : int
        Of the file, in bytes.
    """

    def __init__(self, fetch: Callable[[int, int], bytes | memoryview], size: int) -> None:
        super().__init__(size)
        self._fetch = fetch
        self._blocks: OrderedDict[int, bytes | memoryview] = OrderedDict()
        self._next_block = -1
        self._ahead = 0
        self._window = memoryview(b"")
        self._window_start = 0
        self._long_end = -1
        self._long_ahead = 0

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Fill `buffer`, as far as the file goes, and return the number of bytes."""
        if self.closed:
            raise ValueError("the file is closed")
        target = memoryview(buffer).cast("B")
        length = max(0, min(len(target), self._size - self._position))
        if length == 0:
            return 0
        end = self._position + length
        if length >= BLOCK_SIZE:
            target[:length] = self._read_long(self._position, end)
        else:
            self._read_from_blocks(target[:length])
        self._position = end
        return length

    def _read_long(self, start: int, end: int) -> memoryview:
        offset = start - self._window_start
        if not 0 <= offset <= len(self._window) - (end - start):
            in_order = start == self._long_end
            ahead = min(max(2 * self._long_ahead, end - start), _MOST_LONG_AHEAD)
            self._long_ahead = ahead if in_order else 0
            last = min(end + self._long_ahead, self._size)
            self._window_start, offset = start, 0
            self._window = memoryview(self._fetch(start, last))
        found = self._window[offset : offset + end - start]
        self._long_end = end
        if not self._long_ahead:
            self._window = memoryview(b"")
        return found

    def _read_from_blocks(self, target: memoryview) -> None:
        # Smaller than a block, so it lies in one or in two.
        filled = 0
        while filled < len(target):
            number, offset = divmod(self._position + filled, BLOCK_SIZE)
            piece = memoryview(self._get_block(number))[offset : offset + len(target) - filled]
            target[filled : filled + len(piece)] = piece
            filled += len(piece)

    def _get_block(self, number: int) -> bytes | memoryview:
        if number not in self._blocks:
            self._load_blocks(number)
        self._blocks.move_to_end(number)
        return self._blocks[number]

    def _load_blocks(self, number: int) -> None:
        in_order = number == self._next_block
        self._ahead = min(max(2 * self._ahead, BLOCK_SIZE), _MOST_AHEAD) if in_order else 0
        start = number * BLOCK_SIZE
        end = min(start + BLOCK_SIZE + self._ahead, self._size)
        data = memoryview(self._fetch(start, end))
        for first in range(0, end - start, BLOCK_SIZE):
            # Copy each block: a view would keep the whole fetched range in memory.
            self._blocks[number + first // BLOCK_SIZE] = bytes(data[first : first + BLOCK_SIZE])
        self._next_block = -(-end // BLOCK_SIZE)
        while len(self._blocks) > _CACHED_BLOCKS:
            self._blocks.popitem(last=False)
