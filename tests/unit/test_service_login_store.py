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

from panneuro_hub.errors import AccessDeniedError
from panneuro_hub.service.accounts.hub_account import HubAccount
from panneuro_hub.service.db.schema import open_database
from panneuro_hub.service.device_login import login_store as module
from panneuro_hub.service.device_login.login_store import (
    CONFIRMATION_LIFETIME,
    DEVICE_CODE_LIFETIME,
    LOGIN_LIFETIME,
    POLL_INTERVAL,
    DeviceLoginStore,
    InvalidLoginError,
    RateLimitError,
    normalize_user_code,
)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def logins(tmp_path: Path, clock: FakeClock) -> Iterator[DeviceLoginStore]:
    with closing(open_database(f"sqlite:///{tmp_path}/ledger.sqlite")) as database:
        yield DeviceLoginStore(database, clock.now, clock.steady)


ADA, EVE = HubAccount("ada", "account-of-ada"), HubAccount("eve", "account-of-eve")


async def decide(
    logins: DeviceLoginStore, owner: HubAccount, code: str, *, allow: bool = True
) -> None:
    """What a person does in a browser, from the typed code on."""
    begun = await logins.begin_confirmation(owner, code)
    confirmed = await logins.confirm_request(owner, begun.key)
    await logins.decide_request(owner, confirmed.key, allow=allow)


async def logged_in(
    logins: DeviceLoginStore, clock: FakeClock, owner: HubAccount = ADA, host: str = "rig-3"
) -> str:
    asked = await logins.begin_request(host)
    await decide(logins, owner, asked.user_code)
    made = await logins.take_token(asked.device_code)
    assert made is not None
    return made[0]


async def test_from_the_question_to_the_token(logins: DeviceLoginStore, clock: FakeClock) -> None:
    asked = await logins.begin_request("rig-3")
    assert normalize_user_code(asked.user_code) == asked.user_code
    assert await logins.take_token(asked.device_code) is None
    begun = await logins.begin_confirmation(ADA, asked.user_code.lower().replace("-", " "))
    waiting = begun.request
    assert (waiting.host, waiting.user_code, waiting.began) == ("rig-3", asked.user_code, START)
    await decide(logins, ADA, asked.user_code)
    clock.advance(timedelta(seconds=POLL_INTERVAL))
    made = await logins.take_token(asked.device_code)
    assert made is not None
    token, login = made
    assert (login.person, login.host, login.ends) == ("ada", "rig-3", clock.now() + LOGIN_LIFETIME)
    assert (await logins.find_login(token)).id == login.id
    assert [one.id for one in await logins.list_logins(ADA)] == [login.id]


async def test_a_token_is_given_once(logins: DeviceLoginStore, clock: FakeClock) -> None:
    asked = await logins.begin_request("rig-3")
    await decide(logins, ADA, asked.user_code)
    assert await logins.take_token(asked.device_code) is not None
    clock.advance(timedelta(seconds=POLL_INTERVAL))
    with pytest.raises(AccessDeniedError, match="this code is over"):
        await logins.take_token(asked.device_code)
    assert len(await logins.list_logins(ADA)) == 1


async def test_a_decision_is_final(logins: DeviceLoginStore, clock: FakeClock) -> None:
    asked = await logins.begin_request("rig-3")
    await decide(logins, ADA, asked.user_code, allow=False)
    with pytest.raises(AccessDeniedError):
        await decide(logins, EVE, asked.user_code)
    with pytest.raises(AccessDeniedError, match="denied in the browser"):
        await logins.take_token(asked.device_code)
    assert await logins.list_logins(ADA) == await logins.list_logins(EVE) == []


async def test_each_step_is_taken_once_and_by_the_same_person(
    logins: DeviceLoginStore, clock: FakeClock
) -> None:
    asked = await logins.begin_request("rig-3")
    begun = await logins.begin_confirmation(ADA, asked.user_code)
    with pytest.raises(AccessDeniedError):
        await logins.decide_request(ADA, begun.key, allow=True)  # without a fresh login
    with pytest.raises(AccessDeniedError):
        await logins.confirm_request(EVE, begun.key)
    confirmed = await logins.confirm_request(ADA, begun.key)
    with pytest.raises(AccessDeniedError):
        await logins.confirm_request(ADA, begun.key)
    for owner, key in ((EVE, confirmed.key), (ADA, begun.key), (ADA, "made-up")):
        with pytest.raises(AccessDeniedError):
            await logins.decide_request(owner, key, allow=True)
    await logins.decide_request(ADA, confirmed.key, allow=True)
    with pytest.raises(AccessDeniedError):
        await logins.decide_request(ADA, confirmed.key, allow=True)
    assert confirmed.key not in repr(confirmed)


async def test_a_confirmation_ends(logins: DeviceLoginStore, clock: FakeClock) -> None:
    asked = await logins.begin_request("rig-3")
    begun = await logins.begin_confirmation(ADA, asked.user_code)
    clock.advance(CONFIRMATION_LIFETIME)
    with pytest.raises(AccessDeniedError, match="type the code once more"):
        await logins.confirm_request(ADA, begun.key)


