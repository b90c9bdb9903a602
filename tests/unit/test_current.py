"""The collaboration follows its file, and a broken file takes nothing away."""

from __future__ import annotations

import itertools
import logging
import os
import threading
from pathlib import Path

import pytest
from clocks import Clock

from panneuro_hub import current
from panneuro_hub.collaboration import Collaboration
from panneuro_hub.current import Current, load
from panneuro_hub.errors import CollaborationError

LOGGER = "panneuro_hub.current"


@pytest.fixture
def clock() -> Clock:
    return Clock()


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

    def counted(path: Path) -> Collaboration:
        seen.append(path)
        return load(path)

    monkeypatch.setattr(current, "load", counted)
    return seen


def titled(text: str, title: str) -> str:
    return text.replace("title: Navigation in virtual reality", f"title: {title}")


def title_of(collaboration: Collaboration) -> str:
    return collaboration.projects["nhp-navigation"].title


def settle(follower: Current, clock: Clock) -> None:
    """Let the file be old news."""
    for _ in range(2):
        clock.now += 1
        assert follower.problem is None


def test_a_change_is_seen_a_second_later(file: Path, text: str, clock: Clock) -> None:
    follower = Current(file, clock=clock)
    settle(follower, clock)
    before = follower.collaboration
    file.write_text(titled(text, "Mazes"), encoding="utf-8")
    clock.now += 0.9
    assert follower.collaboration is before
    clock.now += 0.1
    assert title_of(follower.collaboration) == "Mazes"


def test_reads_only_what_changed(file: Path, text: str, clock: Clock, reads: list[Path]) -> None:
    follower = Current(file, clock=clock)
    first = follower.collaboration
    for _ in range(50):
        clock.now += 0.5
        assert follower.collaboration is first
    # Once at the start, and once more in case of a write within the same tick.
    assert reads == [file, file]
    file.write_text(titled(text, "Mazes"), encoding="utf-8")
    for _ in range(25):
        clock.now += 1
        assert title_of(follower.collaboration) == "Mazes"
    assert len(reads) == 4


