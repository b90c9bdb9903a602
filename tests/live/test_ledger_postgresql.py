"""Ledger and register in a real PostgreSQL, which larger hubs and several replicas need."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, text, update
from testing.waiting import wait_until_async

from panneuro_hub.errors import ServiceUnavailableError
from panneuro_hub.service.db.engine import Database
from panneuro_hub.service.db.ledger import Ledger, LedgerEntry
from panneuro_hub.service.db.schema import open_database
from panneuro_hub.service.db.session_store import SESSIONS_TABLE, SessionStore
from panneuro_hub.wire.cluster_reports import ClusterReport

MOMENT = datetime(2026, 11, 22, 12, tzinfo=UTC)
ENTRY = LedgerEntry(
    event="issue",
    person="ada",
    project="nhp-navigation",
    session="s1",
    reason="you are in navigation-lab — with 'quotes' and \N{GREEK SMALL LETTER MU}",
    grants=(("write", "s3://b/p/"), ("read", "s3://b/q/")),
    access_key_id="ASIA1",
    expires=MOMENT + timedelta(minutes=30),
    at=MOMENT,
)


@pytest.fixture
def database(postgresql_url: str) -> Iterator[Database]:
    with closing(open_database(postgresql_url)) as database:
        yield database


@pytest.fixture
def replicas(postgresql_url: str) -> Iterator[list[Database]]:
    """Two services' connections."""
    with ExitStack() as stack:
        yield [stack.enter_context(closing(open_database(postgresql_url))) for _ in range(2)]


async def test_rows_come_back_as_they_went_in(database: Database) -> None:
    ledger = Ledger(database)
    await ledger.record_entry(ENTRY)
    assert (await ledger.list_entries(project="nhp-navigation"))[0] == ENTRY


async def test_two_replicas_write_one_ledger(replicas: list[Database]) -> None:
    """Both make the table if it is not there, and no row of either is lost."""
    one, other = (Ledger(database) for database in replicas)
    before = len(await one.list_entries())
    await asyncio.gather(
        *(ledger.record_entry(ENTRY) for ledger in (one, other) for _ in range(20))
    )
    assert len(await one.list_entries()) == before + 40


async def test_a_ledger_that_went_away_says_so(database: Database) -> None:
    ledger = Ledger(database)
    with database._engine.begin() as connection:
        connection.exec_driver_sql("alter table panneuro_ledger rename to elsewhere")
    with pytest.raises(ServiceUnavailableError, match="nothing is issued without a record"):
        await ledger.record_entry(ENTRY)
    with database._engine.begin() as connection:
        connection.exec_driver_sql("alter table elsewhere rename to panneuro_ledger")
    await ledger.record_entry(ENTRY)


async def test_a_server_that_hangs_makes_nobody_wait_for_ever(
    postgresql_url: str, database: Database
) -> None:
    """Nothing but its own clock tells a client that the other side does not go on."""
    Ledger(database)  # makes the tables, with the time that a busy machine needs
    with closing(open_database(postgresql_url, wait=3)) as hasty:
        ledger = Ledger(hasty)
        pid = await hasty.run_transaction(
            lambda connection: connection.execute(text("select pg_backend_pid()")).scalar_one()
        )
        with stopped(pid), pytest.raises(ServiceUnavailableError, match="TimeoutError"):
            await ledger.record_entry(ENTRY)
        while True:  # what is under way comes to its end now, and then it is as before
            try:
                await ledger.record_entry(ENTRY)
            except ServiceUnavailableError:
                continue
            break


async def test_a_row_that_somebody_holds_is_not_waited_for_for_ever(
    replicas: list[Database],
) -> None:
    register = SessionStore(replicas[0])
    session, _ = await register.begin_session(
        "cluster", "ada", "p", "standard", account="a", gateway="held"
    )
    with replicas[1]._engine.begin() as other:
        other.exec_driver_sql("set local idle_in_transaction_session_timeout = 0")
        other.exec_driver_sql("select * from panneuro_register for update")
        with pytest.raises(ServiceUnavailableError, match="OperationalError"):
            await register.end_session(session.id, "held")
    await register.end_session(session.id, "held")
    assert (await register.find_session(session.id)).ended is not None  # type: ignore[union-attr]


async def test_a_report_does_not_undo_an_end_that_came_between(replicas: list[Database]) -> None:
    """What was read before the end must not be written back over it."""
    register = SessionStore(replicas[0])
    session, _ = await register.begin_session(
        "cluster", "ada", "p-end", "standard", account="a", gateway="between"
    )
    listed = [ClusterReport(session.id, "c", 1, 1.0, 1 << 30)]
    with replicas[1]._engine.connect() as other:
        ended = update(SESSIONS_TABLE).where(SESSIONS_TABLE.c.id == session.id)
        other.execute(ended.values(ended=datetime.now(UTC).replace(tzinfo=None)))
        reporting = asyncio.create_task(register.record_report("between", listed))
        await wait_until_async(lambda: asyncio.to_thread(somebody_waits, other))
        other.commit()
    assert (await reporting).ended == (session.id,)
    assert await register.list_running("p-end") == []


def somebody_waits(connection: Connection) -> bool:
    query = "select count(*) from pg_stat_activity where wait_event_type = 'Lock'"
    return bool(connection.execute(text(query)).scalar_one())


async def test_two_replicas_keep_one_register(replicas: list[Database]) -> None:
    """Whoever takes a report, each second is counted once, and an end is an end."""
    now = datetime(2026, 11, 22, 12, tzinfo=UTC)
    both = [SessionStore(database, lambda: now) for database in replicas]
    sessions = [
        (
            await both[number % 2].begin_session(
                "cluster", "ada", "p-two", "s", account="a", gateway="two"
            )
        )[0]
        for number in range(10)
    ]
    listed = [ClusterReport(session.id, f"c-{session.id}", 3, 2.0, 1 << 40) for session in sessions]
    for _ in range(5):
        now += timedelta(minutes=1)
        reports = (register.record_report("two", listed) for register in both for _ in range(4))
        for report in await asyncio.gather(*reports):
            assert len(report.running) == 10
    total = (await both[1].sum_usage())["p-two"]
    assert (total.running, total.workers, total.cores) == (10, 30, 60)
    assert total.worker_seconds == pytest.approx(10 * 3 * 4 * 60)
    assert (await both[0].list_running("p-two"))[0].memory == 1 << 40

    now += timedelta(minutes=1)
    ends = (register.end_session(session.id, "two") for register in both for session in sessions)
    await asyncio.gather(*ends, both[0].record_report("two", listed), both[1].end_expired())
    assert await both[0].list_running("p-two") == []
    total = (await both[0].sum_usage())["p-two"]
    assert total.worker_seconds == pytest.approx(10 * 3 * 5 * 60)
    assert (total.running, total.workers) == (0, 0)


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """A process that hangs for a while."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)
