"""Keys for a transfer, asked for whenever an engine wants some; they are never stored."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from panneuro_hub.client.transfer_errors import StoreError
from panneuro_hub.errors import AccessDeniedError, PanNeuroError, ServiceUnavailableError
from panneuro_hub.wire import Credential

_SHORTEST_REMAINDER = timedelta(minutes=1)


class CredentialSource:
    """Where engines get keys, and what is known when they do not come.

    Parameters
    ----------
    ask : callable
        Gives the keys in use, at once, or raises `AccessDeniedError` or `ServiceUnavailableError`.
    """

    def __init__(self, ask: Callable[[], Credential]) -> None:
        self._ask = ask
        self._problem: PanNeuroError | None = None
        self._holding = False
        self._held: Credential | None = None

    @contextmanager
    def hold_credential(self) -> Iterator[None]:
        """Stay with the keys in use until they end, not only until newer ones can be had.

        The rights of keys do not change. What begins with keys that may write a place is
        not stopped in the middle because the place is frozen for newer keys.
        """
        self._holding = True
        try:
            yield
        finally:
            self._holding = False
            self._held = None

    def current(self) -> Credential:
        """The keys in use.

        Raises
        ------
        AccessDeniedError, ServiceUnavailable
            If there are none; the reason is kept for `explain`.
        """
        held = self._held
        if held is not None and held.expires - datetime.now(UTC) > _SHORTEST_REMAINDER:
            return held
        try:
            made = self._ask()
        except PanNeuroError as problem:
            # The engines wrap it in words of their own, or lose it.
            self._problem = problem.with_traceback(None)
            raise
        self._problem = None
        if self._holding:
            self._held = made
        return made

    def raise_cause(self, failure: StoreError) -> None:
        """Raise the real reason, where `failure` is one of keys that did not come.

        Raises
        ------
        AccessDeniedError
            If the service refuses this session.
        StoreError
            If there are no keys for now.
        """
        problem = self._problem
        if isinstance(problem, AccessDeniedError):
            raise AccessDeniedError(str(problem))
        if isinstance(problem, ServiceUnavailableError):
            raise StoreError("again", str(problem)) from failure
