"""The register: which sessions there are besides servers, and what they have used."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import make_url
from testing.clocks import FakeClock

from panneuro_hub.errors import ServiceUnavailableError
from panneuro_hub.service.db.engine import connection_limits
from panneuro_hub.service.db.ledger import Ledger, LedgerEntry
from panneuro_hub.service.db.schema import open_database
from panneuro_hub.service.db.session_store import (
    MAX_REPORT_GAP,
    SessionRecord,
    SessionStore,
    accrue_usage,
)
from panneuro_hub.wire import Ticket
from panneuro_hub.wire.cluster_reports import ClusterReport

START = datetime(2026, 11, 22, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
GATEWAY = "dask-gateway"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(START)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


@pytest.fixture
def replicas(path: Path, clock: FakeClock) -> Iterator[tuple[SessionStore, SessionStore]]:
    """Two services with one database."""
    with (
        closing(open_database(f"sqlite:///{path}")) as one,
        closing(open_database(f"sqlite:///{path}")) as other,
    ):
        yield (
            SessionStore(one, clock.now, clock.steady),
            SessionStore(other, clock.now, clock.steady),
        )


@pytest.fixture
def register(replicas: tuple[SessionStore, SessionStore]) -> SessionStore:
    return replicas[0]


async def begin(
    register: SessionStore, person: str = "ada", **more: Any
) -> tuple[SessionRecord, Ticket]:
    given = {"account": f"account-of-{person}", "gateway": GATEWAY, "price_per_hour": 0.36, **more}
    return await register.begin_session(
        "cluster", person, "nhp-navigation", "standard", "neuro", **given
    )


def running(session: SessionRecord, workers: int = 2, **more: Any) -> ClusterReport:
    given = {"name": f"cluster-{session.id}", "cores": 4.0, "memory": 16 << 30, **more}
    return ClusterReport(session.id, workers=workers, **given)


# --- sessions


async def test_a_session_is_found_and_its_ticket_is_nowhere(
    register: SessionStore, path: Path
) -> None:
    session, ticket = await begin(register)
    assert (ticket.kind, ticket.user, ticket.name) == ("register", "ada", session.id)
    found = await register.find_session(session.id)
    assert found == session
    assert ticket.matches(found.ticket)
    assert found.is_running(START)
    assert await register.find_session("0" * 16) is None
    assert ticket.secret.encode() not in await asyncio.to_thread(path.read_bytes)
    assert session.ticket not in repr(session)


async def test_what_was_written_comes_back(register: SessionStore, clock: FakeClock) -> None:
    session, _ = await register.begin_session(
        "upload", "zoë å", "p", "", account="a", expires=START + HOUR
    )
    assert await register.find_session(session.id) == session
    assert session.is_running(START + HOUR - MINUTE)
    assert not session.is_running(START + HOUR)
    assert await register.list_running() == [], "an upload is no cluster"
    clock.advance(HOUR)
    assert await register.end_expired() == (session.id,)
    assert (await register.find_session(session.id)).ended == clock.now()  # type: ignore[union-attr]


async def test_an_end_is_seen_at_once_here_and_soon_elsewhere(
    replicas: tuple[SessionStore, SessionStore], clock: FakeClock
) -> None:
    here, elsewhere = replicas
    session, _ = await begin(here)

    async def is_seen(register: SessionStore) -> bool:
        found = await register.find_session(session.id)
        assert found is not None
        return not found.is_running(clock.now())

    assert not await is_seen(here)
    assert not await is_seen(elsewhere)
    await here.end_session(session.id, GATEWAY)
    assert await is_seen(here)
    clock.advance(timedelta(seconds=11))
    assert await is_seen(elsewhere)


async def test_only_its_own_gateway_ends_a_session(register: SessionStore) -> None:
    session, _ = await begin(register)
    await register.end_session(session.id, "another")
    await register.end_session(session.id)
    await register.end_session("0" * 16, GATEWAY)
    report = await register.record_report("another", [running(session)])
    assert report.ended == (session.id,), "told to stop what it has no right to run"
    assert [each.id for each in await register.list_running()] == [session.id]
    assert (await register.list_running())[0].workers == 0


# --- reports


async def test_a_report_says_what_runs(register: SessionStore) -> None:
    session, _ = await begin(register)
    other, _ = await begin(register, "grace")
    report = await register.record_report(GATEWAY, [running(session), running(other, workers=3)])
    assert report.ended == ()
    assert {each.id: each.workers for each in report.running} == {session.id: 2, other.id: 3}
    assert await register.list_running("nhp-navigation") == list(report.running)
    assert await register.list_running("another") == []
    by_name = await register.find_running(f"cluster-{session.id}")
    assert by_name is not None
    assert by_name.id == session.id


async def test_a_name_of_two_clusters_is_nobody_s(register: SessionStore, clock: FakeClock) -> None:
    one, _ = await begin(register)
    other, _ = await begin(register)
    await register.record_report(GATEWAY, [running(one, name="same"), running(other, name="same")])
    assert await register.find_running("same") is None
    await register.end_session(other.id, GATEWAY)
    assert (await register.find_running("same")).id == one.id  # type: ignore[union-attr]
    assert await register.find_running("") is None


async def test_what_is_not_listed_has_ended_unless_it_has_just_begun(
    register: SessionStore, clock: FakeClock
) -> None:
    old, _ = await begin(register)
    clock.advance(timedelta(seconds=100))
    young, _ = await begin(register)
    assert (await register.record_report(GATEWAY, [])).ended == ()
    clock.advance(timedelta(seconds=21))
    assert (await register.find_session(old.id)).ended is None  # type: ignore[union-attr]
    await register.record_report(GATEWAY, [])
    assert (await register.find_session(old.id)).ended == clock.now()  # type: ignore[union-attr]
    assert [session.id for session in await register.list_running()] == [young.id]
    report = await register.record_report(GATEWAY, [running(old), running(young)])
    assert report.ended == (old.id,)
    assert [session.id for session in report.running] == [young.id]
    ended = await register.find_session(old.id)
    assert ended is not None
    assert ended.ended == START + timedelta(seconds=121), "it stays as it ended"


async def test_a_gateway_that_is_gone_leaves_nothing(
    register: SessionStore, clock: FakeClock
) -> None:
    session, _ = await begin(register)
    await register.record_report(GATEWAY, [running(session)])
    clock.advance(timedelta(hours=24) - MINUTE)
    assert await register.end_expired() == ()
    clock.advance(MINUTE)
    found = await register.find_session(session.id)
    assert found is not None
    assert found.ended is None
    assert not found.is_running(clock.now()), "before any sweep, and in every replica"
    assert await register.list_running() == []
    report = await register.record_report(GATEWAY, [running(session)])
    assert report.ended == (session.id,), "it is back, too late"
    assert await register.end_expired() == ()


# --- what has been used


async def test_what_ran_is_added_up(register: SessionStore, clock: FakeClock) -> None:
    session, _ = await begin(register)
    clock.advance(MINUTE)
    await register.record_report(GATEWAY, [running(session, workers=2)])  # none ran before
    clock.advance(MINUTE)
    await register.record_report(GATEWAY, [running(session, workers=10)])  # two ran
    clock.advance(timedelta(seconds=30))
    await register.end_session(session.id, GATEWAY)  # ten ran
    clock.advance(HOUR)
    await register.end_session(session.id, GATEWAY)
    await register.record_report(GATEWAY, [])
    total = (await register.sum_usage())["nhp-navigation"]
    assert total.worker_seconds == pytest.approx(2 * 60 + 10 * 30)
    assert total.core_seconds == pytest.approx(4 * (2 * 60 + 10 * 30))
    assert total.cost_usd == pytest.approx(0.36 * (2 * 60 + 10 * 30) / 3600)
    assert (total.running, total.workers, total.cores) == (0, 0, 0)


async def test_totals_are_of_every_project(register: SessionStore) -> None:
    assert await register.sum_usage() == {}
    session, _ = await begin(register)
    await begin(register, "grace")
    await register.begin_session(
        "cluster", "ada", "shared-stimuli", "standard", account="a", gateway=GATEWAY
    )
    await register.record_report(GATEWAY, [running(session, workers=3, cores=0.5)])
    totals = await register.sum_usage()
    assert list(totals) == ["nhp-navigation", "shared-stimuli"]
    assert (totals["nhp-navigation"].running, totals["nhp-navigation"].workers) == (2, 3)
    assert totals["nhp-navigation"].cores == 1.5
    assert totals["shared-stimuli"].running == 1


async def test_a_night_without_a_report_is_no_night_on_the_bill(
    register: SessionStore, clock: FakeClock
) -> None:
    session, _ = await begin(register)
    await register.record_report(GATEWAY, [running(session, workers=1)])
    clock.advance(10 * HOUR)
    await register.record_report(GATEWAY, [running(session, workers=1)])
    assert (await register.sum_usage())["nhp-navigation"].worker_seconds == 600


async def test_two_replicas_count_each_second_once(
    replicas: tuple[SessionStore, SessionStore], clock: FakeClock
) -> None:
    """The same report to both at once, as a gateway that tries again makes it."""
    session, _ = await begin(replicas[0])
    for _ in range(10):
        clock.advance(MINUTE)
        told = [running(session, workers=1)]
        await asyncio.gather(
            *(each.record_report(GATEWAY, told) for each in replicas for _ in range(5))
        )
    [total] = (await replicas[1].sum_usage()).values()
    assert total.worker_seconds == pytest.approx(9 * 60)


SESSION = SessionRecord(
    *("s", "cluster", "ada", "p", "standard", None, 0.36, GATEWAY, "", "digest", START),
    workers=3,
    cores=2.0,
)


@given(st.lists(st.integers(-7200, 7200), max_size=20))
def test_what_has_been_used_only_grows_and_never_faster_than_time(steps: Sequence[int]) -> None:
    """Clocks of replicas differ, and one may be set: no second is counted twice."""
    session, now, furthest = SESSION, START, START
    for step in steps:
        now += timedelta(seconds=step)
        furthest = max(furthest, now)
        after = accrue_usage(session, now)
        more = after.worker_seconds - session.worker_seconds
        assert 0 <= more <= 3 * MAX_REPORT_GAP.total_seconds()
        assert after.last_heard == furthest
        session = after
    assert session.worker_seconds <= 3 * (furthest - START).total_seconds()
    assert session.core_seconds == pytest.approx(2 * session.worker_seconds)
    assert session.cost_usd == pytest.approx(0.36 * session.worker_seconds / 3600)
    assert replace(session, workers=0, cores=0).price_per_hour == 0.36


# --- the database


async def test_a_database_that_hangs_makes_nobody_wait_for_ever(path: Path) -> None:
    with closing(open_database(f"sqlite:///{path}", wait=0.2)) as database:
        ledger, register = Ledger(database), SessionStore(database)
        session, _ = await begin(register)
        with closing(sqlite3.connect(path)) as other:
            other.execute("begin exclusive")
            with pytest.raises(ServiceUnavailableError, match="nothing is issued without a record"):
                await ledger.record_entry(LedgerEntry("issue", "ada", "p", "s", "r"))
            with pytest.raises(ServiceUnavailableError, match="try again soon"):
                await begin(register)
            other.rollback()

        async def works() -> bool:
            try:
                await register.end_session(session.id, GATEWAY)
            except ServiceUnavailableError:
                return False
            return True

        while not await works():  # it still works at what was begun
            pass
        assert [each.person for each in await register.list_running()] == []


@pytest.mark.parametrize(
    ("url", "limited"),
    [
        ("postgresql+psycopg://u:p@h/d", {"connect_timeout", "options", "tcp_user_timeout"}),
        (
            "postgresql+psycopg://u:p@h/d?options=-c%20x%3D1",
            {"connect_timeout", "tcp_user_timeout"},
        ),
        ("postgresql://u:p@h/d?connect_timeout=60", {"options", "tcp_user_timeout"}),
        ("postgresql+asyncpg://u:p@h/d", set()),
        ("sqlite:///x", set()),
    ],
)
def test_waits_for_postgresql_end_unless_the_url_says_otherwise(
    url: str, limited: set[str]
) -> None:
    assert set(connection_limits(make_url(url))) == limited
