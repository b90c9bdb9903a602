"""Keep the service's last description of the session."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from panneuro_hub.agent.service_client import ServiceUnreachableError
from panneuro_hub.errors import AccessDeniedError
from panneuro_hub.wire import SessionView

CACHE_SECONDS = 30.0  # seconds
RETRY_SECONDS = 5.0  # seconds


class SessionViewCache:
    """Request the session at most every half minute, and keep the last answer in an outage.

    Parameters
    ----------
    fetch : callable
        Returns a `SessionView`, or raises `AccessDeniedError` or `ServiceUnreachableError`.
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
        self._problem: AccessDeniedError | ServiceUnreachableError | None = None
        self._good_until = float("-inf")

    def get_view(self) -> SessionView:
        """Return the session.

        Raises
        ------
        AccessDeniedError
            If the service refuses this session.
        ServiceUnreachableError
            If the service has never answered, and does not answer now.
        """
        # One thread sends the request and the others wait, so the service gets one request.
        with self._lock:
            if self._steady() >= self._good_until:
                self._fetch_view()
            if self._view is not None:
                return self._view
            # A new exception each time: a raised one keeps the frames of its callers alive.
            if isinstance(self._problem, AccessDeniedError):
                raise AccessDeniedError(str(self._problem))
            raise ServiceUnreachableError(str(self._problem))

    def _fetch_view(self) -> None:
        try:
            self._view = self._fetch()
        except AccessDeniedError as refusal:
            self._view, self._problem = None, refusal.with_traceback(None)
        except ServiceUnreachableError as outage:
            self._problem = outage.with_traceback(None)
        else:
            self._problem = None
        cache_seconds = RETRY_SECONDS if self._problem else CACHE_SECONDS
        self._good_until = self._steady() + cache_seconds
