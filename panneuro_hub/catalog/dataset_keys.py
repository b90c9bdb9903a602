"""Names of datasets, and the keys of their records below the prefix of a project.

``D/.panneuro/manifest.json`` lists the files of dataset ``D`` and is written last.
``.panneuro/catalog/D.json`` is its summary for listings. While an upload runs,
``.panneuro/uploads/D.json`` names its owner. In the last two, a ``/`` of ``D`` is
written ``%2F``, so that one listing finds them all.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from urllib.parse import quote, unquote

RECORDS_FOLDER = ".panneuro"
CATALOG_FOLDER = f"{RECORDS_FOLDER}/catalog/"
UPLOADS_FOLDER = f"{RECORDS_FOLDER}/uploads/"
MOST_SEGMENTS = 4
LONGEST_DATASET = 200  # characters
LONGEST_PATH = 1024  # bytes: the limit of a whole key, prefix included
_SEGMENT = re.compile(r"[A-Za-z0-9_=+@,-][A-Za-z0-9._=+@,-]*")
_ENDING = ".json"


def make_manifest_key(dataset: str) -> str:
    """Return the key of a dataset's manifest, which exists once the dataset is complete."""
    return f"{dataset}/{RECORDS_FOLDER}/manifest.json"


def make_record_key(dataset: str) -> str:
    """Return the key of a dataset's record in the catalog of its project."""
    return f"{CATALOG_FOLDER}{quote(dataset, safe='@,=+')}{_ENDING}"


def make_upload_key(dataset: str) -> str:
    """Return the key of the note that an upload into this dataset is under way."""
    return f"{UPLOADS_FOLDER}{quote(dataset, safe='@,=+')}{_ENDING}"


def parse_dataset_key(key: str) -> str | None:
    """Return the dataset of a record's or an upload's key, or `None` for other keys."""
    for folder in (CATALOG_FOLDER, UPLOADS_FOLDER):
        name = key.removeprefix(folder)
        if name != key and name.endswith(_ENDING):
            dataset = unquote(name.removesuffix(_ENDING))
            named = find_dataset_problem(dataset) is None and key in (
                make_record_key(dataset),
                make_upload_key(dataset),
            )
            return dataset if named else None
    return None


def find_dataset_problem(name: str) -> str | None:
    """Return the problem of a dataset's name, or `None` if the name is valid.

    Parameters
    ----------
    name : str
        Such as ``session-12`` or ``2026/session-12``.

    Returns
    -------
    str or None
        A sentence that tells the person who wrote the name how to correct it.
    """
    if not name:
        return "a dataset needs a name, such as 'session-12'"
    shown = repr(name[:LONGEST_DATASET])
    if len(name) > LONGEST_DATASET:
        return f"the dataset's name {shown}… is longer than {LONGEST_DATASET} characters"
    segments = name.split("/")
    if len(segments) > MOST_SEGMENTS:
        return f"the dataset's name {shown} has more than {MOST_SEGMENTS} parts between '/'"
    if "" in segments:
        return f"the dataset's name {shown} has a '/' too many; write it like 2026/session-12"
    for segment in segments:
        if not _SEGMENT.fullmatch(segment):
            return (
                f"{segment!r} in the dataset's name {shown} may have letters of English, digits "
                "and . _ = + @ , - only, and no dot at its beginning"
            )
    return None


def find_path_problem(path: str) -> str | None:
    """Return the reason why a file cannot have this path in a dataset, or `None`.

    Parameters
    ----------
    path : str
        Relative to the dataset, with ``/`` between its parts.

    Returns
    -------
    str or None
        The end of a sentence.
    """
    try:
        length = len(path.encode())
    except UnicodeEncodeError:
        return "its name is not valid UTF-8"
    if length > LONGEST_PATH:
        return f"its path is longer than {LONGEST_PATH} bytes"
    segments = path.split("/")
    if any(segment in ("", ".", "..") for segment in segments):
        return "its path has an empty, '.' or '..' part"
    if segments[0] == RECORDS_FOLDER:
        return f"{RECORDS_FOLDER} is where the catalog keeps its own records"
    if not path.isprintable() and any(unicodedata.category(c) == "Cc" for c in path):
        return "its name has a control character in it"
    return None


def list_enclosing_names(path: str) -> Iterator[str]:
    """Yield the names of datasets that can hold a path, the longest (the path itself) first."""
    segments = path.rstrip("/").split("/")
    for count in range(min(len(segments), MOST_SEGMENTS), 0, -1):
        name = "/".join(segments[:count])
        if find_dataset_problem(name) is None:
            yield name
