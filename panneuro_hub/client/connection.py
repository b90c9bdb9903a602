"""How a transfer gets keys: from the session that it runs in, or through the hub from outside."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from panneuro_hub.client.account import Login
from panneuro_hub.client.keys import Keys
from panneuro_hub.errors import AccessDenied, ServiceUnavailable
from panneuro_hub.lab import here
from panneuro_hub.lab.keeper import Keeper
from panneuro_hub.lab.upstream import OutOfReach, Upstream
from panneuro_hub.wire import SessionView

_FIRST_WAIT = 30.0  # seconds for the first keys
_SESSION_SECONDS = 12 * 3600.0  # half of what the service gives it


@dataclass(frozen=True)
class Connection:
    """A session, and where its keys come from."""

    view: SessionView
    keys: Keys


def in_session(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether this process belongs to a session of the hub."""
    return bool(
        environment.get("PANNEURO_PROJECT")
        and environment.get("AWS_CONTAINER_CREDENTIALS_FULL_URI")
    )


@contextmanager
def connected(project: str, *, writing: bool) -> Iterator[Connection]:
    """Keys for work in `project`, until the end of the block.

    Parameters
    ----------
    writing : bool
        Whether something is to be written; a session writes in its own project only.

    Raises
    ------
    AccessDenied
        If this may not be done, with the reason.
    ServiceUnavailable
        If the hub's service does not answer.
    """
    if in_session():
        yield _of_session(project, writing)
        return
    ticket_file = os.environ.get("PANNEURO_TICKET_FILE")
    if ticket_file:
        upstream = Upstream(os.environ.get("PANNEURO_SERVICE_URL", ""), Path(ticket_file))
        with _kept(upstream, upstream.session()) as connection:
            yield connection
        return
    with _of_login(project) as connection:
        yield connection


def _of_session(project: str, writing: bool) -> Connection:
    view = here.session()
    if writing and view.project != project:
        raise AccessDenied(
            f"this server works in {view.project}, and writes there only; start one in {project} "
            "from the hub, or upload from a machine where you are logged in (panneuro login)"
        )
    return Connection(view, Keys(here.credential))


@contextmanager
def _of_login(project: str) -> Iterator[Connection]:
    begun = _Begun(Login.read(), project)
    upstream = _FromMemory(begun.service, Path(os.devnull), begun=begun)
    try:
        with _kept(upstream, begun.view) as connection:
            yield connection
    finally:
        begun.end()


class _Begun:
    """A session that a login began; begun anew before the service ends it by itself."""

    def __init__(self, login: Login, project: str) -> None:
        self.service = login.service
        self._login = login
        self._project = project
        self._begin()

    def ticket(self) -> str:
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
            raise ServiceUnavailable("the hub's answer describes no session") from malformed
        self._since = time.monotonic()


@dataclass(frozen=True)
class _FromMemory(Upstream):
    """The service, for a session whose ticket is in no file."""

    begun: _Begun = field(kw_only=True, repr=False)

    def ticket(self) -> str:
        """The ticket."""
        try:
            return self.begun.ticket()
        except ServiceUnavailable as outage:
            raise OutOfReach(str(outage)) from outage


@contextmanager
def _kept(upstream: Upstream, view: SessionView) -> Iterator[Connection]:
    keeper = Keeper(upstream.credential)
    keeper.start()
    try:
        yield Connection(view, Keys(partial(keeper.credential, wait=_FIRST_WAIT)))
    finally:
        keeper.stop()
