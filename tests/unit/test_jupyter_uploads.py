"""Files on their way from the browser: pieces in order, room, and what stays behind."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import stat
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from panneuro_hub.client.dataset_names import DatasetName
from panneuro_hub.client.transfer.dataset_transfer import DatasetDescription
from panneuro_hub.client.transfer_errors import (
    FileConflictError,
    StoreError,
    UnfinishedTransferError,
)
from panneuro_hub.errors import AccessDeniedError, PanNeuroError, ServiceUnavailableError
from panneuro_hub.jupyter import browser_uploads as module
from panneuro_hub.jupyter.browser_uploads import BrowserUpload, UploadRegistry
from panneuro_hub.jupyter.panel_errors import (
    BadRequestError,
    DamagedPieceError,
    PieceOrderError,
    UploadNotFoundError,
    UploadTooLargeError,
)
from panneuro_hub.jupyter.request_schemas import AnnouncedFile, UploadRequest
from panneuro_hub.jupyter.upload_spool import UploadSpool
from panneuro_hub.wire.refusal import Refusal

GB = 1000**3
FILES = (AnnouncedFile("a.bin", 6, 1), AnnouncedFile("sub/empty", 0, 1))
ASKED = UploadRequest(DatasetName("nav", "day-1"), DatasetDescription(), False, FILES)


@pytest.fixture
def uploads() -> Iterator[UploadRegistry]:
    made = UploadRegistry(most=100, free=lambda _: 10 * GB)
    yield made
    made.close()


@pytest.fixture
def spool(tmp_path: Path) -> UploadSpool:
    return UploadSpool(tmp_path / "spool", FILES)


def test_pieces_in_order_make_the_file(spool: UploadSpool) -> None:
    assert spool.missing == 1
    assert spool.take(0, 0, b"abc") == 3
    assert spool.take(0, 3, b"def", hashlib.sha256(b"def").hexdigest()) == 6
    assert (spool.folder / "a.bin").read_bytes() == b"abcdef"
    assert (spool.folder / "sub" / "empty").read_bytes() == b""
    assert (spool.received, spool.missing) == ([6, 0], 0)
    assert stat.S_IMODE(spool.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((spool.folder / "a.bin").stat().st_mode) == 0o600


def test_a_piece_that_came_already_is_answered_with_how_far_it_is(spool: UploadSpool) -> None:
    spool.take(0, 0, b"abc")
    with pytest.raises(PieceOrderError) as refusal:
        spool.take(0, 0, b"abc")
    assert refusal.value.received == 3
    with pytest.raises(PieceOrderError):
        spool.take(0, 5, b"f")
    spool.take(0, 3, b"def")
    assert (spool.folder / "a.bin").read_bytes() == b"abcdef"


def test_what_was_not_announced_is_refused(spool: UploadSpool) -> None:
    with pytest.raises(BadRequestError, match=r"a\.bin: there is more of it"):
        spool.take(0, 0, b"abcdefg")
    with pytest.raises(UploadNotFoundError):
        spool.take(2, 0, b"x")
    with pytest.raises(DamagedPieceError, match=r"a\.bin"):
        spool.take(0, 0, b"abc", "0" * 64)
    assert spool.received == [0, 0]


@given(st.lists(st.tuples(st.integers(0, 7), st.binary(max_size=7)), max_size=12))
def test_however_pieces_come_what_is_kept_is_a_beginning(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[tuple[int, bytes]]
) -> None:
    spool = UploadSpool(tmp_path_factory.mktemp("spool") / "spool", FILES)
    kept = b""
    for offset, piece in pieces:
        try:
            received = spool.take(0, offset, piece)
        except (BadRequestError, PieceOrderError):
            continue
        kept += piece
        assert received == len(kept) <= 6
    assert (spool.folder / "a.bin").read_bytes() == kept


def test_a_full_disk_is_said_and_the_piece_can_come_again(
    spool: UploadSpool, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(io.BytesIO):
        def write(self, _: Any) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    def full(descriptor: int, _: str) -> Full:
        os.close(descriptor)
        return Full()

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdopen", full)
        with pytest.raises(UploadTooLargeError, match="the disk of this server is full"):
            spool.take(0, 0, b"abc")
    assert spool.take(0, 0, b"abc") == 3


def test_a_link_that_came_in_between_is_not_followed(spool: UploadSpool, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (spool.folder / "a.bin").unlink()
    (spool.folder / "a.bin").symlink_to(victim)
    with pytest.raises(BadRequestError, match="cannot hold it"):
        spool.take(0, 0, b"abc")
    assert victim.read_text() == "mine"


def test_the_same_files_go_on_where_they_were(uploads: UploadRegistry) -> None:
    upload = uploads.begin(ASKED)
    upload.take(0, 0, b"abc", None)
    again = uploads.begin(replace(ASKED))
    assert again is upload
    assert again.spool.received == [3, 0]
    changed = replace(ASKED, files=(AnnouncedFile("a.bin", 6, 2), FILES[1]))
    assert uploads.begin(changed) is not upload


def test_there_is_room_for_so_much_and_no_more() -> None:
    free = GB + 10
    uploads = UploadRegistry(most=12, free=lambda _: free)
    try:
        first = uploads.begin(ASKED)
        with pytest.raises(UploadTooLargeError, match="room for 4 B"):
            uploads.begin(replace(ASKED, name=DatasetName("nav", "day-2")))
        uploads.end(first.identifier)
        assert not first.spool.folder.exists()
        uploads.begin(replace(ASKED, name=DatasetName("nav", "day-2")))
    finally:
        uploads.close()
    full = UploadRegistry(most=GB, free=lambda _: GB // 2)
    try:
        with pytest.raises(UploadTooLargeError, match="room for 0 B"):
            full.begin(ASKED)
    finally:
        full.close()


def test_nothing_goes_on_before_all_has_come(uploads: UploadRegistry) -> None:
    upload = uploads.begin(ASKED)
    with pytest.raises(PieceOrderError, match="1 files have not come"):
        upload.start(update=False)
    assert upload.answer()["state"] == "receiving"


@pytest.mark.parametrize(
    "problem", [FileConflictError("something else is there"), RuntimeError("odd")]
)
def test_what_failed_can_be_tried_again_without_sending_it(
    uploads: UploadRegistry, monkeypatch: pytest.MonkeyPatch, problem: Exception
) -> None:
    outcomes: list[Exception | None] = [problem, None]
    updates: list[bool] = []
    ended = threading.Event()

    def send(upload: BrowserUpload) -> None:
        updates.append(upload.asked.update)
        outcome = outcomes.pop(0)
        if outcome is not None:
            raise outcome
        upload.state = "done"

    run = BrowserUpload._run

    def ran(upload: BrowserUpload) -> None:
        run(upload)
        ended.set()

    monkeypatch.setattr(BrowserUpload, "_send", send)
    monkeypatch.setattr(BrowserUpload, "_run", ran)
    upload = uploads.begin(ASKED)
    upload.take(0, 0, b"abcdef", None)
    upload.start(update=False)
    assert ended.wait(30)
    told = upload.answer()
    assert told["state"] == "failed"
    expected = (
        "something else is there"
        if isinstance(problem, FileConflictError)
        else "log of this server"
    )
    assert expected in told["problem"]
    assert "odd" not in told["problem"]
    ended.clear()
    upload.start(update=True)
    assert ended.wait(30)
    assert (upload.answer()["state"], upload.answer()["problem"]) == ("done", None)
    # The answer to a start may be lost; the same again is no other one.
    upload.start(update=True)
    assert updates == [False, True]
    with pytest.raises(PieceOrderError):
        upload.start(update=False)


def test_answers_can_be_put_in_order(
    uploads: UploadRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    sending, go_on = threading.Event(), threading.Event()

    def send(upload: BrowserUpload) -> None:
        upload.state = "sending"
        sending.set()
        assert go_on.wait(30)
        raise FileConflictError("something else is there")

    monkeypatch.setattr(BrowserUpload, "_send", send)
    upload = uploads.begin(ASKED)
    answers = [upload.answer()]
    upload.take(0, 0, b"abcdef", None)
    upload.start(update=False)
    assert sending.wait(30)
    answers.append(upload.answer())
    go_on.set()
    for thread in threading.enumerate():
        if thread.name == "panneuro-upload":
            thread.join(30)
    answers.append(upload.answer())
    uploads.end(upload.identifier)
    assert [answer["state"] for answer in answers] == ["receiving", "sending", "failed"]
    revisions = [answer["revision"] for answer in answers]
    assert revisions == sorted(set(revisions))


def test_nothing_stays_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.tempfile, "tempdir", str(tmp_path))
    uploads = UploadRegistry(most=100, free=lambda _: 10 * GB)
    upload = uploads.begin(ASKED)
    upload.take(0, 0, b"abc", None)
    assert list(tmp_path.rglob("a.bin"))
    uploads.close()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(UploadNotFoundError):
        upload.take(0, 3, b"def", None)


def test_what_nobody_goes_on_with_makes_room(
    uploads: UploadRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = uploads.begin(ASKED)
    monkeypatch.setattr(module.time, "monotonic", lambda: old.touched + 3601)
    uploads.begin(replace(ASKED, name=DatasetName("nav", "day-2")))
    with pytest.raises(UploadNotFoundError):
        uploads.get(old.identifier)
    assert not old.spool.folder.exists()


@pytest.mark.parametrize(
    ("problem", "status"),
    [
        (AccessDeniedError("no"), 403),
        (BadRequestError("no"), 400),
        (FileConflictError("no"), 409),
        (UnfinishedTransferError("no", []), 409),
        (UploadTooLargeError("no"), 413),
        (UploadNotFoundError("no"), 404),
        (DamagedPieceError("no"), 422),
        (ServiceUnavailableError("no"), 503),
        (StoreError("denied", "no"), 403),
        (StoreError("again", "no"), 503),
        (StoreError("exists", "no"), 409),
        (PanNeuroError("no"), 409),
    ],
    ids=repr,
)
def test_each_refusal_has_its_status(problem: PanNeuroError, status: int) -> None:
    assert Refusal.from_error(problem, default=409).status == status
