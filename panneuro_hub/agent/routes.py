"""Decide how the agent answers a request, without a socket."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from panneuro_hub.agent.refresher import FIRST_WAIT, CredentialRefresher, RefresherHealth
from panneuro_hub.agent.session_cache import SessionViewCache
from panneuro_hub.errors import AccessDeniedError, ServiceUnavailableError
from panneuro_hub.wire.credential import format_time
from panneuro_hub.wire.refusal import Refusal


@dataclass(frozen=True)
class AgentRequest:
    """The parts of a request on which the response depends.

    Parameters
    ----------
    path : str
        The path as received, with any query.
    hosts, tokens : sequence of str
        The values of all ``Host`` and all ``Authorization`` headers.
    from_page : bool
        Whether the request seems to come from a script of a web page (it has an ``Origin``).
    """

    path: str
    hosts: Sequence[str]
    tokens: Sequence[str]
    from_page: bool = False


@dataclass(frozen=True)
class AgentResponse:
    """An HTTP status and a JSON object; the object may hold a credential."""

    status: HTTPStatus
    body: dict[str, Any]

    def __repr__(self) -> str:
        return f"AgentResponse({self.status.value})"


class AgentRoutes:
    """Answer requests from memory.

    Parameters
    ----------
    refresher : CredentialRefresher
    session_cache : SessionViewCache
    accepts : callable
        Returns whether a token is valid.
    first_wait : float
        The seconds that a request waits for the first credential.
    """

    def __init__(
        self,
        refresher: CredentialRefresher,
        session_cache: SessionViewCache,
        accepts: Callable[[str], bool],
        first_wait: float = FIRST_WAIT,
    ) -> None:
        self._refresher = refresher
        self._session_cache = session_cache
        self._accepts = accepts
        self._first_wait = first_wait

    def handle_request(self, request: AgentRequest, port: int) -> AgentResponse:
        """Return the response to `request`, which was received on `port`."""
        names = ("127.0.0.1", "localhost", f"127.0.0.1:{port}", f"localhost:{port}")
        # A web page whose name was made to point here ("DNS rebinding") fails one of these checks.
        if len(request.hosts) != 1 or request.hosts[0].lower() not in names or request.from_page:
            return make_refusal(
                Refusal.from_status(
                    HTTPStatus.FORBIDDEN,
                    f"the agent answers only programs on its own machine; use 127.0.0.1:{port}",
                    "wrong-host",
                ),
                "WrongHost",
            )
        if request.path == "/health":
            return _make_health_response(self._refresher.report_health())
        if request.path not in ("/credentials", "/session"):
            return make_refusal(
                Refusal.from_status(
                    HTTPStatus.NOT_FOUND, "the agent serves /credentials and /session"
                ),
                "NotFound",
            )
        if len(request.tokens) != 1 or not self._accepts(request.tokens[0]):
            return make_refusal(
                Refusal.from_status(
                    HTTPStatus.UNAUTHORIZED,
                    "the Authorization header is not the token of this session; read it from the "
                    "file that AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE names, for each request",
                ),
                "Unauthorized",
            )
        try:
            if request.path == "/session":
                return AgentResponse(HTTPStatus.OK, self._session_cache.get_view().to_json())
            return AgentResponse(
                HTTPStatus.OK, self._refresher.get_credential(wait=self._first_wait).to_json()
            )
        except AccessDeniedError as denied:
            return make_refusal(Refusal.from_error(denied), "AccessDenied")
        except ServiceUnavailableError as outage:
            return make_refusal(Refusal.from_error(outage), "Unavailable")


def make_refusal(refusal: Refusal, aws_code: str) -> AgentResponse:
    """Return a refusal with the fields that the AWS SDKs read.

    The SDKs read ``code`` and ``message``. Source: AWS SDKs and Tools Reference Guide,
    "Container credential provider".
    """
    return AgentResponse(HTTPStatus(refusal.status), {**refusal.to_json(), "code": aws_code})


def _make_health_response(health: RefresherHealth) -> AgentResponse:
    body = {
        "status": health.status,
        "expires": format_time(health.expires) if health.expires else None,
        "renewed": format_time(health.renewed) if health.renewed else None,
        "problem": health.problem,
    }
    return AgentResponse(HTTPStatus.OK if health.usable else HTTPStatus.SERVICE_UNAVAILABLE, body)
