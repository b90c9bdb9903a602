"""Manifests and the catalog in an object store.

`store` is always an obstore store whose root is the prefix of a project. What lies
in it may be anybody's who writes there: what is malformed is told, never fatal to
a listing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError

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
from panneuro_hub.catalog.manifest import Manifest, Record, Replacement, Upload
from panneuro_hub.catalog.objects import (
    AT_ONCE,
    MISSING,
    Trouble,
    exists,
    read_object,
    read_version,
)
from panneuro_hub.catalog.reading import Malformed
from panneuro_hub.catalog.stored_keys import StoredKey, folders_in, key_problem, keys_below
from panneuro_hub.catalog.words import size_text
from panneuro_hub.errors import PanNeuroError

if TYPE_CHECKING:
    from obstore.store import S3Store

_ROUNDS = 20
_NAMED = 10  # files in a sentence
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
    unread : int
        How many manifests cannot be read; their records stay as they are.
    troubles : tuple of Trouble
        These manifests, those that do not agree with the objects, and odd keys.
    """

    written: tuple[str, ...]
    removed: tuple[str, ...]
    kept: int
    unread: int
    troubles: tuple[Trouble, ...]


class ManifestChangedError(PanNeuroError):
    """Somebody else wrote the dataset's manifest since it was read; read it again."""

    code = "manifest_changed"


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


def keeps_conditions(store: S3Store, upload: Upload) -> bool:
    """Return whether the store refuses a write whose condition does not hold.

    The note of `upload` is written twice, with conditions that are false while any note
    is there. A store that accepts one of them ignores conditions.
    """
    return not any(
        _put_if(store, upload_key(upload.dataset), upload.encode(), e_tag)
        for e_tag in (None, f'"{"0" * 32}"')
    )


def read_stored(store: S3Store, dataset: str) -> StoredManifest | None:
    """Return a dataset's manifest with its version; `None` if there is none."""
    found = read_version(store, manifest_key(dataset), _LARGEST_MANIFEST)
    if found is None:
        return None
    encoded, e_tag = found
    try:
        return StoredManifest(_own(Manifest.decode(encoded), dataset), e_tag)
    except Malformed as problem:
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
    key = manifest_key(manifest.dataset)
    if not _put_if(store, key, manifest.encode(), seen.e_tag if seen else None):
        raise ManifestChangedError(f"the manifest of {manifest.dataset} has just been changed")


def finish(store: S3Store, dataset: str, upload: Upload | None = None) -> None:
    """Bring a dataset's record up to its manifest, and remove the note of an upload.

    Parameters
    ----------
    upload : Upload, optional
        The one that has ended; the note of another one stays. Any note if not given.

    The note stays, or comes back, while an update is replacing files.
    """
    _renew(store, dataset)
    key = upload_key(dataset)
    note = read_object(store, key, _LARGEST_RECORD)
    if note is None or (upload is not None and note != upload.encode()):
        return
    if _is_changing(store, dataset):
        return
    with suppress(*MISSING):
        store.delete(key)
    # An update may have begun to replace files between the two.
    if _is_changing(store, dataset):
        _put_if(store, key, note, None)


def publish(store: S3Store, manifest: Manifest) -> None:
    """Make a dataset complete where nobody else writes: manifest, record, end of the upload.

    All its files are there. The manifest comes first: whatever breaks off after it,
    `rebuild` brings the rest. With other writers, use `replace_manifest` and `finish`.
    """
    store.put(manifest_key(manifest.dataset), manifest.encode())
    finish(store, manifest.dataset)


