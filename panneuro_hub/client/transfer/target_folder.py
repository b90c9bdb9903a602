"""The folder that a download writes into; no link in it leads a write anywhere else.

A name below the folder may be a symbolic link that somebody has put there: a colleague in a
shared folder, or whoever made an archive that was unpacked there. So folders are opened one after
the other, each within the one before, and never through a link; a file is made where nothing was
before, and only a file of this account is continued.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from panneuro_hub.client.local_files import describe_os_error
from panneuro_hub.client.transfer_errors import LocalFileError

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_MAX_ATTEMPTS = 3  # times that another program may put something in the way


@dataclass(frozen=True)
class TargetFile:
    """A file that is to come, within a folder that is open.

    Parameters
    ----------
    folder : int
        Descriptor of the folder.
    name : str
    """

    folder: int
    name: str

    @property
    def temporary(self) -> str:
        """The name that the file has until it is whole."""
        # As long as any name, since a name may be as long as names can be.
        named = hashlib.sha256(self.name.encode("utf-8", "surrogateescape")).hexdigest()[:16]
        return f".panneuro-{named}.part"

    def exists(self) -> bool:
        """Return whether anything has the file's name, a link that leads nowhere too."""
        try:
            os.stat(self.name, dir_fd=self.folder, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True

    def holds(self, size: int, sha256: str) -> bool:
        """Return whether the file is there with this content."""
        # Not blocking: a pipe of this name would let the download wait for ever.
        with suppress(OSError):
            descriptor = os.open(
                self.name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=self.folder
            )
            with os.fdopen(descriptor, "rb") as opened:
                seen = os.fstat(descriptor)
                if stat.S_ISREG(seen.st_mode) and seen.st_size == size:
                    return hashlib.file_digest(opened, "sha256").hexdigest() == sha256
        return False

    def create(self) -> BinaryIO:
        """Open a new temporary file in the place of whatever has its name.

        Raises
        ------
        OSError
            If it cannot be made.
        """
        for _ in range(_MAX_ATTEMPTS):
            self.discard()
            with suppress(FileExistsError):
                return os.fdopen(self._open(os.O_CREAT | os.O_EXCL), "w+b")
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), self.temporary)

    def resume(self) -> BinaryIO:
        """Open the temporary file that an earlier download left, or a new one.

        Raises
        ------
        OSError
            If it cannot be opened or made.
        """
        try:
            descriptor = self._open(os.O_NONBLOCK)
        except OSError:  # none, or a link, or a folder
            return self.create()
        if _is_private_file(os.fstat(descriptor)):
            return os.fdopen(descriptor, "r+b")
        os.close(descriptor)
        return self.create()

    def discard(self) -> None:
        """Remove the temporary file, if there is one."""
        with suppress(FileNotFoundError):
            os.unlink(self.temporary, dir_fd=self.folder)

    def finish(self) -> None:
        """Give the temporary file its real name, in the place of whatever has it."""
        os.rename(self.temporary, self.name, src_dir_fd=self.folder, dst_dir_fd=self.folder)

    def _open(self, flags: int) -> int:
        return os.open(
            self.temporary,
            os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | flags,
            0o666,
            dir_fd=self.folder,
        )


@contextmanager
def target_file(root: Path, path: str) -> Iterator[TargetFile]:
    """Open the folder of a file, made where it is missing.

    Parameters
    ----------
    root : Path
        The folder that the person named; it may be a link.
    path : str
        Of the file below it, with ``/`` between its parts, none of which is ``..``.

    Raises
    ------
    LocalFileError
        If a folder on the way is a link, or no folder.
    OSError
        If a folder cannot be opened or made.
    """
    *folders, name = path.split("/")
    opened = os.open(root, _FOLDER)
    try:
        for depth, folder in enumerate(folders, 1):
            inner = _open_folder(opened, folder, root.joinpath(*folders[:depth]))
            os.close(opened)
            opened = inner
        yield TargetFile(opened, name)
    finally:
        os.close(opened)


def _open_folder(outer: int, name: str, shown: Path) -> int:
    with suppress(FileExistsError):
        os.mkdir(name, dir_fd=outer)
    try:
        return os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=outer)
    except OSError as problem:
        if problem.errno not in (errno.ELOOP, errno.ENOTDIR):
            raise
        if stat.S_ISLNK(os.stat(name, dir_fd=outer, follow_symlinks=False).st_mode):
            raise LocalFileError(f"{shown}: a link, through which nothing is written") from problem
        raise LocalFileError(f"{shown}: {describe_os_error(problem)}") from problem


def _is_private_file(seen: os.stat_result) -> bool:
    """Return whether what is there is this account's own file, known by no other name."""
    return stat.S_ISREG(seen.st_mode) and seen.st_nlink == 1 and seen.st_uid == os.geteuid()
