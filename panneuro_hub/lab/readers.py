"""Opening one thing as what it is: arrays, recordings, volumes, tables.

Each reader takes what it needs from the store when it is used; only tables, JSON and
text come whole. The packages are asked for when they are needed.
"""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable
from typing import Any

from panneuro_hub.catalog.formats import Kind, is_hdf5
from panneuro_hub.lab.hdf5 import read_hdf5, read_netcdf, read_nwb
from panneuro_hub.lab.objects import ObjectFile
from panneuro_hub.lab.read_errors import NoReader, Unreadable, as_named, needing
from panneuro_hub.lab.refusals import Place

_HEAD = 4096  # bytes
_GZIP = b"\x1f\x8b"
_BUFFER = 2**17  # bytes: less than a block, so that reading on in order gets more at once
_NIFTI = {348: "Nifti1Image", 540: "Nifti2Image"}  # by the size of the header
_IN_PIECES = {"nrows", "chunksize", "iterator"}


def read_file(file: ObjectFile, kind: Kind, place: Place, **kwargs: Any) -> Any:
    """A file, as what its name or, where that says nothing, its beginning says.

    Raises
    ------
    NoReader
        If it is none of the formats known here.
    Unreadable
        If it is not what its name says.
    ImportError
        If a package is missing; the text says which.
    """
    found = kind or _sniffed(file)
    if found not in _READERS:
        raise NoReader(
            f"{place.path!r} is of no format that lab.open knows; lab.file({place.path!r}) gives "
            "it as a file that any library can read from, with nothing copied to disk"
        )
    with as_named(place, _NAMES.get(found, found)):
        return _READERS[found](file, place, kwargs)


def _sniffed(file: ObjectFile) -> Kind:
    file.seek(0)
    head = file.read(_HEAD) or b""
    file.seek(0)
    if is_hdf5(head):
        return "hdf5"
    return "netcdf" if head.startswith(b"CDF") else ""


def _nifti(file: ObjectFile, place: Place, kwargs: dict[str, Any]) -> Any:
    with needing("nibabel"):
        import nibabel

    packed = file.read(2) == _GZIP
    file.seek(0)
    source: Any = gzip.GzipFile(fileobj=io.BufferedReader(file, _BUFFER)) if packed else file
    head = source.read(4)
    source.seek(0)
    sizes = {int.from_bytes(head, "little"), int.from_bytes(head, "big")}
    name = next((_NIFTI[size] for size in sizes if size in _NIFTI), None)
    if name is None:
        raise Unreadable(f"{place.path!r} does not begin as NIfTI does")
    image = getattr(nibabel, name)
    holders = image.make_file_map({"header": source, "image": source})
    return image.from_file_map(holders, **kwargs)


def _table(file: ObjectFile, place: Place, kwargs: dict[str, Any]) -> Any:
    with needing("pandas"):
        import pandas

    name = place.path.lower()
    if name.endswith(".parquet"):
        with needing("pandas", "pyarrow"):
            return pandas.read_parquet(file, **kwargs)
    given = {
        "sep": "\t" if name.endswith((".tsv", ".tsv.gz")) else ",",
        "compression": "gzip" if name.endswith(".gz") else None,
        **kwargs,
    }
    in_pieces = any(kwargs.get(key) for key in _IN_PIECES)
    source = io.BufferedReader(file, _BUFFER) if in_pieces else io.BytesIO(file.whole())
    return pandas.read_csv(source, **given)


def _json(file: ObjectFile, place: Place, kwargs: dict[str, Any]) -> Any:
    return json.loads(bytes(file.whole()), **kwargs)


def _text(file: ObjectFile, place: Place, kwargs: dict[str, Any]) -> str:
    return bytes(file.whole()).decode(**{"encoding": "utf-8", "errors": "replace", **kwargs})


_READERS: dict[Kind, Callable[[ObjectFile, Place, dict[str, Any]], Any]] = {
    "hdf5": read_hdf5,
    "json": _json,
    "netcdf": read_netcdf,
    "nifti": _nifti,
    "nwb": read_nwb,
    "table": _table,
    "text": _text,
}
_NAMES = {"hdf5": "HDF5", "netcdf": "NetCDF", "nifti": "NIfTI", "nwb": "NWB", "table": "a table"}
