"""A clock whose time passes when the test says so."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

START = datetime(2026, 11, 22, 12, tzinfo=UTC)


@dataclass
class FakeClock:
    """A wall clock and a steady clock; hand `now` or `steady` to what needs a clock.

    Parameters
    ----------
    wall_time : datetime
        The time of day. A test may set it alone: people change clocks, and computers sleep.
    seconds : float
        The time of the steady clock.
    """

    wall_time: datetime = START
    seconds: float = 1000.0

    def now(self) -> datetime:
        """Return the time of day."""
        return self.wall_time

    def steady(self) -> float:
        """Return the seconds of the steady clock."""
        return self.seconds

    def advance(self, seconds: float = 0.0, **more: float) -> None:
        """Let time pass on both clocks; `more` is as `timedelta` has it."""
        passed = timedelta(seconds=seconds, **more)
        self.wall_time += passed
        # Not by way of `passed`, which has whole microseconds only.
        self.seconds += seconds + timedelta(**more).total_seconds()
