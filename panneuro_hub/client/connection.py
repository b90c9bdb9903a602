"""Get credentials for a transfer, from the session that it runs in or from a login."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from panneuro_hub.agent.refresher import CredentialRefresher
from panneuro_hub.agent.service_client import ServiceClient, ServiceUnreachableError
from panneuro_hub.client.credential_source import CredentialSource
from panneuro_hub.client.login import StoredLogin
from panneuro_hub.errors import AccessDeniedError, ServiceUnavailableError
from panneuro_hub.lab import current_session
from panneuro_hub.wire import SessionView

_FIRST_WAIT = 30.0  # seconds for the first keys
_SESSION_SECONDS = 12 * 3600.0  # half of what the service gives it


@dataclass(frozen=True)
class StoreConnection:
    """A session and the source of its credentials."""

    view: SessionView
    keys: CredentialSource


def is_in_session(environment: Mapping[str, str] = os.environ) -> bool:
    """Return whether this process belongs to a session of the hub."""
    return bool(
        environment.get("PANNEURO_PROJECT")
        and environment.get("AWS_CONTAINER_CREDENTIALS_FULL_URI")
    )


@contextmanager
def open_connection(project: str, *, writing: bool) -> Iterator[StoreConnection]:
    """Provide credentials for work in `project`, until the end of the block.

    Parameters
    ----------
    writing : bool
        Whether the transfer writes; a session writes in its own project only.

    Raises
    ------
    AccessDeniedError
        If this is not allowed, with the reason.
    ServiceUnavailableError
        If the hub's service does not answer.
    """
    if is_in_session():
        yield _connect_session(project, writing)
        return
    ticket_file = os.environ.get("PANNEURO_TICKET_FILE")
    if ticket_file:
        service_client = ServiceClient(
            os.environ.get("PANNEURO_SERVICE_URL", ""), Path(ticket_file)
        )
        with _refresh_credentials(service_client, service_client.fetch_session()) as connection:
            yield connection
        return
    with _connect_login(project) as connection:
        yield connection


def _connect_session(project: str, writing: bool) -> StoreConnection:
    view = current_session.session()
    if writing and view.project != project:
        raise AccessDeniedError(
            f"this server works in {view.project}, and writes there only; start one in {project} "
            "from the hub, or upload from a machine where you are logged in (panneuro login)"
        )
    return StoreConnection(view, CredentialSource(current_session.read_credential))


@contextmanager
def _connect_login(project: str) -> Iterator[StoreConnection]:
    begun = _LoginSession(StoredLogin.read(), project)
    service_client = _MemoryTicketClient(begun.service, Path(os.devnull), begun=begun)
    try:
        with _refresh_credentials(service_client, begun.view) as connection:
            yield connection
    finally:
        begun.end()


class _LoginSession:
    """A session of a login, which is replaced before the service ends it."""

    def __init__(self, login: StoredLogin, project: str) -> None:
        self.service = login.service
        self._login = login
        self._project = project
        self._begin()

    def read_ticket(self) -> str:
        if time.monotonic() - self._since > _SESSION_SECONDS:
            old = self._session
            self._begin()
            self._login.end(old)
        return self._ticket

    def end(self) -> None:
        self._login.end(self._session)

    def _begin(self) -> None:
        begun = self._login.call("POST", "/api/uploads", {"project": self._project})
        try:
            self.view = SessionView.from_json(begun["view"])
            self._session, self._ticket = str(begun["session"]), str(begun["ticket"])
        except (KeyError, TypeError, ValueError, AttributeError) as malformed:
            raise ServiceUnavailableError("the hub's answer describes no session") from malformed
        self._since = time.monotonic()


@dataclass(frozen=True)
class _MemoryTicketClient(ServiceClient):
    """The client of the service for a session with a ticket in memory."""

    begun: _LoginSession = field(kw_only=True, repr=False)

    def read_ticket(self) -> str:
        """Return the ticket."""
        try:
            return self.begun.read_ticket()
        except ServiceUnavailableError as outage:
            raise ServiceUnreachableError(str(outage)) from outage


@contextmanager
def _refresh_credentials(
    service_client: ServiceClient, view: SessionView
) -> Iterator[StoreConnection]:
    refresher = CredentialRefresher(service_client.fetch_credential)
    refresher.start()
    try:
        yield StoreConnection(
            view, CredentialSource(partial(refresher.get_credential, wait=_FIRST_WAIT))
        )
    finally:
        refresher.stop()
