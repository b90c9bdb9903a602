"""A person's folder: which files an upload would send, and what cannot be sent.

All that cannot be sent is found before anything is. A link that leads to a file
inside the folder counts as that file, and so does a git-annex link; other links are
refused by name, since their targets are not what the person pointed at. Files of
tools are left out (`left_out`). Empty folders are told: an object store has none.
"""

from __future__ import annotations

import io
import os
import stat
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from panneuro_hub.catalog import path_problem
from panneuro_hub.catalog.formats import Read
from panneuro_hub.catalog.keys import LONGEST_PATH
from panneuro_hub.client.annex import NOT_HERE, is_annex_link, is_annexed, is_pointer
from panneuro_hub.client.errors import Conflict, FileProblem
from panneuro_hub.client.left_out import Inclusion, LeftOut, kind_of_tool
from panneuro_hub.client.parts import LARGEST_OBJECT
from panneuro_hub.client.shown_paths import shown

_LONGEST_KEY = 1024  # bytes
# A named pipe that has taken a file's place would be waited for without end, and a link followed.
_READ = (
    os.O_RDONLY
    | getattr(os, "O_BINARY", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_NOFOLLOW", 0)
)


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
    left_out : list of LeftOut
        Files and folders of tools.
    brought_back : list of str
        Files and folders of tools that the person wants to send.
    """

    files: list[Local] = field(default_factory=list)
    empty_folders: list[str] = field(default_factory=list)
    problems: list[FileProblem] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    brought_back: list[str] = field(default_factory=list)

    @property
    def size(self) -> int:
        """All files together, in bytes."""
        return sum(file.size for file in self.files)


def find(root: Path, key_prefix: str = "", include: Inclusion | None = None) -> Found:
    """Look at a folder, or at a single file.

    Parameters
    ----------
    root : Path
    key_prefix : str
        What will stand before each path in its key.
    include : Inclusion, optional
        Files of tools that are wanted.

    Raises
    ------
    FileProblem
        If nothing is there, or it cannot be read.
    """
    found = Found()
    try:
        top = _real(root)
        if top.is_dir():
            _walk(top, include or Inclusion(), found)
        else:
            # By the name that the person wrote: that of an annexed file is its checksum.
            _take(root.absolute(), top.parent, root.absolute().name, found)
    except OSError as problem:
        why = NOT_HERE if is_annex_link(root) else reason(problem)
        raise FileProblem(f"{shown(str(root))}: {why}") from problem
    found.files.sort(key=lambda file: os.fsencode(file.path))
    for file in found.files:
        wrong = name_problem(file.path, key_prefix)
        if wrong is None and file.size > LARGEST_OBJECT:
            wrong = "it is larger than the 5 TiB that one object can have"
        if wrong is not None:
            found.problems.append(FileProblem(f"{shown(file.path)}: {wrong}"))
    found.problems.sort(key=str)
    return found


def find_lookalikes(files: list[Local]) -> list[tuple[str, str]]:
    """Return pairs of paths that are one file on disks of macOS and Windows."""
    seen: dict[str, str] = {}
    pairs = []
    for file in files:
        other = seen.setdefault(unicodedata.normalize("NFC", file.path).casefold(), file.path)
        if other != file.path:
            pairs.append((other, file.path))
    return pairs


def reader_of(found: Found) -> Read:
    """Return a function that reads a part of a file that was found, if it is still the same."""
    files = {file.path: file for file in found.files}

    def read(path: str, start: int, length: int) -> bytes:
        with unchanged(files[path]) as opened:
            opened.seek(start)
            return opened.read(length)

    return read


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
        with io.FileIO(os.open(file.place, _READ), "rb") as opened:
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


def conflict(path: str) -> Conflict:
    """What is said where something else has a file's place already."""
    return Conflict(f"{shown(path)}: something else is there under this name; --update replaces it")


def reason(problem: OSError) -> str:
    """What the system says, as a sentence's end."""
    said = problem.strerror or type(problem).__name__
    return said[:1].lower() + said[1:]


def _walk(top: Path, include: Inclusion, found: Found) -> None:
    # Not recursive: a tree can be deeper than Python's stack. The flag says that the folder is
    # a tool's own, of which only some files are wanted.
    folders = [(top, "", False)]
    while folders:
        folder, path, of_tool = folders.pop()
        try:
            entries = list(os.scandir(folder))
        except OSError as problem:
            found.problems.append(FileProblem(f"{shown(path or str(top))}: {reason(problem)}"))
            continue
        if not entries and path:
            found.empty_folders.append(path)
        for entry in entries:
            inner = f"{path}/{entry.name}" if path else entry.name
            choice = _choose(entry.name, inner, include, found, of_tool=of_tool)
            if choice == "none":
                continue
            if not _is_folder(entry):
                if choice == "all":
                    _take(Path(entry.path), top, inner, found)
            elif len(os.fsencode(inner)) > LONGEST_PATH:
                # No file below it can be sent, and a path has a longest length on disks as well.
                too_long = f"its path is longer than {LONGEST_PATH} bytes"
                found.problems.append(FileProblem(f"{shown(inner)}: {too_long}"))
            else:
                folders.append((Path(entry.path), inner, choice == "some"))


def _choose(name: str, path: str, include: Inclusion, found: Found, *, of_tool: bool) -> str:
    """Return how much of an entry is wanted, and note what is left out of it."""
    kind = kind_of_tool(name)
    if kind is None and not of_tool:
        return "all"
    choice = include.choose(path)
    if choice == "all":
        found.brought_back.append(path)
    elif kind is not None and not of_tool:
        found.left_out.append(LeftOut(path, kind))
    return choice


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False  # `_take` says why


def _take(place: Path, top: Path, path: str, found: Found) -> None:
    try:
        real = _real(place) if place.is_symlink() else place
        seen = real.stat()
    except OSError as problem:
        if is_annex_link(place):
            what = NOT_HERE
        else:
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
    if real != place and not real.is_relative_to(top) and not is_annexed(real, top):
        return "a link that leads out of the folder; put the file itself there"
    if stat.S_ISDIR(seen.st_mode):
        return "a link to a folder; put the folder itself there"
    if not stat.S_ISREG(seen.st_mode):
        return "neither a file nor a folder"
    if not os.access(real, os.R_OK):
        return "permission denied"
    if is_pointer(real, seen.st_size):
        return NOT_HERE
    return None


def _compare(file: Local, seen: os.stat_result) -> None:
    same = (seen.st_size, seen.st_mtime_ns) == (file.size, file.mtime_ns)
    if not (same and stat.S_ISREG(seen.st_mode)):
        raise _changed(file)


def _changed(file: Local) -> FileProblem:
    return FileProblem(
        f"{shown(file.path)}: it changed while it was being sent; upload again when nothing "
        "writes to it any more"
    )
