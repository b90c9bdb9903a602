"""Describe this session to its researcher, and resolve paths in it.

The description comes from the session's agent, which is found through the same variables as by
every S3 client.
"""

from __future__ import annotations

import http.client
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from panneuro_hub.errors import (
    AccessDeniedError,
    InvalidArgumentError,
    PanNeuroError,
    ServiceUnavailableError,
)
from panneuro_hub.names import StorageLocation
from panneuro_hub.wire import Credential, Denial, Grant, Reason, SessionView
from panneuro_hub.wire.credential import parse_time
from panneuro_hub.wire.refusal import Refusal
from panneuro_hub.wording import denied, denied_for, describe_reasons, describe_target

_TIMEOUT = 30.0  # seconds: longer than the agent itself waits for the service
SCRATCH = "scratch"


class NotInSessionError(PanNeuroError):
    """The process does not belong to a session of the hub."""

    code = "not-in-session"
    status = 404


class PathNotFoundError(PanNeuroError, FileNotFoundError):
    """There is no object at a path that the session can read."""

    code = "path-not-found"
    status = 404


@dataclass(frozen=True, repr=False)
class CurrentSession(SessionView):
    """A session and what it may do; prints as a page of plain text.

    Parameters
    ----------
    keys_until : datetime or None
        The time (UTC) at which the current keys expire; the agent renews them earlier.
    problem : str or None
        The reason why new keys do not come, if there is one.
    """

    keys_until: datetime | None = None
    problem: str | None = None

    def __repr__(self) -> str:
        return "\n".join(describe_session(self))


def session() -> CurrentSession:
    """Return this session: its project, what it may do, and why.

    Returns
    -------
    CurrentSession
        At most half a minute old, unless the hub's service does not answer.

    Raises
    ------
    NotInSessionError
        Outside a session of the hub.
    AccessDeniedError
        If the session's access has ended; the message says why.
    ServiceUnavailableError
        If the agent, or the service behind it, does not answer.
    """
    view = SessionView.from_json(_request_agent("/session"))
    health = _request_agent("/health")
    shared = {field.name: getattr(view, field.name) for field in fields(SessionView)}
    expires = health.get("expires")
    return CurrentSession(
        **shared,
        keys_until=parse_time(expires) if isinstance(expires, str) else None,
        problem=health.get("problem"),
    )


def read_credential() -> Credential:
    """Return the session's current credential, for libraries that do not find the agent.

    Raises
    ------
    NotInSessionError, AccessDeniedError, ServiceUnavailableError
        As for `session`.
    """
    try:
        return Credential.from_json(_request_agent("/credentials"))
    except ValueError as malformed:
        raise ServiceUnavailableError(f"the session's agent gave {malformed}") from None


def resolve(path: str = "") -> str:
    """Return the whole address of a path that this session can read.

    Parameters
    ----------
    path : str
        ``PROJECT/rest`` for any project that can be read here; ``scratch/rest``
        for your own scratch; a whole ``s3://`` address; ``""`` for the project's
        own prefix.

    Returns
    -------
    str
        ``s3://bucket/key``. There may be no object at this address.

    Raises
    ------
    AccessDeniedError
        If the session cannot read the path; the message says why.
    ValueError
        If no grant can cover `path` (``..``, ``//``).
    NotInSessionError, ServiceUnavailableError
        As for `session`.
    """
    return locate_path(session(), path).uri


def locate_path(view: SessionView, path: str) -> StorageLocation:
    """Return the location of `path` in the session `view`; otherwise as for `resolve`."""
    try:
        return _find_location(view, path)
    except ValueError as problem:
        raise InvalidArgumentError(str(problem)) from None


def _find_location(view: SessionView, path: str) -> StorageLocation:
    if "://" in path:
        return _find_uri(view, path)
    name, _, rest = path.partition("/")
    if path and not name:
        raise ValueError(f"{path!r} starts with '/'; write PROJECT/… or {SCRATCH}/…")
    if name == SCRATCH:
        if view.scratch is None:
            raise denied_for([Reason("no-scratch", view.project)])
        return StorageLocation.parse(view.scratch + rest)
    prefix = view.prefixes.get(name or view.project)
    if prefix is None:
        wanted = name or view.project
        raise denied(Denial("read", "project", wanted, wanted, why_not_read(view, wanted)))
    return StorageLocation.parse(prefix + rest)


