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

from panneuro_hub.client.dataset import Said
from panneuro_hub.client.errors import Conflict, StoreError, Unfinished
from panneuro_hub.client.places import Name
from panneuro_hub.errors import AccessDenied, PanNeuroError, ServiceUnavailable
from panneuro_hub.jupyter import uploads as module
from panneuro_hub.jupyter.asked import Announced, AskedUpload
from panneuro_hub.jupyter.refusals import (
    BadRequest,
    Damaged,
    NoUpload,
    OutOfStep,
    TooMuch,
    status_of,
)
from panneuro_hub.jupyter.spool import Spool
from panneuro_hub.jupyter.uploads import Upload, Uploads

GB = 1000**3
FILES = (Announced("a.bin", 6, 1), Announced("sub/empty", 0, 1))
ASKED = AskedUpload(Name("nav", "day-1"), Said(), False, FILES)


@pytest.fixture
def uploads() -> Iterator[Uploads]:
    made = Uploads(most=100, free=lambda _: 10 * GB)
    yield made
    made.close()


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool", FILES)


def test_pieces_in_order_make_the_file(spool: Spool) -> None:
    assert spool.missing == 1
    assert spool.take(0, 0, b"abc") == 3
    assert spool.take(0, 3, b"def", hashlib.sha256(b"def").hexdigest()) == 6
    assert (spool.folder / "a.bin").read_bytes() == b"abcdef"
    assert (spool.folder / "sub" / "empty").read_bytes() == b""
    assert (spool.received, spool.missing) == ([6, 0], 0)
    assert stat.S_IMODE(spool.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((spool.folder / "a.bin").stat().st_mode) == 0o600


def test_a_piece_that_came_already_is_answered_with_how_far_it_is(spool: Spool) -> None:
    spool.take(0, 0, b"abc")
    with pytest.raises(OutOfStep) as refusal:
        spool.take(0, 0, b"abc")
    assert refusal.value.received == 3
    with pytest.raises(OutOfStep):
        spool.take(0, 5, b"f")
    spool.take(0, 3, b"def")
    assert (spool.folder / "a.bin").read_bytes() == b"abcdef"


def test_what_was_not_announced_is_refused(spool: Spool) -> None:
    with pytest.raises(BadRequest, match=r"a\.bin: there is more of it"):
        spool.take(0, 0, b"abcdefg")
    with pytest.raises(NoUpload):
        spool.take(2, 0, b"x")
    with pytest.raises(Damaged, match=r"a\.bin"):
        spool.take(0, 0, b"abc", "0" * 64)
    assert spool.received == [0, 0]


@given(st.lists(st.tuples(st.integers(0, 7), st.binary(max_size=7)), max_size=12))
def test_however_pieces_come_what_is_kept_is_a_beginning(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[tuple[int, bytes]]
) -> None:
    spool = Spool(tmp_path_factory.mktemp("spool") / "spool", FILES)
    kept = b""
    for offset, piece in pieces:
        try:
            received = spool.take(0, offset, piece)
        except (BadRequest, OutOfStep):
            continue
        kept += piece
        assert received == len(kept) <= 6
    assert (spool.folder / "a.bin").read_bytes() == kept


def test_a_full_disk_is_said_and_the_piece_can_come_again(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(io.BytesIO):
        def write(self, _: Any) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    def full(descriptor: int, _: str) -> Full:
        os.close(descriptor)
        return Full()

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdopen", full)
        with pytest.raises(TooMuch, match="the disk of this server is full"):
            spool.take(0, 0, b"abc")
    assert spool.take(0, 0, b"abc") == 3


def test_a_link_that_came_in_between_is_not_followed(spool: Spool, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (spool.folder / "a.bin").unlink()
    (spool.folder / "a.bin").symlink_to(victim)
    with pytest.raises(BadRequest, match="cannot hold it"):
        spool.take(0, 0, b"abc")
    assert victim.read_text() == "mine"


def test_the_same_files_go_on_where_they_were(uploads: Uploads) -> None:
    upload = uploads.begin(ASKED)
    upload.take(0, 0, b"abc", None)
    again = uploads.begin(replace(ASKED))
    assert again is upload
    assert again.spool.received == [3, 0]
    changed = replace(ASKED, files=(Announced("a.bin", 6, 2), FILES[1]))
    assert uploads.begin(changed) is not upload


def test_there_is_room_for_so_much_and_no_more() -> None:
    free = GB + 10
    uploads = Uploads(most=12, free=lambda _: free)
    try:
        first = uploads.begin(ASKED)
        with pytest.raises(TooMuch, match="room for 4 B"):
            uploads.begin(replace(ASKED, name=Name("nav", "day-2")))
        uploads.end(first.identifier)
        assert not first.spool.folder.exists()
        uploads.begin(replace(ASKED, name=Name("nav", "day-2")))
    finally:
        uploads.close()
    full = Uploads(most=GB, free=lambda _: GB // 2)
    try:
        with pytest.raises(TooMuch, match="room for 0 B"):
            full.begin(ASKED)
    finally:
        full.close()


def test_nothing_goes_on_before_all_has_come(uploads: Uploads) -> None:
    upload = uploads.begin(ASKED)
    with pytest.raises(OutOfStep, match="1 files have not come"):
        upload.start(update=False)
    assert upload.answer()["state"] == "receiving"


@pytest.mark.parametrize("problem", [Conflict("something else is there"), RuntimeError("odd")])
def test_what_failed_can_be_tried_again_without_sending_it(
    uploads: Uploads, monkeypatch: pytest.MonkeyPatch, problem: Exception
) -> None:
    outcomes: list[Exception | None] = [problem, None]
    updates: list[bool] = []
    ended = threading.Event()

    def send(upload: Upload) -> None:
        updates.append(upload.asked.update)
        outcome = outcomes.pop(0)
        if outcome is not None:
            raise outcome
        upload.state = "done"

    run = Upload._run

    def ran(upload: Upload) -> None:
        run(upload)
        ended.set()

    monkeypatch.setattr(Upload, "_send", send)
    monkeypatch.setattr(Upload, "_run", ran)
    upload = uploads.begin(ASKED)
    upload.take(0, 0, b"abcdef", None)
    upload.start(update=False)
    assert ended.wait(30)
    told = upload.answer()
    assert told["state"] == "failed"
    expected = "something else is there" if isinstance(problem, Conflict) else "log of this server"
    assert expected in told["problem"]
    assert "odd" not in told["problem"]
    ended.clear()
    upload.start(update=True)
    assert ended.wait(30)
    assert (upload.answer()["state"], upload.answer()["problem"]) == ("done", None)
    # The answer to a start may be lost; the same again is no other one.
    upload.start(update=True)
    assert updates == [False, True]
    with pytest.raises(OutOfStep):
        upload.start(update=False)


def test_answers_can_be_put_in_order(uploads: Uploads, monkeypatch: pytest.MonkeyPatch) -> None:
    sending, go_on = threading.Event(), threading.Event()

    def send(upload: Upload) -> None:
        upload.state = "sending"
        sending.set()
        assert go_on.wait(30)
        raise Conflict("something else is there")

    monkeypatch.setattr(Upload, "_send", send)
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
    uploads = Uploads(most=100, free=lambda _: 10 * GB)
    upload = uploads.begin(ASKED)
    upload.take(0, 0, b"abc", None)
    assert list(tmp_path.rglob("a.bin"))
    uploads.close()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(NoUpload):
        upload.take(0, 3, b"def", None)


def test_what_nobody_goes_on_with_makes_room(
    uploads: Uploads, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = uploads.begin(ASKED)
    monkeypatch.setattr(module.time, "monotonic", lambda: old.touched + 3601)
    uploads.begin(replace(ASKED, name=Name("nav", "day-2")))
    with pytest.raises(NoUpload):
        uploads.get(old.identifier)
    assert not old.spool.folder.exists()


@pytest.mark.parametrize(
    ("problem", "status"),
    [
        (AccessDenied("no"), 403),
        (BadRequest("no"), 400),
        (Conflict("no"), 409),
        (Unfinished("no", []), 409),
        (TooMuch("no"), 413),
        (NoUpload("no"), 404),
        (Damaged("no"), 422),
        (ServiceUnavailable("no"), 503),
        (StoreError("denied", "no"), 403),
        (StoreError("again", "no"), 503),
        (StoreError("exists", "no"), 409),
        (PanNeuroError("no"), 409),
    ],
    ids=repr,
)
def test_each_refusal_has_its_status(problem: PanNeuroError, status: int) -> None:
    assert status_of(problem) == status
