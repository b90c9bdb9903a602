"""Request the credential and the session from the service, with the session's ticket.

`http.client` is used on purpose. It follows no redirects, so the ticket goes only to the
service's own address, and it takes no proxy from the environment. TLS certificates are verified
against the system's authorities.
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

from panneuro_hub.errors import AccessDeniedError, PanNeuroError, ServiceUnavailableError
from panneuro_hub.wire import Credential, SessionView
from panneuro_hub.wire.refusal import Refusal

_MAX_RESPONSE_SIZE = 1 << 20  # bytes
_MAX_TICKET_SIZE = 4096  # bytes
_MAX_REASON_LENGTH = 500  # characters


class AgentSettingsError(PanNeuroError):
    """A setting of the agent is missing or unusable; the message names it."""

    code = "invalid-agent-settings"


class ServiceUnreachableError(ServiceUnavailableError):
    """The service gave no usable answer; a retry can succeed.

    Parameters
    ----------
    message : str
        The sentence for people.
    retry_after : float, optional
        The seconds after which the service accepts another request.
    """

    code = "service-unreachable"

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        self.retry_after = retry_after
        super().__init__(message)


@dataclass(frozen=True)
class ServiceClient:
    """The agent's client of the service.

    Parameters
    ----------
    service_url : str
        The address of the service, such as ``http://hub:8081/services/panneuro``.
    ticket_file : Path
        The file with the ticket, which is read for each request.
    timeout : float
        The seconds to wait for a byte of the response.

    Raises
    ------
    AgentSettingsError
        If `service_url` is not a plain http or https address.
    """

    service_url: str
    ticket_file: Path
    timeout: float = 10.0

    def __post_init__(self) -> None:
        _parse_service_url(self.service_url)

    def fetch_credential(self) -> Credential:
        """Request the session's credential.

        Raises
        ------
        AccessDeniedError
            If the service refuses: access has ended, or the ticket is not valid.
        ServiceUnreachableError
            If there is no usable answer.
        """
        answer = self._get("/api/credentials")
        try:
            for key in ("AccessKeyId", "SecretAccessKey", "Token"):
                _check_text(answer, key)
            return Credential.from_json(answer)
        except ValueError as malformed:
            raise ServiceUnreachableError(f"the service's answer is {malformed}") from None

    def fetch_session(self) -> SessionView:
        """Request the description of the session.

        Raises
        ------
        AccessDeniedError
            If the service refuses.
        ServiceUnreachableError
            If there is no usable answer.
        """
        answer = self._get("/api/session")
        try:
            return SessionView.from_json(answer)
        except (KeyError, TypeError, ValueError, AttributeError) as malformed:
            raise ServiceUnreachableError(
                "the service's answer describes no session"
            ) from malformed

    def read_ticket(self) -> str:
        """Return the session's ticket, as `read_ticket_file` does."""
        return read_ticket_file(self.ticket_file)

    def _get(self, path: str) -> Mapping[str, Any]:
        ticket = self.read_ticket()
        base = _parse_service_url(self.service_url).path.rstrip("/")
        connection = open_service_connection(self.service_url, self.timeout)
        headers = {"Authorization": f"panneuro-ticket {ticket}", "Accept": "application/json"}
        try:
            connection.request("GET", base + path, headers=headers)
            with connection.getresponse() as response:
                body = response.read(_MAX_RESPONSE_SIZE + 1)
        except (OSError, http.client.HTTPException) as problem:
            reason = str(problem) or type(problem).__name__
            raise ServiceUnreachableError(
                f"the service cannot be reached: {to_printable(reason)}"
            ) from problem
        finally:
            connection.close()
        return _read_response(response.status, response.getheader("Retry-After"), body)


