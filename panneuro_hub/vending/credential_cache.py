"""A cache of credentials with single flight: concurrent requests for a key share one call."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from types import TracebackType

from panneuro_hub.errors import VendingError
from panneuro_hub.vending.types import VendedCredential
from panneuro_hub.wire import Credential

UtcClock = Callable[[], datetime]
MakeCredential = Callable[[], Awaitable[Credential]]

# The rest of the lifetime is time for the last receiver to request the next credential.
_LARGEST_SHARE = 2 / 3


@dataclass
class _CacheEntry:
    """A credential, the time until which it is handed out, and whether it was handed out yet."""

    credential: Credential
    until: datetime
    handed_out: bool = False

    def hand_out(self) -> VendedCredential:
        fresh, self.handed_out = not self.handed_out, True
        return VendedCredential(self.credential, fresh)


@dataclass
class _PendingCall:
    """A call under way, and the traceback of its error once it has failed."""

    task: asyncio.Task[_CacheEntry]
    origin: TracebackType | None = None


class CredentialCache:
    """Credentials by key, each handed out again for a limited time.

    A cache belongs to one event loop.

    Parameters
    ----------
    clock : callable
        Returns the time now (aware, UTC).
    """

    def __init__(self, clock: UtcClock) -> None:
        self._clock = clock
        self._entries: dict[Hashable, _CacheEntry] = {}
        self._pending: dict[Hashable, _PendingCall] = {}
        self._closed = False

    def __len__(self) -> int:
        return len(self._entries)

    async def get(
        self, key: Hashable, make: MakeCredential, reuse_for: timedelta
    ) -> VendedCredential:
        """Return the credential for `key`: a cached one, or a new one.

        Parameters
        ----------
        key : hashable
            Identifies the credential. Requests with different keys never share a credential.
        make : callable
            Creates a credential. It runs once for all callers that wait for `key`, and runs to
            its end even if some of them stop waiting.
        reuse_for : timedelta
            The longest time for which a new credential is handed out again; two thirds of its
            lifetime if that is less. `Credential.renew_after` is the end of this time.

        Raises
        ------
        VendingError
            If the cache is closed, or the new credential has expired already.
        Exception
            The error of `make`, for every caller that waited for it; errors are not cached.
        """
        if self._closed:
            raise _make_stopping_error()
        entry = self._entries.get(key)
        if entry is None or self._clock() >= entry.until:
            entry = await self._join(key, make, reuse_for)
        return entry.hand_out()

    async def close(self) -> None:
        """Forget all credentials; callers that still wait get an error that says to try again."""
        self._closed = True
        self._entries.clear()
        tasks = [call.task for call in self._pending.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _join(self, key: Hashable, make: MakeCredential, reuse_for: timedelta) -> _CacheEntry:
        call = self._pending.get(key)
        if call is None:
            call = _PendingCall(asyncio.create_task(self._fill(key, make, reuse_for)))
            self._pending[key] = call
            call.task.add_done_callback(lambda _: self._finish(key))
        # wait() leaves the task alone when this waiter is cancelled.
        await asyncio.wait([call.task])
        if call.task.cancelled():
            raise _make_stopping_error()
        error = call.task.exception()
        if error is not None:
            # Many waiters raise the same error object: each traceback must show where the error
            # began, and not the other waiters.
            raise error.with_traceback(call.origin)
        return call.task.result()

    async def _fill(self, key: Hashable, make: MakeCredential, reuse_for: timedelta) -> _CacheEntry:
        credential = await make()
        now = self._clock()
        lifetime = credential.expires - now
        if lifetime <= timedelta(0):
            raise VendingError(
                "the store made a credential that has expired already; compare the clocks of the "
                "store and of this machine"
            )
        # Whole seconds, as JSON has them: a request at exactly that time gets a new credential.
        until = (now + min(reuse_for, lifetime * _LARGEST_SHARE)).replace(microsecond=0)
        entry = _CacheEntry(replace(credential, renew_after=until), until)
        if not self._closed:
            self._drop_old(now)
            self._entries[key] = entry
        return entry

    def _finish(self, key: Hashable) -> None:
        call = self._pending.pop(key)
        # Retrieve the error here: asyncio warns about an error that nobody retrieves.
        error = None if call.task.cancelled() else call.task.exception()
        if error is not None:
            call.origin = error.__traceback__

    def _drop_old(self, now: datetime) -> None:
        for key in [key for key, entry in self._entries.items() if now >= entry.until]:
            del self._entries[key]


def _make_stopping_error() -> VendingError:
    return VendingError("the service is stopping; ask again", retry_after=5.0)
