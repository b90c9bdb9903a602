"""A person's login at a hub, as this machine keeps it, and what it is good for."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from platformdirs import user_config_path

from panneuro_hub.agent.service_client import (
    AgentSettingsError,
    open_service_connection,
    to_printable,
)
from panneuro_hub.errors import AccessDeniedError, PanNeuroError, ServiceUnavailableError
from panneuro_hub.wire.credential import format_time, parse_time
from panneuro_hub.wire.refusal import Refusal

_LARGEST_RESPONSE = 1 << 22  # bytes
_TIMEOUT = 30.0  # seconds
_SERVICES = "/services/panneuro"
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class NotLoggedInError(AccessDeniedError):
    """There is no login that could be used."""

    code = "not-logged-in"


@dataclass(frozen=True)
class StoredLogin:
    """A login: it begins sessions in the person's projects; the token masks itself.

    Parameters
    ----------
    service : str
        Address of the hub's service.
    user : str
    expires : datetime
        Aware.
    token : str
    """

    service: str
    user: str
    expires: datetime
    token: str = field(repr=False)

    @classmethod
    def read(cls) -> StoredLogin:
        """The login of this machine.

        Raises
        ------
        NotLoggedInError
            If there is none, or it has ended.
        """
        try:
            kept = json.loads(find_login_file().read_text())
            login = cls(
                str(kept["service"]), str(kept["user"]), parse_time(kept["expires"]), kept["token"]
            )
        except (OSError, ValueError, KeyError, TypeError):
            raise NotLoggedInError(
                "you are not logged in on this machine; panneuro login https://ADDRESS-OF-THE-HUB"
            ) from None
        if login.expires <= datetime.now(UTC):
            raise NotLoggedInError(
                f"your login ended on {login.expires:%Y-%m-%d}; panneuro login {login.hub}"
            )
        return login

    @property
    def hub(self) -> str:
        """The address that was logged in to."""
        return self.service.removesuffix(_SERVICES)

    def write(self) -> Path:
        """Keep it where only this account reads it; gives where that is."""
        path = find_login_file()
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        kept = {
            "service": self.service,
            "user": self.user,
            "expires": format_time(self.expires),
            "token": self.token,
        }
        # mkstemp makes the file 0o600.
        handle, name = tempfile.mkstemp(prefix=".login-", dir=path.parent)
        try:
            with os.fdopen(handle, "w") as out:
                json.dump(kept, out)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        return path

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Ask the service as this person.

        Raises
        ------
        AccessDeniedError
            If it refuses, with the reason.
        NotLoggedInError
            If it does not know this login any more.
        ServiceUnavailableError
            If it gives no usable answer.
        """
        status, answer = send_request(self.service, method, path, body, self.token)
        if status in (http.HTTPStatus.OK, http.HTTPStatus.NO_CONTENT):
            return answer
        refusal = read_refusal(answer, status)
        if refusal.status == http.HTTPStatus.UNAUTHORIZED:
            raise NotLoggedInError(f"{refusal.message}; panneuro login {self.hub}")
        if refusal.status in (http.HTTPStatus.FORBIDDEN, http.HTTPStatus.NOT_FOUND):
            raise AccessDeniedError(refusal.message, refusal.fields)
        raise ServiceUnavailableError(refusal.message)

    def end(self, session: str) -> None:
        """End a session of this login; if that fails, the session ends when it expires."""
        with contextlib.suppress(PanNeuroError):
            self.call("DELETE", f"/api/uploads/{session}")


def find_login_file() -> Path:
    """Return the path of this machine's stored login."""
    return Path(user_config_path("panneuro", appauthor=False)) / "login.json"


