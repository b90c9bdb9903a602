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

from panneuro_hub.catalog import find_path_problem
from panneuro_hub.catalog.dataset_keys import LONGEST_PATH
from panneuro_hub.catalog.formats import ReadRange
from panneuro_hub.client.excluded_files import ExcludedFile, InclusionPatterns, find_tool_kind
from panneuro_hub.client.git_annex import (
    MISSING_CONTENT,
    is_annex_link,
    is_annex_pointer,
    is_annexed,
)
from panneuro_hub.client.path_text import format_path
from panneuro_hub.client.transfer.part_plan import LARGEST_OBJECT
from panneuro_hub.client.transfer_errors import FileConflictError, LocalFileError

_LONGEST_KEY = 1024  # bytes
# A named pipe that has taken a file's place would be waited for without end, and a link followed.
_READ = (
    os.O_RDONLY
    | getattr(os, "O_BINARY", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_NOFOLLOW", 0)
)


@dataclass(frozen=True)
class LocalFile:
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
class FolderContents:
    """The files of a folder, and the problems with them.

    Parameters
    ----------
    files : list of LocalFile
        By their paths.
    empty_folders : list of str
    problems : list of LocalFileError
        Of what cannot be sent.
    left_out : list of ExcludedFile
        Files and folders of tools.
    included_again : list of str
        Files and folders of tools that the person wants to send.
    """

    files: list[LocalFile] = field(default_factory=list)
    empty_folders: list[str] = field(default_factory=list)
    problems: list[LocalFileError] = field(default_factory=list)
    left_out: list[ExcludedFile] = field(default_factory=list)
    included_again: list[str] = field(default_factory=list)

    @property
    def size(self) -> int:
        """All files together, in bytes."""
        return sum(file.size for file in self.files)


def scan_folder(
    root: Path, key_prefix: str = "", include: InclusionPatterns | None = None
) -> FolderContents:
    """Look at a folder, or at a single file.

    Parameters
    ----------
    root : Path
    key_prefix : str
        What will stand before each path in its key.
    include : InclusionPatterns, optional
        Files of tools that are wanted.

    Raises
    ------
    LocalFileError
        If nothing is there, or it cannot be read.
    """
    found = FolderContents()
    try:
        top = _resolve_link(root)
        if top.is_dir():
            _scan_subfolder(top, include or InclusionPatterns(), found)
        else:
            # By the name that the person wrote: that of an annexed file is its checksum.
            _add_file(root.absolute(), top.parent, root.absolute().name, found)
    except OSError as problem:
        why = MISSING_CONTENT if is_annex_link(root) else describe_os_error(problem)
        raise LocalFileError(f"{format_path(str(root))}: {why}") from problem
    found.files.sort(key=lambda file: os.fsencode(file.path))
    for file in found.files:
        wrong = find_name_problem(file.path, key_prefix)
        if wrong is None and file.size > LARGEST_OBJECT:
            wrong = "it is larger than the 5 TiB that one object can have"
        if wrong is not None:
            found.problems.append(LocalFileError(f"{format_path(file.path)}: {wrong}"))
    found.problems.sort(key=str)
    return found


def find_lookalikes(files: list[LocalFile]) -> list[tuple[str, str]]:
    """Return pairs of paths that are one file on disks of macOS and Windows."""
    seen: dict[str, str] = {}
    pairs = []
    for file in files:
        other = seen.setdefault(unicodedata.normalize("NFC", file.path).casefold(), file.path)
        if other != file.path:
            pairs.append((other, file.path))
    return pairs


def make_range_reader(found: FolderContents) -> ReadRange:
    """Return a function that reads a part of a file that was found, if it is still the same."""
    files = {file.path: file for file in found.files}

    def read(path: str, start: int, length: int) -> bytes:
        with open_unchanged(files[path]) as opened:
            opened.seek(start)
            return opened.read(length)

    return read


def find_name_problem(path: str, key_prefix: str = "") -> str | None:
    """Say why no object can have this path, or `None` if one can."""
    wrong = find_path_problem(path)
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
def open_unchanged(file: LocalFile) -> Iterator[BinaryIO]:
    """Open a file for reading; it must be as it was found, before and after.

    Raises
    ------
    LocalFileError
        If it cannot be read, or has changed.
    """
    try:
        with io.FileIO(os.open(file.place, _READ), "rb") as opened:
            _check_unchanged(file, os.fstat(opened.fileno()))
            yield opened
            _check_unchanged(file, os.fstat(opened.fileno()))
    except OSError as problem:
        raise LocalFileError(f"{format_path(file.path)}: {describe_os_error(problem)}") from problem


def find_change(file: LocalFile) -> LocalFileError | None:
    """Return the change of a file since it was found, or `None` if it has not changed."""
    try:
        _check_unchanged(file, file.place.stat())
    except LocalFileError as problem:
        return problem
    except OSError as problem:
        return LocalFileError(f"{format_path(file.path)}: {describe_os_error(problem)}")
    return None


def read_whole(opened: BinaryIO, file: LocalFile, size: int) -> bytes:
    """Read `size` bytes.

    Raises
    ------
    LocalFileError
        If there are fewer.
    """
    pieces = []
    left = size
    while left:
        piece = opened.read(left)
        if not piece:
            raise _make_change_error(file)
        pieces.append(piece)
        left -= len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def make_conflict(path: str) -> FileConflictError:
    """Return the error for a file with a name that something else has already."""
    return FileConflictError(
        f"{format_path(path)}: something else is there under this name; --update replaces it"
    )


def describe_os_error(problem: OSError) -> str:
    """Return the operating system's message, as the end of a sentence."""
    said = problem.strerror or type(problem).__name__
    return said[:1].lower() + said[1:]


def _scan_subfolder(top: Path, include: InclusionPatterns, found: FolderContents) -> None:
    # Not recursive: a tree can be deeper than Python's stack. The flag says that the folder is
    # a tool's own, of which only some files are wanted.
    folders = [(top, "", False)]
    while folders:
        folder, path, of_tool = folders.pop()
        try:
            entries = list(os.scandir(folder))
        except OSError as problem:
            found.problems.append(
                LocalFileError(f"{format_path(path or str(top))}: {describe_os_error(problem)}")
            )
            continue
        if not entries and path:
            found.empty_folders.append(path)
        for entry in entries:
            inner = f"{path}/{entry.name}" if path else entry.name
            choice = _apply_inclusion(entry.name, inner, include, found, of_tool=of_tool)
            if choice == "none":
                continue
            if not _is_folder(entry):
                if choice == "all":
                    _add_file(Path(entry.path), top, inner, found)
            elif len(os.fsencode(inner)) > LONGEST_PATH:
                # No file below it can be sent, and a path has a longest length on disks as well.
                too_long = f"its path is longer than {LONGEST_PATH} bytes"
                found.problems.append(LocalFileError(f"{format_path(inner)}: {too_long}"))
            else:
                folders.append((Path(entry.path), inner, choice == "some"))


def _apply_inclusion(
    name: str, path: str, include: InclusionPatterns, found: FolderContents, *, of_tool: bool
) -> str:
    """Return how much of an entry is wanted, and note what is left out of it."""
    kind = find_tool_kind(name)
    if kind is None and not of_tool:
        return "all"
    choice = include.choose(path)
    if choice == "all":
        found.included_again.append(path)
    elif kind is not None and not of_tool:
        found.left_out.append(ExcludedFile(path, kind))
    return choice


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False  # `_add_file` says why


def _add_file(place: Path, top: Path, path: str, found: FolderContents) -> None:
    try:
        real = _resolve_link(place) if place.is_symlink() else place
        seen = real.stat()
    except OSError as problem:
        if is_annex_link(place):
            what = MISSING_CONTENT
        else:
            what = "a link that leads nowhere" if place.is_symlink() else describe_os_error(problem)
        found.problems.append(LocalFileError(f"{format_path(path)}: {what}"))
        return
    if wrong := _find_file_problem(place, real, top, seen):
        found.problems.append(LocalFileError(f"{format_path(path)}: {wrong}"))
    else:
        found.files.append(LocalFile(path, real, seen.st_size, seen.st_mtime_ns))


def _resolve_link(place: Path) -> Path:
    # Not Path.resolve, whose error for a loop of links is another one in Python 3.11.
    return Path(os.path.realpath(place, strict=True))


def _find_file_problem(place: Path, real: Path, top: Path, seen: os.stat_result) -> str | None:
    if real != place and not real.is_relative_to(top) and not is_annexed(real, top):
        return "a link that leads out of the folder; put the file itself there"
    if stat.S_ISDIR(seen.st_mode):
        return "a link to a folder; put the folder itself there"
    if not stat.S_ISREG(seen.st_mode):
        return "neither a file nor a folder"
    if not os.access(real, os.R_OK):
        return "permission denied"
    if is_annex_pointer(real, seen.st_size):
        return MISSING_CONTENT
    return None


def _check_unchanged(file: LocalFile, seen: os.stat_result) -> None:
    same = (seen.st_size, seen.st_mtime_ns) == (file.size, file.mtime_ns)
    if not (same and stat.S_ISREG(seen.st_mode)):
        raise _make_change_error(file)


def _make_change_error(file: LocalFile) -> LocalFileError:
    return LocalFileError(
        f"{format_path(file.path)}: it changed while it was being sent; upload again when nothing "
        "writes to it any more"
    )
