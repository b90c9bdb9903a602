"""Looks at dashboards that are open, each under a name that nobody can guess; no I/O.

A dashboard is written by whoever runs its cluster, and is shown on the hub's own host. So
browsers are made to keep it apart from all else there, as if it came from nowhere, and
what it loads comes without cookies. The name of the view, in the address, is there in
their place: it is worth one person's look at one cluster, for as long as that person may
look. A page is never given for the name alone, so an address that is passed on is of no use.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

_SECONDS = 3600.0
_MOST = 10_000
_BYTES = 32
_NAME = "[A-Za-z0-9_-]{43}"  # so many bytes as text
_VIEW = re.compile(rf"/~({_NAME})(/.*)", re.DOTALL)
_SECRET = re.compile(rf"/~{_NAME}(?=[/?\s]|$)")


@dataclass
class _TokenEntry:
    cluster: str
    cookie: str
    until: float


class DashboardTokens:
    """The views that are open.

    Parameters
    ----------
    clock : callable
        Seconds that only grow, as `time.monotonic`.
    seconds : float
        How long a view that is not used stays.
    most : int
        Of all views; the one that was not used for the longest time goes.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        seconds: float = _SECONDS,
        most: int = _MOST,
    ) -> None:
        self._clock = clock
        self._seconds = seconds
        self._most = most
        self._open: dict[str, _TokenEntry] = {}  # by name; who was used last is last
        self._names: dict[tuple[str, str], str] = {}

    def open_token(self, cluster: str, cookie: str) -> str:
        """The name of the view of who has just shown `cookie`; the same while it is open."""
        name = self._names.get((cluster, cookie))
        if name is None or self.find_cookie(cluster, name) is None:
            name = secrets.token_urlsafe(_BYTES)
            self._open[name] = _TokenEntry(cluster, cookie, self._clock() + self._seconds)
            self._names[cluster, cookie] = name
            self._remove_old()
        return name

    def find_cookie(self, cluster: str, name: str) -> str | None:
        """The cookie that a view stands for; `None` where there is no such view of `cluster`."""
        view = self._open.get(name)
        now = self._clock()
        if view is None or view.cluster != cluster or view.until <= now:
            return None
        view.until = now + self._seconds
        self._open[name] = self._open.pop(name)
        return view.cookie

    def _remove_old(self) -> None:
        now = self._clock()
        for name, view in list(self._open.items()):
            if view.until > now and len(self._open) <= self._most:
                return
            del self._open[name]
            if self._names.get((view.cluster, view.cookie)) == name:
                del self._names[view.cluster, view.cookie]


def add_token(name: str, below: str) -> str:
    """The path below a cluster's, in a view.

    Parameters
    ----------
    below : str
        Path and query without a view.
    """
    return f"/~{name}{below if below.startswith('/') else '/' + below}"


def split_token(below: str) -> tuple[str | None, str]:
    """The name of a view, or `None`, and the path and query without it."""
    found = _VIEW.fullmatch(below)
    return (found[1], found[2]) if found else (None, below)


def mask_tokens(text: str) -> str:
    """Text for a log, in which no view is named."""
    return _SECRET.sub("/~[secret]", text)
