from __future__ import annotations

import stat
import threading
from operator import ge
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from panneuro_hub.agent.token_file import TokenFile

pytestmark = pytest.mark.slow


def test_only_this_user_can_read_it(tmp_path: Path) -> None:
    tokens = TokenFile(tmp_path / "private" / "token")
    assert stat.S_IMODE(tokens.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(tokens.path.parent.stat().st_mode) == 0o700
    tokens.rotate()
    assert stat.S_IMODE(tokens.path.stat().st_mode) == 0o600


def test_others_can_read_it_where_that_is_asked_for(tmp_path: Path) -> None:
    tokens = TokenFile(tmp_path / "token", 0o644)
    tokens.rotate()
    assert stat.S_IMODE(tokens.path.stat().st_mode) == 0o644


def test_the_file_is_good_as_a_header_as_it_is(tmp_path: Path) -> None:
    text = TokenFile(tmp_path / "token").path.read_text()
    assert len(text) >= 40
    assert text.isascii()
    assert text.strip() == text


def test_old_and_new_are_valid_for_one_period(tmp_path: Path) -> None:
    tokens = TokenFile(tmp_path / "token")
    first = tokens.path.read_text()
    tokens.rotate()
    second = tokens.path.read_text()
    assert first != second
    assert tokens.accepts(first)
    assert tokens.accepts(second)
    tokens.rotate()
    assert not tokens.accepts(first)
    assert tokens.accepts(second)
    assert [path.name for path in tmp_path.iterdir()] == ["token"]


def test_a_file_that_cannot_be_written_leaves_the_token_valid(tmp_path: Path) -> None:
    tokens = TokenFile(tmp_path / "token")
    first = tokens.path.read_text()
    tokens.path.unlink()
    tokens.path.mkdir()  # nothing can be renamed over a folder
    for _ in range(3):
        with pytest.raises(OSError, match="token"):
            tokens.rotate()
    assert tokens.accepts(first)
    assert [path.name for path in tmp_path.iterdir()] == ["token"]


def test_a_link_in_its_place_is_replaced_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "elsewhere"
    target.write_text("mine")
    (tmp_path / "token").symlink_to(target)
    tokens = TokenFile(tmp_path / "token")
    assert target.read_text() == "mine"
    assert not tokens.path.is_symlink()


def test_nothing_is_accepted_after_its_end(tmp_path: Path) -> None:
    tokens = TokenFile(tmp_path / "token")
    token = tokens.path.read_text()
    tokens.remove()
    assert not tokens.accepts(token)
    assert not tokens.accepts("")
    assert not tokens.path.exists()


@given(st.text())
def test_other_words_are_not_accepted(tmp_path_factory: pytest.TempPathFactory, word: str) -> None:
    tokens = TokenFile(tmp_path_factory.mktemp("tokens") / "token")
    assert not tokens.accepts(word)
    assert not tokens.accepts(f"{tokens.path.read_text()}{word or ' '}")


def test_what_a_client_reads_is_still_valid_when_it_shows_it(tmp_path: Path) -> None:
    tokens = TokenFile(tmp_path / "token")
    refused: list[str] = []
    rounds = [0] * 4
    moved = threading.Condition()
    done = threading.Event()

    def read_and_show(number: int) -> None:
        while not done.is_set():
            token = tokens.path.read_text()
            if not tokens.accepts(token):
                refused.append(token)
            with moved:
                rounds[number] += 1
                moved.notify_all()

    readers = [threading.Thread(target=read_and_show, args=(number,)) for number in range(4)]
    for reader in readers:
        reader.start()
    for _ in range(200):
        tokens.rotate()
        with moved:
            # A token is valid for a full period, in which every client comes to its end once.
            goal = [count + 1 for count in rounds]
            assert moved.wait_for(lambda goal=goal: all(map(ge, rounds, goal)), 20)
    done.set()
    for reader in readers:
        reader.join()
    assert refused == []
