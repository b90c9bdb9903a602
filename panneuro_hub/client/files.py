"""A person's folder: which files an upload would send, and what cannot be sent.

All that cannot be sent is found before anything is. A link that leads to a file
inside the folder counts as that file; other links are refused by name, since their
targets are not what the person pointed at. Empty folders are told: an object store
has none.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from panneuro_hub.catalog import path_problem
from panneuro_hub.client.errors import Conflict, FileProblem
from panneuro_hub.client.parts import LARGEST_OBJECT

_LONGEST_KEY = 1024  # bytes


@dataclass(frozen=True)
class Local:
    """A file as it was when it was found.

    Parameters
    ----------
    path : str
        In the dataset, with ``/`` between its parts.
    place : Path
        Where it lies here.
    size, mtime_ns : int
        In bytes; its last change, in nanoseconds.
    """

    path: str
    place: Path
    size: int
    mtime_ns: int


@dataclass
class Found:
    """What a folder holds.

    Parameters
    ----------
    files : list of Local
        By their paths.
    empty_folders : list of str
    problems : list of FileProblem
        Of what cannot be sent.
    """

    files: list[Local] = field(default_factory=list)
    empty_folders: list[str] = field(default_factory=list)
    problems: list[FileProblem] = field(default_factory=list)

    @property
    def size(self) -> int:
        """All files together, in bytes."""
        return sum(file.size for file in self.files)


def find(root: Path, key_prefix: str = "") -> Found:
    """Look at a folder, or at a single file.

    Parameters
    ----------
    root : Path
    key_prefix : str
        What will stand before each path in its key.

    Raises
    ------
    FileProblem
        If nothing is there, or it cannot be read.
    """
    found = Found()
    try:
        top = _real(root)
        if top.is_dir():
            _walk(top, top, "", found)
        else:
            _take(top, top.parent, top.name, found)
    except OSError as problem:
        raise FileProblem(f"{shown(str(root))}: {reason(problem)}") from problem
    found.files.sort(key=lambda file: os.fsencode(file.path))
    for file in found.files:
        wrong = name_problem(file.path, key_prefix)
        if wrong is None and file.size > LARGEST_OBJECT:
            wrong = "it is larger than the 5 TiB that one object can have"
        if wrong is not None:
            found.problems.append(FileProblem(f"{shown(file.path)}: {wrong}"))
    return found


def name_problem(path: str, key_prefix: str = "") -> str | None:
    """Say why no object can have this path, or `None` if one can."""
    wrong = path_problem(path)
    if wrong is not None:
        return wrong
    if "\\" in path:
        # Seen: a store that keeps "a\b" as "a/b", which is another file.
        return "its name has a '\\' in it, which stores take for a '/'; rename it"
    if any(letter in "\ufffe\uffff" for letter in path):
        return "its name has a character that no listing can hold (U+FFFE or U+FFFF); rename it"
    if len((key_prefix + path).encode()) > _LONGEST_KEY:
        return f"with what lies before it, its path is longer than {_LONGEST_KEY} bytes"
    return None


@contextmanager
def unchanged(file: Local) -> Iterator[BinaryIO]:
    """Open a file for reading; it must be as it was found, before and after.

    Raises
    ------
    FileProblem
        If it cannot be read, or has changed.
    """
    try:
        with file.place.open("rb", buffering=0) as opened:
            _compare(file, os.fstat(opened.fileno()))
            yield opened
            _compare(file, os.fstat(opened.fileno()))
    except OSError as problem:
        raise FileProblem(f"{shown(file.path)}: {reason(problem)}") from problem


def still(file: Local) -> FileProblem | None:
    """What has happened to a file since it was found; `None` if nothing has."""
    try:
        _compare(file, file.place.stat())
    except FileProblem as problem:
        return problem
    except OSError as problem:
        return FileProblem(f"{shown(file.path)}: {reason(problem)}")
    return None


def read_whole(opened: BinaryIO, file: Local, size: int) -> bytes:
    """Read `size` bytes.

    Raises
    ------
    FileProblem
        If there are fewer.
    """
    pieces = []
    left = size
    while left:
        piece = opened.read(left)
        if not piece:
            raise _changed(file)
        pieces.append(piece)
        left -= len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def shown(path: str) -> str:
    """A path as it can be printed anywhere, quoted where it is odd."""
    return path if path.isprintable() and path == path.strip() else ascii(path)


def conflict(path: str) -> Conflict:
    """What is said where something else has a file's place already."""
    return Conflict(f"{shown(path)}: something else is there under this name; --update replaces it")


def reason(problem: OSError) -> str:
    """What the system says, as a sentence's end."""
    said = problem.strerror or type(problem).__name__
    return said[:1].lower() + said[1:]


def _walk(folder: Path, top: Path, path: str, found: Found) -> None:
    try:
        entries = list(os.scandir(folder))
    except OSError as problem:
        found.problems.append(FileProblem(f"{shown(path or str(top))}: {reason(problem)}"))
        return
    if not entries and path:
        found.empty_folders.append(path)
    for entry in entries:
        inner = f"{path}/{entry.name}" if path else entry.name
        if entry.is_dir(follow_symlinks=False):
            _walk(Path(entry.path), top, inner, found)
        else:
            _take(Path(entry.path), top, inner, found)


def _take(place: Path, top: Path, path: str, found: Found) -> None:
    try:
        real = _real(place) if place.is_symlink() else place
        seen = real.stat()
    except OSError as problem:
        what = "a link that leads nowhere" if place.is_symlink() else reason(problem)
        found.problems.append(FileProblem(f"{shown(path)}: {what}"))
        return
    if wrong := _unfit(place, real, top, seen):
        found.problems.append(FileProblem(f"{shown(path)}: {wrong}"))
    else:
        found.files.append(Local(path, real, seen.st_size, seen.st_mtime_ns))


def _real(place: Path) -> Path:
    # Not Path.resolve, whose error for a loop of links is another one in Python 3.11.
    return Path(os.path.realpath(place, strict=True))


def _unfit(place: Path, real: Path, top: Path, seen: os.stat_result) -> str | None:
    if real != place and not real.is_relative_to(top):
        return "a link that leads out of the folder; put the file itself there"
    if stat.S_ISDIR(seen.st_mode):
        return "a link to a folder; put the folder itself there"
    if not stat.S_ISREG(seen.st_mode):
        return "neither a file nor a folder"
    if not os.access(real, os.R_OK):
        return "permission denied"
    return None


def _compare(file: Local, seen: os.stat_result) -> None:
    if (seen.st_size, seen.st_mtime_ns) != (file.size, file.mtime_ns):
        raise _changed(file)


def _changed(file: Local) -> FileProblem:
    return FileProblem(
        f"{shown(file.path)}: it changed while it was being sent; upload again when nothing "
        "writes to it any more"
    )
