"""Answers of a slow place, kept for a while, and asked for once by all who want the same."""

from __future__ import annotations

import asyncio
import math
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar
from weakref import WeakValueDictionary

from panneuro_hub.errors import ServiceUnavailableError

T = TypeVar("T")
N = TypeVar("N")

_MOST_NAMES = 10_000
# Names come from tickets and headers that anybody can write. For those behind which there
# was nothing when they were last looked for, so many questions are under way at once, and so
# many more may wait; there is no such bound on names that are known.
_STRANGERS = 4
_STRANGERS_WAITING = 200


class LookupCache(Generic[T]):
    """What a place says of names; `None` where it knows nothing of one.

    Parameters
    ----------
    ask : callable
        Asks the place.
    keep : float
        Seconds that an answer is good for.
    clock : callable
        Monotonic seconds.
    """

    def __init__(
        self,
        ask: Callable[[str], Awaitable[T | None]],
        keep: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ask = ask
        self._keep = keep
        self._clock = clock
        self._known: OrderedDict[str, tuple[float, T]] = OrderedDict()
        # Apart, so that made-up names cannot drive out good ones.
        self._unknown: OrderedDict[str, float] = OrderedDict()
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._strangers = asyncio.Semaphore(_STRANGERS)
        self._waiting = 0

    async def get(self, name: str, *, within: float | None = None) -> T | None:
        """What is said of `name`, `within` seconds ago at most.

        Raises
        ------
        ServiceUnavailableError
            If too many are asking for names that are not known.
        Exception
            What asking raised; it is not kept.
        """
        lock = self._locks.get(name)
        if lock is None:
            lock = self._locks[name] = asyncio.Lock()
        async with lock:  # whoever comes while it is being read gets the same answer
            if self.age(name) > (self._keep if within is None else within):
                read = self._clock()
                answer = await (
                    self._ask(name) if name in self._known else self._ask_of_stranger(name)
                )
                self._put(name, read, answer)
            known = self._known.get(name)
            return None if known is None else known[1]

    def age(self, name: str) -> float:
        """Seconds since `name` was asked for; infinite if it is not kept."""
        if name in self._known:
            return self._clock() - self._known[name][0]
        return self._clock() - self._unknown.get(name, -math.inf)

    def forget(self, name: str) -> None:
        """Ask again for `name` at the next look; it stays one that is known."""
        if name in self._known:
            self._known[name] = (-math.inf, self._known[name][1])
        self._unknown.pop(name, None)

    async def _ask_of_stranger(self, name: str) -> T | None:
        if self._waiting >= _STRANGERS_WAITING:
            raise ServiceUnavailableError(
                "too many who are not known here ask at the same time; try again soon"
            )
        self._waiting += 1
        try:
            async with self._strangers:
                return await self._ask(name)
        finally:
            self._waiting -= 1

    def _put(self, name: str, read: float, answer: T | None) -> None:
        self._known.pop(name, None)
        self._unknown.pop(name, None)
        if answer is None:
            put_newest(self._unknown, name, read, _MOST_NAMES)
        else:
            put_newest(self._known, name, (read, answer), _MOST_NAMES)


def put_newest(kept: OrderedDict[N, T], name: N, value: T, most: int) -> None:
    """Put something in as the newest; what is oldest goes where there are more than `most`."""
    kept[name] = value
    kept.move_to_end(name)
    while len(kept) > most:
        kept.popitem(last=False)
