from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from testing.clocks import FakeClock

from panneuro_hub.errors import AccessDenied, ServiceUnavailable
from panneuro_hub.lab.keeper import Clock, Keeper, until_renewal, until_retry
from panneuro_hub.lab.upstream import OutOfReach
from panneuro_hub.wire import Credential

START = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)


def both(clock: FakeClock) -> Clock:
    return Clock(wall=clock.now, steady=clock.steady)


@dataclass
class Service:
    """Gives 15-minute keys, due for renewal after 10, unless told otherwise."""

    clock: FakeClock
    trouble: Exception | None = None
    lifetime: float = 900
    renew_in: float = 600
    asked: int = 0
    given: list[Credential] = field(default_factory=list)

    def __call__(self) -> Credential:
        self.asked += 1
        if self.trouble is not None:
            raise self.trouble
        now = self.clock.wall_time
        credential = Credential(
            f"KEY{len(self.given) + 1}",
            "very-secret",
            "very-secret-too",
            now + timedelta(seconds=self.lifetime),
            now + timedelta(seconds=self.renew_in),
        )
        self.given.append(credential)
        return credential


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(START)


@pytest.fixture
def service(clock: FakeClock) -> Service:
    return Service(clock)


@pytest.fixture
def keeper(clock: FakeClock, service: Service) -> Keeper:
    return Keeper(service, both(clock), chance=lambda: 0.0)


def test_renews_when_the_service_says_so_and_long_before_the_end(
    keeper: Keeper, clock: FakeClock
) -> None:
    pause = keeper.step()
    assert pause == 600
    assert keeper.credential().access_key_id == "KEY1"
    clock.advance(pause)
    keeper.step()
    assert keeper.credential().access_key_id == "KEY2"
    assert keeper.health().status == "ready"


