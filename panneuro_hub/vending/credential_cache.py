"""Credentials kept for a while, and made once for all who want the same at the same time."""

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

# The rest of a credential's life is for whoever got it last to come back in time.
_LARGEST_SHARE = 2 / 3


@dataclass
class _CacheEntry:
    """A credential, until when it is handed out, and whether anybody has got it yet."""

    credential: Credential
    until: datetime
    handed_out: bool = False

    def hand_out(self) -> VendedCredential:
        fresh, self.handed_out = not self.handed_out, True
        return VendedCredential(self.credential, fresh)


@dataclass
class _PendingCall:
    """A call under way, and where its error came from once it has failed."""

    task: asyncio.Task[_CacheEntry]
    origin: TracebackType | None = None


class CredentialCache:
    """Credentials by key, each handed out again for a while since it was made.

    Belongs to one event loop.

    Parameters
    ----------
    clock : callable
        The time now (aware, UTC).
    """

    def __init__(self, clock: UtcClock) -> None:
        self._clock = clock
        self._kept: dict[Hashable, _CacheEntry] = {}
        self._making: dict[Hashable, _PendingCall] = {}
        self._closed = False

    def __len__(self) -> int:
        return len(self._kept)

    async def get(
        self, key: Hashable, make: MakeCredential, reuse_for: timedelta
    ) -> VendedCredential:
        """The credential of `key`: a kept one, or a new one.

        Parameters
        ----------
        key : hashable
            What keys are for. Requests of different keys never share a credential.
        make : callable
            Makes a new one. It runs once for all who wait for `key`, and to its end,
            whoever of them stops waiting.
        reuse_for : timedelta
            How long a new one is handed out again, at most; two thirds of its life
            where that is less. This is when `Credential.renew_after` asks for the next.

        Raises
        ------
        VendingError
            If the cache is closed, or the new one has expired already.
        Exception
            What `make` raised: to everybody who waited for it, and kept for nobody.
        """
        if self._closed:
            raise _stopping()
        kept = self._kept.get(key)
        if kept is None or self._clock() >= kept.until:
            kept = await self._join(key, make, reuse_for)
        return kept.hand_out()

    async def close(self) -> None:
        """Keep nothing any more; who is still waiting is told to come back."""
        self._closed = True
        self._kept.clear()
        tasks = [making.task for making in self._making.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _join(self, key: Hashable, make: MakeCredential, reuse_for: timedelta) -> _CacheEntry:
        making = self._making.get(key)
        if making is None:
            making = _PendingCall(asyncio.create_task(self._fill(key, make, reuse_for)))
            self._making[key] = making
            making.task.add_done_callback(lambda _: self._finish(key))
        # wait() leaves the task alone when this waiter is cancelled.
        await asyncio.wait([making.task])
        if making.task.cancelled():
            raise _stopping()
        error = making.task.exception()
        if error is not None:
            # One error goes to many: each sees where it came from, not who else got it.
            raise error.with_traceback(making.origin)
        return making.task.result()

    async def _fill(self, key: Hashable, make: MakeCredential, reuse_for: timedelta) -> _CacheEntry:
        credential = await make()
        now = self._clock()
        life = credential.expires - now
        if life <= timedelta(0):
            raise VendingError(
                "the store made a credential that has expired already; compare the clocks of the "
                "store and of this machine"
            )
        # To the second, as it travels: who comes back at that time gets a new one.
        until = (now + min(reuse_for, life * _LARGEST_SHARE)).replace(microsecond=0)
        kept = _CacheEntry(replace(credential, renew_after=until), until)
        if not self._closed:
            self._drop_old(now)
            self._kept[key] = kept
        return kept

    def _finish(self, key: Hashable) -> None:
        making = self._making.pop(key)
        # Looked at here, so that an error for which nobody waits any more is no warning.
        error = None if making.task.cancelled() else making.task.exception()
        if error is not None:
            making.origin = error.__traceback__

    def _drop_old(self, now: datetime) -> None:
        for key in [key for key, kept in self._kept.items() if now >= kept.until]:
            del self._kept[key]


def _stopping() -> VendingError:
    return VendingError("the service is stopping; ask again", retry_after=5.0)
