"""BIDS's rules for tables: which have no header, and which other file names their columns.

Source: Brain Imaging Data Structure 1.10, "Common principles" (tabular files, inheritance
principle) and "Motion".
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

# Columns that hold labels of entities; labels are text, whatever they look like.
IDENTIFIERS = frozenset(
    (
        *("participant_id", "session_id", "sample_id", "subject_id", "sub_id", "ses_id"),
        *("participant", "subject", "session", "sample", "sub", "ses"),
    )
)
_NAME = re.compile(r"sub-[0-9A-Za-z+]+_([0-9a-z]+-[0-9A-Za-z+]+_)*[0-9A-Za-z]+\.tsv(\.gz)?")


@dataclass(frozen=True)
class BidsTable:
    """How one table of a BIDS dataset is written.

    Parameters
    ----------
    columns : tuple of str or None
        The names of the columns, if the table has no header.
    source : str
        The file that names them.
    """

    columns: tuple[str, ...] | None = None
    source: str = ""


def is_bids_name(name: str) -> bool:
    """Return whether a table has a name as BIDS gives it to a subject's tables."""
    return _NAME.fullmatch(name) is not None


def has_header(name: str) -> bool:
    """Return whether the first row of a table holds the names of its columns.

    Compressed tables (physiology, stimuli) and recordings of motion have none.
    """
    return not name.endswith((".tsv.gz", "_motion.tsv"))


def name_companion(name: str) -> str:
    """Return the end of the name of the file that names the columns of a table."""
    if name.endswith("_motion.tsv"):
        return "_channels.tsv"
    return f"{_suffix(name)}.json"


def find_applicable_files(name: str, others: Iterable[str]) -> list[str]:
    """Return which files of one folder describe a table, the most specific one first.

    Parameters
    ----------
    name : str
        The table's name.
    others : iterable of str
        The names of the files of its folder, or of one above it.
    """
    ending = name_companion(name)
    wanted = _entities(name)
    found = [
        other
        for other in others
        if (other.endswith(ending) or other == ending.removeprefix("_"))
        and _entities(other) <= wanted
    ]
    return sorted(found, key=lambda other: (-len(_entities(other)), other))


def _suffix(name: str) -> str:
    stem = name.split(".", 1)[0]
    return f"_{stem.rpartition('_')[2]}"


def _entities(name: str) -> frozenset[str]:
    return frozenset(name.split(".", 1)[0].split("_")[:-1])
