"""Who is in which team and which sessions run, read afresh from the hub."""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import quote

from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest

from panneuro_hub.access import Person
from panneuro_hub.errors import AccessDenied, ServiceUnavailable, TicketRefused
from panneuro_hub.service.kept import Kept, remember
from panneuro_hub.wire import Ticket
from panneuro_hub.wire.credential import format_time
from panneuro_hub.wire.state import MORE_KEY, STATE_KEY, Session

_log = logging.getLogger("panneuro.service")
T = TypeVar("T")

# The design allows 30 s; an ended session should not draw keys for so long.
KEEP_SECONDS = 10.0
# A ticket that is not known may belong to a session that has just begun.
_RECHECK_SECONDS = 1.0
_TIMEOUT_SECONDS = 10.0
# What pages say of other people; nothing is decided by it.
_TEAM_SECONDS = 60.0
# The hub asks the provider about whoever was active in the last hour.
_ACTIVITY_SECONDS = 300.0
_ACTIVE_KEPT = 10_000


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
    image : str or None
        By the collaboration's name of it.
    api_token : str
        Digest of its server's API token; ``""`` where the hub has not kept it.
    """

    id: str
    project: str
    server: str
    ticket: str
    image: str | None = None
    api_token: str = ""


@dataclass(frozen=True)
class Member:
    """A person, with the teams and sessions that the hub knows.

    Parameters
    ----------
    person : Person
    sessions : tuple of RunningSession
    may_have_more : bool
        Whether the hub lets them have servers beside those; known while there is a session.
    """

    person: Person
    sessions: tuple[RunningSession, ...]
    may_have_more: bool = False


def read_member(document: Mapping[str, Any]) -> Member:
    """Take from the hub's user model what is needed; what is not a session is passed over."""
    sessions = []
    more = False
    for name, server in (document.get("servers") or {}).items():
        state = (server.get("state") or {}).get(STATE_KEY)
        if state and not server.get("stopped") and state.get("ticket"):
            session = Session.from_state(state)
            sessions.append(
                RunningSession(
                    session.id,
                    session.project,
                    name,
                    session.ticket,
                    session.image,
                    session.api_token,
                )
            )
            more = more or state.get(MORE_KEY) is True
    person = Person.of(document["name"], document.get("groups") or ())
    return Member(person, tuple(sessions), more)


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
        self._clock = clock
        self._members = Kept(self._read, keep, clock)
        self._teams = Kept(self._read_team, _TEAM_SECONDS, clock)
        self._active: OrderedDict[str, float] = OrderedDict()
        self._posting: set[asyncio.Task[None]] = set()

    async def member(self, name: str, *, within: float | None = None) -> Member | None:
        """The person called `name`, read at most `within` seconds ago; `None` if unknown.

        Raises
        ------
        ServiceUnavailable
            If the hub does not answer.
        """
        return await self._members.get(name, within=within)

    async def known(self, name: str, *, within: float | None = None) -> Member:
        """As `member`, where only somebody whom the hub knows will do.

        Raises
        ------
        AccessDenied
            If the hub does not know them.
        ServiceUnavailable
            If the hub does not answer.
        """
        member = await self.member(name, within=within)
        if member is None:
            raise AccessDenied(f"the hub knows nobody called {name}")
        return member

    async def of_team(self, team: str) -> frozenset[str]:
        """The names of whom the hub knows in a team, up to a minute ago.

        Good for telling people of others; what somebody may do is decided by `member`.

        Raises
        ------
        ServiceUnavailable
            If the hub does not answer.
        """
        return await self._teams.get(team) or frozenset()

    async def session(self, ticket: Ticket) -> tuple[Member, RunningSession]:
        """The running session that `ticket` belongs to.

        Raises
        ------
        TicketRefused
            If there is none; the session has ended, or never was.
        ServiceUnavailable
            If the hub does not answer.
        """

        def is_of_ticket(session: RunningSession) -> bool:
            return session.server == ticket.name and ticket.matches(session.ticket)

        member, found = await self._find_session(ticket.user, is_of_ticket)
        if member is None or found is None:
            raise TicketRefused("the session of this ticket has ended; start a server from the hub")
        return member, found

    async def session_of_token(
        self, name: str, digest: str, *, recheck: bool = True
    ) -> tuple[Member, RunningSession | None]:
        """Return a person, and the running session whose server has an API token.

        Parameters
        ----------
        name : str
            The person, as the hub names them.
        digest : str
            See `panneuro_hub.wire.api_token`.
        recheck : bool
            Ask the hub again where no session has the token: the session may have just begun.

        Raises
        ------
        AccessDenied
            If the hub does not know the person.
        ServiceUnavailable
            If the hub does not answer.
        """

        def has_token(session: RunningSession) -> bool:
            return bool(session.api_token) and hmac.compare_digest(session.api_token, digest)

        member, found = await self._find_session(name, has_token, recheck=recheck)
        return member or await self.known(name), found

    async def _find_session(
        self, name: str, wanted: Callable[[RunningSession], bool], *, recheck: bool = True
    ) -> tuple[Member | None, RunningSession | None]:
        member = None
        for within in (None, _RECHECK_SECONDS) if recheck else (None,):
            member = await self.member(name, within=within)
            if member is None:
                break
            for session in member.sessions:
                if wanted(session):
                    return member, session
            if within is None and recheck:
                await self._until_old(name, _RECHECK_SECONDS)
        return member, None

    async def _until_old(self, name: str, age: float) -> None:
        """Wait until what is known of a person is `age` seconds old, and so will be read again."""
        left = age - self._members.age(name)
        if left >= 0:
            await asyncio.sleep(left + 0.01)

    def is_active(self, name: str) -> None:
        """Let the hub know that somebody is at work, without a server perhaps; nobody waits for it.

        It then goes on asking the identity provider about them.
        """
        now = self._clock()
        if now - self._active.get(name, -_ACTIVITY_SECONDS) < _ACTIVITY_SECONDS:
            return
        remember(self._active, name, now, _ACTIVE_KEPT)
        posting = asyncio.create_task(self._post_activity(name))
        self._posting.add(posting)
        posting.add_done_callback(self._posting.discard)

    async def close(self) -> None:
        """Stop telling the hub of people."""
        posting = list(self._posting)
        for task in posting:
            task.cancel()
        await asyncio.gather(*posting, return_exceptions=True)

    async def _post_activity(self, name: str) -> None:
        body = json.dumps({"last_activity": format_time(datetime.now(UTC))})
        try:
            await AsyncHTTPClient().fetch(
                self._request(f"/users/{quote(name, safe='')}/activity", "POST", body)
            )
        except (HTTPClientError, OSError) as error:
            what = f"HTTP {error.code}" if isinstance(error, HTTPClientError) else repr(error)
            _log.warning("The hub did not take note that %r is at work (%s)", name, what)

    async def _read(self, name: str) -> Member | None:
        return await self._ask(f"/users/{quote(name, safe='')}", read_member)

    async def _read_team(self, name: str) -> frozenset[str] | None:
        return await self._ask(
            f"/groups/{quote(name, safe='')}", lambda group: frozenset(map(str, group["users"]))
        )

    async def _ask(self, path: str, read: Callable[[Mapping[str, Any]], T]) -> T | None:
        try:
            response = await AsyncHTTPClient().fetch(self._request(path))
            return read(json.loads(response.body))
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

    def _request(self, path: str, method: str = "GET", body: str | None = None) -> HTTPRequest:
        return HTTPRequest(
            f"{self._api_url}{path}",
            method,
            headers={"Authorization": f"token {self._token}"},
            body=body,
            request_timeout=_TIMEOUT_SECONDS,
            follow_redirects=False,  # the service's own token goes nowhere else
        )
