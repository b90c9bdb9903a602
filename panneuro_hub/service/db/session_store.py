"""The register: the sessions that the service keeps itself, since no server of the hub has them.

They are Dask clusters. Each has a row, in the ledger's database, so that all replicas of
the service know the same; the row holds the ticket's digest, and never the ticket. What
ran since the last report is added up at each one: seconds of workers, of cores, and money.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    DateTime,
    Double,
    Integer,
    Select,
    String,
    Table,
    case,
    func,
    insert,
    or_,
    select,
    update,
)

from panneuro_hub.service.cache import LookupCache
from panneuro_hub.service.db.engine import Database, metadata, to_aware, to_naive, utc_now
from panneuro_hub.service.db.monthly_usage import (
    ResourceUsage,
    add_usage,
    format_month,
    sum_month_usage,
)
from panneuro_hub.wire import Ticket
from panneuro_hub.wire.cluster_reports import ClusterReport

SessionKind = Literal["cluster", "upload"]

# A cluster that its gateway does not list is gone; one that has just begun may not be there yet.
UNLISTED_GRACE = timedelta(seconds=120)
# A gateway that has said nothing for so long is gone, and its clusters with it.
SILENT_GATEWAY_LIMIT = timedelta(hours=24)
# What ran between two reports is known for so long only: a gateway that was down for a night
# does not put a night on the bill.
MAX_REPORT_GAP = timedelta(minutes=10)
# In another replica of the service, how long an end may go unseen.
SESSION_CACHE_SECONDS = 10.0

SESSIONS_TABLE = Table(
    "panneuro_register",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("person", String(255), nullable=False, index=True),
    # Empty in rows of versions that did not know accounts: nobody is served by those.
    Column("account", String(64)),
    Column("login", String(32), index=True),
    Column("project", String(63), nullable=False, index=True),
    Column("profile", String(63), nullable=False),
    Column("image", String(63)),
    Column("price_per_hour", Double, nullable=False),
    Column("gateway", String(255), nullable=False, index=True),
    Column("name", String(255), nullable=False, index=True),
    Column("ticket", String(64), nullable=False),
    Column("began", DateTime, nullable=False),
    Column("expires", DateTime),
    Column("ended", DateTime, index=True),
    Column("reported", DateTime),
    Column("workers", Integer, nullable=False),
    Column("cores", Double, nullable=False),
    Column("memory", BigInteger, nullable=False),
    Column("worker_seconds", Double, nullable=False),
    Column("core_seconds", Double, nullable=False),
    Column("cost_usd", Double, nullable=False),
)
_TIMES = ("began", "expires", "ended", "reported")


@dataclass(frozen=True)
class SessionRecord:
    """One session of the register.

    Parameters
    ----------
    id : str
        Names it in the ledger; no secret.
    kind : {"cluster", "upload"}
    person, project, profile : str
        `profile` is a worker profile.
    image : str or None
    price_per_hour : float
        Of one worker, in US dollars, when it began.
    gateway : str
        Name of the hub's service that reports it; ``""`` for none.
    name : str
        What the gateway calls it; ``""`` until it is reported.
    ticket : str
        Digest of its ticket.
    began : datetime
        This and the other times are aware.
    expires, ended, reported : datetime or None
        When it will end by itself, when it has, and when it was last reported.
    workers : int
    cores : float
    memory : int
        Of one worker; in bytes.
    worker_seconds, core_seconds, cost_usd : float
        What has run, up to `reported`.
    account : str or None
        The account that it belongs to; `None` in rows of older versions.
    login : str or None
        The login that began it.
    """

    id: str
    kind: SessionKind
    person: str
    project: str
    profile: str
    image: str | None
    price_per_hour: float
    gateway: str
    name: str
    ticket: str = field(repr=False)
    began: datetime
    expires: datetime | None = None
    ended: datetime | None = None
    reported: datetime | None = None
    workers: int = 0
    cores: float = 0.0
    memory: int = 0
    worker_seconds: float = 0.0
    core_seconds: float = 0.0
    cost_usd: float = 0.0
    account: str | None = None
    login: str | None = None

    def is_running(self, now: datetime) -> bool:
        """Whether it has not ended, nor expired, nor been forgotten by its gateway."""
        if self.ended is not None or (self.expires is not None and now >= self.expires):
            return False
        return not self.gateway or now - self.last_heard < SILENT_GATEWAY_LIMIT

    @property
    def last_heard(self) -> datetime:
        """When anything was last heard of it."""
        return self.reported or self.began


@dataclass(frozen=True)
class ReportResult:
    """What a report found: the listed sessions that run, and the ids of those that do not."""

    running: tuple[SessionRecord, ...]
    ended: tuple[str, ...]


@dataclass(frozen=True)
class ProjectTotals:
    """What one project's clusters are now (running, workers, cores), and were in all."""

    running: int
    workers: int
    cores: float
    worker_seconds: float
    core_seconds: float
    cost_usd: float


