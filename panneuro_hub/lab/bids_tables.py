"""Find out how a table of BIDS is written, from the files next to it and above it."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from obstore.exceptions import NotFoundError

from panneuro_hub.lab.bids_rules import (
    BidsTable,
    find_applicable_files,
    has_header,
    is_bids_name,
    name_companion,
)
from panneuro_hub.lab.paths import StoragePath
from panneuro_hub.lab.read_errors import UnreadableFileError

_DESCRIPTION = "dataset_description.json"
_MOST_FOLDERS = 12  # above a table
_LARGEST = 2**24  # bytes


def find_bids_table(place: StoragePath, named: bool) -> BidsTable | None:
    """Return how a table is written by BIDS's rules, `None` if it is no table of BIDS.

    Parameters
    ----------
    place : StoragePath
        The table.
    named : bool
        Whether the caller already knows the names of the columns.

    Raises
    ------
    UnreadableFileError
        If the table has no header, and no file names its columns.
    """
    *folders, name = place.key.split("/")
    if not name.endswith((".tsv", ".tsv.gz")):
        return None
    above = ["/".join(folders[:count]) for count in range(len(folders), -1, -1)][:_MOST_FOLDERS]
    root = _root(place, above)
    if root is None and not is_bids_name(name):
        return None
    if named or has_header(name):
        return BidsTable()
    within = above[: above.index(root) + 1] if root is not None else above[:1]
    for path in _companions(place, name, within):
        columns = _columns(place, path)
        if columns is not None:
            return BidsTable(columns, path)
    raise UnreadableFileError(
        f"{place.path!r} has no header, and no {name_companion(name).removeprefix('_')} next to "
        "it or above it in its dataset names its columns, as BIDS requires; give them with "
        "lab.open(…, names=[…]), or header=0 if its first row has them all the same"
    )


def _root(place: StoragePath, above: list[str]) -> str | None:
    """Return the nearest folder that is a BIDS dataset."""
    keys = [f"{folder}/{_DESCRIPTION}" if folder else _DESCRIPTION for folder in above]
    with ThreadPoolExecutor(len(keys), "panneuro-bids") as pool:
        contents = list(pool.map(lambda key: _content(place, key), keys))
    for folder, content in zip(above, contents, strict=True):
        if content is not None and b'"BIDSVersion"' in content:
            return folder
    return None


def _companions(place: StoragePath, name: str, folders: list[str]) -> Iterator[str]:
    """Give the files that may name a table's columns, the nearest and most specific first."""

    def names(folder: str) -> list[str]:
        listed = place.store.list_with_delimiter(folder or None)
        return [meta["path"].rpartition("/")[2] for meta in listed["objects"]]

    with ThreadPoolExecutor(len(folders), "panneuro-bids") as pool:
        for folder, others in zip(folders, pool.map(names, folders), strict=True):
            for other in find_applicable_files(name, others):
                yield f"{folder}/{other}" if folder else other


def _columns(place: StoragePath, key: str) -> tuple[str, ...] | None:
    content = _content(place, key) or b""
    try:
        columns = _of_channels(content) if key.endswith(".tsv") else _of_sidecar(content)
    except (ValueError, RecursionError) as problem:
        raise UnreadableFileError(
            f"{place.path!r} has its columns' names in {place.at(key).path!r}, which cannot be "
            f"read: {' '.join(str(problem).split())[:300]}"
        ) from problem
    return columns


def _of_sidecar(content: bytes) -> tuple[str, ...] | None:
    document: Any = json.loads(content)
    if not isinstance(document, dict):
        raise ValueError("it is no JSON object")
    columns = document.get("Columns")
    if columns is None:
        return None
    if not isinstance(columns, list) or not all(isinstance(name, str) for name in columns):
        raise ValueError("its Columns are no list of names")
    return tuple(columns)


def _of_channels(content: bytes) -> tuple[str, ...]:
    rows = csv.DictReader(content.decode("utf-8-sig").splitlines(), delimiter="\t")
    if "name" not in (rows.fieldnames or ()):
        raise ValueError("it has no column 'name'")
    return tuple(row["name"] for row in rows)


def _content(place: StoragePath, key: str) -> bytes | None:
    try:
        found = place.store.get(key)
    except (FileNotFoundError, NotFoundError):
        return None
    if found.meta["size"] > _LARGEST:
        raise UnreadableFileError(
            f"{place.at(key).path!r} has {found.meta['size']:,} bytes, too many for what BIDS "
            "keeps there"
        )
    return bytes(found.bytes())