def test_keeps_the_old_keys_in_an_outage_and_warns_with_the_reason(
    keeper: Keeper, clock: FakeClock, service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    keeper.step()
    clock.advance(600)
    service.trouble = OutOfReach("the store's STS is down")
    keeper.step()
    clock.advance(299)
    assert keeper.credential().access_key_id == "KEY1"
    assert keeper.health().status == "late"
    assert keeper.health().problem == "the store's STS is down"
    assert "the store's STS is down" in caplog.text


def test_never_gives_keys_that_have_ended_and_says_why_at_once(
    keeper: Keeper, clock: FakeClock, service: Service
) -> None:
    keeper.step()
    service.trouble = OutOfReach("the store's STS is down")
    clock.advance(600)
    keeper.step()
    clock.advance(300)
    told: list[str] = []

    def ask() -> None:
        try:
            keeper.credential(wait=600)
        except ServiceUnavailable as problem:
            told.append(str(problem))

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(20)
    assert told == ["the session's keys ended at 2026-11-02 09:15:00 UTC: the store's STS is down"]
    health = keeper.health()
    assert (health.status, health.usable) == ("ended", False)


def test_recovers_after_an_outage_beyond_the_end(
    keeper: Keeper, clock: FakeClock, service: Service
) -> None:
    keeper.step()
    service.trouble = OutOfReach("down")
    clock.advance(1200)
    keeper.step()
    service.trouble = None
    keeper.step()
    assert keeper.credential().access_key_id == "KEY2"
    assert keeper.health().problem is None


def test_a_refusal_ends_live_keys_at_once_and_is_asked_about_seldom(
    keeper: Keeper, service: Service
) -> None:
    keeper.step()
    service.trouble = AccessDenied("your membership of navigation-lab ended")
    assert keeper.step() == 30
    with pytest.raises(AccessDenied, match="your membership of navigation-lab ended"):
        keeper.credential(wait=10)
    health = keeper.health()
    assert (health.status, health.usable, health.expires) == ("refused", False, None)
    # An outage after a refusal gives nothing back.
    service.trouble = OutOfReach("down")
    keeper.step()
    with pytest.raises(AccessDenied):
        keeper.credential()
    service.trouble = None
    keeper.step()
    assert keeper.credential().access_key_id == "KEY2"


def test_a_fault_that_nobody_foresaw_is_an_outage(
    keeper: Keeper, service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    keeper.step()
    service.trouble = ZeroDivisionError("oh")
    assert keeper.step() == 1
    assert keeper.credential().access_key_id == "KEY1"
    assert "not foreseen" in caplog.text


def test_retries_slow_down_and_start_over_after_success(keeper: Keeper, service: Service) -> None:
    service.trouble = OutOfReach("down")
    assert [keeper.step() for _ in range(7)] == [1, 2, 4, 8, 16, 30, 30]
    service.trouble = None
    keeper.step()
    service.trouble = OutOfReach("down")
    assert keeper.step() == 1


def test_waits_as_long_as_the_service_asks_for(keeper: Keeper, service: Service) -> None:
    service.trouble = OutOfReach("busy", retry_after=7)
    assert keeper.step() == 7
    service.trouble = OutOfReach("busy", retry_after=86400)
    assert keeper.step() == 30


def test_a_wall_clock_set_back_does_not_lengthen_the_keys_life(
    keeper: Keeper, clock: FakeClock, service: Service
) -> None:
    keeper.step()
    service.trouble = OutOfReach("down")
    keeper.step()
    clock.advance(899)
    clock.wall_time -= timedelta(days=1)
    assert keeper.credential().access_key_id == "KEY1"
    clock.advance(1)
    with pytest.raises(ServiceUnavailable):
        keeper.credential()


def test_a_wall_clock_set_forward_ends_the_keys(
    keeper: Keeper, clock: FakeClock, service: Service
) -> None:
    keeper.step()
    clock.wall_time += timedelta(hours=1)  # a suspended night: the steady clock stood still
    service.trouble = OutOfReach("down")
    keeper.step()
    with pytest.raises(ServiceUnavailable):
        keeper.credential()


def test_keys_that_ended_on_the_way_are_not_given(keeper: Keeper, service: Service) -> None:
    service.lifetime = -1
    assert keeper.step() == 1
    with pytest.raises(ServiceUnavailable, match="is the clock of this machine right"):
        keeper.credential()


def test_logs_and_texts_hold_no_secret(
    keeper: Keeper, clock: FakeClock, service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    keeper.step()
    service.trouble = ValueError("very-odd")
    clock.advance(1000)
    keeper.step()
    with pytest.raises(ServiceUnavailable) as raised:
        keeper.credential()
    assert "very-secret" not in caplog.text + str(raised.value) + repr(keeper.health())
    assert "KEY1" in caplog.text


def test_says_the_same_problem_once(
    keeper: Keeper, service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    service.trouble = OutOfReach("down")
    for _ in range(5):
        keeper.step()
    assert caplog.text.count("down") == 1


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    gate = threading.Event()
    yield gate
    gate.set()


def test_the_first_request_waits_for_the_keys_under_way(
    clock: FakeClock, service: Service, gate: threading.Event
) -> None:
    asked = threading.Event()

    def fetch() -> Credential:
        asked.set()
        gate.wait(20)
        return service()

    keeper = Keeper(fetch, both(clock))
    keeper.start()
    assert asked.wait(20)
    with pytest.raises(ServiceUnavailable, match="no keys yet"):
        keeper.credential(wait=0)
    got: list[Credential] = []
    waiting = threading.Thread(target=lambda: got.append(keeper.credential(wait=20)))
    waiting.start()
    gate.set()
    waiting.join(20)
    keeper.stop()
    assert [credential.access_key_id for credential in got] == ["KEY1"]


def test_a_request_after_a_suspended_night_wakes_the_renewal(
    clock: FakeClock, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("panneuro_hub.lab.keeper._LOOK_AT_CLOCK", 600)  # only the request wakes it
    keeper = Keeper(service, both(clock), chance=lambda: 0.0)
    keeper.start()
    assert keeper.credential(wait=20).access_key_id == "KEY1"
    clock.wall_time += timedelta(hours=9)
    assert keeper.credential(wait=20).access_key_id == "KEY2"
    keeper.stop()


def test_waiting_ends_with_the_refusal(clock: FakeClock, gate: threading.Event) -> None:
    def fetch() -> Credential:
        gate.wait(20)
        raise AccessDenied("not for you")

    keeper = Keeper(fetch, both(clock))
    keeper.start()
    outcome: list[str] = []

    def ask() -> None:
        try:
            keeper.credential(wait=60)
        except AccessDenied as denied:
            outcome.append(str(denied))

    waiting = threading.Thread(target=ask)
    waiting.start()
    gate.set()
    waiting.join(20)
    keeper.stop()
    assert outcome == ["not for you"]


def test_a_stopped_keeper_has_no_keys(keeper: Keeper) -> None:
    keeper.step()
    keeper.stop()
    with pytest.raises(ServiceUnavailable, match="stopping"):
        keeper.credential(wait=10)
    keeper.step()
    with pytest.raises(ServiceUnavailable, match="stopping"):
        keeper.credential()


lives = st.floats(min_value=6, max_value=50_000)
chances = st.floats(min_value=0, max_value=1)


@given(life=lives, part=st.floats(min_value=-1, max_value=2), chance=chances)
def test_renewal_comes_before_the_end_and_never_in_a_hurry(
    life: float, part: float, chance: float
) -> None:
    credential = Credential(
        "K", "s", "t", START + timedelta(seconds=life), START + timedelta(seconds=life * part)
    )
    pause = until_renewal(credential, life, START, chance)
    assert 1 <= pause < life
    if 0 < part <= 0.8:
        assert pause >= min(life * part, 1) or pause == pytest.approx(life * part, rel=1e-3)


@given(failures=st.integers(0, 10_000), chance=chances)
def test_retries_stay_between_one_and_thirty_seconds(failures: int, chance: float) -> None:
    assert 1 <= until_retry(failures, None, chance) <= 30