def accrue_usage(session: SessionRecord, now: datetime) -> SessionRecord:
    """The session, with what has run since it was last heard of; no second is counted twice."""
    gap = min(max(now - session.last_heard, timedelta(0)), MAX_REPORT_GAP)
    worked = session.workers * gap.total_seconds()
    return replace(
        session,
        reported=max(session.last_heard, now),
        worker_seconds=session.worker_seconds + worked,
        core_seconds=session.core_seconds + worked * session.cores,
        cost_usd=session.cost_usd + worked * session.price_per_hour / 3600,
    )


class SessionStore:
    """The sessions in the database; each method is one transaction.

    Parameters
    ----------
    database : Database
    clock : callable
        The time now (aware, UTC).
    monotonic : callable
        Seconds that only grow.
    """

    def __init__(
        self,
        database: Database,
        clock: Callable[[], datetime] = utc_now,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._clock = clock
        self._sessions = LookupCache(self._read, SESSION_CACHE_SECONDS, monotonic)

    async def begin_session(
        self,
        kind: SessionKind,
        person: str,
        project: str,
        profile: str,
        image: str | None = None,
        *,
        account: str,
        login: str | None = None,
        gateway: str = "",
        price_per_hour: float = 0.0,
        expires: datetime | None = None,
    ) -> tuple[SessionRecord, Ticket]:
        """Begin a session; its ticket is kept nowhere here.

        Parameters
        ----------
        account : str
            The person's account; the session ends with it.
        login : str, optional
            The login that begins it; the session ends with it.
        gateway : str
            Name of the service that will report it; such a session ends when it does not.
        expires : datetime, optional
            Aware; when it ends by itself.

        Raises
        ------
        ServiceUnavailable
            If it could not be written.
        """
        ticket = Ticket.new(person, secrets.token_hex(8), "register")
        session = SessionRecord(
            id=ticket.name,
            kind=kind,
            person=person,
            project=project,
            profile=profile,
            image=image,
            price_per_hour=price_per_hour,
            gateway=gateway,
            name="",
            ticket=ticket.digest,
            began=self._clock(),
            expires=expires,
            account=account,
            login=login,
        )
        await self._database.run_transaction(
            lambda connection: _insert_session(connection, session)
        )
        return session, ticket

    async def find_session(self, session_id: str, *, fresh: bool = False) -> SessionRecord | None:
        """The session called `session_id`, running or not, as it was some seconds ago at most.

        Parameters
        ----------
        fresh : bool
            Whether it must be as it is now, in whichever replica it ended.

        Raises
        ------
        ServiceUnavailable
            If it could not be read.
        """
        return await self._sessions.get(session_id, within=-1.0 if fresh else None)

    async def record_report(self, gateway: str, clusters: Iterable[ClusterReport]) -> ReportResult:
        """Take in all that runs at a gateway; what it does not list has ended.

        Raises
        ------
        ServiceUnavailable
            If it could not be written.
        """
        listed = {cluster.session: cluster for cluster in clusters}
        now = self._clock()

        def work(connection: Connection) -> tuple[list[SessionRecord], list[str]]:
            mine = SESSIONS_TABLE.c.gateway == gateway
            known = or_(SESSIONS_TABLE.c.ended.is_(None), SESSIONS_TABLE.c.id.in_(listed))
            running, over = [], []
            for session in _select_for_update(
                connection, select(SESSIONS_TABLE).where(mine, known)
            ):
                if session.is_running(now) and session.id in listed:
                    running.append(
                        _update_from_report(connection, session, listed[session.id], now)
                    )
                elif not session.is_running(now) or now - session.began > UNLISTED_GRACE:
                    _end_session(connection, session, now)
                    over.append(session.id)
            return running, over

        running, over = await self._database.run_transaction(work)
        self._forget(over)
        left = listed.keys() - {session.id for session in running}
        return ReportResult(tuple(running), tuple(sorted(left)))

    async def end_session(self, session_id: str, gateway: str = "") -> None:
        """End a session, if there is such a one at that gateway and it has not ended.

        Raises
        ------
        ServiceUnavailable
            If it could not be written.
        """
        now = self._clock()
        statement = select(SESSIONS_TABLE).where(
            SESSIONS_TABLE.c.id == session_id, SESSIONS_TABLE.c.gateway == gateway
        )

        def work(connection: Connection) -> None:
            for session in _select_for_update(connection, statement):
                _end_session(connection, session, now)

        await self._database.run_transaction(work)
        self._forget([session_id])

    async def end_account_sessions(self, name: str, account: str) -> tuple[str, ...]:
        """End all sessions of an account, and those of its name that belong to none; gives ids.

        Raises
        ------
        ServiceUnavailable
            If it could not be written.
        """
        table, now = SESSIONS_TABLE.c, self._clock()
        theirs = or_(table.account == account, table.account.is_(None))
        statement = select(SESSIONS_TABLE).where(
            table.person == name, theirs, table.ended.is_(None)
        )

        def work(connection: Connection) -> tuple[str, ...]:
            ended = _select_for_update(connection, statement)
            for session in ended:
                _end_session(connection, session, now)
            return tuple(session.id for session in ended)

        over = await self._database.run_transaction(work)
        self._forget(over)
        return over

    async def end_expired(self) -> tuple[str, ...]:
        """End what has expired, and what gateways that are gone have left; gives their ids.

        Raises
        ------
        ServiceUnavailable
            If it could not be written.
        """
        now = self._clock()

        def work(connection: Connection) -> tuple[str, ...]:
            open_ones = _select_for_update(
                connection, select(SESSIONS_TABLE).where(SESSIONS_TABLE.c.ended.is_(None))
            )
            over = [session for session in open_ones if not session.is_running(now)]
            for session in over:
                _end_session(connection, session, now)
            return tuple(session.id for session in over)

        over = await self._database.run_transaction(work)
        self._forget(over)
        return over

    async def list_running(self, project: str | None = None) -> list[SessionRecord]:
        """The clusters that run now, of one project or of all; the oldest first.

        Raises
        ------
        ServiceUnavailable
            If they could not be read.
        """
        statement = _select_running_clusters().order_by(SESSIONS_TABLE.c.began, SESSIONS_TABLE.c.id)
        if project is not None:
            statement = statement.where(SESSIONS_TABLE.c.project == project)
        return [
            session
            for session in await self._select(statement)
            if session.is_running(self._clock())
        ]

    async def find_running(self, name: str) -> SessionRecord | None:
        """The running cluster that a gateway calls `name`; `None` unless there is just one.

        Raises
        ------
        ServiceUnavailable
            If it could not be read.
        """
        found = await self._select(_select_running_clusters().where(SESSIONS_TABLE.c.name == name))
        running = [
            session for session in found if session.name and session.is_running(self._clock())
        ]
        return running[0] if len(running) == 1 else None

    async def sum_usage(self) -> dict[str, ProjectTotals]:
        """By project: what its clusters are now, and all that they ever used, up to their reports.

        Raises
        ------
        ServiceUnavailable
            If they could not be read.
        """
        table = SESSIONS_TABLE.c

        def now(value: Any) -> Any:
            return func.sum(case((table.ended.is_(None), value), else_=0))

        statement = (
            select(
                table.project,
                now(1).label("running"),
                now(table.workers).label("workers"),
                now(table.workers * table.cores).label("cores"),
                func.sum(table.worker_seconds).label("worker_seconds"),
                func.sum(table.core_seconds).label("core_seconds"),
                func.sum(table.cost_usd).label("cost_usd"),
            )
            .where(table.kind == "cluster")
            .group_by(table.project)
            .order_by(table.project)
        )

        def work(connection: Connection) -> dict[str, ProjectTotals]:
            rows = [dict(row) for row in connection.execute(statement).mappings()]
            return {row.pop("project"): ProjectTotals(**row) for row in rows}

        return await self._database.run_transaction(work)

    async def sum_month_usage(self) -> dict[str, ResourceUsage]:
        """By project: what its clusters used in this calendar month (UTC).

        What ran between two reports counts for the month of the second.

        Raises
        ------
        ServiceUnavailable
            If it could not be read.
        """
        month = format_month(self._clock())
        return await self._database.run_transaction(
            lambda connection: sum_month_usage(connection, month)
        )

    def _forget(self, ended: Iterable[str]) -> None:
        for session_id in ended:
            self._sessions.forget(session_id)

    async def _read(self, session_id: str) -> SessionRecord | None:
        found = await self._select(select(SESSIONS_TABLE).where(SESSIONS_TABLE.c.id == session_id))
        return found[0] if found else None

    async def _select(self, statement: Select[Any]) -> list[SessionRecord]:
        return await self._database.run_transaction(
            lambda connection: [
                _read_session(row) for row in connection.execute(statement).mappings().all()
            ]
        )


def end_login_sessions(connection: Connection, logins: Sequence[str], now: datetime) -> None:
    """End the sessions that some logins began, in the transaction that ends those."""
    statement = select(SESSIONS_TABLE).where(
        SESSIONS_TABLE.c.login.in_(logins), SESSIONS_TABLE.c.ended.is_(None)
    )
    for session in _select_for_update(connection, statement):
        _end_session(connection, session, now)


def _select_running_clusters() -> Select[Any]:
    return select(SESSIONS_TABLE).where(
        SESSIONS_TABLE.c.ended.is_(None), SESSIONS_TABLE.c.kind == "cluster"
    )


def _select_for_update(connection: Connection, statement: Select[Any]) -> list[SessionRecord]:
    """Rows that nobody else changes until this transaction ends, in one order for all."""
    ordered = statement.order_by(SESSIONS_TABLE.c.id).with_for_update()
    return [_read_session(row) for row in connection.execute(ordered).mappings()]


def _insert_session(connection: Connection, session: SessionRecord) -> None:
    connection.execute(insert(SESSIONS_TABLE), _make_row(session))


def _update_from_report(
    connection: Connection, session: SessionRecord, cluster: ClusterReport, now: datetime
) -> SessionRecord:
    after = replace(
        accrue_usage(session, now),
        name=cluster.name,
        workers=cluster.workers,
        cores=cluster.cores,
        memory=cluster.memory,
    )
    _write_session(connection, session, after)
    return after


def _end_session(connection: Connection, session: SessionRecord, now: datetime) -> None:
    if session.ended is None:
        _write_session(connection, session, replace(accrue_usage(session, now), ended=now))


def _write_session(connection: Connection, before: SessionRecord, after: SessionRecord) -> None:
    connection.execute(
        update(SESSIONS_TABLE).where(SESSIONS_TABLE.c.id == after.id), _make_row(after)
    )
    used = ResourceUsage(
        after.worker_seconds - before.worker_seconds,
        after.core_seconds - before.core_seconds,
        after.cost_usd - before.cost_usd,
    )
    add_usage(connection, after.id, after.project, after.last_heard, used)


def _make_row(session: SessionRecord) -> dict[str, Any]:
    row = asdict(session)
    return row | {name: to_naive(row[name]) for name in _TIMES if row[name] is not None}


def _read_session(row: Mapping[Any, Any]) -> SessionRecord:
    values = dict(row)
    times = {name: to_aware(values[name]) for name in _TIMES if values[name] is not None}
    return SessionRecord(**{**values, **times})
