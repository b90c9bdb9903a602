"""What each cluster used in each calendar month (UTC): a budget is for a month."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Column, Connection, Double, String, Table, func, insert, select, update

from panneuro_hub.service.db.engine import metadata

MONTHS_TABLE = Table(
    "panneuro_months",
    metadata,
    Column("session", String(64), primary_key=True),
    Column("month", String(7), primary_key=True, index=True),
    Column("project", String(63), nullable=False),
    Column("worker_seconds", Double, nullable=False),
    Column("core_seconds", Double, nullable=False),
    Column("cost_usd", Double, nullable=False),
)


@dataclass(frozen=True)
class ResourceUsage:
    """What ran: seconds of workers and of cores, and what they cost in US dollars."""

    worker_seconds: float = 0.0
    core_seconds: float = 0.0
    cost_usd: float = 0.0

    def __bool__(self) -> bool:
        return any((self.worker_seconds, self.core_seconds, self.cost_usd))


def format_month(moment: datetime) -> str:
    """The month of an aware time, as ``2026-11``."""
    return moment.astimezone(UTC).strftime("%Y-%m")


def add_usage(
    connection: Connection, session: str, project: str, moment: datetime, used: ResourceUsage
) -> None:
    """Count what a session used in the month of `moment`.

    Its row in the register is locked by this transaction, so nobody else counts for it.
    """
    if not used:
        return
    table = MONTHS_TABLE.c
    key = {"session": session, "month": format_month(moment)}
    more = {name: table[name] + value for name, value in vars(used).items()}
    where = (table.session == session, table.month == key["month"])
    if not connection.execute(update(MONTHS_TABLE).where(*where).values(more)).rowcount:
        connection.execute(insert(MONTHS_TABLE), {**key, "project": project, **vars(used)})


def sum_month_usage(connection: Connection, month: str) -> dict[str, ResourceUsage]:
    """By project: what its clusters used in one month, up to their last reports."""
    table = MONTHS_TABLE.c
    sums = [func.sum(table[name]).label(name) for name in vars(ResourceUsage())]
    statement = select(table.project, *sums).where(table.month == month).group_by(table.project)
    rows = [dict(row) for row in connection.execute(statement).mappings()]
    return {row.pop("project"): ResourceUsage(**row) for row in rows}
