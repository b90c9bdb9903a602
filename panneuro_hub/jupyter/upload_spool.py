"""Files on their way from a browser to the store: a private folder of this server's disk."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from panneuro_hub.client.local_files import describe_os_error
from panneuro_hub.client.path_text import format_path
from panneuro_hub.jupyter.panel_errors import (
    BadRequestError,
    DamagedPieceError,
    PieceOrderError,
    UploadNotFoundError,
    UploadTooLargeError,
)

if TYPE_CHECKING:
    from panneuro_hub.jupyter.request_schemas import AnnouncedFile

PIECE_SIZE = 8 * 1024 * 1024
"""How much the browser sends at a time, in bytes."""

_DISK_FULL_ERRORS = (errno.ENOSPC, errno.EDQUOT)


class UploadSpool:
    """The files of one upload, as far as they have come.

    Parameters
    ----------
    folder : Path
        Made here, for this account only; it must not be there.
    files : sequence of AnnouncedFile
        Their paths have been checked (`asked`).
    """

    def __init__(self, folder: Path, files: Sequence[AnnouncedFile]) -> None:
        self.folder = folder
        self._files = tuple(files)
        self._received = [0] * len(self._files)
        self._busy: set[int] = set()
        self._lock = threading.Lock()
        folder.mkdir(mode=0o700)
        try:
            for file in self._files:
                place = folder / file.path
                place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                os.close(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        except OSError as problem:
            self.remove()
            raise _translate_error(problem, "") from problem

    @property
    def received(self) -> list[int]:
        """Return the received bytes of each file, in the order of the announcement."""
        with self._lock:
            return list(self._received)

    @property
    def missing(self) -> int:
        """Return the number of incomplete files."""
        pairs = zip(self._files, self.received, strict=True)
        return sum(received < file.size for file, received in pairs)

    def take(self, index: int, offset: int, piece: bytes, sha256: str | None = None) -> int:
        """Keep the next piece of a file; gives how much of it is here now.

        Parameters
        ----------
        index : int
            Of the file, in the order in which they were announced.
        offset : int
            Where the piece begins in the file.
        piece : bytes
        sha256 : str or None
            Of the piece, in hexadecimal digits, where the browser could compute it.

        Raises
        ------
        UploadNotFoundError
            If no such file was announced.
        PieceOrderError
            If another piece comes next.
        BadRequest, Damaged, TooMuch
            If the piece is not what was announced, or there is no room for it.
        """
        if not 0 <= index < len(self._files):
            raise UploadNotFoundError(f"no file {index} was announced")
        file = self._files[index]
        self._begin(index, offset)
        try:
            if offset + len(piece) > file.size:
                raise BadRequestError(
                    f"{format_path(file.path)}: there is more of it than was announced"
                )
            if sha256 is not None and hashlib.sha256(piece).hexdigest() != sha256:
                raise DamagedPieceError(
                    f"{format_path(file.path)}: a piece arrived otherwise than it was sent"
                )
            self._write(file, offset, piece)
            received = offset + len(piece)
            with self._lock:
                self._received[index] = received
        finally:
            with self._lock:
                self._busy.discard(index)
        return received

    def remove(self) -> None:
        """Remove all of it."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _begin(self, index: int, offset: int) -> None:
        name = format_path(self._files[index].path)
        with self._lock:
            received = self._received[index]
            if index in self._busy:
                raise PieceOrderError(f"{name}: a piece of it is coming already", received)
            if offset != received:
                raise PieceOrderError(f"{name}: {received} bytes of it are here", received)
            self._busy.add(index)

    def _write(self, file: AnnouncedFile, offset: int, piece: bytes) -> None:
        try:
            # It is there: made with all others, and never followed anywhere else.
            descriptor = os.open(self.folder / file.path, os.O_WRONLY | os.O_NOFOLLOW)
            with os.fdopen(descriptor, "wb") as opened:
                opened.seek(offset)
                opened.write(piece)
        except FileNotFoundError:
            raise UploadNotFoundError("this upload is over") from None
        except OSError as problem:
            raise _translate_error(problem, f"{format_path(file.path)}: ") from problem


def _translate_error(problem: OSError, what: str) -> UploadTooLargeError | BadRequestError:
    if problem.errno in _DISK_FULL_ERRORS:
        return UploadTooLargeError(
            f"{what}the disk of this server is full, and files from the browser wait there; remove "
            "something, or use panneuro upload, which needs no room"
        )
    return BadRequestError(f"{what}this server's disk cannot hold it: {describe_os_error(problem)}")
