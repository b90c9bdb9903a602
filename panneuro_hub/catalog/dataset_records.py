"""Manifests and the catalog in an object store.

`store` is always an obstore store whose root is the prefix of a project. Everybody who can
write in the project can change its objects. A malformed one becomes a problem of the listing;
the listing itself goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError

from panneuro_hub.catalog.dataset_keys import (
    CATALOG_FOLDER,
    MOST_SEGMENTS,
    UPLOADS_FOLDER,
    find_dataset_problem,
    make_manifest_key,
    make_record_key,
    make_upload_key,
    parse_dataset_key,
)
from panneuro_hub.catalog.json_fields import MalformedRecordError
from panneuro_hub.catalog.manifest import DatasetRecord, FileReplacement, Manifest, UploadNote
from panneuro_hub.catalog.object_reads import (
    MAX_REQUESTS,
    NOT_FOUND_ERRORS,
    CatalogProblem,
    object_exists,
    read_object,
    read_version,
)
from panneuro_hub.catalog.stored_keys import (
    StoredKey,
    find_key_problem,
    list_folders,
    list_stored_keys,
)
from panneuro_hub.catalog.text_format import format_size
from panneuro_hub.errors import PanNeuroError

if TYPE_CHECKING:
    from obstore.store import S3Store

_MAX_ROUNDS = 20
_MOST_NAMES = 10  # files in a sentence
_LARGEST_RECORD = 2**23  # bytes: half a million subjects
_LARGEST_MANIFEST = 2**30  # bytes: some millions of files
_RecordT = TypeVar("_RecordT", DatasetRecord, UploadNote, Manifest)


@dataclass(frozen=True)
class ReadLimits:
    """The most that is read of a catalog; anything beyond it is a problem of the listing.

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
class CatalogListing:
    """A project's catalog.

    Parameters
    ----------
    records : tuple of DatasetRecord
        The complete datasets, by their names.
    uploads : tuple of UploadNote
        Datasets that are not complete, or that an update is changing.
    problems : tuple of CatalogProblem
    """

    records: tuple[DatasetRecord, ...]
    uploads: tuple[UploadNote, ...]
    problems: tuple[CatalogProblem, ...]


@dataclass(frozen=True)
class RebuildResult:
    """The result of `rebuild_catalog`.

    Parameters
    ----------
    written : tuple of str
        Datasets with records that were missing or did not match their manifests.
    removed : tuple of str
        Keys of records without a dataset.
    kept : int
        How many records were right.
    unread : int
        How many manifests cannot be read; their records stay as they are.
    problems : tuple of CatalogProblem
        These manifests, those that do not agree with the objects, and odd keys.
    """

    written: tuple[str, ...]
    removed: tuple[str, ...]
    kept: int
    unread: int
    problems: tuple[CatalogProblem, ...]


class ManifestChangedError(PanNeuroError):
    """Somebody else wrote the dataset's manifest since it was read; read it again."""

    code = "manifest-changed"
    status = 409


@dataclass(frozen=True)
class StoredManifest:
    """A manifest with the version of it that the store has.

    Parameters
    ----------
    manifest : Manifest or None
        `None` if the object is no manifest of this dataset.
    e_tag : str or None
        As the store writes it, with quotes.
    problem : str
        The reason why there is no manifest; ``""`` otherwise.
    """

    manifest: Manifest | None
    e_tag: str | None
    problem: str = ""


def find_size_problem(
    manifest: Manifest,
    largest_manifest: int = _LARGEST_MANIFEST,
    largest_record: int = _LARGEST_RECORD,
) -> str | None:
    """Return the reason why a manifest would be too large to read back, or `None`.

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
            f"a list of {len(manifest.files)} files takes {format_size(len(encoded))}, and a "
            f"manifest can have {format_size(largest_manifest)}; make several datasets of it"
        )
    record = DatasetRecord.of(manifest, encoded).encode()
    if len(record) > largest_record:
        return (
            f"its {len(manifest.subjects)} subjects and its texts take {format_size(len(record))}, "
            f"and a record of the catalog can have {format_size(largest_record)}; shorten "
            "its texts, "
            "or make several datasets of it"
        )
    return None


def begin_upload(store: S3Store, upload: UploadNote) -> None:
    """Note that an upload is under way; from now on others see it."""
    store.put(make_upload_key(upload.dataset), upload.encode())


def check_conditional_writes(store: S3Store, upload: UploadNote) -> bool:
    """Return whether the store refuses a write whose condition does not hold.

    The note of `upload` is written twice, with conditions that are false while any note
    is there. A store that accepts one of them ignores conditions.
    """
    return not any(
        _put_if_unchanged(store, make_upload_key(upload.dataset), upload.encode(), e_tag)
        for e_tag in (None, f'"{"0" * 32}"')
    )


def read_stored_manifest(store: S3Store, dataset: str) -> StoredManifest | None:
    """Return a dataset's manifest with its version; `None` if there is none."""
    found = read_version(store, make_manifest_key(dataset), _LARGEST_MANIFEST)
    if found is None:
        return None
    encoded, e_tag = found
    try:
        return StoredManifest(_check_dataset(Manifest.decode(encoded), dataset), e_tag)
    except MalformedRecordError as problem:
        return StoredManifest(None, e_tag, str(problem))


