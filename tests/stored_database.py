"""The service's database as version 0.1 left it, with rows in every table, and what they say."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine

from panneuro_hub.errors import AccessDeniedError
from panneuro_hub.service.accounts.hub_account import HubAccount
from panneuro_hub.service.db.engine import Database, make_engine, metadata
from panneuro_hub.service.db.ledger import Ledger, LedgerEntry
from panneuro_hub.service.db.session_store import SessionStore
from panneuro_hub.service.device_login.login_store import DeviceLoginStore
from panneuro_hub.version_store import VERSIONS, newest_version
from panneuro_hub.wire import Ticket
from panneuro_hub.wire.cluster_reports import ClusterReport

STORED = Path(__file__).parent / "data" / "stored-0.1"
WRITTEN = datetime(2026, 11, 27, 9, 30, tzinfo=UTC)
SOON = WRITTEN + timedelta(minutes=16)
"""A moment at which the stored requests for logins still wait."""

ADA, EVE = HubAccount("ada", "a" * 32), HubAccount("eve", "e" * 32)

Backend = Literal["sqlite", "postgresql"]


def load_database(engine: Engine, backend: Backend) -> None:
    """Fill an empty database with the tables and rows of version 0.1."""
    dump = (STORED / f"service-{backend}.sql").read_text(encoding="utf-8")
    with engine.connect() as connection:
        raw = connection.connection.driver_connection
        assert raw is not None
        if backend == "sqlite":
            raw.executescript(dump)
        else:
            raw.execute(dump)
            raw.commit()


async def check_rows(database: Database, backend: Backend) -> None:
    """Check that the present code reads and serves every stored row as version 0.1 did."""
    held = json.loads((STORED / "clients.json").read_text())[backend]
    await _check_ledger(database)
    await _check_sessions(database, held)
    await _check_logins(database, held)
    version = await database.run_transaction(newest_version)
    assert version is not None
    assert (version.name, version.since) == ("45cbcec15211", WRITTEN + timedelta(minutes=1))
    assert "title: Renamed example\n" in version.text
    assert '"Navigation µ"' in version.text


async def _check_ledger(database: Database) -> None:
    entries = await Ledger(database).list_entries()
    assert [(entry.event, entry.person) for entry in entries] == [
        ("refusal", "eve"),
        ("refusal", ""),
        ("issue", "ada"),
    ]
    assert entries[-1] == LedgerEntry(
        "issue",
        "ada",
        "nhp-navigation",
        "0f1e2d3c4b5a6978",
        "you are in navigation-lab — “quotes” and µ",
        (("write", "s3://lab/nav/"), ("read", "s3://lab/stimuli/")),
        "ASIAEXAMPLE1",
        WRITTEN + timedelta(minutes=30),
        WRITTEN,
    )


async def _check_sessions(database: Database, held: dict[str, str]) -> None:
    register = SessionStore(database, lambda: SOON)
    totals = await register.sum_usage()
    assert {name: total.worker_seconds for name, total in totals.items()} == {
        "human-memory": 600,
        "nhp-navigation": 2400,
    }
    assert (await register.sum_month_usage())["nhp-navigation"].core_seconds == 4800
    [running] = await register.list_running()
    assert (running.person, running.account, running.name) == ("ada", ADA.account, "c-ada")
    assert (running.workers, running.cores, running.memory) == (4, 2, 8 << 30)
    assert (running.profile, running.image, running.price_per_hour) == ("small", "neuro", 0.12)
    for what, owner in (
        ("upload", "ada"),
        ("cluster", "ada"),
        ("ended cluster", "eve"),
        ("upload without account", "eve"),
    ):
        ticket = Ticket.decode(held[what])
        session = await register.find_session(ticket.name)
        assert session is not None
        assert ticket.matches(session.ticket)
        assert (session.person, session.began) == (owner, WRITTEN)
        assert (session.account is None) == (what == "upload without account")
        assert session.is_running(SOON) == (what != "ended cluster")
    # What is reported now is added to what was there.
    reported = [ClusterReport(running.id, "c-ada", 4, 2.0, 8 << 30)]
    await register.record_report("dask-gateway", reported)
    assert (await register.sum_usage())["nhp-navigation"].worker_seconds == 2400 + 4 * 60


async def _check_logins(database: Database, held: dict[str, str]) -> None:
    logins = DeviceLoginStore(database, lambda: SOON)
    login = await logins.find_login(held["login"])
    assert (login.owner, login.host, login.began) == (ADA, "rig-3", WRITTEN)
    assert (await logins.list_logins(ADA))[0].id == login.id
    assert (await logins.find_login(held["login without account"])).owner is None
    assert await logins.list_logins(EVE) == []
    # Requests are served on: one that was allowed, one that was confirmed, one that only waits.
    taken = await logins.take_token(held["allowed"])
    assert taken is not None
    assert taken[1].owner == ADA
    await logins.decide_request(EVE, held["confirmed"], allow=True)
    taken = await logins.take_token(held["confirmed device"])
    assert taken is not None
    assert taken[1].owner == EVE
    assert await logins.take_token(held["waiting"]) is None
    begun = await logins.begin_confirmation(EVE, held["waiting code"])
    assert begun.request.host == "rig-4"
    with pytest.raises(AccessDeniedError):
        await logins.take_token(held["allowed without account"])


def schema_differences(url: str) -> list[Any]:
    """Return what the tables of a database and those of the code differ in."""
    engine = make_engine(url)
    with engine.begin() as connection:
        options = {"include_name": _is_ours, "compare_type": True}
        context = MigrationContext.configure(connection, opts=options)
        # Both kinds of tables: the service's own, and the one that it shares with the hub.
        found = compare_metadata(context, [metadata, VERSIONS.metadata])
    engine.dispose()
    return list(found)


def _is_ours(name: str | None, kind: str, _parents: object) -> bool:
    return kind != "table" or name in {*metadata.tables, *VERSIONS.metadata.tables}
