"""What the agent answers to whom: decided here, without a socket."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from panneuro_hub.agent.refresher import FIRST_WAIT, CredentialRefresher, RefresherHealth
from panneuro_hub.agent.session_cache import SessionViewCache
from panneuro_hub.errors import AccessDeniedError, ServiceUnavailableError
from panneuro_hub.wire.credential import format_time


@dataclass(frozen=True)
class AgentRequest:
    """A request, as far as the answer depends on it.

    Parameters
    ----------
    path : str
        As it came, with any query.
    hosts, tokens : sequence of str
        The values of all ``Host`` and all ``Authorization`` headers.
    from_page : bool
        Whether a web page's script seems to ask (it has an ``Origin``).
    """

    path: str
    hosts: Sequence[str]
    tokens: Sequence[str]
    from_page: bool = False


@dataclass(frozen=True)
class AgentResponse:
    """An HTTP status and the JSON object that goes with it; the object may hold keys."""

    status: HTTPStatus
    body: dict[str, Any]

    def __repr__(self) -> str:
        return f"Answer({self.status.value})"


class AgentRoutes:
    """Answers requests from memory.

    Parameters
    ----------
    refresher : CredentialRefresher
    session_cache : SessionViewCache
    accepts : callable
        Whether a token is valid.
    first_wait : float
        Seconds that a request waits for the first keys.
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
        """Answer `request`, which came in on `port`."""
        names = ("127.0.0.1", "localhost", f"127.0.0.1:{port}", f"localhost:{port}")
        # A web page whose name was made to point here ("DNS rebinding") shows in one of these.
        if len(request.hosts) != 1 or request.hosts[0].lower() not in names or request.from_page:
            return make_refusal(
                HTTPStatus.FORBIDDEN,
                "WrongHost",
                f"the agent answers programs of its own machine only; ask 127.0.0.1:{port}",
            )
        if request.path == "/health":
            return _make_health_response(self._refresher.report_health())
        if request.path not in ("/credentials", "/session"):
            return make_refusal(
                HTTPStatus.NOT_FOUND, "NotFound", "ask for /credentials or /session"
            )
        if len(request.tokens) != 1 or not self._accepts(request.tokens[0]):
            return make_refusal(
                HTTPStatus.UNAUTHORIZED,
                "Unauthorized",
                "the Authorization header is not the token of this session; read the file that "
                "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE names, at each request",
            )
        try:
            if request.path == "/session":
                return AgentResponse(HTTPStatus.OK, self._session_cache.get_view().to_json())
            return AgentResponse(
                HTTPStatus.OK, self._refresher.get_credential(wait=self._first_wait).to_json()
            )
        except AccessDeniedError as denied:
            return make_refusal(HTTPStatus.FORBIDDEN, "AccessDenied", str(denied))
        except ServiceUnavailableError as outage:
            return make_refusal(HTTPStatus.SERVICE_UNAVAILABLE, "Unavailable", str(outage))


def make_refusal(status: HTTPStatus, code: str, message: str) -> AgentResponse:
    """An answer without what was asked for, in the form that the AWS SDKs read.

    Source: AWS SDKs and Tools Reference Guide, "Container credential provider".
    """
    return AgentResponse(status, {"code": code, "message": message})


def _make_health_response(health: RefresherHealth) -> AgentResponse:
    body = {
        "status": health.status,
        "expires": format_time(health.expires) if health.expires else None,
        "renewed": format_time(health.renewed) if health.renewed else None,
        "problem": health.problem,
    }
    return AgentResponse(HTTPStatus.OK if health.usable else HTTPStatus.SERVICE_UNAVAILABLE, body)