def replace_manifest(store: S3Store, manifest: Manifest, seen: StoredManifest | None) -> None:
    """Write a manifest, if what the store has is still what was `seen`.

    Parameters
    ----------
    seen : StoredManifest or None
        `None` if there was no manifest.

    Raises
    ------
    ManifestChangedError
        If somebody else wrote it meanwhile. Nothing is written then.
    obstore.exceptions.BaseError
        If the store refuses it for another reason.
    """
    key = make_manifest_key(manifest.dataset)
    if not _put_if_unchanged(store, key, manifest.encode(), seen.e_tag if seen else None):
        raise ManifestChangedError(f"the manifest of {manifest.dataset} has just been changed")


def finish_upload(store: S3Store, dataset: str, upload: UploadNote | None = None) -> None:
    """Bring a dataset's record up to its manifest, and remove the note of an upload.

    Parameters
    ----------
    upload : UploadNote, optional
        The one that has ended; the note of another one stays. Any note if not given.

    The note stays, or comes back, while an update is replacing files.
    """
    _update_record(store, dataset)
    key = make_upload_key(dataset)
    note = read_object(store, key, _LARGEST_RECORD)
    if note is None or (upload is not None and note != upload.encode()):
        return
    if _is_changing(store, dataset):
        return
    with suppress(*NOT_FOUND_ERRORS):
        store.delete(key)
    # An update may have begun to replace files between the two.
    if _is_changing(store, dataset):
        _put_if_unchanged(store, key, note, None)


def publish_dataset(store: S3Store, manifest: Manifest) -> None:
    """Make a dataset complete where nobody else writes: manifest, record, end of the upload.

    All its files are there. The manifest comes first: whatever breaks off after it,
    `rebuild_catalog` brings the rest. With other writers, use `replace_manifest` and
    `finish_upload`.
    """
    store.put(make_manifest_key(manifest.dataset), manifest.encode())
    finish_upload(store, manifest.dataset)


def list_missing_files(manifest: Manifest, stored: Iterable[StoredKey]) -> list[str]:
    """Return the paths of a manifest's files that are not there with their sizes.

    Parameters
    ----------
    stored : iterable of StoredKey
        A listing of the dataset; its paths are relative to the dataset.
    """
    sizes = {key.path: key.size for key in stored}
    replaced = {one.file.path: one.file.size for one in manifest.changing}
    return [
        file.path
        for file in manifest.files
        if sizes.get(file.path, -1) not in (file.size, replaced.get(file.path, file.size))
    ]


def read_manifest(
    store: S3Store, dataset: str, largest: int = _LARGEST_MANIFEST
) -> Manifest | None:
    """Return a dataset's manifest, or `None` if there is none.

    Raises
    ------
    MalformedRecordError
        If the object is not the manifest of this dataset, or has more bytes than `largest`.
    """
    found = _read_manifest(store, dataset, largest)
    return None if found is None else found[0]


def read_record(store: S3Store, dataset: str) -> DatasetRecord | None:
    """Return the catalog's record of a dataset, or `None` if there is none.

    Raises
    ------
    MalformedRecordError
        If the object is not the record of this dataset.
    """
    encoded = read_object(store, make_record_key(dataset), _LARGEST_RECORD)
    return None if encoded is None else _check_dataset(DatasetRecord.decode(encoded), dataset)