async def test_codes_end(logins: DeviceLoginStore, clock: FakeClock) -> None:
    asked, late = await logins.begin_request("rig-3"), await logins.begin_request("rig-4")
    await decide(logins, ADA, late.user_code)
    clock.advance(DEVICE_CODE_LIFETIME)
    with pytest.raises(AccessDeniedError, match="no login waiting"):
        await decide(logins, ADA, asked.user_code)
    for one in (asked, late):
        with pytest.raises(AccessDeniedError, match="this code is over"):
            await logins.take_token(one.device_code)


async def test_logins_end(logins: DeviceLoginStore, clock: FakeClock) -> None:
    token = await logged_in(logins, clock)
    clock.advance(LOGIN_LIFETIME - timedelta(seconds=1))
    await logins.find_login(token)
    clock.advance(timedelta(seconds=1))
    with pytest.raises(InvalidLoginError, match="has ended"):
        await logins.find_login(token)
    assert await logins.list_logins(ADA) == []


async def test_a_person_ends_their_own_logins_only(
    logins: DeviceLoginStore, clock: FakeClock
) -> None:
    token = await logged_in(logins, clock)
    [login] = await logins.list_logins(ADA)
    assert not await logins.end_login(login.id, EVE)
    await logins.find_login(token)
    assert await logins.end_login(login.id, ADA)
    with pytest.raises(InvalidLoginError):
        await logins.find_login(token)


async def test_nothing_is_another_account_s_of_the_same_name(
    logins: DeviceLoginStore, clock: FakeClock
) -> None:
    asked = await logins.begin_request("rig-3")
    begun = await logins.begin_confirmation(ADA, asked.user_code)
    later = HubAccount("ada", "another-account")
    with pytest.raises(AccessDeniedError):
        await logins.confirm_request(later, begun.key)
    token = await logged_in(logins, clock)
    assert (await logins.find_login(token)).owner == ADA
    assert await logins.list_logins(later) == []
    assert not await logins.end_login((await logins.list_logins(ADA))[0].id, later)
    assert await logins.end_account_logins(later) == 0
    assert await logins.end_account_logins(ADA) == 1
    with pytest.raises(InvalidLoginError):
        await logins.find_login(token)


async def test_admins_see_everybody_s(logins: DeviceLoginStore, clock: FakeClock) -> None:
    await logged_in(logins, clock)
    await logged_in(logins, clock, EVE)
    assert {login.person for login in await logins.list_all_logins()} == {"ada", "eve"}
    [hers] = await logins.list_all_logins("eve")
    assert await logins.end_login(hers.id)
    assert [login.person for login in await logins.list_all_logins()] == ["ada"]


async def test_codes_cannot_be_guessed(logins: DeviceLoginStore, clock: FakeClock) -> None:
    asked = await logins.begin_request("rig-3")
    for number in range(10):
        with pytest.raises(AccessDeniedError):
            await logins.begin_confirmation(EVE, "BBBB-BBB" + "BCDFGHJKLM"[number])
    with pytest.raises(RateLimitError):
        await logins.begin_confirmation(EVE, asked.user_code)  # not even with the right one
    with pytest.raises(RateLimitError):
        await decide(logins, EVE, asked.user_code)
    await logins.begin_confirmation(ADA, asked.user_code)
    clock.advance(timedelta(seconds=599))
    with pytest.raises(RateLimitError):
        await logins.begin_confirmation(EVE, asked.user_code)


async def test_a_machine_that_hurries_is_told(logins: DeviceLoginStore, clock: FakeClock) -> None:
    asked = await logins.begin_request("rig-3")
    assert await logins.take_token(asked.device_code) is None
    clock.advance(timedelta(seconds=1))
    with pytest.raises(RateLimitError, match="every 5 seconds"):
        await logins.take_token(asked.device_code)
    clock.advance(timedelta(seconds=POLL_INTERVAL))
    assert await logins.take_token(asked.device_code) is None


async def test_only_so_many_wait(
    logins: DeviceLoginStore, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MOST_WAITING", 3)
    for _ in range(3):
        await logins.begin_request("rig")
    with pytest.raises(RateLimitError):
        await logins.begin_request("rig")
    clock.advance(DEVICE_CODE_LIFETIME)
    await logins.begin_request("rig")


async def test_no_secret_is_in_the_database(
    logins: DeviceLoginStore, clock: FakeClock, tmp_path: Path
) -> None:
    asked = await logins.begin_request("rig-3")
    token = await logged_in(logins, clock)
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite")) as database:
        text = "\n".join(database.iterdump())
    assert "rig-3" in text
    assert asked.device_code not in text
    assert token not in text


async def test_a_host_is_data(logins: DeviceLoginStore, clock: FakeClock) -> None:
    await logged_in(logins, clock, host="a\x00\x1b[2J\n" + "x" * 500)
    await logged_in(logins, clock, host="\n\t")
    hosts = {login.host for login in await logins.list_logins(ADA)}
    assert hosts == {("a[2J" + "x" * 500)[:100], "a computer without a name"}


@given(st.text())
def test_any_text_is_a_code_or_none(text: str) -> None:
    code = normalize_user_code(text)
    assert code is None or normalize_user_code(code) == code
