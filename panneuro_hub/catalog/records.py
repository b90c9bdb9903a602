"""Manifests and the catalog in an object store.

`store` is always an obstore store whose root is the prefix of a project. What lies
in it may be anybody's who writes there: what is malformed is told, never fatal to
a listing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from panneuro_hub.catalog.keys import (
    CATALOG,
    MOST_SEGMENTS,
    UPLOADS,
    dataset_of,
    dataset_problem,
    manifest_key,
    record_key,
    upload_key,
)
from panneuro_hub.catalog.manifest import Manifest, Record, Upload
from panneuro_hub.catalog.objects import AT_ONCE, MISSING, Trouble, below, exists, read_object
from panneuro_hub.catalog.reading import Malformed
from panneuro_hub.catalog.words import size_text

if TYPE_CHECKING:
    from obstore import ObjectMeta
    from obstore.store import S3Store

_ROUNDS = 3
_LARGEST_RECORD = 2**23  # bytes: half a million subjects
_LARGEST_MANIFEST = 2**30  # bytes: some millions of files
_Found = TypeVar("_Found", Record, Upload, Manifest)


@dataclass(frozen=True)
class Bounds:
    """How much of a catalog is read at most: what is beyond it is a trouble.

    Parameters
    ----------
    number : int
        Of records, and of uploads as well.
    size : int
        Of all records together, in bytes.
    """

    number: int
    size: int


@dataclass(frozen=True)
class Listing:
    """A project's catalog.

    Parameters
    ----------
    records : tuple of Record
        The complete datasets, by their names.
    uploads : tuple of Upload
        What is not complete, or is being changed.
    troubles : tuple of Trouble
    """

    records: tuple[Record, ...]
    uploads: tuple[Upload, ...]
    troubles: tuple[Trouble, ...]


@dataclass(frozen=True)
class Rebuilt:
    """What `rebuild` did.

    Parameters
    ----------
    written : tuple of str
        Datasets whose records were missing or not those of their manifests.
    removed : tuple of str
        Keys of records that were nobody's.
    kept : int
        How many records were right.
    troubles : tuple of Trouble
        Manifests that cannot be read; their records stay as they are.
    """

    written: tuple[str, ...]
    removed: tuple[str, ...]
    kept: int
    troubles: tuple[Trouble, ...]


def size_problem(
    manifest: Manifest,
    largest_manifest: int = _LARGEST_MANIFEST,
    largest_record: int = _LARGEST_RECORD,
) -> str | None:
    """Return why a manifest could not be read again, or `None` if it could.

    Parameters
    ----------
    manifest : Manifest
        Its checksums need not be known yet.
    largest_manifest, largest_record : int
        In bytes.
    """
    encoded = manifest.encode()
    if len(encoded) > largest_manifest:
        return (
            f"a list of {len(manifest.files)} files takes {size_text(len(encoded))}, and a "
            f"manifest can have {size_text(largest_manifest)}; make several datasets of it"
        )
    record = Record.of(manifest, encoded).encode()
    if len(record) > largest_record:
        return (
            f"its {len(manifest.subjects)} subjects and its texts take {size_text(len(record))}, "
            f"and a record of the catalog can have {size_text(largest_record)}; shorten its texts, "
            "or make several datasets of it"
        )
    return None


def begin(store: S3Store, upload: Upload) -> None:
    """Note that an upload is under way; from now on others see it."""
    store.put(upload_key(upload.dataset), upload.encode())


def publish(store: S3Store, manifest: Manifest) -> None:
    """Make a dataset complete, all of whose files are there: manifest, record, end of the upload.

    The manifest comes first: whatever breaks off after it, `rebuild` brings the rest.
    """
    encoded = manifest.encode()
    store.put(manifest_key(manifest.dataset), encoded)
    store.put(record_key(manifest.dataset), Record.of(manifest, encoded).encode())
    with suppress(*MISSING):
        store.delete(upload_key(manifest.dataset))


def read_manifest(
    store: S3Store, dataset: str, largest: int = _LARGEST_MANIFEST
) -> Manifest | None:
    """A dataset's manifest; `None` where there is none.

    Raises
    ------
    Malformed
        If what lies there is not the manifest of this dataset, or has more bytes than `largest`.
    """
    found = _manifest(store, dataset, largest)
    return None if found is None else found[0]


def read_record(store: S3Store, dataset: str) -> Record | None:
    """What the catalog has of a dataset; `None` where it has nothing.

    Raises
    ------
    Malformed
        If what lies there is not the record of this dataset.
    """
    encoded = read_object(store, record_key(dataset), _LARGEST_RECORD)
    return None if encoded is None else _own(Record.decode(encoded), dataset)


def read_upload(store: S3Store, dataset: str) -> Upload | None:
    """The upload into a dataset that is under way or was broken off; `None` where there is none.

    Raises
    ------
    Malformed
        If what lies there is no such note.
    """
    encoded = read_object(store, upload_key(dataset), _LARGEST_RECORD)
    return None if encoded is None else _own(Upload.decode(encoded), dataset)


def listing(store: S3Store, bounds: Bounds | None = None) -> Listing:
    """Everything in a project's catalog.

    Parameters
    ----------
    bounds : Bounds, optional
        How much is read; all of it where not given.

    Raises
    ------
    obstore.exceptions.BaseError
        If the store cannot be listed.
    """
    records: list[Record] = []
    uploads: list[Upload] = []
    troubles: list[Trouble] = []
    for key, found in _read_all(store, CATALOG, Record.decode, bounds):
        _sort_in(key, found, records, troubles)
    for key, under_way in _read_all(store, UPLOADS, Upload.decode, bounds):
        _sort_in(key, under_way, uploads, troubles)
    return Listing(
        tuple(sorted(records, key=lambda record: record.dataset)),
        tuple(sorted(uploads, key=lambda upload: upload.dataset)),
        tuple(troubles),
    )


def rebuild(store: S3Store) -> Rebuilt:
    """Make the catalog anew from the manifests; what is right already stays as it is.

    Raises
    ------
    obstore.exceptions.BaseError
        If the store refuses something.
    """
    written: list[str] = []
    troubles: list[Trouble] = []
    datasets = list(_datasets(store))
    for dataset in datasets:
        try:
            if _renew(store, dataset):
                written.append(dataset)
        except Malformed as problem:
            troubles.append(Trouble(manifest_key(dataset), str(problem)))
    right = {record_key(dataset) for dataset in datasets}
    removed = [key for key in _keys(store, CATALOG) if key not in right and _is_nobodys(store, key)]
    for key in removed:
        with suppress(*MISSING):
            store.delete(key)
    kept = len(datasets) - len(written) - len(troubles)
    return Rebuilt(tuple(written), tuple(removed), kept, tuple(troubles))


def _renew(store: S3Store, dataset: str) -> bool:
    """Write a dataset's record where it is not that of its manifest; whether it did."""
    wrote = False
    # Looked at again after writing: somebody may have written a new manifest since it was read.
    for _ in range(_ROUNDS):
        found = _manifest(store, dataset)
        if found is None:
            break
        manifest, encoded = found
        right = Record.of(manifest, encoded).encode()
        if _record_is(store, dataset, right):
            break
        store.put(record_key(dataset), right)
        wrote = True
    return wrote


