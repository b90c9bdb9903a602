"""Asking the service for credentials and for the session, with the session's ticket.

`http.client` is used on purpose: it follows no redirect, so the ticket goes to
the service's own address and nowhere else, and it takes no proxy from the
environment. TLS is verified against the system's authorities.
"""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from panneuro_hub.errors import AccessDenied, PanNeuroError, ServiceUnavailable
from panneuro_hub.wire import Credential, SessionView

_LARGEST_ANSWER = 1 << 20  # bytes
_LARGEST_TICKET = 4096  # bytes
_LONGEST_REASON = 500  # characters


class SettingsError(PanNeuroError):
    """A setting of the agent is missing or unusable; the text names it."""


class OutOfReach(ServiceUnavailable):
    """The service gave no usable answer; asking again makes sense.

    Parameters
    ----------
    message : str
        What happened.
    retry_after : float, optional
        Seconds after which the service wants to be asked again.
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        self.retry_after = retry_after
        super().__init__(message)


@dataclass(frozen=True)
class Upstream:
    """The service, as the agent sees it.

    Parameters
    ----------
    service_url : str
        Such as ``http://hub:8081/services/panneuro``.
    ticket_file : Path
        Read again at each request.
    timeout : float
        Seconds that the service may keep silent.

    Raises
    ------
    SettingsError
        If `service_url` is not a plain http or https address.
    """

    service_url: str
    ticket_file: Path
    timeout: float = 10.0

    def __post_init__(self) -> None:
        _address(self.service_url)

    def credential(self) -> Credential:
        """Ask for the session's credential.

        Raises
        ------
        AccessDenied
            If the service refuses: access has ended, or the ticket is not valid.
        OutOfReach
            If there is no usable answer.
        """
        answer = self._get("/api/credentials")
        try:
            for key in ("AccessKeyId", "SecretAccessKey", "Token"):
                _check_text(answer, key)
            return Credential.from_json(answer)
        except ValueError as malformed:
            raise OutOfReach(f"the service's answer is {malformed}") from None

    def session(self) -> SessionView:
        """Ask where the session is and what it may do.

        Raises
        ------
        AccessDenied
            If the service refuses.
        OutOfReach
            If there is no usable answer.
        """
        answer = self._get("/api/session")
        try:
            return SessionView.from_json(answer)
        except (KeyError, TypeError, ValueError, AttributeError) as malformed:
            raise OutOfReach("the service's answer describes no session") from malformed

    def ticket(self) -> str:
        """The session's ticket, as `read_ticket`; asked for at each request."""
        return read_ticket(self.ticket_file)

    def _get(self, path: str) -> Mapping[str, Any]:
        ticket = self.ticket()
        base = _address(self.service_url).path.rstrip("/")
        connection = connect(self.service_url, self.timeout)
        headers = {"Authorization": f"panneuro-ticket {ticket}", "Accept": "application/json"}
        try:
            connection.request("GET", base + path, headers=headers)
            with connection.getresponse() as response:
                body = response.read(_LARGEST_ANSWER + 1)
        except (OSError, http.client.HTTPException) as problem:
            reason = str(problem) or type(problem).__name__
            raise OutOfReach(f"the service cannot be reached: {printable(reason)}") from problem
        finally:
            connection.close()
        return _judge(response.status, response.getheader("Retry-After"), body)


def read_ticket(path: Path) -> str:
    """Read a ticket file.

    Raises
    ------
    OutOfReach
        If it cannot be read or holds no ticket; it may be there at the next try.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_TICKET + 1).strip()
    except OSError as problem:
        reason = problem.strerror or type(problem).__name__
        raise OutOfReach(f"the ticket file {path} cannot be read: {reason}") from problem
    # Only what can stand in a header whole; a line break would begin another header.
    if not content or len(content) > _LARGEST_TICKET or not all(33 <= c <= 126 for c in content):
        raise OutOfReach(f"the ticket file {path} holds no ticket")
    return content.decode("ascii")


def printable(text: str) -> str:
    """`text` from outside as one line that is safe in a log, shortened where it is long."""
    line = "".join(c if c.isprintable() else " " for c in text[: _LONGEST_REASON + 1])
    return line if len(line) <= _LONGEST_REASON else line[:_LONGEST_REASON] + "…"


def _address(service_url: str) -> SplitResult:
    try:
        address = urlsplit(service_url)
        port_is_a_number = address.port is None or address.port > 0
    except ValueError:
        raise SettingsError(
            "PANNEURO_SERVICE_URL is not a URL; set it to the address of the hub's service"
        ) from None
    plain = (
        not (address.query or address.fragment or address.username or address.password)
        and service_url.isascii()
        and service_url.isprintable()
        and " " not in service_url
    )
    if address.scheme not in ("http", "https") or not address.hostname or not port_is_a_number:
        raise SettingsError(
            "PANNEURO_SERVICE_URL must begin with http:// or https:// and name a host"
        )
    if not plain:
        raise SettingsError(
            "PANNEURO_SERVICE_URL may have a host, a port and a path: no name, password or query"
        )
    return address


def connect(service_url: str, timeout: float) -> http.client.HTTPConnection:
    """A connection to the service, not yet open; with TLS, it verifies who answers."""
    address = _address(service_url)
    # The port is always said: http.client would take the end of a bare IPv6 address for one.
    host = address.hostname or ""
    if address.scheme == "https":
        context = ssl.create_default_context()
        port = address.port or http.client.HTTPS_PORT
        return http.client.HTTPSConnection(host, port, timeout=timeout, context=context)
    return http.client.HTTPConnection(host, address.port or http.client.HTTP_PORT, timeout=timeout)


def _judge(status: int, retry_after: str | None, body: bytes) -> Mapping[str, Any]:
    document = _document(body)
    if status == http.HTTPStatus.FORBIDDEN:
        raise AccessDenied(
            _reason(document) or "the service refuses this session and gives no reason"
        )
    if status != http.HTTPStatus.OK:
        reason = _reason(document) or _guess(status)
        raise OutOfReach(reason, retry_after=_seconds(retry_after))
    if document is None:
        raise OutOfReach("the service's answer is not what was asked for")
    return document


def _document(body: bytes) -> Mapping[str, Any] | None:
    if len(body) > _LARGEST_ANSWER:
        return None
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _reason(document: Mapping[str, Any] | None) -> str | None:
    message = document.get("message") if document else None
    return printable(message) if isinstance(message, str) and message.strip() else None


def _guess(status: int) -> str:
    if 300 <= status < 400:
        return (
            f"the service's address sends elsewhere (HTTP {status}), where the ticket must not go; "
            "PANNEURO_SERVICE_URL should be the address of the service itself"
        )
    return f"the service answered HTTP {status}"


def _seconds(retry_after: str | None) -> float | None:
    if retry_after is None or not retry_after.isascii() or not retry_after.isdigit():
        return None
    return float(retry_after[:6])


def _check_text(answer: Mapping[str, Any], key: str) -> None:
    value = answer.get(key)
    if not isinstance(value, str) or not value:
        raise ValueError(f"a credential without {key}")
