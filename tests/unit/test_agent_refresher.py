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

from panneuro_hub.agent.refresher import (
    ClockPair,
    CredentialRefresher,
    seconds_until_refresh,
    seconds_until_retry,
)
from panneuro_hub.agent.service_client import ServiceUnreachableError
from panneuro_hub.errors import AccessDeniedError, ServiceUnavailableError
from panneuro_hub.wire import Credential

START = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)


def both(clock: FakeClock) -> ClockPair:
    return ClockPair(wall=clock.now, steady=clock.steady)


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
def refresher(clock: FakeClock, service: Service) -> CredentialRefresher:
    return CredentialRefresher(service, both(clock), chance=lambda: 0.0)


def test_renews_when_the_service_says_so_and_long_before_the_end(
    refresher: CredentialRefresher, clock: FakeClock
) -> None:
    pause = refresher.refresh_once()
    assert pause == 600
    assert refresher.get_credential().access_key_id == "KEY1"
    clock.advance(pause)
    refresher.refresh_once()
    assert refresher.get_credential().access_key_id == "KEY2"
    assert refresher.report_health().status == "ready"


def test_keeps_the_old_keys_in_an_outage_and_warns_with_the_reason(
    refresher: CredentialRefresher,
    clock: FakeClock,
    service: Service,
    caplog: pytest.LogCaptureFixture,
) -> None:
    refresher.refresh_once()
    clock.advance(600)
    service.trouble = ServiceUnreachableError("the store's STS is down")
    refresher.refresh_once()
    clock.advance(299)
    assert refresher.get_credential().access_key_id == "KEY1"
    assert refresher.report_health().status == "late"
    assert refresher.report_health().problem == "the store's STS is down"
    assert "the store's STS is down" in caplog.text


def test_never_gives_keys_that_have_ended_and_says_why_at_once(
    refresher: CredentialRefresher, clock: FakeClock, service: Service
) -> None:
    refresher.refresh_once()
    service.trouble = ServiceUnreachableError("the store's STS is down")
    clock.advance(600)
    refresher.refresh_once()
    clock.advance(300)
    told: list[str] = []

    def ask() -> None:
        try:
            refresher.get_credential(wait=600)
        except ServiceUnavailableError as problem:
            told.append(str(problem))

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(20)
    assert told == [
        "the session's keys expired at 2026-11-02 09:15:00 UTC: the store's STS is down"
    ]
    health = refresher.report_health()
    assert (health.status, health.usable) == ("ended", False)


def test_recovers_after_an_outage_beyond_the_end(
    refresher: CredentialRefresher, clock: FakeClock, service: Service
) -> None:
    refresher.refresh_once()
    service.trouble = ServiceUnreachableError("down")
    clock.advance(1200)
    refresher.refresh_once()
    service.trouble = None
    refresher.refresh_once()
    assert refresher.get_credential().access_key_id == "KEY2"
    assert refresher.report_health().problem is None


def test_a_refusal_ends_live_keys_at_once_and_is_asked_about_seldom(
    refresher: CredentialRefresher, service: Service
) -> None:
    refresher.refresh_once()
    service.trouble = AccessDeniedError("your membership of navigation-lab ended")
    assert refresher.refresh_once() == 30
    with pytest.raises(AccessDeniedError, match="your membership of navigation-lab ended"):
        refresher.get_credential(wait=10)
    health = refresher.report_health()
    assert (health.status, health.usable, health.expires) == ("refused", False, None)
    # An outage after a refusal gives nothing back.
    service.trouble = ServiceUnreachableError("down")
    refresher.refresh_once()
    with pytest.raises(AccessDeniedError):
        refresher.get_credential()
    service.trouble = None
    refresher.refresh_once()
    assert refresher.get_credential().access_key_id == "KEY2"


