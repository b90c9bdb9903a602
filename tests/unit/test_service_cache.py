"""What is kept of a slow place's answers, and how many questions it gets."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from panneuro_hub.errors import ServiceUnavailableError
from panneuro_hub.service import cache
from panneuro_hub.service.cache import LookupCache


@dataclass
class Place:
    """Knows some names; answers when it may."""

    known: dict[str, str] = field(default_factory=lambda: {"ada": "1"})
    asked: list[str] = field(default_factory=list)
    now: float = 0.0
    open: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.open.set()

    async def ask(self, name: str) -> str | None:
        self.asked.append(name)
        answer = self.known.get(name)
        await self.open.wait()
        return answer

    def keep(self, seconds: float) -> LookupCache[str]:
        return LookupCache(self.ask, seconds, lambda: self.now)


async def test_an_answer_is_good_for_its_time_and_one_question_serves_all() -> None:
    place = Place()
    answers = place.keep(10)
    assert set(await asyncio.gather(*(answers.get("ada") for _ in range(50)))) == {"1"}
    place.known["ada"] = "2"
    place.now = 10
    assert await answers.get("ada") == "1"
    assert await answers.get("ada", within=9) == "2"
    assert answers.age("ada") == 0
    place.now = 21
    del place.known["ada"]
    assert await answers.get("ada") is None
    assert await answers.get("ada") is None
    assert place.asked == ["ada"] * 3


async def test_what_is_forgotten_is_asked_for_again() -> None:
    place = Place()
    answers = place.keep(10)
    await answers.get("ada")
    place.known["eve"] = "3"
    answers.forget("ada")
    answers.forget("nobody")
    assert await answers.get("ada") == "1"
    assert place.asked == ["ada", "ada"]


async def test_an_error_is_kept_for_nobody() -> None:
    asked = 0

    async def ask(_: str) -> str | None:
        nonlocal asked
        asked += 1
        if asked == 1:
            raise ServiceUnavailableError("not now")
        return "1"

    answers = LookupCache(ask, 10)
    with pytest.raises(ServiceUnavailableError):
        await answers.get("ada")
    assert await answers.get("ada") == "1"


async def test_a_stranger_waits_for_other_strangers_and_who_is_known_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cache, "_STRANGERS", 2)
    monkeypatch.setattr(cache, "_STRANGERS_WAITING", 5)
    place = Place()
    answers = place.keep(10)
    await answers.get("ada")
    place.now = 11
    place.open.clear()
    strangers = [asyncio.create_task(answers.get(f"nobody-{n}")) for n in range(20)]
    await asyncio.sleep(0)
    ada = asyncio.create_task(answers.get("ada"))
    done, _ = await asyncio.wait(strangers, return_when=asyncio.FIRST_COMPLETED)
    assert len(done) == 15
    assert all(isinstance(task.exception(), ServiceUnavailableError) for task in done)
    assert place.asked == ["ada", "nobody-0", "nobody-1", "ada"]
    place.open.set()
    assert await ada == "1"
    answered = await asyncio.gather(*strangers, return_exceptions=True)
    assert answered.count(None) == 5
    # None of them has kept the place of another who comes later.
    assert await asyncio.gather(*(answers.get(f"later-{n}") for n in range(5))) == [None] * 5


async def test_who_stops_waiting_leaves_the_place_to_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cache, "_STRANGERS", 1)
    monkeypatch.setattr(cache, "_STRANGERS_WAITING", 2)
    place = Place()
    answers = place.keep(10)
    place.open.clear()
    for _ in range(3):
        asking = [asyncio.create_task(answers.get(f"nobody-{n}")) for n in range(2)]
        await asyncio.sleep(0)
        for task in asking:
            task.cancel()
        assert await asyncio.gather(*asking, return_exceptions=True) != [None, None]
    place.open.set()
    assert await answers.get("ada") == "1"


async def test_made_up_names_do_not_drive_out_good_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "_MOST_NAMES", 3)
    place = Place({"ada": "1", "grace": "2"})
    answers = place.keep(10)
    for name in ("ada", "grace", *(f"nobody-{n}" for n in range(20)), "ada", "grace"):
        await answers.get(name)
    assert [name for name in place.asked if not name.startswith("nobody")] == ["ada", "grace"]
    assert len(answers._unknown) == 3