def find_service_url(address: str) -> str:
    """The service's address, for the address of a hub as people know it.

    Raises
    ------
    PanNeuroError
        If it is not an address that a token may be sent to.
    """
    base = address.rstrip("/")
    base = base.removesuffix("/hub/home").removesuffix("/hub/login").removesuffix("/hub")
    service = base if "/services/" in base else f"{base}{_SERVICES}"
    try:
        open_service_connection(service, _TIMEOUT)
    except AgentSettingsError:
        raise PanNeuroError(
            f"{to_printable(address)!r} is no address of a hub; write it like https://hub.example.org"
        ) from None
    where = urlsplit(service)
    if where.scheme != "https" and where.hostname not in _LOOPBACK:
        raise PanNeuroError(
            f"{to_printable(address)} is not encrypted, and a login would be seen by others on the "
            "way; use the hub's https:// address"
        )
    return service


def log_in(service: str, show: Callable[[str, str], None], wait: threading.Event) -> StoredLogin:
    """Log in through a browser, of this machine or any other.

    Parameters
    ----------
    service : str
    show : callable
        Told the page to open, and the code to type there.
    wait : threading.Event
        Waited for between two questions; set to stop.

    Raises
    ------
    AccessDeniedError
        If the person said no.
    ServiceUnavailableError
        If the service does not answer, or nobody did anything in the browser.
    """
    status, begun = send_request(
        service, "POST", "/api/login", {"host": socket.gethostname()[:100]}
    )
    if status != http.HTTPStatus.OK:
        raise ServiceUnavailableError(read_refusal(begun, status).message)
    try:
        code, interval = str(begun["device_code"]), max(float(begun["interval"]), 0.1)
        shown = to_printable(str(begun["user_code"]))
        # At the address that the person gave, whatever the service takes for its own.
        show(f"{service}/login", shown)
    except (KeyError, TypeError, ValueError) as malformed:
        raise ServiceUnavailableError(
            "what answers there is not the service of a hub"
        ) from malformed
    while not wait.wait(interval):
        status, answer = send_request(service, "POST", "/api/login/token", {"device_code": code})
        if status == http.HTTPStatus.OK:
            return _read_login(service, answer)
        if status == http.HTTPStatus.FORBIDDEN:
            raise AccessDeniedError(read_refusal(answer, status).message)
        if status == http.HTTPStatus.TOO_MANY_REQUESTS:
            interval *= 2
        elif status != http.HTTPStatus.ACCEPTED and status < 500:
            raise ServiceUnavailableError(read_refusal(answer, status).message)
    raise ServiceUnavailableError("nothing was logged in")


def send_request(
    service: str,
    method: str,
    path: str,
    body: Mapping[str, Any] | None = None,
    token: str | None = None,
) -> tuple[int, dict[str, Any]]:
    """One request to the service; gives the status and the JSON object that came.

    Raises
    ------
    ServiceUnavailableError
        If there is no answer.
    """
    connection = open_service_connection(service, _TIMEOUT)
    headers = {"Accept": "application/json", "Content-Type": "application/json"}
    if token is not None:
        headers["Authorization"] = f"panneuro-login {token}"
    sent = None if body is None else json.dumps(body)
    try:
        base = urlsplit(service).path.rstrip("/")
        connection.request(method, base + path, body=sent, headers=headers)
        with connection.getresponse() as response:
            answer = response.read(_LARGEST_RESPONSE)
    except (OSError, http.client.HTTPException) as problem:
        said = to_printable(str(problem) or type(problem).__name__)
        raise ServiceUnavailableError(f"{service} cannot be reached: {said}") from problem
    finally:
        connection.close()
    try:
        document = json.loads(answer or b"{}")
    except (ValueError, RecursionError):
        document = {}
    return response.status, document if isinstance(document, dict) else {}


def read_refusal(answer: Mapping[str, Any], status: int) -> Refusal:
    """Return the service's refusal, with a message that can be shown in a terminal."""
    refusal = Refusal.from_json(status, answer, f"the hub answered HTTP {status}")
    return replace(refusal, message=to_printable(refusal.message))


def _read_login(service: str, answer: Mapping[str, Any]) -> StoredLogin:
    try:
        return StoredLogin(
            service, str(answer["user"]), parse_time(answer["expires"]), str(answer["token"])
        )
    except (KeyError, TypeError, ValueError) as malformed:
        raise ServiceUnavailableError(
            "what answers there is not the service of a hub"
        ) from malformed
