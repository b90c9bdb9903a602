"""What the agent answers to whom: decided here, without a socket."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from panneuro_hub.errors import AccessDenied, ServiceUnavailable
from panneuro_hub.lab.keeper import FIRST_WAIT, Health, Keeper
from panneuro_hub.lab.views import LastView
from panneuro_hub.wire.credential import format_time


@dataclass(frozen=True)
class Ask:
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
class Answer:
    """An HTTP status and the JSON object that goes with it; the object may hold keys."""

    status: HTTPStatus
    body: dict[str, Any]

    def __repr__(self) -> str:
        return f"Answer({self.status.value})"


class Door:
    """Answers requests from memory.

    Parameters
    ----------
    keeper : Keeper
    views : LastView
    accepts : callable
        Whether a token is valid.
    first_wait : float
        Seconds that a request waits for the first keys.
    """

    def __init__(
        self,
        keeper: Keeper,
        views: LastView,
        accepts: Callable[[str], bool],
        first_wait: float = FIRST_WAIT,
    ) -> None:
        self._keeper = keeper
        self._views = views
        self._accepts = accepts
        self._first_wait = first_wait

    def answer(self, ask: Ask, port: int) -> Answer:
        """Answer `ask`, which came in on `port`."""
        names = ("127.0.0.1", "localhost", f"127.0.0.1:{port}", f"localhost:{port}")
        # A web page whose name was made to point here ("DNS rebinding") shows in one of these.
        if len(ask.hosts) != 1 or ask.hosts[0].lower() not in names or ask.from_page:
            return refusal(
                HTTPStatus.FORBIDDEN,
                "WrongHost",
                f"the agent answers programs of its own machine only; ask 127.0.0.1:{port}",
            )
        if ask.path == "/health":
            return _health(self._keeper.health())
        if ask.path not in ("/credentials", "/session"):
            return refusal(HTTPStatus.NOT_FOUND, "NotFound", "ask for /credentials or /session")
        if len(ask.tokens) != 1 or not self._accepts(ask.tokens[0]):
            return refusal(
                HTTPStatus.UNAUTHORIZED,
                "Unauthorized",
                "the Authorization header is not the token of this session; read the file that "
                "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE names, at each request",
            )
        try:
            if ask.path == "/session":
                return Answer(HTTPStatus.OK, self._views.get().to_json())
            return Answer(HTTPStatus.OK, self._keeper.credential(wait=self._first_wait).to_json())
        except AccessDenied as denied:
            return refusal(HTTPStatus.FORBIDDEN, "AccessDenied", str(denied))
        except ServiceUnavailable as outage:
            return refusal(HTTPStatus.SERVICE_UNAVAILABLE, "Unavailable", str(outage))


def refusal(status: HTTPStatus, code: str, message: str) -> Answer:
    """An answer without what was asked for, in the form that the AWS SDKs read.

    Source: AWS SDKs and Tools Reference Guide, "Container credential provider".
    """
    return Answer(status, {"code": code, "message": message})


def _health(health: Health) -> Answer:
    body = {
        "status": health.status,
        "expires": format_time(health.expires) if health.expires else None,
        "renewed": format_time(health.renewed) if health.renewed else None,
        "problem": health.problem,
    }
    return Answer(HTTPStatus.OK if health.usable else HTTPStatus.SERVICE_UNAVAILABLE, body)
