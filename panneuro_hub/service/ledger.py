"""The ledger: the record of every credential issued and every refusal, with the reason.

Rows hold names, prefixes and reasons, and never a secret. What cannot be recorded
is not issued.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy import (
    JSON,
    Column,
    DateTime,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    insert,
    select,
)
from sqlalchemy.exc import SQLAlchemyError

from panneuro_hub.errors import ServiceUnavailable

Event = Literal["issue", "refusal"]

_metadata = MetaData()
LEDGER = Table(
    "panneuro_ledger",
    _metadata,
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
class Entry:
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

    event: Event
    person: str
    project: str
    session: str
    reason: str
    grants: tuple[tuple[str, str], ...] = ()
    access_key_id: str | None = None
    expires: datetime | None = None
    at: datetime | None = None


class Ledger:
    """A ledger in any database that SQLAlchemy knows.

    Parameters
    ----------
    url : str
        SQLAlchemy URL, such as ``sqlite:///ledger.sqlite`` or ``postgresql+psycopg://…``.
    """

    def __init__(self, url: str) -> None:
        self._engine = create_engine(url, pool_pre_ping=True)
        # One writer: rows keep their order, and SQLite has no use for more.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ledger")
        try:
            _metadata.create_all(self._engine)
        except SQLAlchemyError as error:
            self.close()
            raise ServiceUnavailable(
                f"the ledger {self._engine.url.render_as_string(hide_password=True)} "
                f"cannot be opened ({type(error).__name__}); check --ledger and its database"
            ) from error

    async def record(self, entry: Entry) -> None:
        """Add a row.

        Raises
        ------
        ServiceUnavailable
            If it could not be written.
        """
        await self._run(self._insert, _row(entry))

    async def entries(self, *, project: str | None = None, limit: int = 1000) -> list[Entry]:
        """The newest rows first, of one project or of all.

        Raises
        ------
        ServiceUnavailable
            If they could not be read.
        """
        statement = select(LEDGER).order_by(LEDGER.c.id.desc()).limit(limit)
        if project is not None:
            statement = statement.where(LEDGER.c.project == project)
        return [_entry(row) for row in await self._run(self._select, statement)]

    def close(self) -> None:
        """Wait for what is being written, and let go of the database."""
        self._thread.shutdown()
        self._engine.dispose()

    async def _run(self, function: Any, argument: Any) -> Any:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._thread, function, argument)
        except SQLAlchemyError as error:
            raise ServiceUnavailable(
                f"the ledger cannot be used now ({type(error).__name__}), and nothing is issued "
                "without a record; try again soon"
            ) from error

    def _insert(self, row: dict[str, Any]) -> None:
        with self._engine.begin() as connection:
            connection.execute(insert(LEDGER), row)

    def _select(self, statement: Any) -> list[Mapping[str, Any]]:
        with self._engine.connect() as connection:
            return [dict(row) for row in connection.execute(statement).mappings()]


def _row(entry: Entry) -> dict[str, Any]:
    return {
        "at": _naive(entry.at or datetime.now(UTC)),
        "event": entry.event,
        "person": entry.person,
        "project": entry.project,
        "session": entry.session,
        "reason": entry.reason,
        "grants": [list(grant) for grant in entry.grants],
        "access_key_id": entry.access_key_id,
        "expires": _naive(entry.expires) if entry.expires else None,
    }


def _entry(row: Mapping[str, Any]) -> Entry:
    return Entry(
        event=row["event"],
        person=row["person"],
        project=row["project"],
        session=row["session"],
        reason=row["reason"],
        grants=tuple((mode, prefix) for mode, prefix in row["grants"]),
        access_key_id=row["access_key_id"],
        expires=row["expires"].replace(tzinfo=UTC) if row["expires"] else None,
        at=row["at"].replace(tzinfo=UTC),
    )


def _naive(moment: datetime) -> datetime:
    # SQLite keeps no zone: the ledger's times are UTC, always.
    return moment.astimezone(UTC).replace(tzinfo=None)
