"""Dask clusters as the service sees them: which may begin, which run, and which must stop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from panneuro_hub.access import Access, Person, check_cluster_choice, decide_access
from panneuro_hub.collaboration import Collaboration
from panneuro_hub.current import Current
from panneuro_hub.errors import AccessDeniedError, ServiceUnavailableError
from panneuro_hub.service.accounts.hub_users import HubUsers, make_person
from panneuro_hub.service.db.ledger import LedgerSession
from panneuro_hub.service.db.session_store import SessionRecord, SessionStore
from panneuro_hub.service.refusal_recorder import RefusalRecorder
from panneuro_hub.wire import Reason, Ticket
from panneuro_hub.wire.cluster_reports import ClusterReport, ClusterStop, GatewayUser
from panneuro_hub.wire.hub_member import HubMember

_log = logging.getLogger("panneuro.service")


@dataclass(frozen=True)
class ClusterRequest:
    """A cluster that a gateway would start for somebody; all of it is from outside."""

    user: str
    project: str
    profile: str
    image: str | None


@dataclass(frozen=True)
class TokenLookup:
    """An API token that somebody shows to a gateway, as the gateway and the hub see it.

    Parameters
    ----------
    user : str
        Its person, as the hub names them.
    token : str
        Its digest.
    may_start_servers : bool
        Whether the hub lets it start servers of its person.
    """

    user: str
    token: str
    may_start_servers: bool


@dataclass(frozen=True)
class ClusterSessions:
    """What gateways may ask of the service; they say who asks them, and are believed.

    Parameters
    ----------
    current : Current
    hub_users : HubUsers
    sessions : SessionStore
    refusals : RefusalRecorder
    """

    current: Current
    hub_users: HubUsers
    sessions: SessionStore
    refusals: RefusalRecorder

    async def find_user(self, lookup: TokenLookup) -> GatewayUser:
        """Return who shows an API token to a gateway, and the project that it is good for.

        A session's token is good for the session's own project, whatever its person may do
        elsewhere. A token that may start servers is good for every project of its person.

        Raises
        ------
        AccessDeniedError
            If the hub does not know the person, or the token is neither of these.
        ServiceUnavailableError
            If the hub does not answer.
        """
        member, session = await self.hub_users.find_token_session(
            lookup.user, lookup.token, recheck=not lookup.may_start_servers
        )
        if session is None and not lookup.may_start_servers:
            raise AccessDeniedError(
                "this token belongs to no running session. In a session, restart your server; "
                "elsewhere, use a token from the hub's token page that may start servers"
            )
        person = make_person(self.current.collaboration, member)
        teams = tuple(sorted(person.teams))
        if session is None:
            return GatewayUser(member.name, teams)
        return GatewayUser(member.name, teams, session.project, session.image, session.id)

    async def begin_cluster(self, gateway: str, wish: ClusterRequest) -> Ticket:
        """Register a cluster; the ticket names its session.

        Parameters
        ----------
        gateway : str
            Name of the hub's service that asks.

        Raises
        ------
        AccessDeniedError, InvalidChoice
            If the person may not have such a cluster; the text says why, and a denial
            is in the ledger.
        ServiceUnavailableError
            If the hub or the database does not answer.
        """
        member = await self.hub_users.require_member(wish.user)
        collaboration = self.current.collaboration
        access = _decide_now(collaboration, make_person(collaboration, member), wish.project)
        try:
            choice = check_cluster_choice(collaboration, access, wish.profile, wish.image)
        except AccessDeniedError as denied:
            known = wish.project if wish.project in collaboration.projects else ""
            await self.refusals.record_refusal(
                member.name, LedgerSession("", known, "cluster"), denied
            )
            raise
        _, ticket = await self.sessions.begin_session(
            "cluster",
            member.name,
            choice.project,
            choice.profile,
            choice.image,
            account=member.account,
            gateway=gateway,
            price_per_hour=collaboration.dask.worker_profiles[choice.profile].price_per_hour,
        )
        return ticket

    async def process_report(
        self, gateway: str, clusters: Sequence[ClusterReport]
    ) -> list[ClusterStop]:
        """Take in what runs at a gateway; gives what must stop there.

        A person of whom the hub does not tell keeps their clusters: keys are another
        matter, and end by themselves.

        Raises
        ------
        ServiceUnavailableError
            If the database does not answer.
        """
        report = await self.sessions.record_report(gateway, clusters)
        stops = [ClusterStop(session, (Reason("session-ended"),)) for session in report.ended]
        names = list({session.person for session in report.running})
        # All at once: the hub may take seconds for each whose provider is slow.
        found = await asyncio.gather(*map(self._find_member, names))
        members = dict(zip(names, found, strict=True))
        for session in report.running:
            member = members[session.person]
            if member is not None and (reasons := self._find_stop_reason(member, session)):
                stops.append(ClusterStop(session.id, reasons))
        return stops

    async def end_cluster(self, gateway: str, session: str) -> None:
        """End a session of the gateway, if there is such a one.

        Raises
        ------
        ServiceUnavailableError
            If the database does not answer.
        """
        await self.sessions.end_session(session, gateway)

    async def _find_member(self, name: str) -> HubMember | None:
        """The person as the hub knows them, without an account if not; `None` if it is silent."""
        try:
            member = await self.hub_users.find_member(name)
        except ServiceUnavailableError as error:
            _log.warning("The clusters of %r go on without a look at their access: %s", name, error)
            return None
        return HubMember(name, "") if member is None else member

    def _find_stop_reason(self, member: HubMember, session: SessionRecord) -> tuple[Reason, ...]:
        if session.account != member.account:
            return (Reason("account-ended", session.project, detail=session.person),)
        collaboration = self.current.collaboration
        person = make_person(collaboration, member)
        access = _decide_now(collaboration, person, session.project)
        if access.level is not None:
            return ()
        ended = Reason("access-ended", session.project, detail=person.name)
        return (ended, *access.reasons)


def _decide_now(collaboration: Collaboration, person: Person, project: str) -> Access:
    return decide_access(collaboration, person, project, datetime.now(UTC))
