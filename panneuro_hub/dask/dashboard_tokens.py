"""Tokens in the addresses of open dashboards, which nobody can guess; no I/O.

The owner of a cluster controls the content of its dashboard, and the hub's own host serves it. So
browsers isolate a dashboard from the rest of the host, as if it had no origin, and its scripts and
images arrive without cookies. The token in the address replaces the cookie: it lets one person see
the dashboard of one cluster, as long as that person has access. The token alone never opens a page,
so a copied address gives no access.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

_LIFETIME_SECONDS = 3600.0
_MAX_TOKENS = 10_000
_TOKEN_BYTES = 32
_TOKEN = "[A-Za-z0-9_-]{43}"  # noqa: S105 - a pattern: the bytes of a token as text
_TOKEN_PATH = re.compile(rf"/~({_TOKEN})(/.*)", re.DOTALL)
_TOKEN_IN_TEXT = re.compile(rf"/~{_TOKEN}(?=[/?\s]|$)")


@dataclass
class _TokenEntry:
    cluster: str
    cookie: str
    expires_at: float


class DashboardTokens:
    """The tokens of the dashboards that are open.

    Parameters
    ----------
    clock : callable
        Returns seconds that only grow, such as `time.monotonic`.
    lifetime : float
        The time after which an unused token expires, in seconds.
    max_tokens : int
        The most tokens at the same time; the least recently used token is removed first.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        lifetime: float = _LIFETIME_SECONDS,
        max_tokens: int = _MAX_TOKENS,
    ) -> None:
        self._clock = clock
        self._lifetime = lifetime
        self._max_tokens = max_tokens
        self._entries: dict[str, _TokenEntry] = {}  # by token; the most recently used is last
        self._tokens: dict[tuple[str, str], str] = {}

    def open_token(self, cluster: str, cookie: str) -> str:
        """Return the token for a cluster and a cookie; a new one if none is valid."""
        token = self._tokens.get((cluster, cookie))
        if token is None or self.find_cookie(cluster, token) is None:
            token = secrets.token_urlsafe(_TOKEN_BYTES)
            self._entries[token] = _TokenEntry(cluster, cookie, self._clock() + self._lifetime)
            self._tokens[cluster, cookie] = token
            self._remove_old()
        return token

    def find_cookie(self, cluster: str, token: str) -> str | None:
        """Return the cookie of a token, or `None` if the token is not valid for `cluster`."""
        entry = self._entries.get(token)
        now = self._clock()
        if entry is None or entry.cluster != cluster or entry.expires_at <= now:
            return None
        entry.expires_at = now + self._lifetime
        self._entries[token] = self._entries.pop(token)
        return entry.cookie

    def _remove_old(self) -> None:
        now = self._clock()
        for token, entry in list(self._entries.items()):
            if entry.expires_at > now and len(self._entries) <= self._max_tokens:
                return
            del self._entries[token]
            if self._tokens.get((entry.cluster, entry.cookie)) == token:
                del self._tokens[entry.cluster, entry.cookie]


def add_token(token: str, path: str) -> str:
    """Return the path below a cluster's own path, with a token.

    Parameters
    ----------
    token : str
    path : str
        Path and query without a token.
    """
    return f"/~{token}{path if path.startswith('/') else '/' + path}"


def split_token(path: str) -> tuple[str | None, str]:
    """Return the token of a path, or `None`, and the path and query without it."""
    match = _TOKEN_PATH.fullmatch(path)
    return (match[1], match[2]) if match else (None, path)


def mask_tokens(text: str) -> str:
    """Return a text for the log with every token masked."""
    return _TOKEN_IN_TEXT.sub("/~[secret]", text)
