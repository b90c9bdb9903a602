"""Manifests that several uploads write: merged, refused, and true to the objects."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from obstore.store import MemoryStore, S3Store

from panneuro_hub.catalog import FileRow, Manifest, UploadNote, dataset_records
from panneuro_hub.catalog.manifest import FileReplacement
from panneuro_hub.client.transfer import publication as module
from panneuro_hub.client.transfer.dataset_transfer import join_formats
from panneuro_hub.client.transfer.pool import RetryPolicy
from panneuro_hub.client.transfer.prefix_objects import ObjectMetadata, PrefixObjects
from panneuro_hub.client.transfer.publication import (
    ManifestPublication,
    UploadedFiles,
    refuse_rivals,
    separate_replaced,
)
from panneuro_hub.client.transfer_errors import FileConflictError, UnfinishedTransferError

T = TypeVar("T")
NOW = datetime(2026, 11, 28, 10, 0, tzinfo=UTC)
DATASET = "d"


def file(path: str, content: str = "a", size: int = 1) -> FileRow:
    return FileRow(path, size, content * 64)


def manifest(
    *files: FileRow, by: str = "bee", changing: Sequence[FileReplacement] = ()
) -> Manifest:
    return Manifest(
        dataset=DATASET,
        project="nav",
        format="files",
        created=NOW,
        created_by=by,
        files=files,
        changing=tuple(changing),
    )


class Ignoring:
    """A store that ignores all conditions; `before` runs before each write of a manifest."""

    def __init__(self, before: Callable[[], None] = lambda: None) -> None:
        self.inner = MemoryStore()
        self._before = before

    def put(self, key: str, data: bytes, **_: Any) -> Any:
        if key.endswith("manifest.json"):
            before, self._before = self._before, lambda: None
            before()
        return self.inner.put(key, data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


class Bucket:
    """`PrefixObjects` on a store in memory."""

    def __init__(self, store: Any) -> None:
        self.store = store

    def guarded(self, what: str, call: Callable[[], T]) -> T:
        return call()

    def list_objects(self, folder: str) -> dict[str, ObjectMetadata]:
        return {
            meta["path"]: ObjectMetadata(meta["size"], (meta["e_tag"] or "").strip('"'))
            for page in self.store.list(folder)
            for meta in page
        }

    def put(self, path: str, content: bytes) -> str:
        return str(self.store.put(f"{DATASET}/{path}", content)["e_tag"]).strip('"')


def publication(bucket: Bucket, user: str) -> ManifestPublication:
    return ManifestPublication(cast(PrefixObjects, bucket), DATASET, "nav/d", user, RetryPolicy())


def join(user: str) -> Callable[[Sequence[FileRow], Manifest | None], Manifest]:
    def make(files: Sequence[FileRow], there: Manifest | None) -> Manifest:
        new = {one.path for one in files}
        kept = [one for one in there.files if one.path not in new] if there else []
        return manifest(*files, *kept, by=user)

    return make


def publish(bucket: Bucket, user: str, path: str, content: bytes = b"x") -> Manifest:
    etag = bucket.put(path, content)
    uploaded = UploadedFiles((file(path, size=len(content)),), {path: etag})
    return publication(bucket, user).publish(uploaded, join(user), update=True, note=None)


def test_many_publish_at_once_and_nothing_is_lost() -> None:
    bucket = Bucket(MemoryStore())
    start = threading.Barrier(8)

    def one(number: int) -> None:
        start.wait()
        publish(bucket, "ada", f"{number}.bin")

    threads = [threading.Thread(target=one, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stored = dataset_records.read_manifest(bucket.store, DATASET)
    assert stored is not None
    assert [one.path for one in stored.files] == [f"{number}.bin" for number in range(8)]
    record = dataset_records.read_record(bucket.store, DATASET)
    assert record is not None
    assert record.files_count == 8


def test_a_store_that_ignores_conditions_is_known_and_loses_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_SETTLE_SECONDS", 0.01)
    note = UploadNote(dataset=DATASET, by="ada", began=NOW, files_count=1, size=1)
    for store, expected in ((MemoryStore(), True), (Ignoring(), False)):
        dataset_records.begin_upload(cast(S3Store, store), note)
        assert dataset_records.check_conditional_writes(cast(S3Store, store), note) is expected
    bucket: Bucket
    bee = threading.Event()

    def other() -> None:
        # Somebody else writes a manifest between the look and the write.
        bucket.put("bee.bin", b"x")
        bucket.store.inner.put(
            dataset_records.make_manifest_key(DATASET), manifest(file("bee.bin")).encode()
        )
        bee.set()

    store = Ignoring(other)
    bucket = Bucket(store)
    etag = bucket.put("ada.bin", b"x")
    mine = publication(bucket, "ada")
    mine.conditional = False
    uploaded = UploadedFiles((file("ada.bin"),), {"ada.bin": etag})
    # bee looks again after a while, as everybody does on such a store, and merges.
    mine.publish(uploaded, join("ada"), update=True, note=None)
    theirs = publication(bucket, "bee")
    theirs.conditional = False
    theirs.publish(UploadedFiles((file("bee.bin"),), {}), join("bee"), update=True, note=None)
    stored = dataset_records.read_manifest(store, DATASET)  # type: ignore[arg-type]
    assert bee.is_set()
    assert stored is not None
    assert [one.path for one in stored.files] == ["ada.bin", "bee.bin"]


def test_a_manifest_has_the_content_that_is_there() -> None:
    bucket = Bucket(MemoryStore())
    publish(bucket, "bee", "kept.bin")
    etag = bucket.put("same.bin", b"x")
    bucket.put("same.bin", b"y")  # by somebody else
    uploaded = UploadedFiles((file("same.bin"), file("kept.bin")), {"same.bin": etag})
    with pytest.raises(
        UnfinishedTransferError, match=r"another upload .* replaced these files(.|\n)*same\.bin"
    ):
        publication(bucket, "ada").publish(uploaded, join("ada"), update=True, note=None)
    stored = dataset_records.read_manifest(bucket.store, DATASET)
    assert stored is not None
    assert [one.path for one in stored.files] == ["kept.bin"]


def test_missing_files_are_named() -> None:
    bucket = Bucket(MemoryStore())
    with pytest.raises(
        UnfinishedTransferError, match=r"1 of its files are not in the store(.|\n)*a\.bin"
    ):
        publication(bucket, "ada").publish(
            UploadedFiles((file("a.bin"),), {}), join("ada"), update=False, note=None
        )
    assert dataset_records.read_manifest(bucket.store, DATASET) is None


def test_what_is_announced_is_in_the_manifest_until_it_is_done() -> None:
    bucket = Bucket(MemoryStore())
    before = publish(bucket, "bee", "a.bin")
    new = file("a.bin", "b", size=2)
    mine = publication(bucket, "ada")
    mine.announce(before, [new])
    stored = dataset_records.read_manifest(bucket.store, DATASET)
    assert stored is not None
    assert [(one.file, one.by) for one in stored.changing] == [(new, "ada")]
    assert stored.files == before.files
    etag = bucket.put("a.bin", b"xy")
    done = mine.publish(UploadedFiles((new,), {"a.bin": etag}), join("ada"), update=True, note=None)
    assert (done.files, done.changing) == ((new,), ())


@pytest.mark.parametrize(
    ("there", "refused"),
    [
        (manifest(file("a", "a")), None),  # as it was
        (manifest(file("a", "c")), None),  # what is sent
        (manifest(file("a", "d")), "a was published with other content meanwhile, by bee's upload"),
        (manifest(file("b", "d")), None),
        (
            manifest(changing=[FileReplacement(file("a", "d"), "bee", NOW - timedelta(minutes=1))]),
            "bee began to replace a with other content on 2026-11-28 at 09:59 UTC",
        ),
        (manifest(changing=[FileReplacement(file("a", "c"), "bee", NOW)]), None),
        (
            manifest(changing=[FileReplacement(file("a", "d"), "bee", NOW - timedelta(hours=1))]),
            None,
        ),
        (manifest(changing=[FileReplacement(file("b", "d"), "bee", NOW)]), None),
    ],
)
def test_rivals(there: Manifest, refused: str | None) -> None:
    before, new = manifest(file("a", "a")), [file("a", "c")]
    if refused is None:
        refuse_rivals("nav/d", there, before, new, NOW)
        return
    with pytest.raises(FileConflictError, match=refused):
        refuse_rivals("nav/d", there, before, new, NOW)


def test_whose_objects_are_there() -> None:
    files = (file("mine"), file("theirs"), file("gone"), file("unknown"))
    uploaded = UploadedFiles(files, {"mine": "1", "theirs": "2", "gone": "3"})
    there = {
        "mine": ObjectMetadata(1, "1"),
        "theirs": ObjectMetadata(1, "9"),
        "unknown": ObjectMetadata(1, "5"),
    }
    assert separate_replaced(uploaded, there) == ([files[0], files[2], files[3]], ["theirs"])


@given(st.sampled_from(["bids", "nwb", "zarr", "files"]), st.sampled_from(["bids", "files"]))
def test_a_joined_format_does_not_depend_on_who_was_first(one: Any, other: Any) -> None:
    assert join_formats(one, other) == join_formats(other, one)
