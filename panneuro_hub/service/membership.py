"""Who is in which team and which sessions run, read afresh from the hub."""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote
from weakref import WeakValueDictionary

from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest

from panneuro_hub.access import Person
from panneuro_hub.errors import ServiceUnavailable, TicketRefused
from panneuro_hub.wire import Ticket
from panneuro_hub.wire.state import STATE_KEY, Session

# The design allows 30 s; an ended session should not draw keys for so long.
KEEP_SECONDS = 10.0
# A ticket that is not known may belong to a session that has just begun.
_RECHECK_SECONDS = 1.0
_TIMEOUT_SECONDS = 10.0
_KEPT = 10_000


@dataclass(frozen=True)
class RunningSession:
    """A session as the hub knows it.

    Parameters
    ----------
    id, project : str
    server : str
        Name of its server.
    ticket : str
        Digest of its ticket.
    """

    id: str
    project: str
    server: str
    ticket: str


@dataclass(frozen=True)
class Member:
    """A person, with the teams and sessions that the hub knows."""

    person: Person
    sessions: tuple[RunningSession, ...]


def read_member(document: Mapping[str, Any]) -> Member:
    """Take from the hub's user model what is needed; what is not a session is passed over."""
    sessions = []
    for name, server in (document.get("servers") or {}).items():
        state = (server.get("state") or {}).get(STATE_KEY)
        if state and not server.get("stopped") and state.get("ticket"):
            session = Session.from_state(state)
            sessions.append(RunningSession(session.id, session.project, name, session.ticket))
    person = Person.of(document["name"], document.get("groups") or ())
    return Member(person, tuple(sessions))


class Members:
    """Reads people from the hub, and keeps each for at most `keep` seconds.

    Parameters
    ----------
    api_url : str
        The hub's REST API.
    token : str
        The service's own token.
    keep : float
        Seconds.
    clock : callable
        Monotonic seconds.
    """

    def __init__(
        self,
        api_url: str,
        token: str,
        keep: float = KEEP_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._api_url = api_url.rstrip("/")
        self._token = token
        self._keep = keep
        self._clock = clock
        # Names come from tickets that anybody can write: both are bounded.
        self._known: OrderedDict[str, tuple[float, Member | None]] = OrderedDict()
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def member(self, name: str, *, within: float | None = None) -> Member | None:
        """The person called `name`, read at most `within` seconds ago; `None` if unknown.

        Raises
        ------
        ServiceUnavailable
            If the hub does not answer.
        """
        lock = self._locks.get(name)
        if lock is None:
            lock = self._locks[name] = asyncio.Lock()
        async with lock:  # whoever comes while it is being read gets the same answer
            age = self._keep if within is None else within
            read, member = self._known.get(name, (-math.inf, None))
            if self._clock() - read > age:
                read = self._clock()
                member = await self._read(name)
                self._known[name] = (read, member)
                self._known.move_to_end(name)
                while len(self._known) > _KEPT:
                    self._known.popitem(last=False)
            return member

    async def session(self, ticket: Ticket) -> tuple[Member, RunningSession]:
        """The running session that `ticket` belongs to.

        Raises
        ------
        TicketRefused
            If there is none; the session has ended, or never was.
        ServiceUnavailable
            If the hub does not answer.
        """
        for within in (None, _RECHECK_SECONDS):
            member = await self.member(ticket.user, within=within)
            if member is None:
                break
            for session in member.sessions:
                if session.server == ticket.server and ticket.matches(session.ticket):
                    return member, session
            if within is None:
                await self._until_old(ticket.user, _RECHECK_SECONDS)
        raise TicketRefused("the session of this ticket has ended; start a server from the hub")

    async def _until_old(self, name: str, age: float) -> None:
        """Wait until what is known of a person is `age` seconds old, and so will be read again."""
        read, _ = self._known.get(name, (-math.inf, None))
        left = age - (self._clock() - read)
        if left >= 0:
            await asyncio.sleep(left + 0.01)

    async def _read(self, name: str) -> Member | None:
        request = HTTPRequest(
            f"{self._api_url}/users/{quote(name, safe='')}",
            headers={"Authorization": f"token {self._token}"},
            request_timeout=_TIMEOUT_SECONDS,
            follow_redirects=False,  # the service's own token goes nowhere else
        )
        try:
            response = await AsyncHTTPClient().fetch(request)
            return read_member(json.loads(response.body))
        except HTTPClientError as error:
            if error.code == 404:
                return None
            raise ServiceUnavailable(
                f"the hub did not say who is in which team (HTTP {error.code}); try again soon"
            ) from error
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise ServiceUnavailable(
                f"the hub did not say who is in which team ({type(error).__name__}); try again soon"
            ) from error
