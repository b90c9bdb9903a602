"""Credentials for a transfer, fetched whenever a store client needs them and never stored."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from panneuro_hub.client.transfer_errors import StoreError
from panneuro_hub.errors import AccessDeniedError, PanNeuroError, ServiceUnavailableError
from panneuro_hub.wire import Credential

_SHORTEST_REMAINDER = timedelta(minutes=1)


class CredentialSource:
    """The source of credentials for store clients; it keeps the reason of a failure.

    Parameters
    ----------
    ask : callable
        Returns the current credential, or raises `AccessDeniedError` or `ServiceUnavailableError`.
    """

    def __init__(self, ask: Callable[[], Credential]) -> None:
        self._ask = ask
        self._problem: PanNeuroError | None = None
        self._holding = False
        self._held: Credential | None = None

    @contextmanager
    def hold_credential(self) -> Iterator[None]:
        """Keep the current credential until it expires, even if a newer one is available.

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
        """Return the current credential.

        Raises
        ------
        AccessDeniedError, ServiceUnavailableError
            If there is none; the reason is kept for `raise_cause`.
        """
        held = self._held
        if held is not None and held.expires - datetime.now(UTC) > _SHORTEST_REMAINDER:
            return held
        try:
            made = self._ask()
        except PanNeuroError as problem:
            # The store clients wrap or lose the reason.
            self._problem = problem.with_traceback(None)
            raise
        self._problem = None
        if self._holding:
            self._held = made
        return made

    def raise_cause(self, failure: StoreError) -> None:
        """Raise the real reason if `failure` comes from a missing credential.

        Raises
        ------
        AccessDeniedError
            If the service refuses this session.
        StoreError
            If there is no credential for now.
        """
        problem = self._problem
        if isinstance(problem, AccessDeniedError):
            raise AccessDeniedError(str(problem), problem.fields)
        if isinstance(problem, ServiceUnavailableError):
            raise StoreError("again", str(problem)) from failure
