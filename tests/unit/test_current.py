"""The collaboration follows its file, and a broken file takes nothing away."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import logging
import os
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from testing.clocks import FakeClock

from panneuro_hub import current
from panneuro_hub.collaboration import Collaboration
from panneuro_hub.current import (
    CollaborationVersion,
    Current,
    build_health_report,
    follow_collaboration,
    read_collaboration,
)
from panneuro_hub.errors import CollaborationError, ServiceUnavailableError

LOGGER = "panneuro_hub.current"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def text(example_file: Path) -> str:
    return example_file.read_text(encoding="utf-8")


@pytest.fixture
def file(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "collaboration.yaml"
    file.write_text(text, encoding="utf-8")
    return file


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Every reading of a file from now on."""
    seen: list[Path] = []

    def counted(path: Path) -> tuple[str, Collaboration]:
        seen.append(path)
        return read_collaboration(path)

    monkeypatch.setattr(current, "read_collaboration", counted)
    return seen


def titled(text: str, title: str) -> str:
    return text.replace("title: Navigation in virtual reality", f"title: {title}")


def title_of(collaboration: Collaboration) -> str:
    return collaboration.projects["nhp-navigation"].title


def settle(follower: Current, clock: FakeClock) -> None:
    """Let the file be old news."""
    for _ in range(2):
        clock.advance(1)
        assert follower.problem is None


def test_a_change_is_seen_a_second_later(file: Path, text: str, clock: FakeClock) -> None:
    follower = Current(file, clock=clock.steady)
    settle(follower, clock)
    before = follower.collaboration
    file.write_text(titled(text, "Mazes"), encoding="utf-8")
    clock.advance(0.9)
    assert follower.collaboration is before
    clock.advance(0.1)
    assert title_of(follower.collaboration) == "Mazes"


def test_reads_only_what_changed(
    file: Path, text: str, clock: FakeClock, reads: list[Path]
) -> None:
    follower = Current(file, clock=clock.steady)
    first = follower.collaboration
    for _ in range(50):
        clock.advance(0.5)
        assert follower.collaboration is first
    # Once at the start, and once more in case of a write within the same tick.
    assert reads == [file, file]
    file.write_text(titled(text, "Mazes"), encoding="utf-8")
    for _ in range(25):
        clock.advance(1)
        assert title_of(follower.collaboration) == "Mazes"
    assert len(reads) == 4


