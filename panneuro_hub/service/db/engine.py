"""The service's database: one transaction at a time, and no wait without an end."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from datetime import UTC, datetime
from typing import Any, TypeVar

from sqlalchemy import (
    URL,
    Connection,
    Engine,
    MetaData,
    create_engine,
    event,
    make_url,
)
from sqlalchemy.exc import SQLAlchemyError

from panneuro_hub.errors import ServiceUnavailableError

T = TypeVar("T")

metadata = MetaData()

# For whoever waits. The database's own limits are below it, so that it mostly says itself
# what is wrong; it cannot where its machine hangs.
WAIT_SECONDS = 10.0
_CONNECT_SECONDS = 5
_STATEMENT_SECONDS = 5
# Parameters of libpq, which both of these drivers hand on to it.
_LIBPQ = ("psycopg", "psycopg2")


class Database:
    """Any database that SQLAlchemy knows, used from one thread of its own.

    Parameters
    ----------
    url : str
        SQLAlchemy URL, such as ``sqlite:///ledger.sqlite`` or ``postgresql+psycopg://…``.
    wait : float
        Seconds after which who asks is told that there is no answer.
    """

    def __init__(self, url: str, wait: float = WAIT_SECONDS) -> None:
        self.url = url
        self._engine = make_engine(url)
        self._wait = wait
        # One at a time: rows keep their order, and SQLite has no use for more.
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        # A daemon, so that a database that hangs does not keep the process from ending.
        self._thread = threading.Thread(target=self._work, name="database", daemon=True)
        self._thread.start()

    async def run_transaction(self, work: Callable[[Connection], T]) -> T:
        """What `work` gives, in one transaction.

        Raises
        ------
        ServiceUnavailableError
            If the database cannot be used now, or does not answer in time.
        """
        try:
            return await asyncio.wait_for(asyncio.wrap_future(self._submit(work)), self._wait)
        except (SQLAlchemyError, TimeoutError) as error:
            raise ServiceUnavailableError(
                f"the ledger cannot be used now ({type(error).__name__}), and nothing is issued "
                "without a record; try again soon"
            ) from error

    def close(self) -> None:
        """Wait for what is being written, but not for ever, and let go of the database."""
        self._jobs.put(None)
        self._thread.join(self._wait)
        self._engine.dispose()

    def _submit(self, work: Callable[[Connection], T]) -> Future[T]:
        future: Future[T] = Future()

        def job() -> None:
            # Work that nobody waits for any more is not begun.
            if not future.set_running_or_notify_cancel():
                return
            try:
                with self._engine.begin() as connection:
                    result = work(connection)
            except BaseException as error:  # noqa: BLE001 - it belongs to who waits
                future.set_exception(error)
            else:
                future.set_result(result)

        self._jobs.put(job)
        return future

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()
            del job  # with what it was made of; the next one may be long in coming


def make_engine(url: str, patience: float | None = None) -> Engine:
    """Return an engine whose transactions do not mix, and whose waits end.

    Parameters
    ----------
    patience : float, optional
        How long a statement may take, and wait for others, in seconds.
    """
    parsed = make_url(url)
    limits = connection_limits(parsed, patience)
    engine = create_engine(parsed, pool_pre_ping=True, connect_args=limits)
    if parsed.get_backend_name() == "sqlite":
        event.listen(engine, "connect", _disable_driver_begin)
        event.listen(engine, "begin", _begin_immediate)
    return engine


def hide_password(url: str | URL) -> str:
    """Return a database's URL for messages."""
    return make_url(url).render_as_string(hide_password=True)


def utc_now() -> datetime:
    """The time now; aware."""
    return datetime.now(UTC)


def to_naive(moment: datetime) -> datetime:
    """A time as the tables have it: SQLite keeps no zone, so it is UTC, always."""
    return moment.astimezone(UTC).replace(tzinfo=None)


def to_aware(moment: datetime) -> datetime:
    """A time out of a table."""
    return moment.replace(tzinfo=UTC)


def connection_limits(url: URL, patience: float | None = None) -> dict[str, Any]:
    """Return what keeps a database from letting us wait; what the URL itself sets stays.

    Source: PostgreSQL documentation, "Database Connection Control Functions".
    """
    if url.get_backend_name() == "sqlite":
        return {} if patience is None or "timeout" in url.query else {"timeout": patience}
    if url.get_backend_name() != "postgresql" or url.get_driver_name() not in _LIBPQ:
        return {}
    milliseconds = round((patience or _STATEMENT_SECONDS) * 1000)
    limits = {
        "connect_timeout": _CONNECT_SECONDS,
        "options": " ".join(
            f"-c {name}={milliseconds}"
            # The second is of whoever stops in the middle of a transaction: others wait for it.
            for name in ("statement_timeout", "idle_in_transaction_session_timeout")
        ),
        "tcp_user_timeout": _STATEMENT_SECONDS * 1000,  # a peer that is gone without a word
    }
    return {name: value for name, value in limits.items() if name not in url.query}


def _disable_driver_begin(connection: Any, _record: Any) -> None:
    connection.isolation_level = None


def _begin_immediate(connection: Connection) -> None:
    # What reads first and writes then would otherwise fail where another replica writes between.
    connection.exec_driver_sql("BEGIN IMMEDIATE")
