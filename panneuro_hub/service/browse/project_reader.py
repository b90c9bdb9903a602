"""A project's objects for a page: read with keys of the person who looks, and with no others.

Access is decided for every page anew. The keys are vended as those of a session are,
narrowed to reading the project's own prefix; the ledger has them with the session
``page``. They stay in this process.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from obstore.exceptions import BaseError, NotFoundError
from obstore.store import S3Store

from panneuro_hub.access import Access, limit_to_reading, list_responsible_teams
from panneuro_hub.collaboration import Collaboration
from panneuro_hub.collaboration import S3Store as Place
from panneuro_hub.errors import AccessDeniedError, PanNeuroError, ServiceUnavailableError
from panneuro_hub.names import StorageLocation
from panneuro_hub.service.cache import put_newest
from panneuro_hub.service.db.ledger import LedgerSession
from panneuro_hub.service.recorded_vending import RecordedVending
from panneuro_hub.service.refusal_recorder import RefusalRecorder
from panneuro_hub.wire import Credential
from panneuro_hub.wording import no_access

if TYPE_CHECKING:
    from obstore.store import ClientConfig, S3Config, S3Credential

_log = logging.getLogger("panneuro.service")
T = TypeVar("T")

PAGE_SESSION = "page"
"""What the ledger says instead of a session's id."""

_THREADS = 8
_MOST_WAITING = 64  # readings, those under way among them
_READ_SECONDS = 30.0  # seconds for all that a page reads of one project
_MOST_STORES = 64
_CLIENT: ClientConfig = {"connect_timeout": "5s", "timeout": "15s"}


class ItemNotFoundError(PanNeuroError):
    """There is nothing of that name in a project that can be read."""

    code = "item-not-found"
    status = 404


class ProjectReader:
    """Reads projects for pages; a bounded number at once, each for a bounded time.

    Parameters
    ----------
    vending : RecordedVending
    refusals : RefusalRecorder
    read_seconds : float
        Seconds for one reading.
    open_store : callable
        Makes a store of a place, a root in it, and keys.
    """

    def __init__(
        self,
        vending: RecordedVending,
        refusals: RefusalRecorder,
        read_seconds: float = _READ_SECONDS,
        open_store: Callable[[Place, StorageLocation, Credential], S3Store] | None = None,
    ) -> None:
        self._vending = vending
        self._refusals = refusals
        self._read_seconds = read_seconds
        self._open_store = open_store or open_project_store
        self._pool = ThreadPoolExecutor(_THREADS, "panneuro-reader")
        self._under_way = 0
        # By the keys in use: a store keeps connections open.
        self._stores: OrderedDict[tuple[str, StorageLocation], S3Store] = OrderedDict()

    async def read_project(
        self, collaboration: Collaboration, access: Access, work: Callable[[S3Store], T]
    ) -> T:
        """What `work` makes of a project, for the person of `access`.

        Parameters
        ----------
        access : Access
            As it was decided for this very page.
        work : callable
            Gets an obstore store whose root is the project's prefix, and which can only
            read. It runs in a thread; it must read a bounded amount.

        Raises
        ------
        AccessDeniedError
            If the person cannot read the project; the refusal is in the ledger.
        ItemNotFoundError
            If `work` looked for an object that is not there.
        VendingError, ServiceUnavailable
            If keys or store are out of reach for now, or too much is being read.
        """
        store = await self._store(collaboration, access)
        if self._under_way >= _MOST_WAITING:
            raise ServiceUnavailableError("too many pages are being read; try again in a moment")
        self._under_way += 1
        running = asyncio.get_running_loop().run_in_executor(self._pool, work, store)
        # Counted until its thread is free again, whoever has stopped waiting.
        running.add_done_callback(self._done)
        try:
            async with asyncio.timeout(self._read_seconds):
                return await asyncio.shield(running)
        except TimeoutError as late:
            raise ServiceUnavailableError(
                f"the store of {access.project} is slow to answer; try again soon"
            ) from late
        except (FileNotFoundError, NotFoundError) as missing:
            raise ItemNotFoundError(
                f"there is nothing of this name in {access.project}"
            ) from missing
        except BaseError as failure:
            # Its text is for obstore's makers; the log has it.
            _log.warning("A page cannot read %s: %s", access.project, _first_line(failure))
            raise ServiceUnavailableError(
                f"the data of {access.project} cannot be read for now; try again soon, and tell "
                "the hub's operator if it stays so"
            ) from failure

    async def require_reading(self, collaboration: Collaboration, access: Access) -> Access:
        """What of `access` is reading the project; refuse who cannot.

        Raises
        ------
        AccessDeniedError
            If they cannot; the refusal is in the ledger.
        ServiceUnavailableError
            If that could not be written.
        """
        looks = limit_to_reading(collaboration, access)
        if not looks.grants:
            refusal = no_access(access.project, access.reasons)
            known = access.project if access.project in collaboration.projects else ""
            await self._refusals.record_refusal(
                access.person.name, LedgerSession("", known, PAGE_SESSION), refusal
            )
            ask = ", ".join(list_responsible_teams(collaboration, known)) if known else ""
            raise AccessDeniedError(f"{refusal}. Ask {ask}.", refusal.fields) if ask else refusal
        return looks

    async def close(self) -> None:
        """Read nothing any more."""
        self._stores.clear()
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _store(self, collaboration: Collaboration, access: Access) -> S3Store:
        looks = await self.require_reading(collaboration, access)
        made = await self._vending.vend_credential(
            collaboration, looks, LedgerSession(PAGE_SESSION, access.project, PAGE_SESSION)
        )
        place = collaboration.stores[collaboration.projects[access.project].store]
        root = looks.grants[0].location
        key = (made.access_key_id, root)
        store = self._stores.get(key) or self._open_store(place, root, made)
        put_newest(self._stores, key, store, _MOST_STORES)
        return store

    def _done(self, running: asyncio.Future[Any]) -> None:
        self._under_way -= 1
        if not running.cancelled():
            running.exception()  # looked at, for when nobody waits any more


