"""Opening one thing as what it is: arrays, recordings, volumes, tables.

Each reader takes what it needs from the store when it is used; only tables, JSON and
text come whole. The packages are asked for when they are needed.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from panneuro_hub.catalog.formats import HDF5_HEAD, FileKind, is_hdf5
from panneuro_hub.lab.delimited_tables import encoding_of, read_table
from panneuro_hub.lab.hdf5.hdf5_readers import read_hdf5, read_netcdf, read_nwb
from panneuro_hub.lab.nifti_images import read_nifti
from panneuro_hub.lab.object_file import ObjectFile
from panneuro_hub.lab.parquet_tables import read_parquet
from panneuro_hub.lab.read_errors import (
    UnknownFormatError,
    UnreadableFileError,
    translate_format_errors,
)
from panneuro_hub.lab.store_errors import PathLabel


def read_file(file: ObjectFile, kind: FileKind, place: PathLabel, **kwargs: Any) -> Any:
    """Return a file as what its name or, where that says nothing, its beginning says.

    Text tables of BIDS need more than the file: see `panneuro_hub.lab.delimited_tables.read_table`.

    Raises
    ------
    UnknownFormatError
        If it is none of the formats known here.
    UnreadableFileError
        If it is not what its name says.
    ImportError
        If a package is missing; the text says which.
    """
    found = kind or _detect_kind(file)
    if found not in _READERS:
        raise UnknownFormatError(
            f"{place.path!r} is of no format that lab.open knows; lab.file({place.path!r}) gives "
            "it as a file that any library can read from, with nothing copied to disk"
        )
    with translate_format_errors(place, _NAMES.get(found, found)):
        return _READERS[found](file, place, kwargs)


def _detect_kind(file: ObjectFile) -> FileKind:
    file.seek(0)
    head = file.read(HDF5_HEAD) or b""
    file.seek(0)
    if is_hdf5(head):
        return "hdf5"
    return "netcdf" if head.startswith(b"CDF") else ""


def _read_table(file: ObjectFile, place: PathLabel, kwargs: dict[str, Any]) -> Any:
    if place.path.lower().endswith(".parquet"):
        return read_parquet(file, place, kwargs)
    return read_table(file, place, None, **kwargs)


def _read_json(file: ObjectFile, place: PathLabel, kwargs: dict[str, Any]) -> Any:
    return json.loads(bytes(file.whole()), **kwargs)


def _read_text(file: ObjectFile, place: PathLabel, kwargs: dict[str, Any]) -> str:
    content = bytes(file.whole())
    try:
        return content.decode(**{"encoding": encoding_of(content), **kwargs})
    except UnicodeDecodeError as problem:
        raise UnreadableFileError(
            f"{place.path!r} is no text in {problem.encoding}: {problem.reason} at byte "
            f"{problem.start}; say its encoding, such as lab.open(…, encoding='latin-1')"
        ) from problem


_READERS: dict[FileKind, Callable[[ObjectFile, PathLabel, dict[str, Any]], Any]] = {
    "hdf5": read_hdf5,
    "json": _read_json,
    "netcdf": read_netcdf,
    "nifti": read_nifti,
    "nwb": read_nwb,
    "table": _read_table,
    "text": _read_text,
}
_NAMES = {
    "hdf5": "HDF5",
    "json": "JSON",
    "netcdf": "NetCDF",
    "nifti": "NIfTI",
    "nwb": "NWB",
    "table": "a table",
    "text": "text",
}
