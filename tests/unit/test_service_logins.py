"""Logins: codes that cannot be guessed, tokens that are given once, and their ends."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from testing.clocks import START, FakeClock

from panneuro_hub.errors import AccessDenied
from panneuro_hub.service import logins as module
from panneuro_hub.service.database import Database
from panneuro_hub.service.logins import (
    ASKED_FOR,
    CONFIRM_WITHIN,
    INTERVAL,
    LASTS,
    Logins,
    NoLogin,
    TooMany,
    normal_code,
)
from panneuro_hub.service.owners import Owner


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def logins(tmp_path: Path, clock: FakeClock) -> Iterator[Logins]:
    with closing(Database(f"sqlite:///{tmp_path}/ledger.sqlite")) as database:
        yield Logins(database, clock.now, clock.steady)


ADA, EVE = Owner("ada", "account-of-ada"), Owner("eve", "account-of-eve")


async def decide(logins: Logins, owner: Owner, code: str, *, allow: bool = True) -> None:
    """What a person does in a browser, from the typed code on."""
    begun = await logins.request_confirmation(owner, code)
    confirmed = await logins.confirm(owner, begun.key)
    await logins.decide(owner, confirmed.key, allow=allow)


async def logged_in(
    logins: Logins, clock: FakeClock, owner: Owner = ADA, host: str = "rig-3"
) -> str:
    asked = await logins.ask(host)
    await decide(logins, owner, asked.user_code)
    made = await logins.take(asked.device_code)
    assert made is not None
    return made[0]


async def test_from_the_question_to_the_token(logins: Logins, clock: FakeClock) -> None:
    asked = await logins.ask("rig-3")
    assert normal_code(asked.user_code) == asked.user_code
    assert await logins.take(asked.device_code) is None
    begun = await logins.request_confirmation(ADA, asked.user_code.lower().replace("-", " "))
    waiting = begun.waiting
    assert (waiting.host, waiting.user_code, waiting.began) == ("rig-3", asked.user_code, START)
    await decide(logins, ADA, asked.user_code)
    clock.advance(timedelta(seconds=INTERVAL))
    made = await logins.take(asked.device_code)
    assert made is not None
    token, login = made
    assert (login.person, login.host, login.ends) == ("ada", "rig-3", clock.now() + LASTS)
    assert (await logins.holder(token)).id == login.id
    assert [one.id for one in await logins.of(ADA)] == [login.id]


async def test_a_token_is_given_once(logins: Logins, clock: FakeClock) -> None:
    asked = await logins.ask("rig-3")
    await decide(logins, ADA, asked.user_code)
    assert await logins.take(asked.device_code) is not None
    clock.advance(timedelta(seconds=INTERVAL))
    with pytest.raises(AccessDenied, match="this code is over"):
        await logins.take(asked.device_code)
    assert len(await logins.of(ADA)) == 1


async def test_a_decision_is_final(logins: Logins, clock: FakeClock) -> None:
    asked = await logins.ask("rig-3")
    await decide(logins, ADA, asked.user_code, allow=False)
    with pytest.raises(AccessDenied):
        await decide(logins, EVE, asked.user_code)
    with pytest.raises(AccessDenied, match="denied in the browser"):
        await logins.take(asked.device_code)
    assert await logins.of(ADA) == await logins.of(EVE) == []


async def test_each_step_is_taken_once_and_by_the_same_person(
    logins: Logins, clock: FakeClock
) -> None:
    asked = await logins.ask("rig-3")
    begun = await logins.request_confirmation(ADA, asked.user_code)
    with pytest.raises(AccessDenied):
        await logins.decide(ADA, begun.key, allow=True)  # without a fresh login
    with pytest.raises(AccessDenied):
        await logins.confirm(EVE, begun.key)
    confirmed = await logins.confirm(ADA, begun.key)
    with pytest.raises(AccessDenied):
        await logins.confirm(ADA, begun.key)
    for owner, key in ((EVE, confirmed.key), (ADA, begun.key), (ADA, "made-up")):
        with pytest.raises(AccessDenied):
            await logins.decide(owner, key, allow=True)
    await logins.decide(ADA, confirmed.key, allow=True)
    with pytest.raises(AccessDenied):
        await logins.decide(ADA, confirmed.key, allow=True)
    assert confirmed.key not in repr(confirmed)


async def test_a_confirmation_ends(logins: Logins, clock: FakeClock) -> None:
    asked = await logins.ask("rig-3")
    begun = await logins.request_confirmation(ADA, asked.user_code)
    clock.advance(CONFIRM_WITHIN)
    with pytest.raises(AccessDenied, match="type the code once more"):
        await logins.confirm(ADA, begun.key)


async def test_codes_end(logins: Logins, clock: FakeClock) -> None:
    asked, late = await logins.ask("rig-3"), await logins.ask("rig-4")
    await decide(logins, ADA, late.user_code)
    clock.advance(ASKED_FOR)
    with pytest.raises(AccessDenied, match="no login waiting"):
        await decide(logins, ADA, asked.user_code)
    for one in (asked, late):
        with pytest.raises(AccessDenied, match="this code is over"):
            await logins.take(one.device_code)


async def test_logins_end(logins: Logins, clock: FakeClock) -> None:
    token = await logged_in(logins, clock)
    clock.advance(LASTS - timedelta(seconds=1))
    await logins.holder(token)
    clock.advance(timedelta(seconds=1))
    with pytest.raises(NoLogin, match="has ended"):
        await logins.holder(token)
    assert await logins.of(ADA) == []


async def test_a_person_ends_their_own_logins_only(logins: Logins, clock: FakeClock) -> None:
    token = await logged_in(logins, clock)
    [login] = await logins.of(ADA)
    assert not await logins.end(login.id, EVE)
    await logins.holder(token)
    assert await logins.end(login.id, ADA)
    with pytest.raises(NoLogin):
        await logins.holder(token)


async def test_nothing_is_another_account_s_of_the_same_name(
    logins: Logins, clock: FakeClock
) -> None:
    asked = await logins.ask("rig-3")
    begun = await logins.request_confirmation(ADA, asked.user_code)
    later = Owner("ada", "another-account")
    with pytest.raises(AccessDenied):
        await logins.confirm(later, begun.key)
    token = await logged_in(logins, clock)
    assert (await logins.holder(token)).owner == ADA
    assert await logins.of(later) == []
    assert not await logins.end((await logins.of(ADA))[0].id, later)
    assert await logins.end_of_account(later) == 0
    assert await logins.end_of_account(ADA) == 1
    with pytest.raises(NoLogin):
        await logins.holder(token)


async def test_admins_see_everybody_s(logins: Logins, clock: FakeClock) -> None:
    await logged_in(logins, clock)
    await logged_in(logins, clock, EVE)
    assert {login.person for login in await logins.every()} == {"ada", "eve"}
    [hers] = await logins.every("eve")
    assert await logins.end(hers.id)
    assert [login.person for login in await logins.every()] == ["ada"]


async def test_codes_cannot_be_guessed(logins: Logins, clock: FakeClock) -> None:
    asked = await logins.ask("rig-3")
    for number in range(10):
        with pytest.raises(AccessDenied):
            await logins.request_confirmation(EVE, "BBBB-BBB" + "BCDFGHJKLM"[number])
    with pytest.raises(TooMany):
        await logins.request_confirmation(EVE, asked.user_code)  # not even with the right one
    with pytest.raises(TooMany):
        await decide(logins, EVE, asked.user_code)
    await logins.request_confirmation(ADA, asked.user_code)
    clock.advance(timedelta(seconds=599))
    with pytest.raises(TooMany):
        await logins.request_confirmation(EVE, asked.user_code)


async def test_a_machine_that_hurries_is_told(logins: Logins, clock: FakeClock) -> None:
    asked = await logins.ask("rig-3")
    assert await logins.take(asked.device_code) is None
    clock.advance(timedelta(seconds=1))
    with pytest.raises(TooMany, match="every 5 seconds"):
        await logins.take(asked.device_code)
    clock.advance(timedelta(seconds=INTERVAL))
    assert await logins.take(asked.device_code) is None


async def test_only_so_many_wait(
    logins: Logins, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MOST_WAITING", 3)
    for _ in range(3):
        await logins.ask("rig")
    with pytest.raises(TooMany):
        await logins.ask("rig")
    clock.advance(ASKED_FOR)
    await logins.ask("rig")


async def test_no_secret_is_in_the_database(
    logins: Logins, clock: FakeClock, tmp_path: Path
) -> None:
    asked = await logins.ask("rig-3")
    token = await logged_in(logins, clock)
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite")) as database:
        text = "\n".join(database.iterdump())
    assert "rig-3" in text
    assert asked.device_code not in text
    assert token not in text


async def test_a_host_is_data(logins: Logins, clock: FakeClock) -> None:
    await logged_in(logins, clock, host="a\x00\x1b[2J\n" + "x" * 500)
    await logged_in(logins, clock, host="\n\t")
    hosts = {login.host for login in await logins.of(ADA)}
    assert hosts == {("a[2J" + "x" * 500)[:100], "a computer without a name"}


@given(st.text())
def test_any_text_is_a_code_or_none(text: str) -> None:
    code = normal_code(text)
    assert code is None or normal_code(code) == code
