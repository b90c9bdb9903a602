"""Answers of the identity provider about a person who is logged in already.

An answer that did not come says nothing about a membership: the last one holds for the
grace. oauthenticator answers `False` both for a login that has ended and for a provider
that could not be reached, so its requests are watched here.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from tornado.httpclient import HTTPClientError

from panneuro_hub.errors import PanNeuroError

# RFC 9110: 408 Request Timeout, 425 Too Early, 429 Too Many Requests.
_TRY_AGAIN = frozenset({408, 425, 429})
# RFC 6749, sections 4.1.2.1 and 5.2: errors that concern the hub or the provider, and no login.
_NOT_THE_LOGIN = frozenset(
    {"invalid_client", "server_error", "temporarily_unavailable", "unauthorized_client"}
)
_PAUSE_SECONDS = 30.0

AnswerKind = Literal["confirmed", "unreachable", "login-ended", "refused"]


class ProviderUnreachableError(PanNeuroError):
    """The identity provider could not be asked; its last answer holds for the grace."""

    code = "provider-unreachable"
    status = 503


@dataclass(frozen=True)
class ProviderAnswer:
    """The result of a request to the provider about a person.

    Parameters
    ----------
    kind : {"confirmed", "unreachable", "login-ended", "refused"}
        ``unreachable``: nothing was learned. ``login-ended``: the provider accepts the
        login's tokens no more. ``refused``: the person may not be in this hub.
    model : dict or None
        JupyterHub's authentication model, of a confirmed membership.
    """

    kind: AnswerKind
    model: dict[str, Any] | None = None


@dataclass
class ProviderRequests:
    """The results of the requests of one refresh.

    Parameters
    ----------
    failed : bool
        Whether the provider could not be asked.
    tokens : dict or None
        The answer of the token endpoint; the stored refresh token may be good no more.
    """

    failed: bool = False
    tokens: dict[str, Any] | None = field(default=None, repr=False)


def is_unreachable(error: Exception) -> bool:
    """Return `True` unless an error of a request is the provider's word about the login."""
    if not isinstance(error, HTTPClientError):
        return True
    if error.code in _TRY_AGAIN or not 400 <= error.code < 500:
        return True
    if error.response is None:
        return False
    headers = error.response.headers
    # GitHub answers 403 where its limit is reached.
    if "Retry-After" in headers or headers.get("X-RateLimit-Remaining") == "0":
        return True
    return _oauth_error(error.response.body) in _NOT_THE_LOGIN


def _oauth_error(body: bytes) -> Any:
    try:
        document = json.loads(body)
    except (ValueError, TypeError, RecursionError):
        return None
    error = document.get("error") if isinstance(document, dict) else None
    return error if isinstance(error, str) else None


class ProviderQueries:
    """Asks about each person once at a time, and not again soon after no confirmation.

    Parameters
    ----------
    ask : callable
        Asks the provider about a user; gets the user and the request's handler or `None`.
    pause : float
        Seconds in which an answer that confirms nothing is given again.
    clock : callable
        Monotonic seconds.
    """

    def __init__(
        self,
        ask: Callable[[Any, Any], Awaitable[ProviderAnswer]],
        pause: float = _PAUSE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ask = ask
        self._pause = min(pause, _PAUSE_SECONDS)
        self._clock = clock
        self._asking: dict[int, asyncio.Task[ProviderAnswer]] = {}
        self._failed: dict[int, tuple[float, ProviderAnswer]] = {}

    async def ask(self, user: Any, handler: Any = None) -> ProviderAnswer:
        """Return the provider's answer about a user; everybody who waits gets the same one."""
        failed = self._failed.get(user.id)
        if failed is not None and self._clock() - failed[0] < self._pause:
            return failed[1]
        task = self._asking.get(user.id)
        if task is None:
            task = self._asking[user.id] = asyncio.create_task(self._run(user, handler))
        # Whoever gives up waiting does not end it for the others.
        return await asyncio.shield(task)

    def forget(self, user: Any) -> None:
        """Ask again at once, after a login."""
        self._failed.pop(user.id, None)

    async def _run(self, user: Any, handler: Any) -> ProviderAnswer:
        try:
            answer = await self._ask(user, handler)
        finally:
            self._asking.pop(user.id, None)
        if answer.kind == "confirmed":
            self._failed.pop(user.id, None)
        else:
            self._failed[user.id] = (self._clock(), answer)
        return answer