def missing_files(manifest: Manifest, there: Iterable[StoredKey]) -> list[str]:
    """Return the paths of a manifest's files that are not there with their sizes.

    Parameters
    ----------
    there : iterable of StoredKey
        A listing of the dataset; its paths are relative to the dataset.
    """
    sizes = {key.path: key.size for key in there}
    replaced = {one.file.path: one.file.size for one in manifest.changing}
    return [
        file.path
        for file in manifest.files
        if sizes.get(file.path, -1) not in (file.size, replaced.get(file.path, file.size))
    ]


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
    unread = 0
    for dataset in datasets:
        try:
            if _renew(store, dataset):
                written.append(dataset)
            troubles += _contradicted(store, dataset)
        except Malformed as problem:
            unread += 1
            troubles.append(Trouble(manifest_key(dataset), str(problem)))
    right = {record_key(dataset) for dataset in datasets}
    removed = []
    for key in keys_below(store, CATALOG):
        if key.path in right or not _is_nobodys(store, key.path):
            continue
        if (odd := _undeletable(key.path)) is not None:
            troubles.append(Trouble(key.path, odd))
            continue
        with suppress(*MISSING):
            store.delete(key.path)
        removed.append(key.path)
    kept = len(datasets) - len(written) - unread
    return Rebuilt(tuple(written), tuple(removed), kept, unread, tuple(troubles))


def _undeletable(path: str) -> str | None:
    if any(letter in "\ufffe\uffff" for letter in path):
        return "its name has a character that no request to delete it can hold; remove the object"
    return key_problem(path)


def _contradicted(store: S3Store, dataset: str) -> Iterator[Trouble]:
    """Yield where a manifest and the objects of its dataset differ."""
    manifest = read_manifest(store, dataset)
    if manifest is None:
        return
    folder = f"{dataset}/"
    there = [key._replace(path=key.path.removeprefix(folder)) for key in keys_below(store, dataset)]
    if gone := missing_files(manifest, there):
        reason = f"it lists {len(gone)} files that are not there: {few(gone)}"
        yield Trouble(manifest_key(dataset), reason)
    if manifest.changing:
        yield Trouble(manifest_key(dataset), changing_text(manifest.changing))


def changing_text(changing: Sequence[Replacement]) -> str:
    """Return the sentence that says which files an update is replacing."""
    first = changing[0]
    return (
        f"{first.by} began to replace files on {first.since:%Y-%m-%d at %H:%M} UTC, and that has "
        f"not ended: {few([one.file.path for one in changing])}"
    )


def few(names: Sequence[str]) -> str:
    """Return some of many names as one text."""
    more = len(names) - _NAMED
    shown = [name if name.isprintable() else ascii(name) for name in names[:_NAMED]]
    return ", ".join([*shown, f"and {more} more"] if more > 0 else shown)


def _is_changing(store: S3Store, dataset: str) -> bool:
    stored = read_stored(store, dataset)
    return stored is not None and stored.manifest is not None and bool(stored.manifest.changing)


def _put_if(store: S3Store, key: str, data: bytes, e_tag: str | None) -> bool:
    """Write an object if it still has this ETag, or if there is none; return whether it did."""
    try:
        if e_tag is None:
            store.put(key, data, mode="create", use_multipart=False)
        else:
            store.put(key, data, mode={"e_tag": e_tag}, use_multipart=False)
    except (AlreadyExistsError, PreconditionError, *MISSING):
        return False
    except BaseError as refusal:
        # Some stores know no such conditions, and say so.
        if "NotImplemented" not in str(refusal):
            raise
        store.put(key, data, use_multipart=False)
    return True


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
    for name in folders_in(store, prefix):
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

    keys, whole = _within(keys_below(store, folder), bounds)
    with ThreadPoolExecutor(AT_ONCE, "panneuro-catalog") as pool:
        found: list[tuple[str, _Found | Malformed | None]] = list(
            zip(keys, pool.map(one, keys), strict=True)
        )
    if not whole:
        found.append((folder, Malformed(f"there is more than can be listed here; {len(keys)} are")))
    return found


def _within(objects: Iterable[StoredKey], bounds: Bounds | None) -> tuple[list[str], bool]:
    """The keys of what is read, and whether that is everything."""
    keys: list[str] = []
    size = 0
    for key in objects:
        size += key.size
        if bounds is not None and (len(keys) == bounds.number or size > bounds.size):
            return keys, False
        keys.append(key.path)
    return keys, True


def _is_nobodys(store: S3Store, key: str) -> bool:
    dataset = dataset_of(key)
    return dataset is None or not exists(store, manifest_key(dataset))