def test_looks_once_a_second(file: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    follower = Current(file, clock=clock)
    settle(follower, clock)
    looks: list[Path] = []
    stat = Path.stat

    def counted(path: Path) -> os.stat_result:
        looks.append(path)
        return stat(path)

    monkeypatch.setattr(Path, "stat", counted)
    for _ in range(1000):
        follower.collaboration  # noqa: B018 - reading is what looks
        clock.now += 0.0105
    assert len(looks) == 10


def test_a_touched_file_is_the_same_object(file: Path, text: str, clock: Clock) -> None:
    follower = Current(file, clock=clock)
    settle(follower, clock)
    before = follower.collaboration
    file.write_text("# a remark\n" + text, encoding="utf-8")
    clock.now += 1
    assert follower.collaboration is before


def test_a_second_write_in_the_same_tick_is_seen(file: Path, text: str, clock: Clock) -> None:
    """One that leaves time, size and inode as they were."""
    follower = Current(file, clock=clock)
    settle(follower, clock)
    file.write_text(titled(text, "Mazes"), encoding="utf-8")
    marks = file.stat()
    clock.now += 1
    assert title_of(follower.collaboration) == "Mazes"
    file.write_text(titled(text, "Tasks"), encoding="utf-8")
    os.utime(file, ns=(marks.st_atime_ns, marks.st_mtime_ns))
    assert (file.stat().st_ino, file.stat().st_size) == (marks.st_ino, marks.st_size)
    clock.now += 1
    assert title_of(follower.collaboration) == "Tasks"


def test_a_config_map_is_followed(tmp_path: Path, text: str, clock: Clock) -> None:
    """Kubernetes moves the link ``..data`` to a folder with the new files."""
    for folder, title in (("..one", "Mazes"), ("..two", "Tasks")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "collaboration.yaml").write_text(titled(text, title), encoding="utf-8")
        os.utime(tmp_path / folder / "collaboration.yaml", ns=(10**18, 10**18))
    (tmp_path / "..data").symlink_to("..one")
    (tmp_path / "collaboration.yaml").symlink_to("..data/collaboration.yaml")
    follower = Current(tmp_path / "collaboration.yaml", clock=clock)
    settle(follower, clock)
    assert title_of(follower.collaboration) == "Mazes"
    (tmp_path / "..data_tmp").symlink_to("..two")
    (tmp_path / "..data_tmp").rename(tmp_path / "..data")
    clock.now += 1
    assert title_of(follower.collaboration) == "Tasks"


def test_a_broken_file_keeps_the_old_one_and_is_told_once(
    file: Path, text: str, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, LOGGER)
    follower = Current(file, clock=clock)
    settle(follower, clock)
    before = follower.collaboration
    broken = text.replace("store: main", "store: mian")
    file.write_text(broken, encoding="utf-8")
    for _ in range(5):
        clock.now += 1
        assert follower.collaboration is before
    assert follower.problem is not None
    assert len(follower.problem.problems) == text.count("store: main") > 1
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert all(str(problem) in record.getMessage() for problem in follower.problem.problems)

    file.write_text(titled(text, "Mazes"), encoding="utf-8")
    for _ in range(5):
        clock.now += 1
        assert title_of(follower.collaboration) == "Mazes"
    assert follower.problem is None
    assert [record.levelname for record in caplog.records] == ["ERROR", "INFO"]
    assert "good again" in caplog.records[1].getMessage()


def test_another_mistake_is_told_too(
    file: Path, text: str, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    follower = Current(file, clock=clock)
    for mistake in ("store: mian", "store: mein"):
        file.write_text(text.replace("store: main", mistake), encoding="utf-8")
        clock.now += 1
        assert follower.problem is not None
    assert ["mian" in record.getMessage() for record in caplog.records] == [True, False]
    assert len(caplog.records) == 2


def test_a_file_that_goes_away_and_comes_back(
    file: Path, text: str, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, LOGGER)
    follower = Current(file, clock=clock)
    before = follower.collaboration
    file.unlink()
    for _ in range(3):
        clock.now += 1
        assert follower.collaboration is before
    assert "no such file" in str(follower.problem)
    file.write_text(text, encoding="utf-8")
    clock.now += 1
    assert follower.problem is None
    assert [record.levelname for record in caplog.records] == ["ERROR", "INFO"]


def test_a_change_is_told_to_the_log_that_was_given(
    file: Path, text: str, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    follower = Current(file, log=logging.getLogger("the.hub"), clock=clock)
    file.write_text(titled(text, "Mazes"), encoding="utf-8")
    for _ in range(3):
        clock.now += 1
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
    file: Path, text: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A half-written file can be a valid one that lacks a line at its end."""
    follower = Current(file, clock=clock)
    settle(follower, clock)
    before = follower.collaboration
    rest = text.splitlines(keepends=True)[-1]

    def meanwhile(path: Path) -> Collaboration:
        half = load(path)
        with file.open("a", encoding="utf-8") as stream:
            stream.write(rest)
        monkeypatch.undo()
        return half

    file.write_text(text.removesuffix(rest), encoding="utf-8")
    monkeypatch.setattr(current, "load", meanwhile)
    clock.now += 1
    assert follower.collaboration is before
    clock.now += 1
    assert follower.collaboration is before
    assert follower.problem is None


def test_nobody_waits_for_a_reading(
    file: Path, text: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    follower = Current(file, clock=clock)
    settle(follower, clock)
    begun, go_on = threading.Event(), threading.Event()

    def slow(path: Path) -> Collaboration:
        begun.set()
        assert go_on.wait(30)
        return load(path)

    monkeypatch.setattr(current, "load", slow)
    file.write_text(titled(text, "Mazes"), encoding="utf-8")
    clock.now += 1
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