def find_covering_grant(view: SessionView, place: StorageLocation) -> Grant | None:
    """Return the grant that decides about `place`: the longest one that covers it."""
    grants = [grant for grant in view.grants if grant.location.contains(place)]
    return max(grants, key=lambda grant: len(grant.prefix), default=None)


def describe_session(current: CurrentSession) -> list[str]:
    """Return a session as lines of plain text."""
    level = f"level {current.level}" if current.level else "no access any more"
    lines = [f"{current.project}: {current.title}", f"{current.user}, {level}"]
    if current.keys_until is not None:
        lines.append(f"keys until {current.keys_until:%Y-%m-%d %H:%M} UTC, renewed automatically")
    if current.problem:
        lines.append(f"new keys do not come: {current.problem}")
    can = [(f"{one.mode} {one.prefix}", describe_reasons(one.reasons)) for one in current.grants]
    cannot = [(describe_target(one), describe_reasons(one.reasons)) for one in current.denied]
    return [*lines, *_format_section("You can", can), *_format_section("You cannot", cannot)]


def why_not_read(view: SessionView, project: str) -> tuple[Reason, ...]:
    """Return why a session cannot read a project; only reasons that are about this project."""
    reasons = [
        reason
        for denial in view.denied
        if denial.action in ("read", "open") and denial.project == project
        for reason in denial.reasons
    ]
    return tuple(dict.fromkeys(reasons)) or _readable(view)


def _format_section(title: str, rows: list[tuple[str, str]]) -> list[str]:
    return [title, *(f"  {what}\n    {reason}" for what, reason in rows)] if rows else []


def _find_uri(view: SessionView, uri: str) -> StorageLocation:
    # A project's prefix may be written without the '/' at its end.
    whole = f"{uri}/" if any(grant.prefix == f"{uri}/" for grant in view.grants) else uri
    place = StorageLocation.parse(whole)
    if find_covering_grant(view, place) is not None:
        return place
    for denial in view.denied:
        if denial.covers("read", place):
            raise denied(replace(denial, name=uri))
    raise denied(Denial("read", "prefix", uri, view.project, _readable(view)))


def _readable(view: SessionView) -> tuple[Reason, ...]:
    """Return what the session can read, for names that mean nothing in it."""
    readable = (*view.prefixes, *((SCRATCH,) if view.scratch else ()))
    if not readable:
        return (Reason("session-reads-nothing", view.project),)
    return (Reason("session-reads", view.project, names=readable),)


def _request_agent(path: str) -> Mapping[str, Any]:
    address = os.environ.get("AWS_CONTAINER_CREDENTIALS_FULL_URI")
    token_file = os.environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE")
    if not address or not token_file:
        raise NotInSessionError(
            "this process is not in a session of the hub, which sets "
            "AWS_CONTAINER_CREDENTIALS_FULL_URI and AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE; "
            "start a server from the hub and work there"
        )
    status, answer = _send_request(address, Path(token_file), path)
    # The agent also reports its health with 503; then the body says why.
    if status == http.HTTPStatus.OK or path == "/health":
        return answer
    refusal = Refusal.from_json(status, answer, f"the session's agent answered HTTP {status}")
    if status == http.HTTPStatus.FORBIDDEN:
        raise AccessDeniedError(refusal.message, refusal.fields)
    raise ServiceUnavailableError(refusal.message)


def _send_request(address: str, token_file: Path, path: str) -> tuple[int, Mapping[str, Any]]:
    try:
        agent = urlsplit(address)
        token = token_file.read_text().strip()
        connection = http.client.HTTPConnection(
            agent.hostname or "", agent.port or http.client.HTTP_PORT, timeout=_TIMEOUT
        )
        try:
            connection.request("GET", path, headers={"Authorization": token})
            with connection.getresponse() as response:
                answer = json.loads(response.read())
        finally:
            connection.close()
    except (OSError, ValueError, http.client.HTTPException) as problem:
        raise ServiceUnavailableError(
            f"the session's agent at {address} does not answer ({problem}); "
            "if it does not recover, stop and start your server"
        ) from problem
    if not isinstance(answer, dict):
        raise ServiceUnavailableError(f"what answers at {address} is not the session's agent")
    return response.status, answer
