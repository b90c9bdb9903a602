"""Who is in which team and which sessions run, read afresh from the hub."""

from __future__ import annotations

import asyncio
import hmac
import json
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import quote

from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest

from panneuro_hub.access import Person, map_groups_to_teams
from panneuro_hub.collaboration import Collaboration
from panneuro_hub.errors import AccessDeniedError, ServiceUnavailableError, TicketRefusedError
from panneuro_hub.service.cache import LookupCache
from panneuro_hub.wire import Ticket
from panneuro_hub.wire.hub_member import (
    MEMBERS_PATH,
    UNKNOWN_MEMBER,
    HubMember,
    MemberGroups,
    RunningSession,
    parse_member_list,
)

T = TypeVar("T")

# The design allows 30 s; an ended session should not draw keys for so long.
USER_CACHE_SECONDS = 10.0
# A ticket that is not known may belong to a session that has just begun.
_RECHECK_SECONDS = 1.0
# The hub asks the identity provider where its last answer is old, for 5 s at most.
_TIMEOUT_SECONDS = 10.0
# What pages say of other people; nothing is decided by it.
_ALL_USERS_CACHE_SECONDS = 60.0


def make_person(collaboration: Collaboration, member: HubMember | MemberGroups) -> Person:
    """Return a person with the teams that the provider's groups make them a member of."""
    return Person.of(member.name, map_groups_to_teams(collaboration, member.groups))


class HubUsers:
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
        keep: float = USER_CACHE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._api_url = api_url.rstrip("/")
        self._token = token
        self._clock = clock
        self._members = LookupCache(self._read, keep, clock)
        self._everybody = LookupCache(self._fetch_members, _ALL_USERS_CACHE_SECONDS, clock)

    async def find_member(self, name: str, *, within: float | None = None) -> HubMember | None:
        """The person called `name`, read at most `within` seconds ago; `None` if unknown.

        Raises
        ------
        ServiceUnavailableError
            If the hub does not answer.
        """
        return await self._members.get(name, within=within)

    async def require_member(self, name: str, *, within: float | None = None) -> HubMember:
        """As `member`, where only somebody whom the hub knows will do.

        Raises
        ------
        AccessDeniedError
            If the hub does not know them.
        ServiceUnavailableError
            If the hub does not answer.
        """
        member = await self.find_member(name, within=within)
        if member is None:
            raise AccessDeniedError(f"the hub knows nobody called {name}")
        return member

    def forget_member(self, name: str) -> None:
        """Read a person from the hub again at the next look."""
        self._members.forget(name)

    async def list_members(self) -> tuple[MemberGroups, ...]:
        """Return everybody whom the hub knew up to a minute ago.

        Good for telling people of others; what somebody may do is decided by `member`.

        Raises
        ------
        ServiceUnavailableError
            If the hub does not answer.
        """
        return await self._everybody.get("") or ()

    async def fetch_members(self) -> tuple[MemberGroups, ...]:
        """Return everybody whom the hub knows now, and keep the answer for nobody else.

        Raises
        ------
        ServiceUnavailableError
            If the hub does not answer.
        """
        return await self._fetch_members("") or ()

    async def find_ticket_session(self, ticket: Ticket) -> tuple[HubMember, RunningSession]:
        """The running session that `ticket` belongs to.

        Raises
        ------
        TicketRefusedError
            If there is none; the session has ended, or never was.
        ServiceUnavailableError
            If the hub does not answer.
        """

        def is_of_ticket(session: RunningSession) -> bool:
            return session.server == ticket.name and ticket.matches(session.ticket)

        member, found = await self._find_session(ticket.user, is_of_ticket)
        if member is None or found is None:
            raise TicketRefusedError(
                "the session of this ticket has ended; start a server from the hub"
            )
        return member, found

    async def find_token_session(
        self, name: str, digest: str, *, recheck: bool = True
    ) -> tuple[HubMember, RunningSession | None]:
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
        AccessDeniedError
            If the hub does not know the person.
        ServiceUnavailableError
            If the hub does not answer.
        """

        def has_token(session: RunningSession) -> bool:
            return bool(session.api_token) and hmac.compare_digest(session.api_token, digest)

        member, found = await self._find_session(name, has_token, recheck=recheck)
        return member or await self.require_member(name), found

    async def _find_session(
        self, name: str, wanted: Callable[[RunningSession], bool], *, recheck: bool = True
    ) -> tuple[HubMember | None, RunningSession | None]:
        member = None
        for within in (None, _RECHECK_SECONDS) if recheck else (None,):
            member = await self.find_member(name, within=within)
            if member is None:
                break
            for session in member.sessions:
                if wanted(session):
                    return member, session
            if within is None and recheck:
                await self._wait_until_stale(name, _RECHECK_SECONDS)
        return member, None

    async def _wait_until_stale(self, name: str, age: float) -> None:
        """Wait until what is known of a person is `age` seconds old, and so will be read again."""
        left = age - self._members.age(name)
        if left >= 0:
            await asyncio.sleep(left + 0.01)

    async def _read(self, name: str) -> HubMember | None:
        return await self._ask(f"{MEMBERS_PATH}/{quote(name, safe='')}", HubMember.from_json)

    async def _fetch_members(self, _all: str) -> tuple[MemberGroups, ...] | None:
        return await self._ask(MEMBERS_PATH, parse_member_list)

    async def _ask(self, path: str, read: Callable[[Mapping[str, Any]], T]) -> T | None:
        try:
            response = await AsyncHTTPClient().fetch(self._request(path))
            return read(json.loads(response.body))
        except HTTPClientError as error:
            if _is_unknown_member(error):
                return None
            raise ServiceUnavailableError(
                f"the hub did not say who is in which team (HTTP {error.code}); try again soon"
            ) from error
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise ServiceUnavailableError(
                f"the hub did not say who is in which team ({type(error).__name__}); try again soon"
            ) from error

    def _request(self, path: str) -> HTTPRequest:
        return HTTPRequest(
            f"{self._api_url}{path}",
            headers={"Authorization": f"token {self._token}"},
            request_timeout=_TIMEOUT_SECONDS,
            follow_redirects=False,  # the service's own token goes nowhere else
        )


def _is_unknown_member(error: HTTPClientError) -> bool:
    """Return whether the hub said that no account has this name.

    A 404 alone does not say so: an older hub, or a proxy, answers it for an address that it does
    not know, and nobody's session has ended by that.
    """
    if error.code != 404 or error.response is None:
        return False
    try:
        document = json.loads(error.response.body)
    except ValueError:
        return False
    return isinstance(document, dict) and document.get("error") in (
        UNKNOWN_MEMBER,
        "unknown_member",  # of a hub of version 0.1
    )
