"""Opening a dataset, or something in one, as what it is."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

from obstore.exceptions import NotFoundError

from panneuro_hub.catalog.formats import (
    Kind,
    Thing,
    is_documentation,
    is_part,
    kind_of,
    things,
)
from panneuro_hub.catalog.keys import OWN, enclosing, manifest_key, upload_key
from panneuro_hub.catalog.manifest import Upload
from panneuro_hub.catalog.reading import Malformed
from panneuro_hub.catalog.records import changing_text, few, read_manifest, read_upload
from panneuro_hub.catalog.stored_keys import key_problem, keys_below
from panneuro_hub.catalog.words import size_text
from panneuro_hub.errors import PanNeuroError
from panneuro_hub.lab.bids_tables import bids_table
from panneuro_hub.lab.dataset import Dataset, Entry
from panneuro_hub.lab.here import SCRATCH, NothingThere, session
from panneuro_hub.lab.listings import datasets
from panneuro_hub.lab.neighbours import Neighbours
from panneuro_hub.lab.objects import ObjectFile, object_file
from panneuro_hub.lab.parquet import read_partitioned
from panneuro_hub.lab.read_errors import Unreadable
from panneuro_hub.lab.readers import read_file
from panneuro_hub.lab.refusals import plainly
from panneuro_hub.lab.spots import Spot, spot
from panneuro_hub.lab.tables import read_table
from panneuro_hub.lab.zarr_groups import read_zarr

if TYPE_CHECKING:
    from panneuro_hub.catalog import File, Manifest

_MOST_LISTED = 100_000  # objects
_PARTS_AT_ONCE = 32
_ZARR = ("zarr.json", ".zgroup", ".zarray")


class TooMany(PanNeuroError):
    """A folder has more objects than anybody would look through."""


class Incomplete(PanNeuroError):
    """An upload into the dataset is not complete."""


def open(path: str, *, incomplete: bool = False, **kwargs: Any) -> Any:  # noqa: A001
    """Open a dataset, or something in it; data is read when it is used.

    Parameters
    ----------
    path : str
        ``PROJECT/DATASET`` or ``PROJECT/DATASET/path/inside``; also ``scratch/…``, a whole
        ``s3://`` address, and what was never made a dataset.
    incomplete : bool
        Whether to open what an upload has not brought whole.
    **kwargs
        For what opens it: xarray, pynwb, nibabel or pandas.

    Returns
    -------
    object
        An `xarray.Dataset` or ``DataTree`` for Zarr, HDF5 (an `h5py.File` with
        ``engine="h5py"``, or if its objects refer to each other) and NetCDF (a `zarr.Array` for a
        single array of Zarr, a `zarr.Group` where xarray cannot represent one); a
        `pynwb.NWBFile` for NWB on HDF5 or Zarr; a nibabel image for NIfTI and CIFTI; a
        `pandas.DataFrame` for CSV, TSV and Parquet, also for a folder of parts of one table;
        what JSON holds; a text;
        a `Dataset` for many of these, as BIDS is, or for a folder; for a project alone the
        `Datasets` in it.

    Raises
    ------
    NothingThere
        If nothing is at `path`.
    Incomplete
        If an upload is under way, or was broken off, and `incomplete` is not set.
    AccessDenied
        If it cannot be read from this session; the text says why, and whom to ask.
    NoReader
        If it is one file of no known format; the text says what to do.
    Unreadable
        If it is not what its name says.
    ImportError
        If a package is missing; the text says which.
    NotInSession, ServiceUnavailable, ValueError
        As for `resolve`.
    """
    place = spot(session(), path)
    if not place.key:
        if place.project != SCRATCH:
            return datasets(place.project)
        with plainly(place.place):
            return _folder(place, None)
    with plainly(place.place):
        dataset = _dataset(place, incomplete)
        if dataset == place.key:
            return _whole(place, **kwargs)
        return open_spot(place, dataset, **kwargs)


def file(path: str) -> ObjectFile:
    """One object as a file to seek in, for libraries that take files.

    Parameters
    ----------
    path : str
        As for `open`.

    Returns
    -------
    ObjectFile
        Reads what is asked for, by ranges; nothing goes to disk.

    Raises
    ------
    NothingThere
        If no object is at `path`.
    AccessDenied, NotInSession, ServiceUnavailable, ValueError
        As for `resolve`.
    """
    place = spot(session(), path)
    return object_file(place.store, place.place, place.key)


def open_spot(place: Spot, dataset: str | None, **kwargs: Any) -> Any:
    """Open what lies at a place of `dataset`, or of none; the rest is as for `open`."""
    with plainly(place.place):
        return _open_spot(place, dataset, **kwargs)


def _open_spot(place: Spot, dataset: str | None, **kwargs: Any) -> Any:
    kind = kind_of(place.key)
    if kind and _exists(place, place.key):
        return _one_file(place, dataset, kind, **kwargs)
    if any(_exist(place, [f"{place.key}/{name}" for name in _ZARR])):
        return read_zarr(place.own_store(), place.place, **kwargs)
    if not kind and _exists(place, place.key):
        return _one_file(place, dataset, kind, **kwargs)
    return _folder(place, dataset, **kwargs)


def _one_file(place: Spot, dataset: str | None, kind: Kind, **kwargs: Any) -> Any:
    neighbours = Neighbours(place.at(dataset or ""), dataset)
    file = object_file(place.store, place.place, place.key, neighbours)
    if kind == "table":
        bids = bids_table(place, named="names" in kwargs or "header" in kwargs)
        if bids is not None:
            return read_table(file, place.place, bids, **kwargs)
    return read_file(file, kind, place.place, **kwargs)


def _whole(place: Spot, **kwargs: Any) -> Any:
    manifest = _manifest(place, place.key)
    only = _only(things(file.path for file in manifest.files))
    if only is None or manifest.format == "bids":
        return _many(place, manifest.files, place.key, manifest)
    return open_spot(place.below(only.path) if only.path else place, place.key, **kwargs)


def _only(found: Iterable[Thing]) -> Thing | None:
    """The one thing that is the dataset, where the others only explain it."""
    data = [thing for thing in found if not is_documentation(thing)]
    return data[0] if len(data) == 1 and data[0].kind else None


def _folder(place: Spot, dataset: str | None, **kwargs: Any) -> Any:
    """Return what lies in a folder: of a dataset what its manifest has, or else what is there."""
    if dataset is not None:
        below = f"{place.key}/".removeprefix(f"{dataset}/")
        files = [
            Entry(f"{file.path}/".removeprefix(below).rstrip("/"), file.size)
            for file in _manifest(place, dataset).files
            if f"{file.path}/".startswith(below)
        ]
    else:
        files = list(_listed(place))
    if dataset is not None and any(file.path == "" for file in files):
        raise NothingThere(
            f"the manifest of {place.at(dataset).path} lists {below[:-1]!r}, and the store does "
            "not have it: it was deleted after the upload; send it again with "
            "panneuro upload --update"
        )
    if not files:
        where = f"the dataset {place.at(dataset).path}" if dataset else place.place.uri
        raise NothingThere(
            f"there is nothing at {place.path!r} in {where}; list what is there with "
            f"lab.open({place.at(dataset or place.key.rpartition('/')[0]).path!r})"
        )
    if place.key and _is_table(place, files):
        return read_partitioned(_parts(place, files), place.place, **kwargs)
    return _many(place, files, dataset, None)


def _is_table(place: Spot, files: Iterable[Entry]) -> bool:
    """Return whether a folder is one table in Parquet."""
    name = place.key.rpartition("/")[2]
    found = things(f"{name}/{file.path}" for file in files)
    return _only(found) == Thing(name, "table")


def _parts(place: Spot, files: Iterable[Entry]) -> dict[str, ObjectFile]:
    def part(path: str) -> ObjectFile:
        inside = place.below(path)
        return object_file(inside.store, inside.place, inside.key)

    paths = sorted(file.path for file in files if is_part(file.path))
    with ThreadPoolExecutor(min(_PARTS_AT_ONCE, len(paths)), "panneuro-open") as pool:
        return dict(zip(paths, pool.map(part, paths), strict=True))


def _listed(place: Spot) -> Iterator[Entry]:
    folder = f"{place.key}/" if place.key else ""
    odd: list[str] = []
    for count, key in enumerate(keys_below(place.store, place.key)):
        if count == _MOST_LISTED:
            raise TooMany(
                f"{place.path!r} has more than {_MOST_LISTED:,} objects; open a folder in it"
            )
        path = key.path.removeprefix(folder)
        if path.split("/", 1)[0] == OWN:
            continue
        if key_problem(path) is None:
            yield Entry(path, key.size)
        else:
            odd.append(path)
    if odd:
        warnings.warn(
            f"{len(odd)} objects in {place.path!r} are left out, since their names have control "
            f"characters or empty parts; rename them: {few(odd)}",
            stacklevel=3,
        )


def _many(
    place: Spot, files: Iterable[Entry | File], dataset: str | None, manifest: Manifest | None
) -> Dataset:
    entries = tuple(sorted((Entry(file.path, file.size) for file in files), key=_path_of))
    reader = partial(open_spot, dataset=dataset)
    return Dataset(place.path, entries, manifest, _spot=place, _reader=reader)


def _path_of(entry: Entry) -> str:
    return entry.path


def _manifest(place: Spot, dataset: str) -> Manifest:
    try:
        manifest = read_manifest(place.store, dataset)
    except Malformed as problem:
        raise Unreadable(
            f"the manifest of {place.at(dataset).path} is damaged: {problem}; what the dataset "
            "has can be opened by its whole path all the same"
        ) from problem
    if manifest is None:
        raise NothingThere(f"the dataset {place.at(dataset).path} has just been taken away")
    return manifest


def _dataset(place: Spot, incomplete: bool) -> str | None:
    """The complete dataset that a place belongs to, or `None`; complains of uploads."""
    if place.project == SCRATCH:
        return None
    names = list(enclosing(place.key))
    there = list(_exist(place, [*map(manifest_key, names), *map(upload_key, names)]))
    complete = next((name for name, is_ in zip(names, there, strict=False) if is_), None)
    begun = next((name for name, is_ in zip(names, there[len(names) :], strict=True) if is_), None)
    if begun is not None and complete is None and not incomplete:
        raise Incomplete(
            f"{place.at(begun).path} is not complete: {_whose(place, begun)}. Wait for it, or "
            "open what is there with lab.open(…, incomplete=True)"
        )
    if begun is not None and begun == complete:
        if not incomplete:
            _refuse_half_replaced(place, complete)
        warnings.warn(
            f"{place.at(begun).path} is being changed: {_whose(place, begun)}; what you read "
            "may be of before or after",
            stacklevel=3,
        )
    return complete


def _refuse_half_replaced(place: Spot, dataset: str) -> None:
    below = f"{place.key}/".removeprefix(f"{dataset}/")
    changing = [
        one for one in _manifest(place, dataset).changing if f"{one.file.path}/".startswith(below)
    ]
    if changing:
        raise Incomplete(
            f"{place.at(dataset).path} is half replaced: {changing_text(changing)}. Wait for it, "
            "or open what is there with lab.open(…, incomplete=True)"
        )


def _whose(place: Spot, dataset: str) -> str:
    try:
        upload: Upload | None = read_upload(place.store, dataset)
    except Malformed:
        upload = None
    if upload is None:
        return "an upload into it is under way, or was broken off"
    return (
        f"{upload.by} began to send {upload.files_count:,} files ({size_text(upload.size)}) on "
        f"{upload.began:%Y-%m-%d at %H:%M} UTC, which has not ended"
    )


def _exist(place: Spot, keys: Sequence[str]) -> Iterable[bool]:
    with ThreadPoolExecutor(max(1, len(keys)), "panneuro-open") as pool:
        return list(pool.map(partial(_exists, place), keys))


def _exists(place: Spot, key: str) -> bool:
    try:
        place.store.head(key)
    except (FileNotFoundError, NotFoundError):
        return False
    return True
