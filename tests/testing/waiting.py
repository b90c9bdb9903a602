"""Waiting for what another process, thread or task does."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 90.0  # s; far more than anything takes, even on a busy machine
_PAUSE = 0.05  # s


def wait_until(
    look: Callable[[], T], what: str = "it", patience: float = PATIENCE, pause: float = _PAUSE
) -> T:
    """Return what `look` returns, as soon as that is true.

    Parameters
    ----------
    look : callable
    what : str
        What is waited for; the error names it.
    patience : float
        Seconds after which the test fails.
    pause : float
        Seconds between two looks.

    Raises
    ------
    AssertionError
        If it does not become true in time, with what was seen last.
    """
    deadline = time.monotonic() + patience
    while not (seen := look()):
        assert time.monotonic() < deadline, f"{what} did not happen in time; saw {seen!r}"
        time.sleep(pause)
    return seen


async def wait_until_async(
    look: Callable[[], Awaitable[T] | T],
    what: str = "it",
    patience: float = PATIENCE,
    pause: float = _PAUSE,
) -> T:
    """Return what `look` returns or awaits, as soon as that is true; other tasks go on.

    With a `pause` of 0, other tasks run between two looks and no time passes.
    See `wait_until`.
    """
    deadline = time.monotonic() + patience
    while True:
        found = look()
        seen: T = await found if inspect.isawaitable(found) else found
        if seen:
            return seen
        assert time.monotonic() < deadline, f"{what} did not happen in time; saw {seen!r}"
        await asyncio.sleep(pause)
