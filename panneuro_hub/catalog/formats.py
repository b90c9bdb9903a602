"""Recognize the format of a dataset from the names of its files and a few small reads.

Sources: Brain Imaging Data Structure 1.10 ("Common principles"), Zarr specifications
2 and 3, NWB schema 2.8 (``nwb.file``), HDF5 file format 3.0 ("Format signature and
superblock").
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from panneuro_hub.catalog.dataset_keys import RECORDS_FOLDER
from panneuro_hub.catalog.json_fields import MalformedRecordError, parse_json_object
from panneuro_hub.catalog.manifest import Format
from panneuro_hub.catalog.nwb_summary import NwbSummary, find_modality, summarize_nwb

FileKind = Literal["zarr", "nwb", "hdf5", "netcdf", "nifti", "table", "json", "text", ""]
ReadRange = Callable[[str, int, int], bytes]
"""Return a range of a file: takes its path, the first byte and the greatest length."""

_KINDS_BY_SUFFIX: dict[str, FileKind] = {
    ".nwb": "nwb",
    **dict.fromkeys((".h5", ".hdf5", ".he5", ".hdf"), "hdf5"),
    **dict.fromkeys((".nc", ".nc4", ".cdf"), "netcdf"),
    **dict.fromkeys((".nii", ".nii.gz"), "nifti"),
    **dict.fromkeys((".csv", ".tsv", ".csv.gz", ".tsv.gz", ".parquet"), "table"),
    ".json": "json",
    **dict.fromkeys((".txt", ".md", ".rst"), "text"),
}
# What programs call the parts of a table: Spark, Dask, pyarrow, DuckDB, Polars.
_PART = re.compile(
    r"(part[-_.]?\d.*|data_\d+|\d+|[0-9a-f]{32}-\d+|[0-9a-f-]{36}(-\d+)?)\.parquet", re.IGNORECASE
)
_KEY_FOLDER = re.compile(r"[^=]+=.*")
_PARQUET = ".parquet"
_MARKERS = frozenset({"_metadata", "_common_metadata", "_SUCCESS"})
_ZARR_NODES = ("zarr.json", ".zgroup", ".zarray")
_HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
# A block of the program that wrote the file may lie before; its size doubles from 512 bytes.
_HDF5_STARTS = (0, *(2**power for power in range(9, 17)))
HDF5_HEAD = _HDF5_STARTS[-1] + len(_HDF5_MAGIC)
_LARGEST_JSON = 2**25  # bytes
_MOST_SUMMARIES = 500  # files of NWB to look into
_SUBJECT = re.compile(r"sub-[0-9A-Za-z+]+")
_DATATYPES = frozenset(
    (
        *("anat", "beh", "dwi", "eeg", "emg", "fmap", "func", "ieeg", "meg", "micr"),
        *("motion", "mrs", "nirs", "perf", "pet"),
    )
)


@dataclass(frozen=True)
class OpenableItem:
    """One item of a dataset that a reader can open on its own.

    That is a file, a Zarr hierarchy, or a folder of Parquet files that are parts of one table.

    Parameters
    ----------
    path : str
        Relative to the dataset; ``""`` for a hierarchy or a table that is all of it.
    kind : str
        The kind that its name suggests; ``""`` if there is no reader.
    """

    path: str
    kind: FileKind


@dataclass(frozen=True)
class DatasetFormat:
    """The recognized format of a dataset.

    Parameters
    ----------
    format : {"bids", "nwb", "zarr", "files"}
    subjects, modalities : tuple of str
        In their order; of BIDS and NWB only.
    notes : tuple of str
        Parts that could not be read, with the reasons.
    """

    format: Format
    subjects: tuple[str, ...] = ()
    modalities: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def guess_kind(path: str) -> FileKind:
    """Return the kind of a file that the end of its name suggests."""
    _, *endings = path.rpartition("/")[2].lower().split(".")
    two = ".".join(["", *endings[-2:]])
    return (
        _KINDS_BY_SUFFIX.get(two) or _KINDS_BY_SUFFIX.get(f".{endings[-1]}", "") if endings else ""
    )


def list_items(paths: Iterable[str]) -> tuple[OpenableItem, ...]:
    """Return the items that can be opened on their own, in the order of the paths.

    A folder with Zarr's metadata in it is one thing, with all that is below it. So is a folder of
    Parquet files that are parts of one table, with them alone: one that is called ``….parquet``,
    has folders such as ``subject=01``, or has files that are called or marked as parts.
    """
    files = sorted(path for path in paths if path.split("/", 1)[0] != RECORDS_FOLDER)
    nodes = {
        folder for folder, _, name in (path.rpartition("/") for path in files) if _is_node(name)
    }
    found: dict[str, FileKind] = {}
    tables = _find_table_roots(files)
    for path in files:
        root = _find_zarr_root(path, nodes)
        if root is not None:
            found[root] = "zarr"
        elif (table := _find_table_root(path, tables)) is not None:
            found[table] = "table"
        else:
            found[path] = guess_kind(path)
    return tuple(OpenableItem(path, kind) for path, kind in found.items())


def recognize_format(files: Mapping[str, int], read: ReadRange) -> DatasetFormat:
    """Return the format of a dataset.

    Parameters
    ----------
    files : mapping of str to int
        Size by path, the path relative to the dataset.
    read : callable
        Reads a range of a file. Its exceptions pass through.

    Returns
    -------
    DatasetFormat
        ``files`` if no other format fits.
    """
    if _is_bids(files, read):
        return _summarize_bids(files)
    found = list_items(files)
    hierarchies = [item for item in found if item.kind == "zarr"]
    nwb_zarr = {
        item.path: types
        for item in hierarchies
        if (types := _read_nwb_types(item.path, files, read)) is not None
    }
    nwb_hdf5 = [item.path for item in found if item.kind == "nwb" and _is_hdf5(item, read)]
    if nwb_zarr or nwb_hdf5:
        return _summarize_nwb_files(nwb_zarr, nwb_hdf5, files, read)
    others = [item for item in found if item.kind not in ("zarr", "text", "json")]
    whole = len(hierarchies) == 1 and all(map(is_documentation, others))
    return DatasetFormat("zarr" if whole else "files")


def make_folder_reader(folder: Path) -> ReadRange:
    """Return a `ReadRange` for the files below a local folder."""

    def read(path: str, start: int, length: int) -> bytes:
        with (folder / path).open("rb") as file:
            file.seek(start)
            return file.read(length)

    return read


def is_hdf5(head: bytes) -> bool:
    """Return whether a file with this beginning (`HDF5_HEAD` bytes) is HDF5."""
    return any(head[start : start + 8] == _HDF5_MAGIC for start in _HDF5_STARTS)


def is_documentation(item: OpenableItem) -> bool:
    """Return whether the name is that of documentation, such as a README."""
    name = item.path.rpartition("/")[2].upper()
    return name.startswith(("README", "LICENSE", "LICENCE", "CHANGES", "CITATION"))


def _is_hdf5(item: OpenableItem, read: ReadRange) -> bool:
    return is_hdf5(read(item.path, 0, HDF5_HEAD))


def _is_node(name: str) -> bool:
    return name in _ZARR_NODES


def _find_zarr_root(path: str, nodes: set[str]) -> str | None:
    """Return the highest folder above `path` that is a Zarr node."""
    if not nodes:
        return None
    segments = path.split("/")
    for count in range(len(segments)):
        folder = "/".join(segments[:count])
        if folder in nodes:
            return folder
    return None


def is_table_part(path: str) -> bool:
    """Return whether a file below a table's folder is a part of it, by its path."""
    hidden = any(segment.startswith(("_", ".")) for segment in path.split("/"))
    return path.lower().endswith(_PARQUET) and not hidden


