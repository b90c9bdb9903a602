"""Trying again, a bounded number of times, later and later."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class StsRetryPolicy:
    """When to try again.

    Parameters
    ----------
    tries : int
        How often to try in all.
    first : float
        Longest wait after the first failure, in seconds; it doubles with each failure.
    longest : float
        What no wait exceeds, in seconds.
    sleep : callable
        Waits for a number of seconds.
    share : callable
        A random number in [0, 1): how much of the longest wait is waited, so that
        those who failed together do not come back together.
    """

    tries: int = 4
    first: float = 0.25
    longest: float = 4.0
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    share: Callable[[], float] = random.random

    def wait(self, failures: int) -> float:
        """How long to wait after that many failures, in seconds: half of it is chance."""
        bound = min(self.longest, self.first * 2.0 ** (failures - 1))
        return bound * (1 + self.share()) / 2

    async def run(
        self, attempt: Callable[[], Awaitable[T]], may_pass: Callable[[Exception], bool]
    ) -> T:
        """Await `attempt` until it succeeds.

        Parameters
        ----------
        attempt : callable
            Makes one attempt.
        may_pass : callable
            Whether an error is of the kind that may pass by itself.

        Raises
        ------
        Exception
            The error of the last attempt, or the first that cannot pass.
        """
        for failures in range(1, self.tries):
            try:
                return await attempt()
            except Exception as error:
                if not may_pass(error):
                    raise
                await self.sleep(self.wait(failures))
        return await attempt()
