"""An upload against a store in memory that does what the real one here never does."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from panneuro_hub.client.local_files import scan_folder
from panneuro_hub.client.transfer import upload as module
from panneuro_hub.client.transfer.part_plan import MIB, USUAL_PART, compute_multipart_etag
from panneuro_hub.client.transfer.pool import RetryPolicy
from panneuro_hub.client.transfer.prefix_objects import ObjectMetadata, PrefixObjects, StoredPart
from panneuro_hub.client.transfer.progress import TransferProgress
from panneuro_hub.client.transfer.upload import FileUploader, UploadResult
from panneuro_hub.client.transfer_errors import FileConflictError, StoreError

pytestmark = pytest.mark.slow


class Memory:
    """Objects in memory; `seal` makes ETags, as an encrypting store has its own."""

    def __init__(self, seal: Callable[[str], str] = lambda etag: etag) -> None:
        self.content: dict[str, tuple[bytes, str]] = {}
        self.uploads: dict[str, dict[int, bytes]] = {}
        self.sent = 0
        self.lose_answer_of: set[str] = set()
        self.forget_uploads_at = 0
        self._seal = seal
        self._lock = threading.Lock()

    def list_unfinished(self, below: str) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for upload in self.uploads:
            found.setdefault(upload.partition("#")[0], []).append(upload)
        return found

    def list_objects(self, below: str) -> dict[str, ObjectMetadata]:
        return {
            path: ObjectMetadata(len(data), etag) for path, (data, etag) in self.content.items()
        }

    def look(self, path: str) -> ObjectMetadata | None:
        return self.list_objects("").get(path)

    def sha256(self, path: str) -> str | None:
        data, etag = self.content[path]
        return None if "-" in etag else hashlib.sha256(data).hexdigest()

    def put(self, path: str, data: bytes, *, replace: bool) -> str:
        self._may_write(path, replace)
        self.sent += len(data)
        self.content[path] = data, self._seal(hashlib.md5(data).hexdigest())
        self._answer("put")
        return self.content[path][1]

    def begin(self, path: str) -> str:
        upload = f"{path}#{len(self.uploads)}"
        self.uploads[upload] = {}
        return upload

    def list_parts(self, path: str, upload: str) -> list[StoredPart]:
        return [
            StoredPart(number, len(data), self._seal(hashlib.md5(data).hexdigest()))
            for number, data in self.uploads[upload].items()
        ]

    def send_part(self, path: str, upload: str, number: int, data: bytes, md5: bytes) -> str:
        with self._lock:
            self.sent += len(data)
            if self.forget_uploads_at and self.sent >= self.forget_uploads_at:
                self.forget_uploads_at = 0
                self.uploads.clear()
        if upload not in self.uploads:
            raise StoreError("missing", "no such upload", "NoSuchUpload")
        self.uploads[upload][number] = data
        return self._seal(md5.hex())

    def complete(self, path: str, upload: str, etags: list[str], *, replace: bool) -> str:
        if upload not in self.uploads:
            raise StoreError("missing", "no such upload", "NoSuchUpload")
        self._may_write(path, replace)
        parts = [data for _, data in sorted(self.uploads.pop(upload).items())]
        etag = compute_multipart_etag(hashlib.md5(data).digest() for data in parts)
        self.content[path] = b"".join(parts), self._seal(etag)
        self._answer("complete")
        return self.content[path][1]

    def abort(self, path: str, upload: str) -> None:
        self.uploads.pop(upload, None)

    def _may_write(self, path: str, replace: bool) -> None:
        if path in self.content and not replace:
            raise StoreError("exists", "it is there", "PreconditionFailed")

    def _answer(self, operation: str) -> None:
        if operation in self.lose_answer_of:
            self.lose_answer_of.discard(operation)
            raise StoreError("again", "the answer was lost")


def send(store: Memory, source: Path, *, replace: bool = False) -> UploadResult:
    uploader = FileUploader(
        cast(PrefixObjects, store),
        "d/",
        replace=replace,
        progress=TransferProgress(),
        retry_policy=RetryPolicy(),
    )
    uploader.look()
    sent = uploader.send(scan_folder(source).files)
    uploader.replace(60)
    return sent


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "small").write_bytes(b"small")
    (tmp_path / "large").write_bytes(bytes(range(256)) * (3 * USUAL_PART // 256) + b"end")
    return tmp_path


def whole(store: Memory, source: Path) -> bool:
    return all(
        store.content[f"d/{place.name}"][0] == place.read_bytes() for place in source.iterdir()
    )


def sealed(etag: str) -> str:
    return hashlib.sha1(etag.encode()).hexdigest()[:32] + etag[32:]


@pytest.mark.parametrize("operation", ["put", "complete"])
def test_an_answer_that_was_lost_is_no_conflict(source: Path, operation: str) -> None:
    store = Memory()
    store.lose_answer_of = {operation}
    sent = send(store, source)
    assert sent.problems == []
    assert {file.path for file in sent.files} == {"small", "large"}
    assert whole(store, source)
    assert store.sent == sum(place.stat().st_size for place in source.iterdir())


def test_an_upload_that_somebody_gave_up_begins_anew(source: Path) -> None:
    store = Memory()
    store.forget_uploads_at = 2 * USUAL_PART
    sent = send(store, source)
    assert sent.problems == []
    assert whole(store, source)


def test_a_store_with_etags_of_its_own(source: Path) -> None:
    """Small files are known by the checksum that it keeps; of large ones it cannot be told."""
    store = Memory(sealed)
    assert send(store, source).problems == []
    before = store.sent
    sent = send(store, source)
    assert [file.path for file in sent.files] == ["small"]
    [problem] = sent.problems
    assert isinstance(problem, FileConflictError)
    assert str(problem).startswith("large: something else is there")
    assert store.sent == before
    (source / "small").write_bytes(b"SMALL")
    assert len(send(store, source).problems) == 2
    assert send(store, source, replace=True).problems == []
    assert whole(store, source)


def test_the_upload_of_which_most_is_there_goes_on(source: Path) -> None:
    store = Memory()
    data = (source / "large").read_bytes()
    for parts in ((1,), (1, 3), ()):
        upload = store.begin("d/large")
        for number in parts:
            store.uploads[upload][number] = data[(number - 1) * USUAL_PART : number * USUAL_PART]
    # A part of other bytes is not taken for ours.
    store.uploads["d/large#1"][2] = b"x" * USUAL_PART
    assert send(store, source).problems == []
    assert whole(store, source)
    assert store.sent == USUAL_PART + 3 + 5


def test_memory_is_bounded(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No more content is held than the budget gives, however slow the store is."""
    held = most = 0
    lock = threading.Lock()

    class Slow(Memory):
        def send_part(self, path: str, upload: str, number: int, data: bytes, md5: bytes) -> str:
            nonlocal held, most
            with lock:
                held += len(data)
                most = max(most, held)
            gate.wait(0.05)
            with lock:
                held -= len(data)
            return super().send_part(path, upload, number, data, md5)

    gate = threading.Event()
    made = module.TransferPool

    def small_pool(stop: threading.Event) -> module.TransferPool:
        pool = made(stop)
        pool.budget._total = 2 * USUAL_PART
        return pool

    monkeypatch.setattr(module, "TransferPool", small_pool)
    store = Slow()
    assert send(store, source).problems == []
    assert USUAL_PART <= most <= 2 * USUAL_PART
    assert whole(store, source)
    assert MIB < USUAL_PART