def _find_table_roots(files: list[str]) -> frozenset[str]:
    """Return the folders whose Parquet files are parts of one table."""
    parts = [path for path in files if is_table_part(path)]
    marked = {
        folder for folder, _, name in (path.rpartition("/") for path in files) if name in _MARKERS
    }
    # A folder of files with names of their own is a folder of several tables.
    several = {
        path.rpartition("/")[0] for path in parts if not _PART.fullmatch(_last_segment(path))
    }
    found = set()
    for path in parts:
        folders = path.split("/")[:-1]
        root = next(
            (
                "/".join(folders[: count + named])
                for count, segment in enumerate(folders)
                if (named := segment.lower().endswith(_PARQUET)) or _KEY_FOLDER.fullmatch(segment)
            ),
            None,
        )
        folder = "/".join(folders)
        if root is None and (folder in marked or folder not in several):
            root = folder
        if root is not None:
            found.add(root)
    if not all(path in parts or _is_documentation_name(path) for path in files):
        # All of a dataset is one table only if there is nothing else in it.
        found.discard("")
    return frozenset(found)


def _is_documentation_name(path: str) -> bool:
    name = _last_segment(path)
    return name in _MARKERS or name.startswith(".") or is_documentation(OpenableItem(path, ""))


def _find_table_root(path: str, roots: frozenset[str]) -> str | None:
    """Return the table that a file is a part or a mark of."""
    folder, _, name = path.rpartition("/")
    if not roots or not (is_table_part(path) or name in _MARKERS or name.endswith(".parquet.crc")):
        return None
    segments = folder.split("/") if folder else []
    tops = ("/".join(segments[:count]) for count in range(len(segments) + 1))
    return next((top for top in tops if top in roots), None)


