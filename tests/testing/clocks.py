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

    def advance(self, passed: timedelta | float = 0.0, **more: float) -> None:
        """Let time pass on both clocks: seconds or a `timedelta`, or as `timedelta` takes it."""
        span = passed if isinstance(passed, timedelta) else timedelta(seconds=passed)
        span += timedelta(**more)
        self.wall_time += span
        self.seconds += span.total_seconds()
