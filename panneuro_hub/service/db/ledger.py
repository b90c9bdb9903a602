"""The ledger: the record of every credential issued and every refusal, with the reason.

Rows hold names, prefixes and reasons, and never a secret. What cannot be recorded
is not issued.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from sqlalchemy import (
    JSON,
    Column,
    ColumnElement,
    Connection,
    DateTime,
    Integer,
    String,
    Table,
    Text,
    func,
    insert,
    select,
)

from panneuro_hub.service.db.engine import Database, metadata, to_aware, to_naive

LedgerEvent = Literal["issue", "refusal"]

# Two replicas may write at once, and the later id be seen first: by then both are written.
_SETTLED_AFTER = timedelta(seconds=60)

LEDGER_TABLE = Table(
    "panneuro_ledger",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", DateTime, nullable=False, index=True),
    Column("event", String(16), nullable=False),
    Column("person", String(255), nullable=False, index=True),
    Column("project", String(63), nullable=False, index=True),
    Column("session", String(64), nullable=False),
    Column("reason", Text, nullable=False),
    Column("grants", JSON, nullable=False),
    Column("access_key_id", String(255)),
    Column("expires", DateTime),
)


@dataclass(frozen=True)
class LedgerSession:
    """A session as the ledger names it.

    Parameters
    ----------
    id, project : str
    what : str
        What it is; ``""`` for a server.
    """

    id: str = ""
    project: str = ""
    what: str = ""

    def add_description(self, reason: str) -> str:
        """Return a reason, with what the session is where that is not plain."""
        return f"{self.what}: {reason}" if self.what else reason


@dataclass(frozen=True)
class LedgerEntry:
    """One row of the ledger.

    Parameters
    ----------
    event : {"issue", "refusal"}
    person, project, session : str
        Whose session; ``""`` where a refused ticket does not tell.
    reason : str
        Why it was issued or refused.
    grants : tuple of (str, str)
        Mode and prefix of each grant of an issued credential.
    access_key_id : str or None
        Names the keys in the store's own logs; not secret.
    expires : datetime or None
        Aware; when the issuer lets them end.
    at : datetime or None
        Aware; `None` for now.
    """

    event: LedgerEvent
    person: str
    project: str
    session: str
    reason: str
    grants: tuple[tuple[str, str], ...] = ()
    access_key_id: str | None = None
    expires: datetime | None = None
    at: datetime | None = None


@dataclass(frozen=True)
class LedgerCounts:
    """How many rows there are, by project and event.

    Parameters
    ----------
    rows : mapping of (str, str) to int
    old : mapping of (str, str) to int
        Of them, those with an id of `upto` at most: no row comes among these any more.
    upto : int
    """

    rows: Mapping[tuple[str, str], int] = field(default_factory=dict)
    old: Mapping[tuple[str, str], int] = field(default_factory=dict)
    upto: int = 0


class Ledger:
    """The rows in a database, which is usually the register's too.

    Parameters
    ----------
    database : Database
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record_entry(self, entry: LedgerEntry) -> None:
        """Add a row.

        Raises
        ------
        ServiceUnavailable
            If it could not be written.
        """
        row = _make_row(entry)

        def work(connection: Connection) -> None:
            connection.execute(insert(LEDGER_TABLE), row)

        await self._database.run_transaction(work)

    async def count_entries(self, known: LedgerCounts) -> LedgerCounts:
        """Count the rows of each project and event.

        Parameters
        ----------
        known : LedgerCounts
            An earlier answer: its older rows are not counted again.

        Raises
        ------
        ServiceUnavailable
            If they could not be read.
        """
        until = to_naive(datetime.now(UTC) - _SETTLED_AFTER)
        return await self._database.run_transaction(
            lambda connection: _count_entries(connection, known, until)
        )

    async def list_entries(
        self, *, project: str | None = None, limit: int = 1000
    ) -> list[LedgerEntry]:
        """The newest rows first, of one project or of all.

        Raises
        ------
        ServiceUnavailable
            If they could not be read.
        """
        statement = select(LEDGER_TABLE).order_by(LEDGER_TABLE.c.id.desc()).limit(limit)
        if project is not None:
            statement = statement.where(LEDGER_TABLE.c.project == project)
        return await self._database.run_transaction(
            lambda connection: [
                _read_entry(row) for row in connection.execute(statement).mappings().all()
            ]
        )


def _count_entries(connection: Connection, known: LedgerCounts, until: datetime) -> LedgerCounts:
    table = LEDGER_TABLE.c
    last = select(table.id).where(table.at < until).order_by(table.at.desc()).limit(1)
    upto = max(connection.execute(last).scalar() or 0, known.upto)

    def counted(*where: ColumnElement[bool]) -> Counter[tuple[str, str]]:
        statement = select(table.project, table.event, func.count()).where(*where)
        rows = connection.execute(statement.group_by(table.project, table.event))
        return Counter({(project, event): number for project, event, number in rows})

    old = Counter(known.old) + counted(table.id > known.upto, table.id <= upto)
    return LedgerCounts(old + counted(table.id > upto), old, upto)


def _make_row(entry: LedgerEntry) -> dict[str, Any]:
    return {
        "at": to_naive(entry.at or datetime.now(UTC)),
        "event": entry.event,
        "person": entry.person,
        "project": entry.project,
        "session": entry.session,
        "reason": entry.reason,
        "grants": [list(grant) for grant in entry.grants],
        "access_key_id": entry.access_key_id,
        "expires": to_naive(entry.expires) if entry.expires else None,
    }


def _read_entry(row: Mapping[Any, Any]) -> LedgerEntry:
    return LedgerEntry(
        event=row["event"],
        person=row["person"],
        project=row["project"],
        session=row["session"],
        reason=row["reason"],
        grants=tuple((mode, prefix) for mode, prefix in row["grants"]),
        access_key_id=row["access_key_id"],
        expires=to_aware(row["expires"]) if row["expires"] else None,
        at=to_aware(row["at"]),
    )
