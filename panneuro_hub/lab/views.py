"""The session, as the service last described it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from panneuro_hub.errors import AccessDenied
from panneuro_hub.lab.upstream import OutOfReach
from panneuro_hub.wire import SessionView

KEPT_FOR = 30.0  # seconds
RETRY_AFTER = 5.0  # seconds


class LastView:
    """Asks for the session at most every half minute; keeps the last answer in an outage.

    Parameters
    ----------
    fetch : callable
        Gives a `SessionView`, or raises `AccessDenied` or `OutOfReach`.
    steady : callable
        A clock that never goes back, in seconds.
    """

    def __init__(
        self, fetch: Callable[[], SessionView], steady: Callable[[], float] = time.monotonic
    ) -> None:
        self._fetch = fetch
        self._steady = steady
        self._lock = threading.Lock()
        self._view: SessionView | None = None
        self._problem: AccessDenied | OutOfReach | None = None
        self._good_until = float("-inf")

    def get(self) -> SessionView:
        """The session.

        Raises
        ------
        AccessDenied
            If the service refuses this session.
        OutOfReach
            If the service has never answered and does not now.
        """
        # One asks, the others wait for its answer: the service hears one question of a session.
        with self._lock:
            if self._steady() >= self._good_until:
                self._ask()
            if self._view is not None:
                return self._view
            # A new exception each time: a raised one holds on to the frames of who caught it.
            if isinstance(self._problem, AccessDenied):
                raise AccessDenied(str(self._problem))
            raise OutOfReach(str(self._problem))

    def _ask(self) -> None:
        try:
            self._view = self._fetch()
        except AccessDenied as refusal:
            self._view, self._problem = None, refusal.with_traceback(None)
        except OutOfReach as outage:
            self._problem = outage.with_traceback(None)
        else:
            self._problem = None
        kept_for = RETRY_AFTER if self._problem else KEPT_FOR
        self._good_until = self._steady() + kept_for
