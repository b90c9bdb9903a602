"""Open a dataset, or something in a dataset, in the form that fits its format."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

from obstore.exceptions import NotFoundError

from panneuro_hub.catalog.dataset_keys import (
    RECORDS_FOLDER,
    list_enclosing_names,
    make_manifest_key,
    make_upload_key,
)
from panneuro_hub.catalog.dataset_records import (
    describe_changes,
    read_manifest,
    read_upload,
    shorten_names,
)
from panneuro_hub.catalog.formats import (
    FileKind,
    OpenableItem,
    guess_kind,
    is_documentation,
    is_table_part,
    list_items,
)
from panneuro_hub.catalog.json_fields import MalformedRecordError
from panneuro_hub.catalog.manifest import UploadNote
from panneuro_hub.catalog.stored_keys import find_key_problem, list_stored_keys
from panneuro_hub.catalog.text_format import format_size
from panneuro_hub.errors import PanNeuroError
from panneuro_hub.lab.bids_tables import find_bids_table
from panneuro_hub.lab.current_session import SCRATCH, PathNotFoundError, session
from panneuro_hub.lab.dataset_contents import Dataset, DatasetFile
from panneuro_hub.lab.dataset_links import DatasetLinks
from panneuro_hub.lab.dataset_list import DatasetList, list_datasets
from panneuro_hub.lab.delimited_tables import read_table
from panneuro_hub.lab.file_readers import read_file
from panneuro_hub.lab.object_file import ObjectFile, open_object_file
from panneuro_hub.lab.parquet_tables import read_partitioned
from panneuro_hub.lab.paths import StoragePath, find_path
from panneuro_hub.lab.read_errors import UnreadableFileError
from panneuro_hub.lab.store_errors import translate_store_errors
from panneuro_hub.lab.zarr_groups import read_zarr

if TYPE_CHECKING:
    from panneuro_hub.catalog import FileRow, Manifest

_MAX_LISTED = 100_000  # objects
_PARTS_AT_ONCE = 32
_ZARR = ("zarr.json", ".zgroup", ".zarray")


class TooManyObjectsError(PanNeuroError):
    """A folder has too many objects to list them."""

    code = "too-many-objects"
    status = 409


class IncompleteUploadError(PanNeuroError):
    """An upload into the dataset is not complete."""

    code = "incomplete-upload"
    status = 409


def open(path: str, *, incomplete: bool = False, **kwargs: Any) -> Any:  # noqa: A001
    """Open a dataset, or something in it; values are read when you use them.

    Parameters
    ----------
    path : str
        ``PROJECT/DATASET`` or ``PROJECT/DATASET/path/inside``; also ``scratch/…``, a whole
        ``s3://`` address, and files that do not belong to a dataset.
    incomplete : bool
        Whether to open a dataset whose upload is not complete.
    **kwargs
        Arguments for the library that opens it: xarray, pynwb, nibabel or pandas.

    Returns
    -------
    object
        An `xarray.Dataset` or ``DataTree`` for Zarr, HDF5 (an `h5py.File` with
        ``engine="h5py"``, or if its objects refer to each other) and NetCDF (a `zarr.Array` for a
        single array of Zarr, a `zarr.Group` where xarray cannot represent one); a
        `pynwb.NWBFile` for NWB on HDF5 or Zarr; a nibabel image for NIfTI and CIFTI; a
        `pandas.DataFrame` for CSV, TSV and Parquet, also for a folder of parts of one table;
        the content of JSON; a `str` for text;
        a `Dataset` for a dataset of many files, such as BIDS, or for a folder; for a project
        alone, the `DatasetList` of its datasets.

    Raises
    ------
    PathNotFoundError
        If there is nothing at `path`.
    IncompleteUploadError
        If an upload is under way, or was interrupted, and `incomplete` is not set.
    AccessDeniedError
        If the session cannot read it; the message says why, and whom to ask.
    UnknownFormatError
        If it is a single file of an unknown format; the message says what to do.
    UnreadableFileError
        If its content does not have the format that its name says.
    ImportError
        If a package is missing; the message names it.
    NotInSessionError, ServiceUnavailableError, ValueError
        As for `resolve`.
    """
    place = find_path(session(), path)
    if not place.key:
        if place.project != SCRATCH:
            return datasets(place.project)
        with translate_store_errors(place.place):
            return _open_folder(place, None)
    with translate_store_errors(place.place):
        dataset = _find_dataset(place, incomplete)
        if dataset == place.key:
            return _open_whole_dataset(place, **kwargs)
        return open_path(place, dataset, **kwargs)


def datasets(project: str = "") -> DatasetList:
    """Return the datasets that you can read in this session.

    Parameters
    ----------
    project : str
        The name of one project; by default, all projects that the session reads.

    Returns
    -------
    DatasetList
        A table in a notebook; also a sequence, and by name: ``datasets()["nav/day-1"]``.

    Raises
    ------
    AccessDeniedError
        If `project` cannot be read in this session; the message says why.
    ServiceUnavailableError
        If the store does not answer.
    NotInSessionError
        Outside a session of the hub.
    """
    return list_datasets(project, open)


def file(path: str) -> ObjectFile:
    """Return one object as a seekable file, for libraries that take files.

    Parameters
    ----------
    path : str
        As for `open`.

    Returns
    -------
    ObjectFile
        A file that reads ranges of the object when they are needed; nothing goes to disk.

    Raises
    ------
    PathNotFoundError
        If there is no object at `path`.
    AccessDeniedError, NotInSessionError, ServiceUnavailableError, ValueError
        As for `resolve`.
    """
    place = find_path(session(), path)
    return open_object_file(place.store, place.place, place.key)


def open_path(place: StoragePath, dataset: str | None, **kwargs: Any) -> Any:
    """Open a path of `dataset`, or of no dataset; otherwise as for `open`."""
    with translate_store_errors(place.place):
        return _open_path(place, dataset, **kwargs)


def _open_path(place: StoragePath, dataset: str | None, **kwargs: Any) -> Any:
    kind = guess_kind(place.key)
    if kind and _check_key(place, place.key):
        return _open_file(place, dataset, kind, **kwargs)
    if any(_check_keys(place, [f"{place.key}/{name}" for name in _ZARR])):
        return read_zarr(place.open_own_store(), place.place, **kwargs)
    if not kind and _check_key(place, place.key):
        return _open_file(place, dataset, kind, **kwargs)
    return _open_folder(place, dataset, **kwargs)


def _open_file(place: StoragePath, dataset: str | None, kind: FileKind, **kwargs: Any) -> Any:
    neighbours = DatasetLinks(place.at(dataset or ""), dataset)
    file = open_object_file(place.store, place.place, place.key, neighbours)
    if kind == "table":
        bids = find_bids_table(place, named="names" in kwargs or "header" in kwargs)
        if bids is not None:
            return read_table(file, place.place, bids, **kwargs)
    return read_file(file, kind, place.place, **kwargs)


def _open_whole_dataset(place: StoragePath, **kwargs: Any) -> Any:
    manifest = _require_manifest(place, place.key)
    only = _find_only_item(list_items(file.path for file in manifest.files))
    if only is None or manifest.format == "bids":
        return _make_dataset(place, manifest.files, place.key, manifest)
    return open_path(place.below(only.path) if only.path else place, place.key, **kwargs)


def _find_only_item(items: Iterable[OpenableItem]) -> OpenableItem | None:
    """Return the one item that holds the data, if all others are documentation."""
    data = [item for item in items if not is_documentation(item)]
    return data[0] if len(data) == 1 and data[0].kind else None


def _open_folder(place: StoragePath, dataset: str | None, **kwargs: Any) -> Any:
    """Return the content of a folder: from the manifest of its dataset, or else from the store."""
    if dataset is not None:
        below = f"{place.key}/".removeprefix(f"{dataset}/")
        files = [
            DatasetFile(f"{file.path}/".removeprefix(below).rstrip("/"), file.size)
            for file in _require_manifest(place, dataset).files
            if f"{file.path}/".startswith(below)
        ]
    else:
        files = list(_list_folder(place))
    if dataset is not None and any(file.path == "" for file in files):
        raise PathNotFoundError(
            f"the manifest of {place.at(dataset).path} lists {below[:-1]!r}, but the store does "
            "not have it: it was deleted after the upload; send it again with "
            "panneuro upload --update"
        )
    if not files:
        where = f"the dataset {place.at(dataset).path}" if dataset else place.place.uri
        raise PathNotFoundError(
            f"there is nothing at {place.path!r} in {where}; list what is there with "
            f"lab.open({place.at(dataset or place.key.rpartition('/')[0]).path!r})"
        )
    if place.key and _is_table(place, files):
        return read_partitioned(_open_parts(place, files), place.place, **kwargs)
    return _make_dataset(place, files, dataset, None)


def _is_table(place: StoragePath, files: Iterable[DatasetFile]) -> bool:
    """Return whether a folder is one table in Parquet."""
    name = place.key.rpartition("/")[2]
    items = list_items(f"{name}/{file.path}" for file in files)
    return _find_only_item(items) == OpenableItem(name, "table")


def _open_parts(place: StoragePath, files: Iterable[DatasetFile]) -> dict[str, ObjectFile]:
    def part(path: str) -> ObjectFile:
        inside = place.below(path)
        return open_object_file(inside.store, inside.place, inside.key)

    paths = sorted(file.path for file in files if is_table_part(file.path))
    with ThreadPoolExecutor(min(_PARTS_AT_ONCE, len(paths)), "panneuro-open") as pool:
        return dict(zip(paths, pool.map(part, paths), strict=True))


def _list_folder(place: StoragePath) -> Iterator[DatasetFile]:
    folder = f"{place.key}/" if place.key else ""
    odd: list[str] = []
    for count, key in enumerate(list_stored_keys(place.store, place.key)):
        if count == _MAX_LISTED:
            raise TooManyObjectsError(
                f"{place.path!r} has more than {_MAX_LISTED:,} objects; open a folder in it"
            )
        path = key.path.removeprefix(folder)
        if path.split("/", 1)[0] == RECORDS_FOLDER:
            continue
        if find_key_problem(path) is None:
            yield DatasetFile(path, key.size)
        else:
            odd.append(path)
    if odd:
        warnings.warn(
            f"{len(odd)} objects in {place.path!r} are left out because their names have control "
            f"characters or empty parts; rename them: {shorten_names(odd)}",
            stacklevel=3,
        )


def _make_dataset(
    place: StoragePath,
    files: Iterable[DatasetFile | FileRow],
    dataset: str | None,
    manifest: Manifest | None,
) -> Dataset:
    entries = tuple(sorted((DatasetFile(file.path, file.size) for file in files), key=_get_path))
    reader = partial(open_path, dataset=dataset)
    return Dataset(place.path, entries, manifest, _place=place, _reader=reader)


def _get_path(entry: DatasetFile) -> str:
    return entry.path


def _require_manifest(place: StoragePath, dataset: str) -> Manifest:
    try:
        manifest = read_manifest(place.store, dataset)
    except MalformedRecordError as problem:
        raise UnreadableFileError(
            f"the manifest of {place.at(dataset).path} is damaged: {problem}; you can still "
            "open the files of the dataset by their whole paths"
        ) from problem
    if manifest is None:
        raise PathNotFoundError(f"the dataset {place.at(dataset).path} has just been removed")
    return manifest


def _find_dataset(place: StoragePath, incomplete: bool) -> str | None:
    """Return the complete dataset to which a path belongs, or `None`; refuse or warn of uploads."""
    if place.project == SCRATCH:
        return None
    names = list(list_enclosing_names(place.key))
    there = list(_check_keys(place, [*map(make_manifest_key, names), *map(make_upload_key, names)]))
    complete = next((name for name, is_ in zip(names, there, strict=False) if is_), None)
    begun = next((name for name, is_ in zip(names, there[len(names) :], strict=True) if is_), None)
    if begun is not None and complete is None and not incomplete:
        raise IncompleteUploadError(
            f"{place.at(begun).path} is not complete: {_describe_upload(place, begun)}. "
            "Wait for it, or open what there is with lab.open(…, incomplete=True)"
        )
    if begun is not None and begun == complete:
        if not incomplete:
            _refuse_half_replaced(place, complete)
        warnings.warn(
            f"{place.at(begun).path} is being changed: {_describe_upload(place, begun)}; you may "
            "read data from before or after the change",
            stacklevel=3,
        )
    return complete


def _refuse_half_replaced(place: StoragePath, dataset: str) -> None:
    below = f"{place.key}/".removeprefix(f"{dataset}/")
    changing = [
        one
        for one in _require_manifest(place, dataset).changing
        if f"{one.file.path}/".startswith(below)
    ]
    if changing:
        raise IncompleteUploadError(
            f"{place.at(dataset).path} is half replaced: {describe_changes(changing)}. Wait, "
            "or open what there is with lab.open(…, incomplete=True)"
        )


def _describe_upload(place: StoragePath, dataset: str) -> str:
    try:
        upload: UploadNote | None = read_upload(place.store, dataset)
    except MalformedRecordError:
        upload = None
    if upload is None:
        return "an upload into it is under way, or was interrupted"
    return (
        f"{upload.by} began to send {upload.files_count:,} files ({format_size(upload.size)}) on "
        f"{upload.began:%Y-%m-%d at %H:%M} UTC, and the upload is not complete"
    )


def _check_keys(place: StoragePath, keys: Sequence[str]) -> Iterable[bool]:
    with ThreadPoolExecutor(max(1, len(keys)), "panneuro-open") as pool:
        return list(pool.map(partial(_check_key, place), keys))


def _check_key(place: StoragePath, key: str) -> bool:
    try:
        place.store.head(key)
    except (FileNotFoundError, NotFoundError):
        return False
    return True