def _last_segment(path: str) -> str:
    return path.rpartition("/")[2]


def _read_json(path: str, files: Mapping[str, int], read: ReadRange) -> Mapping[str, Any]:
    if not 0 < files.get(path, 0) <= _LARGEST_JSON:
        return {}
    try:
        return parse_json_object(read(path, 0, files[path]), path)
    except MalformedRecordError:
        return {}


def _is_bids(files: Mapping[str, int], read: ReadRange) -> bool:
    return "BIDSVersion" in _read_json("dataset_description.json", files, read)


def _summarize_bids(files: Iterable[str]) -> DatasetFormat:
    subjects: set[str] = set()
    modalities: set[str] = set()
    for path in files:
        subject, *folders = path.split("/")[:-1] or [""]
        if _SUBJECT.fullmatch(subject):
            subjects.add(subject)
            datatype = folders[1:2] if folders and folders[0].startswith("ses-") else folders[:1]
            modalities |= _DATATYPES.intersection(datatype)
    return DatasetFormat("bids", tuple(sorted(subjects)), tuple(sorted(modalities)))


def _read_nwb_types(root: str, files: Mapping[str, int], read: ReadRange) -> frozenset[str] | None:
    """Return the neurodata types that a Zarr root names, or `None` if it is not NWB."""
    at = f"{root}/" if root else ""
    third = _read_json(f"{at}zarr.json", files, read)
    second = _read_json(f"{at}.zmetadata", files, read).get("metadata", {})
    attributes = third.get("attributes") or _read_json(f"{at}.zattrs", files, read)
    if not isinstance(attributes, dict) or "nwb_version" not in attributes:
        return None
    found: set[str] = set()
    _collect_types([third.get("consolidated_metadata"), second], found)
    return frozenset(found)


def _collect_types(documents: list[Any], found: set[str]) -> None:
    while documents:
        one = documents.pop()
        if isinstance(one, dict):
            named = one.get("neurodata_type")
            if isinstance(named, str):
                found.add(named)
            documents.extend(one.values())
        elif isinstance(one, list):
            documents.extend(one)


def _summarize_nwb_files(
    hierarchies: Mapping[str, frozenset[str]],
    hdf5: list[str],
    files: Mapping[str, int],
    read: ReadRange,
) -> DatasetFormat:
    notes = []
    subjects: set[str] = set()
    types = set[str]().union(*hierarchies.values())
    for path in hdf5[:_MOST_SUMMARIES]:
        seen = summarize_nwb(path, files[path], read)
        if isinstance(seen, NwbSummary):
            subjects |= seen.subjects
            types |= seen.types
        else:
            notes.append(f"{path}: {seen}")
    if len(hdf5) > _MOST_SUMMARIES:
        notes.append(f"of {len(hdf5)} NWB files the first {_MOST_SUMMARIES} were looked into")
    if not subjects:
        # As DANDI lays datasets out: a folder for each subject.
        tops = {path.split("/", 1)[0] for path in (*hierarchies, *hdf5) if "/" in path}
        subjects = {top for top in tops if _SUBJECT.fullmatch(top)}
    modalities = {modality for name in types if (modality := find_modality(name)) is not None}
    return DatasetFormat("nwb", tuple(sorted(subjects)), tuple(sorted(modalities)), tuple(notes))
