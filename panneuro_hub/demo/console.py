"""What the demo prints: one aligned line a step, with the time it took."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TextIO


class StepConsole:
    """Prints steps with their time.

    Parameters
    ----------
    output : TextIO, optional
        Where to; standard output by default.
    clock : callable
        Seconds, steadily growing.
    """

    def __init__(
        self, output: TextIO | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._output = output or sys.stdout
        self._clock = clock
        self._begun = self._last = clock()

    def step(self, text: str) -> None:
        """Say what has just been done, and how long since the step before."""
        now = self._clock()
        first, *more = text.splitlines() or [""]
        self._print(f"{now - self._last:7.2f} s  {first}")
        for line in more:
            self._print(f"{'':9}  {line}")
        self._last = now

    def say(self, text: str) -> None:
        """Say something that took no time."""
        self._print(text)

    @property
    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return self._clock() - self._begun

    def _print(self, text: str) -> None:
        print(text, file=self._output, flush=True)