def read_upload(store: S3Store, dataset: str) -> UploadNote | None:
    """Return the note of an upload that is under way or was interrupted, or `None`.

    Raises
    ------
    MalformedRecordError
        If the object is not the note of an upload into this dataset.
    """
    encoded = read_object(store, make_upload_key(dataset), _LARGEST_RECORD)
    return None if encoded is None else _check_dataset(UploadNote.decode(encoded), dataset)


def list_catalog(store: S3Store, limits: ReadLimits | None = None) -> CatalogListing:
    """Return everything in a project's catalog.

    Parameters
    ----------
    limits : ReadLimits, optional
        The most that is read; everything if not given.

    Raises
    ------
    obstore.exceptions.BaseError
        If the store cannot be listed.
    """
    records: list[DatasetRecord] = []
    uploads: list[UploadNote] = []
    problems: list[CatalogProblem] = []
    for key, found in _read_all(store, CATALOG_FOLDER, DatasetRecord.decode, limits):
        _add_record(key, found, records, problems)
    for key, under_way in _read_all(store, UPLOADS_FOLDER, UploadNote.decode, limits):
        _add_record(key, under_way, uploads, problems)
    return CatalogListing(
        tuple(sorted(records, key=lambda record: record.dataset)),
        tuple(sorted(uploads, key=lambda upload: upload.dataset)),
        tuple(problems),
    )


def rebuild_catalog(store: S3Store) -> RebuildResult:
    """Rebuild the catalog from the manifests; correct records stay as they are.

    Raises
    ------
    obstore.exceptions.BaseError
        If the store refuses something.
    """
    written: list[str] = []
    problems: list[CatalogProblem] = []
    datasets = list(_list_dataset_names(store))
    unread = 0
    for dataset in datasets:
        try:
            if _update_record(store, dataset):
                written.append(dataset)
            problems += _find_contradictions(store, dataset)
        except MalformedRecordError as problem:
            unread += 1
            problems.append(CatalogProblem(make_manifest_key(dataset), str(problem)))
    right = {make_record_key(dataset) for dataset in datasets}
    removed = []
    for key in list_stored_keys(store, CATALOG_FOLDER):
        if key.path in right or not _has_no_manifest(store, key.path):
            continue
        if (odd := _find_delete_problem(key.path)) is not None:
            problems.append(CatalogProblem(key.path, odd))
            continue
        with suppress(*NOT_FOUND_ERRORS):
            store.delete(key.path)
        removed.append(key.path)
    kept = len(datasets) - len(written) - unread
    return RebuildResult(tuple(written), tuple(removed), kept, unread, tuple(problems))


def _find_delete_problem(path: str) -> str | None:
    if any(letter in "\ufffe\uffff" for letter in path):
        return "its name has a character that no request to delete it can hold; remove the object"
    return find_key_problem(path)


def _find_contradictions(store: S3Store, dataset: str) -> Iterator[CatalogProblem]:
    """Yield where a manifest and the objects of its dataset differ."""
    manifest = read_manifest(store, dataset)
    if manifest is None:
        return
    folder = f"{dataset}/"
    stored = [
        key._replace(path=key.path.removeprefix(folder)) for key in list_stored_keys(store, dataset)
    ]
    if gone := list_missing_files(manifest, stored):
        reason = f"it lists {len(gone)} files that are not in the store: {shorten_names(gone)}"
        yield CatalogProblem(make_manifest_key(dataset), reason)
    if manifest.changing:
        yield CatalogProblem(make_manifest_key(dataset), describe_changes(manifest.changing))


def describe_changes(changing: Sequence[FileReplacement]) -> str:
    """Return the sentence that says which files an update is replacing."""
    first = changing[0]
    return (
        f"{first.by} began to replace files on {first.since:%Y-%m-%d at %H:%M} UTC, and that has "
        f"not ended: {shorten_names([one.file.path for one in changing])}"
    )


def shorten_names(names: Sequence[str]) -> str:
    """Return some of many names as one text."""
    more = len(names) - _MOST_NAMES
    shown = [name if name.isprintable() else ascii(name) for name in names[:_MOST_NAMES]]
    return ", ".join([*shown, f"and {more} more"] if more > 0 else shown)


def _is_changing(store: S3Store, dataset: str) -> bool:
    stored = read_stored_manifest(store, dataset)
    return stored is not None and stored.manifest is not None and bool(stored.manifest.changing)