def test_looks_once_a_second(file: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    follower = Current(file, clock=clock.steady)
    settle(follower, clock)
    looks: list[Path] = []
    stat = Path.stat

    def counted(path: Path) -> os.stat_result:
        looks.append(path)
        return stat(path)

    monkeypatch.setattr(Path, "stat", counted)
    for _ in range(1000):
        follower.collaboration  # noqa: B018 - reading is what looks
        clock.advance(0.0105)
    assert len(looks) == 10


def test_a_touched_file_is_the_same_object(file: Path, text: str, clock: FakeClock) -> None:
    follower = Current(file, clock=clock.steady)
    settle(follower, clock)
    before = follower.collaboration
    file.write_text("# a remark\n" + text, encoding="utf-8")
    clock.advance(1)
    assert follower.collaboration is before


def test_a_second_write_in_the_same_tick_is_seen(file: Path, text: str, clock: FakeClock) -> None:
    """One that leaves time, size and inode as they were."""
    follower = Current(file, clock=clock.steady)
    settle(follower, clock)
    file.write_text(titled(text, "Mazes"), encoding="utf-8")
    marks = file.stat()
    clock.advance(1)
    assert title_of(follower.collaboration) == "Mazes"
    file.write_text(titled(text, "Tasks"), encoding="utf-8")
    os.utime(file, ns=(marks.st_atime_ns, marks.st_mtime_ns))
    assert (file.stat().st_ino, file.stat().st_size) == (marks.st_ino, marks.st_size)
    clock.advance(1)
    assert title_of(follower.collaboration) == "Tasks"


def test_a_config_map_is_followed(tmp_path: Path, text: str, clock: FakeClock) -> None:
    """Kubernetes moves the link ``..data`` to a folder with the new files."""
    for folder, title in (("..one", "Mazes"), ("..two", "Tasks")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "collaboration.yaml").write_text(titled(text, title), encoding="utf-8")
        os.utime(tmp_path / folder / "collaboration.yaml", ns=(10**18, 10**18))
    (tmp_path / "..data").symlink_to("..one")
    (tmp_path / "collaboration.yaml").symlink_to("..data/collaboration.yaml")
    follower = Current(tmp_path / "collaboration.yaml", clock=clock.steady)
    settle(follower, clock)
    assert title_of(follower.collaboration) == "Mazes"
    (tmp_path / "..data_tmp").symlink_to("..two")
    (tmp_path / "..data_tmp").rename(tmp_path / "..data")
    clock.advance(1)
    assert title_of(follower.collaboration) == "Tasks"


def test_a_broken_file_keeps_the_old_one_and_is_told_once(
    file: Path, text: str, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    follower = Current(file, clock=clock.steady)
    caplog.set_level(logging.INFO, LOGGER)
    settle(follower, clock)
    before = follower.collaboration
    broken = text.replace("store: main", "store: mian")
    file.write_text(broken, encoding="utf-8")
    for _ in range(5):
        clock.advance(1)
        assert follower.collaboration is before
    assert follower.problem is not None
    assert len(follower.problem.problems) == text.count("store: main") > 1
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert all(str(problem) in record.getMessage() for problem in follower.problem.problems)

    file.write_text(titled(text, "Mazes"), encoding="utf-8")
    for _ in range(5):
        clock.advance(1)
        assert title_of(follower.collaboration) == "Mazes"
    assert follower.problem is None
    assert [record.levelname for record in caplog.records] == ["ERROR", "INFO"]
    assert "good again" in caplog.records[1].getMessage()


def test_another_mistake_is_told_too(
    file: Path, text: str, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    follower = Current(file, clock=clock.steady)
    for mistake in ("store: mian", "store: mein"):
        file.write_text(text.replace("store: main", mistake), encoding="utf-8")
        clock.advance(1)
        assert follower.problem is not None
    assert ["mian" in record.getMessage() for record in caplog.records] == [True, False]
    assert len(caplog.records) == 2


def test_a_file_that_goes_away_and_comes_back(
    file: Path, text: str, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    follower = Current(file, clock=clock.steady)
    caplog.set_level(logging.INFO, LOGGER)
    before = follower.collaboration
    file.unlink()
    for _ in range(3):
        clock.advance(1)
        assert follower.collaboration is before
    assert "no such file" in str(follower.problem)
    file.write_text(text, encoding="utf-8")
    clock.advance(1)
    assert follower.problem is None
    assert [record.levelname for record in caplog.records] == ["ERROR", "INFO"]


def test_a_change_is_told_to_the_log_that_was_given(
    file: Path, text: str, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    follower = Current(file, log=logging.getLogger("the.hub"), clock=clock.steady)
    caplog.set_level(logging.INFO)
    file.write_text(titled(text, "Mazes"), encoding="utf-8")
    for _ in range(3):
        clock.advance(1)
        assert follower.problem is None
    assert [(record.name, record.levelname) for record in caplog.records] == [("the.hub", "INFO")]


def test_a_file_that_is_broken_from_the_first(file: Path) -> None:
    file.write_text("name: x\n", encoding="utf-8")
    with pytest.raises(
        CollaborationError, match=r"collaboration\.yaml:1: teams: this key is missing"
    ):
        Current(file)


def test_policies_are_reviewed(file: Path, text: str) -> None:
    frozen = ", ".join(f"human-intracranial/{'x' * 100}{n}/" for n in range(20))
    file.write_text(text.replace("human-intracranial/release-2026/", frozen), encoding="utf-8")
    with pytest.raises(CollaborationError) as caught:
        Current(file)
    (problem,) = caught.value.problems
    assert problem.key == "projects.human-intracranial"
    assert "2048" in problem.message


def test_what_changes_while_it_is_read_is_not_used(
    file: Path, text: str, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A half-written file can be a valid one that lacks a line at its end."""
    follower = Current(file, clock=clock.steady)
    settle(follower, clock)
    before = follower.collaboration
    rest = text.splitlines(keepends=True)[-1]

    def meanwhile(path: Path) -> tuple[str, Collaboration]:
        half = read_collaboration(path)
        with file.open("a", encoding="utf-8") as stream:
            stream.write(rest)
        monkeypatch.undo()
        return half

    file.write_text(text.removesuffix(rest), encoding="utf-8")
    monkeypatch.setattr(current, "read_collaboration", meanwhile)
    clock.advance(1)
    assert follower.collaboration is before
    clock.advance(1)
    assert follower.collaboration is before
    assert follower.problem is None


def test_nobody_waits_for_a_reading(
    file: Path, text: str, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    follower = Current(file, clock=clock.steady)
    settle(follower, clock)
    begun, go_on = threading.Event(), threading.Event()

    def slow(path: Path) -> tuple[str, Collaboration]:
        begun.set()
        assert go_on.wait(30)
        return read_collaboration(path)

    monkeypatch.setattr(current, "read_collaboration", slow)
    file.write_text(titled(text, "Mazes"), encoding="utf-8")
    clock.advance(1)
    seen: list[str] = []
    reader = threading.Thread(target=lambda: seen.append(title_of(follower.collaboration)))
    reader.start()
    assert begun.wait(30)
    assert title_of(follower.collaboration) == "Navigation in virtual reality"
    go_on.set()
    reader.join(30)
    assert seen == ["Mazes"]
    assert title_of(follower.collaboration) == "Mazes"


def test_many_threads_see_whole_states(file: Path, text: str) -> None:
    """With a clock by which every look is due."""
    ticks = itertools.count()
    follower = Current(file, clock=lambda: float(next(ticks)))
    seen: set[str] = set()
    something_new = threading.Condition()
    failures: list[BaseException] = []
    stop = threading.Event()

    def reader() -> None:
        try:
            while not stop.is_set():
                found = {title_of(follower.collaboration), f"problem: {follower.problem}"}
                with something_new:
                    seen.update(found)
                    something_new.notify_all()
        except BaseException as error:  # noqa: BLE001 - told by the assertion below
            failures.append(error)

    def replace(content: str, sign: str) -> None:
        new = file.with_suffix(".new")
        new.write_text(content, encoding="utf-8")
        new.replace(file)
        with something_new:
            assert something_new.wait_for(lambda: any(sign in text for text in seen), timeout=60)

    threads = [threading.Thread(target=reader) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for title in ("One", "Two", "Three"):
            replace(titled(text, title), title)
        replace("broken: [", "collaboration.yaml:1:")
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)
    assert failures == []
    titles = {text for text in seen if not text.startswith("problem: ")}
    assert titles <= {"Navigation in virtual reality", "One", "Two", "Three"}
    assert title_of(follower.collaboration) == "Three"


def test_a_version_says_since_when_it_is_in_force(
    file: Path, text: str, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, LOGGER)
    follower = Current(file, clock=clock.steady, now=clock.now)
    first = follower.look().version
    assert (first.since, first.text) == (clock.now(), text)
    assert first.name == hashlib.sha256(file.read_bytes()).hexdigest()[:12]
    clock.wall_time += timedelta(hours=1)
    clock.advance(1)
    assert follower.look().version == first
    file.write_text(titled(text, "Mazes"), encoding="utf-8")
    clock.advance(1)
    second = follower.look().version
    assert (second.since, second.name == first.name) == (clock.now(), False)
    assert [str(version) in record.getMessage() for version, record in zip(
        (first, second), caplog.records, strict=True
    )] == [True, True]  # fmt: skip
    assert "of 2026-11-22 13:00:02 UTC" in caplog.records[1].getMessage()


def test_a_start_with_a_broken_file_takes_the_stored_version(
    file: Path, text: str, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    stored = CollaborationVersion(titled(text, "Mazes"), clock.now() - timedelta(days=3))
    file.write_text(text.replace("store: main", "store: mian"), encoding="utf-8")
    follower = Current(file, clock=clock.steady, stored=stored, now=clock.now)
    assert title_of(follower.collaboration) == "Mazes"
    snapshot = follower.look()
    assert (snapshot.version, snapshot.broken_since) == (stored, clock.now())
    assert follower.unsaved is None
    # An old version may give rights that the file has taken away since: it is named, with its age.
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert f"version {stored.name} of 2026-11-19 12:00:00 UTC stays in force" in record.getMessage()
    assert "mian" in record.getMessage()

    file.write_text(text, encoding="utf-8")
    clock.advance(1)
    assert title_of(follower.collaboration) == "Navigation in virtual reality"
    assert follower.problem is None
    assert follower.unsaved == CollaborationVersion(text, clock.now())


def test_a_valid_file_wins_over_what_is_stored(file: Path, text: str, clock: FakeClock) -> None:
    stored = CollaborationVersion(titled(text, "Mazes"), clock.now() - timedelta(days=3))
    follower = Current(file, stored=stored, now=clock.now)
    assert title_of(follower.collaboration) == "Navigation in virtual reality"
    assert follower.unsaved == CollaborationVersion(text, clock.now())


def test_the_stored_version_keeps_its_age_over_a_restart(
    file: Path, text: str, clock: FakeClock
) -> None:
    stored = CollaborationVersion(text, clock.now() - timedelta(days=3))
    follower = Current(file, stored=stored, now=clock.now)
    assert follower.look().version == stored
    assert follower.unsaved is None


def test_without_a_stored_version_a_broken_file_is_refused_with_every_problem(
    file: Path, text: str
) -> None:
    file.write_text(text.replace("store: main", "store: mian"), encoding="utf-8")
    with pytest.raises(CollaborationError) as refused:
        Current(file, stored=None)
    assert len(refused.value.problems) == text.count("store: main")


@pytest.mark.parametrize(
    "tampered",
    [
        "name: x\n",
        "",
        "a: !!python/object:os.system {}\n",
        "[" * 10_000,
        "x" * (2 << 20),
    ],
)
def test_what_is_stored_is_checked_as_a_file_is(file: Path, tampered: str) -> None:
    file.write_text("name: [\n", encoding="utf-8")
    with pytest.raises(CollaborationError) as refused:
        Current(file, stored=CollaborationVersion(tampered, datetime.now(UTC)))
    first, *others = refused.value.problems
    assert first.file == str(file)
    assert others
    assert {problem.file for problem in others} == {"the last valid version"}


def test_a_stored_version_with_a_problem_of_policies_is_refused(file: Path, text: str) -> None:
    frozen = ", ".join(f"human-intracranial/{'x' * 100}{n}/" for n in range(20))
    stored = text.replace("human-intracranial/release-2026/", frozen)
    file.write_text("name: [\n", encoding="utf-8")
    with pytest.raises(CollaborationError, match="2048"):
        Current(file, stored=CollaborationVersion(stored, datetime.now(UTC)))


def test_health_says_what_is_in_force_and_no_name(file: Path, text: str, clock: FakeClock) -> None:
    follower = Current(file, clock=clock.steady, now=clock.now)
    name = follower.look().version.name
    good = {
        "status": "ok",
        "collaboration": "learning-circuits",
        "version": name,
        "in_force_since": "2026-11-22T12:00:00Z",
        "problems": 0,
        "broken_since": None,
    }
    assert build_health_report(follower.look()) == good
    clock.wall_time += timedelta(minutes=5)
    clock.advance(1)
    file.write_text(text.replace("store: main", "store: mian"), encoding="utf-8")
    broken = build_health_report(follower.look())
    assert broken == {
        **good,
        "status": "the collaboration file is broken",
        "problems": text.count("store: main"),
        "broken_since": "2026-11-22T12:05:01Z",
    }


class Errors(logging.Handler):
    """Tells a waiting test of the first error in a log, from whatever thread."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.told = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def emit(self, record: logging.LogRecord) -> None:
        self._loop.call_soon_threadsafe(self.told.set)


def write(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8")


async def test_the_file_is_looked_at_though_nobody_asks(
    file: Path, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(current, "CHECK_INTERVAL_SECONDS", 0.01)
    follower = Current(file)
    saved: list[CollaborationVersion] = []
    changed = asyncio.Event()

    async def save(version: CollaborationVersion) -> None:
        saved.append(version)
        changed.set()

    errors = Errors()
    logging.getLogger(LOGGER).addHandler(errors)
    task = asyncio.create_task(follow_collaboration(follower, save))
    try:
        await asyncio.wait_for(changed.wait(), 30)
        changed.clear()
        write(file, titled(text, "Mazes"))
        await asyncio.wait_for(changed.wait(), 30)
        write(file, "name: [\n")
        await asyncio.wait_for(errors.told.wait(), 30)
    finally:
        logging.getLogger(LOGGER).removeHandler(errors)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert [version.text for version in saved] == [text, titled(text, "Mazes")]
    assert follower.unsaved is None


async def test_a_version_that_could_not_be_kept_is_tried_again_and_told_once(
    file: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(current, "CHECK_INTERVAL_SECONDS", 0.01)
    follower = Current(file)
    tries: list[CollaborationVersion] = []
    done = asyncio.Event()

    async def save(version: CollaborationVersion) -> None:
        tries.append(version)
        if len(tries) == 3:
            raise RuntimeError("unforeseen")
        if len(tries) < 5:
            raise ServiceUnavailableError("the database is away")
        done.set()

    task = asyncio.create_task(follow_collaboration(follower, save))
    try:
        await asyncio.wait_for(done.wait(), 30)
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    away = [record for record in caplog.records if "the database is away" in record.getMessage()]
    assert len(away) == 2  # once before the unforeseen one, and once after it
    assert follower.unsaved is None