def _record_is(store: S3Store, dataset: str, right: bytes) -> bool:
    with suppress(Malformed):
        return read_object(store, record_key(dataset), _LARGEST_RECORD) == right
    return False


def _datasets(store: S3Store, prefix: str = "", depth: int = 0) -> Iterator[str]:
    """The names of all datasets with a manifest; no dataset lies in another one."""
    for folder in sorted(store.list_with_delimiter(prefix or None)["common_prefixes"]):
        name = folder.rstrip("/")
        if dataset_problem(name) is not None:
            continue
        if exists(store, manifest_key(name)):
            yield name
        elif depth + 1 < MOST_SEGMENTS:
            yield from _datasets(store, name, depth + 1)


def _manifest(
    store: S3Store, dataset: str, largest: int = _LARGEST_MANIFEST
) -> tuple[Manifest, bytes] | None:
    encoded = read_object(store, manifest_key(dataset), largest)
    if encoded is None:
        return None
    return _own(Manifest.decode(encoded), dataset), encoded


def _own(found: _Found, dataset: str) -> _Found:
    if found.dataset != dataset:
        raise Malformed(f"it says that it is of {found.dataset!r}, and lies where {dataset!r} does")
    return found


def _sort_in(
    key: str, found: _Found | Malformed | None, good: list[_Found], troubles: list[Trouble]
) -> None:
    if isinstance(found, Malformed):
        troubles.append(Trouble(key, str(found)))
    elif found is not None:
        good.append(found)


def _read_all(
    store: S3Store, folder: str, decode: Callable[[bytes], _Found], bounds: Bounds | None
) -> list[tuple[str, _Found | Malformed | None]]:
    """What lies in one folder of the catalog, by key; `None` for what has just gone."""

    def one(key: str) -> _Found | Malformed | None:
        dataset = dataset_of(key)
        if dataset is None:
            return Malformed("its name is not that of a dataset's record")
        try:
            encoded = read_object(store, key, _LARGEST_RECORD)
            return None if encoded is None else _own(decode(encoded), dataset)
        except Malformed as problem:
            return problem

    keys, whole = _within(below(store, folder), bounds)
    with ThreadPoolExecutor(AT_ONCE, "panneuro-catalog") as pool:
        found: list[tuple[str, _Found | Malformed | None]] = list(
            zip(keys, pool.map(one, keys), strict=True)
        )
    if not whole:
        found.append((folder, Malformed(f"there is more than can be listed here; {len(keys)} are")))
    return found


def _within(objects: Iterable[ObjectMeta], bounds: Bounds | None) -> tuple[list[str], bool]:
    """The keys of what is read, and whether that is everything."""
    keys: list[str] = []
    size = 0
    for meta in objects:
        size += meta["size"]
        if bounds is not None and (len(keys) == bounds.number or size > bounds.size):
            return keys, False
        keys.append(meta["path"])
    return keys, True


def _keys(store: S3Store, folder: str) -> Iterable[str]:
    return (meta["path"] for meta in below(store, folder))


def _is_nobodys(store: S3Store, key: str) -> bool:
    dataset = dataset_of(key)
    return dataset is None or not exists(store, manifest_key(dataset))
