"""The position of a file whose bytes do not come from the operating system."""

from __future__ import annotations

import io


class SeekableFile(io.RawIOBase):
    """A file that can be read at any position; a subclass supplies the bytes.

    Parameters
    ----------
    size : int
        The size of the file, in bytes.
    """

    def __init__(self, size: int = 0) -> None:
        super().__init__()
        self._size = size
        self._position = 0

    def readable(self) -> bool:
        """Return true."""
        return True

    def seekable(self) -> bool:
        """Return true."""
        return True

    def tell(self) -> int:
        """Return the position of the next byte."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a position, and return it.

        Parameters
        ----------
        offset : int
            The distance in bytes.
        whence : int
            0 counts from the beginning, 1 from the current position, and 2 from the end.

        Raises
        ------
        ValueError
            If `whence` has another value, or the position is before the beginning of the file.
        """
        starts = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}
        if whence not in starts:
            raise ValueError(f"whence must be 0, 1 or 2, not {whence}")
        position = starts[whence] + offset
        if position < 0:
            raise ValueError(f"the position {position} is before the beginning of the file")
        self._position = position
        return position
