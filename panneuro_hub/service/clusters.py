"""Dask clusters as the service sees them: which may begin, which run, and which must stop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from panneuro_hub.access import Access, Person, cluster_choice, decide
from panneuro_hub.collaboration import Collaboration
from panneuro_hub.errors import AccessDenied, ServiceUnavailable
from panneuro_hub.service.issue import Issuer, Session
from panneuro_hub.service.membership import person_of
from panneuro_hub.service.register import Registered
from panneuro_hub.wire import Reason, Ticket
from panneuro_hub.wire.clusters import Requester, Running, Stop
from panneuro_hub.wire.member import Member

_log = logging.getLogger("panneuro.service")


@dataclass(frozen=True)
class Wish:
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
class Clusters:
    """What gateways may ask of the service; they say who asks them, and are believed.

    Parameters
    ----------
    issuer : Issuer
    """

    issuer: Issuer

    async def requester(self, lookup: TokenLookup) -> Requester:
        """Return who shows an API token to a gateway, and the project that it is good for.

        A session's token is good for the session's own project, whatever its person may do
        elsewhere. A token that may start servers is good for every project of its person.

        Raises
        ------
        AccessDenied
            If the hub does not know the person, or the token is neither of these.
        ServiceUnavailable
            If the hub does not answer.
        """
        member, session = await self.issuer.members.session_of_token(
            lookup.user, lookup.token, recheck=not lookup.may_start_servers
        )
        if session is None and not lookup.may_start_servers:
            raise AccessDenied(
                "this token belongs to no running session. In a session, restart your server; "
                "elsewhere, use a token from the hub's token page that may start servers"
            )
        person = person_of(self.issuer.current.collaboration, member)
        teams = tuple(sorted(person.teams))
        if session is None:
            return Requester(member.name, teams)
        return Requester(member.name, teams, session.project, session.image, session.id)

    async def begin(self, gateway: str, wish: Wish) -> Ticket:
        """Register a cluster; the ticket names its session.

        Parameters
        ----------
        gateway : str
            Name of the hub's service that asks.

        Raises
        ------
        AccessDenied, InvalidChoice
            If the person may not have such a cluster; the text says why, and a denial
            is in the ledger.
        ServiceUnavailable
            If the hub or the database does not answer.
        """
        member = await self.issuer.members.known(wish.user)
        collaboration = self.issuer.current.collaboration
        access = _decide(collaboration, person_of(collaboration, member), wish.project)
        try:
            choice = cluster_choice(collaboration, access, wish.profile, wish.image)
        except AccessDenied as denied:
            known = wish.project if wish.project in collaboration.projects else ""
            await self.issuer.refused(member.name, Session("", known, "cluster"), denied)
            raise
        _, ticket = await self.issuer.register.begin(
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

    async def report(self, gateway: str, clusters: Sequence[Running]) -> list[Stop]:
        """Take in what runs at a gateway; gives what must stop there.

        A person of whom the hub does not tell keeps their clusters: keys are another
        matter, and end by themselves.

        Raises
        ------
        ServiceUnavailable
            If the database does not answer.
        """
        report = await self.issuer.register.report(gateway, clusters)
        stops = [Stop(session, (Reason("session-ended"),)) for session in report.ended]
        names = list({session.person for session in report.running})
        # All at once: the hub may take seconds for each whose provider is slow.
        found = await asyncio.gather(*map(self._member, names))
        members = dict(zip(names, found, strict=True))
        for session in report.running:
            member = members[session.person]
            if member is not None and (reasons := self._why_stop(member, session)):
                stops.append(Stop(session.id, reasons))
        return stops

    async def end(self, gateway: str, session: str) -> None:
        """End a session of the gateway, if there is such a one.

        Raises
        ------
        ServiceUnavailable
            If the database does not answer.
        """
        await self.issuer.register.end(session, gateway)

    async def _member(self, name: str) -> Member | None:
        """The person as the hub knows them, without an account if not; `None` if it is silent."""
        try:
            member = await self.issuer.members.member(name)
        except ServiceUnavailable as error:
            _log.warning("The clusters of %r go on without a look at their access: %s", name, error)
            return None
        return Member(name, "") if member is None else member

    def _why_stop(self, member: Member, session: Registered) -> tuple[Reason, ...]:
        if session.account != member.account:
            return (Reason("account-ended", session.project, detail=session.person),)
        collaboration = self.issuer.current.collaboration
        person = person_of(collaboration, member)
        access = _decide(collaboration, person, session.project)
        if access.level is not None:
            return ()
        ended = Reason("access-ended", session.project, detail=person.name)
        return (ended, *access.reasons)


def _decide(collaboration: Collaboration, person: Person, project: str) -> Access:
    return decide(collaboration, person, project, datetime.now(UTC))
