"""What tests share keeps what it says."""

from __future__ import annotations

import asyncio
import urllib.error
import urllib.request
from datetime import timedelta
from pathlib import Path

import pytest
from testing.clocks import START, FakeClock
from testing.scheduling import SERVER_GROUPS
from testing.stand_in_server import StandInRequest, StandInResponse, StandInServer
from testing.waiting import wait_until, wait_until_async


def test_both_clocks_advance() -> None:
    clock = FakeClock()
    clock.advance(0.5)
    clock.advance(timedelta(minutes=1), hours=1)
    assert clock.now() - START == timedelta(hours=1, minutes=1, seconds=0.5)
    assert clock.steady() == 1000 + 3660.5


async def test_waiting_gives_what_it_has_waited_for() -> None:
    seen = iter([0, None, 7])
    assert wait_until(lambda: next(seen)) == 7
    later = iter([0, 8])
    assert await wait_until_async(lambda: asyncio.sleep(0, next(later))) == 8
    assert await wait_until_async(lambda: 9) == 9


async def test_waiting_in_vain_says_for_what() -> None:
    with pytest.raises(AssertionError, match="the end: not in time; saw 0"):
        wait_until(lambda: 0, "the end", patience=0.05)
    with pytest.raises(AssertionError, match="the end: not in time; saw None"):
        await wait_until_async(lambda: None, "the end", patience=0.05)


def test_a_stand_in_notes_requests_and_answers() -> None:
    def respond(request: StandInRequest) -> StandInResponse:
        if request.method == "POST":
            return StandInResponse.from_json({"got": request.body.decode()}, Retry_After="3")
        return StandInResponse(404, b"not here")

    with StandInServer(respond) as server:
        with urllib.request.urlopen(f"{server.url}/a?b=c", b"hello", timeout=20) as answer:
            assert answer.read() == b'{"got": "hello"}'
            assert answer.headers["Retry-After"] == "3"
        with pytest.raises(urllib.error.HTTPError, match="404") as error:
            urllib.request.urlopen(f"{server.url}/d", timeout=20)
        assert error.value.read() == b"not here"
        error.value.close()
    assert [(one.method, one.path) for one in server.requests] == [
        ("POST", "/a?b=c"),
        ("GET", "/d"),
    ]


def test_every_file_of_a_group_of_servers_is_there() -> None:
    top = Path(__file__).parents[2]
    files = [file for group in SERVER_GROUPS.values() for file in group]
    assert [file for file in files if not (top / file).exists()] == []
    assert len(files) == len(set(files))