def read_ticket_file(path: Path) -> str:
    """Return the ticket in a file.

    Raises
    ------
    ServiceUnreachableError
        If the file cannot be read or holds no ticket; a retry may find one.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_TICKET_SIZE + 1).strip()
    except OSError as problem:
        reason = problem.strerror or type(problem).__name__
        raise ServiceUnreachableError(
            f"the ticket file {path} cannot be read: {reason}"
        ) from problem
    # Only characters that a header may contain: a line break would begin another header.
    if not content or len(content) > _MAX_TICKET_SIZE or not all(33 <= c <= 126 for c in content):
        raise ServiceUnreachableError(f"the ticket file {path} holds no ticket")
    return content.decode("ascii")


def to_printable(text: str) -> str:
    """Return `text` from outside as one line that is safe in a log; a long text is shortened."""
    line = "".join(c if c.isprintable() else " " for c in text[: _MAX_REASON_LENGTH + 1])
    return line if len(line) <= _MAX_REASON_LENGTH else line[:_MAX_REASON_LENGTH] + "…"


def _parse_service_url(service_url: str) -> SplitResult:
    try:
        address = urlsplit(service_url)
        port_is_a_number = address.port is None or address.port > 0
    except ValueError:
        raise AgentSettingsError(
            "PANNEURO_SERVICE_URL is not a URL; set it to the address of the hub's service"
        ) from None
    plain = (
        not (address.query or address.fragment or address.username or address.password)
        and service_url.isascii()
        and service_url.isprintable()
        and " " not in service_url
    )
    if address.scheme not in ("http", "https") or not address.hostname or not port_is_a_number:
        raise AgentSettingsError(
            "PANNEURO_SERVICE_URL must begin with http:// or https:// and name a host"
        )
    if not plain:
        raise AgentSettingsError(
            "PANNEURO_SERVICE_URL may have a host, a port and a path, but no user, password or "
            "query"
        )
    return address


def open_service_connection(service_url: str, timeout: float) -> http.client.HTTPConnection:
    """Return a connection to the service, not yet open; with TLS, it verifies the certificate."""
    address = _parse_service_url(service_url)
    # Always pass the port: http.client would take the end of a bare IPv6 address for one.
    host = address.hostname or ""
    if address.scheme == "https":
        context = ssl.create_default_context()
        port = address.port or http.client.HTTPS_PORT
        return http.client.HTTPSConnection(host, port, timeout=timeout, context=context)
    return http.client.HTTPConnection(host, address.port or http.client.HTTP_PORT, timeout=timeout)


def _read_response(status: int, retry_after: str | None, body: bytes) -> Mapping[str, Any]:
    document = _parse_document(body)
    if status == http.HTTPStatus.FORBIDDEN:
        silent = "the service refuses this session and gives no reason"
        refusal = Refusal.from_json(status, document or {}, silent)
        raise AccessDeniedError(to_printable(refusal.message), refusal.fields)
    if status != http.HTTPStatus.OK:
        refusal = Refusal.from_json(status, document or {}, _describe_status(status))
        reason = to_printable(refusal.message)
        raise ServiceUnreachableError(reason, retry_after=_parse_retry_after(retry_after))
    if document is None:
        raise ServiceUnreachableError("the service's answer is not a JSON object")
    return document


def _parse_document(body: bytes) -> Mapping[str, Any] | None:
    if len(body) > _MAX_RESPONSE_SIZE:
        return None
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _describe_status(status: int) -> str:
    if 300 <= status < 400:
        return (
            f"the service redirects to another address (HTTP {status}), which must not receive the "
            "ticket; set PANNEURO_SERVICE_URL to the address of the service itself"
        )
    return f"the service answered HTTP {status}"


def _parse_retry_after(retry_after: str | None) -> float | None:
    if retry_after is None or not retry_after.isascii() or not retry_after.isdigit():
        return None
    return float(retry_after[:6])


def _check_text(answer: Mapping[str, Any], key: str) -> None:
    value = answer.get(key)
    if not isinstance(value, str) or not value:
        raise ValueError(f"a credential without {key}")