class SingleFlightCache:
    """What was read a moment ago, for who opens the next page of the same.

    Parameters
    ----------
    most : int
        How many things are kept.
    keep : float
        Seconds.
    clock : callable
        Monotonic seconds.
    """

    def __init__(self, most: int, keep: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._keep = keep
        self._clock = clock
        self._tasks: OrderedDict[Hashable, tuple[float, asyncio.Task[Any]]] = OrderedDict()

    async def get(self, key: Hashable, make: Callable[[], Awaitable[T]]) -> T:
        """What `make` gives; once for all who want it at the same time, and a moment after.

        Parameters
        ----------
        key : hashable
            What it is, and who may see it: the person is part of it wherever rights are.

        Raises
        ------
        Exception
            What `make` raised: to everybody who waited for it, and kept for nobody.
        """
        at, task = self._tasks.get(key, (0.0, None))
        # What is still being made is waited for, however long it takes.
        if task is None or (task.done() and self._clock() - at > self._keep):

            async def run() -> T:
                return await make()

            task = asyncio.create_task(run())
            task.add_done_callback(lambda done: self._forget_failed(key, done))
            at = self._clock()
        put_newest(self._tasks, key, (at, task), self._most)
        found: T = await asyncio.shield(task)
        return found

    def forget(self, key: Hashable) -> None:
        """Keep it no longer; who waits for it still gets it."""
        self._tasks.pop(key, None)

    def _forget_failed(self, key: Hashable, task: asyncio.Task[Any]) -> None:
        failed = task.cancelled() or task.exception() is not None
        if failed and self._tasks.get(key, (0.0, None))[1] is task:
            del self._tasks[key]


class PersonLimiter:
    """Bounds what takes much memory: a few at once, some more wait, and nobody takes all turns.

    Parameters
    ----------
    at_once : int
        How many have a turn.
    most : int
        How many have one or wait for one.
    of_one : int
        How many of these may be one person's.
    refusal : str
        What everybody else is told.
    """

    def __init__(self, at_once: int, most: int, of_one: int, refusal: str) -> None:
        self._free = asyncio.Semaphore(at_once)
        self._most = most
        self._of_one = of_one
        self._refusal = refusal
        self._under_way: Counter[str] = Counter()

    @asynccontextmanager
    async def acquire(self, person: str) -> AsyncIterator[None]:
        """Wait for a turn, and have it.

        Raises
        ------
        ServiceUnavailableError
            If too many wait, or this person alone wants too much.
        """
        if self._under_way.total() >= self._most or self._under_way[person] >= self._of_one:
            raise ServiceUnavailableError(self._refusal)
        self._under_way[person] += 1
        try:
            async with self._free:
                yield
        finally:
            self._under_way -= Counter([person])


def open_project_store(place: Place, root: StorageLocation, made: Credential) -> S3Store:
    """An obstore store rooted at `root`, with these keys and no others.

    What the process's environment says of stores is meant for somebody else: the keys
    in it are the platform's own.
    """

    def keys() -> S3Credential:
        return {
            "access_key_id": made.access_key_id,
            "secret_access_key": made.secret_access_key,
            "token": made.session_token,
            "expires_at": made.expires,
        }

    endpoint = place.endpoint_url or f"https://s3.{place.region}.amazonaws.com"
    config: S3Config = {
        "region": place.region,
        "endpoint": endpoint,
        "virtual_hosted_style_request": False,
        "skip_signature": False,
    }
    return S3Store(
        root.bucket,
        prefix=root.key,
        config=config,
        client_options={**_CLIENT, "allow_http": endpoint.startswith("http://")},
        retry_config={"max_retries": 1},
        credential_provider=keys,
    )


def _first_line(failure: BaseError) -> str:
    # Some stores repeat a token that they refuse.
    return str(failure).partition("\n")[0].partition("<Token")[0][:500]
