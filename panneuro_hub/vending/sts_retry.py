"""A bounded number of retries with increasing waits."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class StsRetryPolicy:
    """The number of attempts, and the waits between them.

    Parameters
    ----------
    tries : int
        The number of attempts in all.
    first : float
        Longest wait after the first failure, in seconds; it doubles with each failure.
    longest : float
        The longest wait after any failure, in seconds.
    sleep : callable
        Waits for a number of seconds.
    share : callable
        Returns a random number in [0, 1), which shortens each wait, so that requests that failed
        together do not come back together.
    """

    tries: int = 4
    first: float = 0.25
    longest: float = 4.0
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    share: Callable[[], float] = random.random

    def wait(self, failures: int) -> float:
        """Return the wait after this number of failures, in seconds; up to half of it is random."""
        bound = min(self.longest, self.first * 2.0 ** (failures - 1))
        return bound * (1 + self.share()) / 2

    async def run(
        self, attempt: Callable[[], Awaitable[T]], is_retryable: Callable[[Exception], bool]
    ) -> T:
        """Await `attempt` until it succeeds.

        Parameters
        ----------
        attempt : callable
            Makes one attempt.
        is_retryable : callable
            Returns `True` for an error after which a retry can succeed.

        Raises
        ------
        Exception
            The error of the last attempt, or the first error that is not retryable.
        """
        for failures in range(1, self.tries):
            try:
                return await attempt()
            except Exception as error:
                if not is_retryable(error):
                    raise
                await self.sleep(self.wait(failures))
        return await attempt()