def test_what_replaces_is_out_of_sight_until_it_is_put_in_place(source: Path) -> None:
    store = Memory()
    (source / "emptied").write_bytes(b"text")
    send(store, source)
    before = dict(store.content)
    for place, content in (("small", b"SMALL"), ("large", bytes(3 * USUAL_PART)), ("emptied", b"")):
        (source / place).write_bytes(content)
    uploader = FileUploader(
        cast(PrefixObjects, store),
        "d/",
        replace=True,
        progress=TransferProgress(),
        retry_policy=RetryPolicy(),
    )
    uploader.look()
    sent = uploader.send(scan_folder(source).files)
    assert (sent.files, len(sent.staged)) == ([], 3)
    assert store.content == before
    store.lose_answer_of = {"complete"}
    uploader.replace(60)
    assert {file.path for file in sent.files} == {"small", "large", "emptied"}
    assert sent.etags == {
        path.removeprefix("d/"): etag for path, (_, etag) in store.content.items()
    }
    assert whole(store, source)


def test_a_small_replacement_that_arrived_is_not_sent_again(source: Path) -> None:
    store = Memory()
    send(store, source)
    (source / "small").write_bytes(b"SMALL")
    for _ in range(2):
        before = store.sent
        uploader = FileUploader(
            cast(PrefixObjects, store),
            "d/",
            replace=True,
            progress=TransferProgress(),
            retry_policy=RetryPolicy(),
        )
        uploader.look()
        sent = uploader.send(scan_folder(source).files)
    assert store.sent == before
    assert len(sent.staged) == 1