def _put_if_unchanged(store: S3Store, key: str, data: bytes, e_tag: str | None) -> bool:
    """Write an object if it still has this ETag, or if there is none; return whether it did."""
    try:
        if e_tag is None:
            store.put(key, data, mode="create", use_multipart=False)
        else:
            store.put(key, data, mode={"e_tag": e_tag}, use_multipart=False)
    except (AlreadyExistsError, PreconditionError, *NOT_FOUND_ERRORS):
        return False
    except BaseError as refusal:
        # Some stores do not support conditional writes and answer NotImplemented.
        if "NotImplemented" not in str(refusal):
            raise
        store.put(key, data, use_multipart=False)
    return True


def _update_record(store: S3Store, dataset: str) -> bool:
    """Write a dataset's record if it does not match the manifest; return whether it did."""
    wrote = False
    # Check again after a write: somebody may have written a new manifest in the meantime.
    for _ in range(_MAX_ROUNDS):
        found = _read_manifest(store, dataset)
        if found is None:
            break
        manifest, encoded = found
        right = DatasetRecord.of(manifest, encoded).encode()
        if _has_record(store, dataset, right):
            break
        store.put(make_record_key(dataset), right)
        wrote = True
    return wrote


def _has_record(store: S3Store, dataset: str, right: bytes) -> bool:
    with suppress(MalformedRecordError):
        return read_object(store, make_record_key(dataset), _LARGEST_RECORD) == right
    return False


def _list_dataset_names(store: S3Store, prefix: str = "", depth: int = 0) -> Iterator[str]:
    """Yield the names of all datasets with a manifest; no dataset lies in another one."""
    for name in list_folders(store, prefix):
        if find_dataset_problem(name) is not None:
            continue
        if object_exists(store, make_manifest_key(name)):
            yield name
        elif depth + 1 < MOST_SEGMENTS:
            yield from _list_dataset_names(store, name, depth + 1)


def _read_manifest(
    store: S3Store, dataset: str, largest: int = _LARGEST_MANIFEST
) -> tuple[Manifest, bytes] | None:
    encoded = read_object(store, make_manifest_key(dataset), largest)
    if encoded is None:
        return None
    return _check_dataset(Manifest.decode(encoded), dataset), encoded


def _check_dataset(found: _RecordT, dataset: str) -> _RecordT:
    if found.dataset != dataset:
        raise MalformedRecordError(
            f"it names the dataset {found.dataset!r}, but its key is that of {dataset!r}"
        )
    return found


def _add_record(
    key: str,
    found: _RecordT | MalformedRecordError | None,
    good: list[_RecordT],
    problems: list[CatalogProblem],
) -> None:
    if isinstance(found, MalformedRecordError):
        problems.append(CatalogProblem(key, str(found)))
    elif found is not None:
        good.append(found)


def _read_all(
    store: S3Store, folder: str, decode: Callable[[bytes], _RecordT], limits: ReadLimits | None
) -> list[tuple[str, _RecordT | MalformedRecordError | None]]:
    """Return the records of one folder of the catalog by key; `None` for one deleted meanwhile."""

    def one(key: str) -> _RecordT | MalformedRecordError | None:
        dataset = parse_dataset_key(key)
        if dataset is None:
            return MalformedRecordError("its name is not that of a dataset's record")
        try:
            encoded = read_object(store, key, _LARGEST_RECORD)
            return None if encoded is None else _check_dataset(decode(encoded), dataset)
        except MalformedRecordError as problem:
            return problem

    keys, whole = _apply_limits(list_stored_keys(store, folder), limits)
    with ThreadPoolExecutor(MAX_REQUESTS, "panneuro-catalog") as pool:
        found: list[tuple[str, _RecordT | MalformedRecordError | None]] = list(
            zip(keys, pool.map(one, keys), strict=True)
        )
    if not whole:
        found.append(
            (
                folder,
                MalformedRecordError(f"only the first {len(keys)} records are listed here"),
            )
        )
    return found


def _apply_limits(
    objects: Iterable[StoredKey], limits: ReadLimits | None
) -> tuple[list[str], bool]:
    """Return the keys to read, and whether these are all of them."""
    keys: list[str] = []
    size = 0
    for key in objects:
        size += key.size
        if limits is not None and (len(keys) == limits.number or size > limits.size):
            return keys, False
        keys.append(key.path)
    return keys, True


def _has_no_manifest(store: S3Store, key: str) -> bool:
    dataset = parse_dataset_key(key)
    return dataset is None or not object_exists(store, make_manifest_key(dataset))
