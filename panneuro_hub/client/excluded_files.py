"""Files that an upload leaves out: those of version control and of tools, which are not data.

The list is short on purpose, and the plan of an upload shows everything that matched it. A
person brings a file back with `InclusionPatterns`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from panneuro_hub.client.path_text import format_path
from panneuro_hub.client.transfer_errors import WrongNameError

_MOST_NAMES = 3  # of each kind
InclusionChoice = Literal["all", "some", "none"]


@dataclass(frozen=True)
class ToolFilePatterns:
    """Names that one kind of tool gives to files of its own.

    Parameters
    ----------
    kind : str
    patterns : tuple of str
        Names of files or folders, in any case; ``*`` stands for any characters.
    """

    kind: str
    patterns: tuple[str, ...]


TOOL_FILES = (
    # Not .gitignore, which people write for the code in a dataset, and not .bidsignore, which
    # the validator reads.
    ToolFilePatterns(
        "version control", (".git", ".gitattributes", ".gitmodules", ".hg", ".svn", ".bzr")
    ),
    ToolFilePatterns("DataLad", (".datalad",)),
    ToolFilePatterns(
        "macOS",
        (".DS_Store", "._*", "__MACOSX", ".Spotlight-V100", ".fseventsd", ".Trashes"),
    ),
    ToolFilePatterns("Windows", ("Thumbs.db", "desktop.ini", "$RECYCLE.BIN")),
    ToolFilePatterns("the wastebasket", (".Trash", ".Trash-*")),
    ToolFilePatterns("Jupyter", (".ipynb_checkpoints",)),
    ToolFilePatterns("Python", ("__pycache__", ".venv", ".pytest_cache")),
    ToolFilePatterns("editors", (".*.swp", ".*.swo", "*~", "#*#", ".#*", ".~lock.*#", "~$*")),
)
"""Everything that an upload leaves out."""


@dataclass(frozen=True, order=True)
class ExcludedFile:
    """A file or folder that is left out.

    Parameters
    ----------
    path : str
        In the dataset; of a folder, everything in it is left out.
    kind : str
        Of `TOOL_FILES`.
    """

    path: str
    kind: str


@dataclass(frozen=True)
class InclusionPatterns:
    """Patterns of what a person wants to send in spite of `TOOL_FILES`.

    Parameters
    ----------
    patterns : tuple of str
        Each is a name, such as ``.DS_Store``, or a path from the folder, such as
        ``.git/config``; ``*`` stands for any characters but ``/``. A folder brings everything
        in it, except for further names of `TOOL_FILES`.

    Raises
    ------
    WrongNameError
        If a pattern is empty.
    """

    patterns: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for pattern in self.patterns:
            if not _segments(pattern):
                raise WrongNameError(
                    f"--include {pattern!r} names no file; write a name, such as .git"
                )

    def choose(self, path: str) -> InclusionChoice:
        """Return how much of a left-out file or folder is wanted: ``some`` lies below it."""
        choices = {_match(pattern, path) for pattern in self._compiled}
        return "all" if "all" in choices else "some" if "some" in choices else "none"

    def unused(self, brought: Sequence[str]) -> list[str]:
        """Return the patterns that match none of these paths."""
        return [
            pattern
            for pattern, compiled in zip(self.patterns, self._compiled, strict=True)
            if not any(_match(compiled, path) == "all" for path in brought)
        ]

    @cached_property
    def _compiled(self) -> list[list[re.Pattern[str]]]:
        return [[_compile(part) for part in _segments(pattern)] for pattern in self.patterns]


def find_tool_kind(name: str) -> str | None:
    """Return the kind of tool that makes files of this name; `None` for data."""
    folded = name.casefold()
    return next((kind for kind, pattern in _COMPILED if pattern.fullmatch(folded)), None)


def group_excluded_files(left_out: Iterable[ExcludedFile]) -> list[dict[str, Any]]:
    """Return what was left out, by kind, as JSON."""
    paths: dict[str, list[str]] = {}
    for one in sorted(left_out):
        paths.setdefault(one.kind, []).append(one.path)
    return [
        {"kind": kind, "count": len(of_kind), "paths": of_kind} for kind, of_kind in paths.items()
    ]


def summarize_excluded_files(left_out: Iterable[ExcludedFile]) -> str | None:
    """Return what was left out in a sentence; `None` if nothing was."""
    parts = []
    for one in group_excluded_files(left_out):
        names = ", ".join(format_path(path) for path in one["paths"][:_MOST_NAMES])
        more = ", …" if one["count"] > _MOST_NAMES else ""
        parts.append(f"{one['count']} of {one['kind']} ({names}{more})")
    if not parts:
        return None
    return f"left out: {'; '.join(parts)}. --include NAME brings it back"


def _segments(pattern: str) -> list[str]:
    return [part for part in pattern.split("/") if part not in ("", ".")]


def _compile(pattern: str) -> re.Pattern[str]:
    # A run of stars would take exponential time.
    parts = re.sub(r"\*+", "*", pattern.casefold()).split("*")
    return re.compile(".*".join(map(re.escape, parts)), re.DOTALL)


def _match(pattern: list[re.Pattern[str]], path: str) -> InclusionChoice:
    segments = path.casefold().split("/")
    if len(pattern) == 1:
        return "all" if pattern[0].fullmatch(segments[-1]) else "none"
    pairs = zip(pattern, segments, strict=False)
    if not all(one.fullmatch(segment) for one, segment in pairs):
        return "none"
    return "all" if len(segments) >= len(pattern) else "some"


_COMPILED = [(files.kind, _compile(pattern)) for files in TOOL_FILES for pattern in files.patterns]

EVERYTHING = InclusionPatterns(("*",))
"""Leaves nothing out."""