def test_a_fault_that_nobody_foresaw_is_an_outage(
    refresher: CredentialRefresher, service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    refresher.refresh_once()
    service.trouble = ZeroDivisionError("oh")
    assert refresher.refresh_once() == 1
    assert refresher.get_credential().access_key_id == "KEY1"
    assert "unforeseen error" in caplog.text


def test_retries_slow_down_and_start_over_after_success(
    refresher: CredentialRefresher, service: Service
) -> None:
    service.trouble = ServiceUnreachableError("down")
    assert [refresher.refresh_once() for _ in range(7)] == [1, 2, 4, 8, 16, 30, 30]
    service.trouble = None
    refresher.refresh_once()
    service.trouble = ServiceUnreachableError("down")
    assert refresher.refresh_once() == 1


def test_waits_as_long_as_the_service_asks_for(
    refresher: CredentialRefresher, service: Service
) -> None:
    service.trouble = ServiceUnreachableError("busy", retry_after=7)
    assert refresher.refresh_once() == 7
    service.trouble = ServiceUnreachableError("busy", retry_after=86400)
    assert refresher.refresh_once() == 30


def test_a_wall_clock_set_back_does_not_lengthen_the_keys_life(
    refresher: CredentialRefresher, clock: FakeClock, service: Service
) -> None:
    refresher.refresh_once()
    service.trouble = ServiceUnreachableError("down")
    refresher.refresh_once()
    clock.advance(899)
    clock.wall_time -= timedelta(days=1)
    assert refresher.get_credential().access_key_id == "KEY1"
    clock.advance(1)
    with pytest.raises(ServiceUnavailableError):
        refresher.get_credential()


def test_a_wall_clock_set_forward_ends_the_keys(
    refresher: CredentialRefresher, clock: FakeClock, service: Service
) -> None:
    refresher.refresh_once()
    clock.wall_time += timedelta(hours=1)  # a suspended night: the steady clock stood still
    service.trouble = ServiceUnreachableError("down")
    refresher.refresh_once()
    with pytest.raises(ServiceUnavailableError):
        refresher.get_credential()


def test_keys_that_ended_on_the_way_are_not_given(
    refresher: CredentialRefresher, service: Service
) -> None:
    service.lifetime = -1
    assert refresher.refresh_once() == 1
    with pytest.raises(ServiceUnavailableError, match="is the clock of this machine right"):
        refresher.get_credential()


def test_logs_and_texts_hold_no_secret(
    refresher: CredentialRefresher,
    clock: FakeClock,
    service: Service,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    refresher.refresh_once()
    service.trouble = ValueError("very-odd")
    clock.advance(1000)
    refresher.refresh_once()
    with pytest.raises(ServiceUnavailableError) as raised:
        refresher.get_credential()
    assert "very-secret" not in caplog.text + str(raised.value) + repr(refresher.report_health())
    assert "KEY1" in caplog.text


def test_says_the_same_problem_once(
    refresher: CredentialRefresher, service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    service.trouble = ServiceUnreachableError("down")
    for _ in range(5):
        refresher.refresh_once()
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

    refresher = CredentialRefresher(fetch, both(clock))
    refresher.start()
    assert asked.wait(20)
    with pytest.raises(ServiceUnavailableError, match="no keys yet"):
        refresher.get_credential(wait=0)
    got: list[Credential] = []
    waiting = threading.Thread(target=lambda: got.append(refresher.get_credential(wait=20)))
    waiting.start()
    gate.set()
    waiting.join(20)
    refresher.stop()
    assert [credential.access_key_id for credential in got] == ["KEY1"]


def test_a_request_after_a_suspended_night_wakes_the_renewal(
    clock: FakeClock, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "panneuro_hub.agent.refresher._CLOCK_CHECK_SECONDS", 600
    )  # only the request wakes it
    refresher = CredentialRefresher(service, both(clock), chance=lambda: 0.0)
    refresher.start()
    assert refresher.get_credential(wait=20).access_key_id == "KEY1"
    clock.wall_time += timedelta(hours=9)
    assert refresher.get_credential(wait=20).access_key_id == "KEY2"
    refresher.stop()


def test_waiting_ends_with_the_refusal(clock: FakeClock, gate: threading.Event) -> None:
    def fetch() -> Credential:
        gate.wait(20)
        raise AccessDeniedError("not for you")

    refresher = CredentialRefresher(fetch, both(clock))
    refresher.start()
    outcome: list[str] = []

    def ask() -> None:
        try:
            refresher.get_credential(wait=60)
        except AccessDeniedError as denied:
            outcome.append(str(denied))

    waiting = threading.Thread(target=ask)
    waiting.start()
    gate.set()
    waiting.join(20)
    refresher.stop()
    assert outcome == ["not for you"]


def test_a_stopped_refresher_has_no_keys(refresher: CredentialRefresher) -> None:
    refresher.refresh_once()
    refresher.stop()
    with pytest.raises(ServiceUnavailableError, match="stopping"):
        refresher.get_credential(wait=10)
    refresher.refresh_once()
    with pytest.raises(ServiceUnavailableError, match="stopping"):
        refresher.get_credential()


lives = st.floats(min_value=6, max_value=50_000)
chances = st.floats(min_value=0, max_value=1)


@given(life=lives, part=st.floats(min_value=-1, max_value=2), chance=chances)
def test_renewal_comes_before_the_end_and_never_in_a_hurry(
    life: float, part: float, chance: float
) -> None:
    credential = Credential(
        "K", "s", "t", START + timedelta(seconds=life), START + timedelta(seconds=life * part)
    )
    pause = seconds_until_refresh(credential, life, START, chance)
    assert 1 <= pause < life
    if 0 < part <= 0.8:
        assert pause >= min(life * part, 1) or pause == pytest.approx(life * part, rel=1e-3)


@given(failures=st.integers(0, 10_000), chance=chances)
def test_retries_stay_between_one_and_thirty_seconds(failures: int, chance: float) -> None:
    assert 1 <= seconds_until_retry(failures, None, chance) <= 30
