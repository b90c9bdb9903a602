"""Waiting for what another process, thread or task does."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 120.0  # s; far more than anything takes, even on a busy machine
_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 0.5  # s


def wait_until(look: Callable[[], T], what: str = "it", patience: float = PATIENCE) -> T:
    """Return what `look` returns, as soon as that is true.

    Parameters
    ----------
    look : callable
        It is called again and again, after pauses that grow to half a second.
    what : str
        What is waited for; the error names it.
    patience : float
        Seconds after which the test fails.

    Raises
    ------
    AssertionError
        If it does not become true in time, with what was seen last.
    """
    pauses = _Pauses(what, patience)
    while not (seen := look()):
        time.sleep(pauses.after(seen))
    return seen


async def wait_until_async(
    look: Callable[[], Awaitable[T] | T], what: str = "it", patience: float = PATIENCE
) -> T:
    """Return what `look` returns or awaits, as soon as that is true; see `wait_until`."""
    pauses = _Pauses(what, patience)
    while True:
        found = look()
        seen: T = await found if inspect.isawaitable(found) else found
        if seen:
            return seen
        await asyncio.sleep(pauses.after(seen))


@dataclass
class _Pauses:
    what: str
    patience: float
    pause: float = _FIRST_PAUSE

    def __post_init__(self) -> None:
        self.deadline = time.monotonic() + self.patience

    def after(self, seen: object) -> float:
        assert time.monotonic() < self.deadline, f"{self.what}: not in time; saw {seen!r}"
        pause, self.pause = self.pause, min(1.5 * self.pause, _LONGEST_PAUSE)
        return pause
