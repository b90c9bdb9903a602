"""From a ticket to a credential: membership, decision, vending and record, in this order."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from panneuro_hub.access import Access, decide, decide_all, is_hub_admin, session_view
from panneuro_hub.collaboration import Collaboration
from panneuro_hub.current import Current
from panneuro_hub.errors import AccessDenied, PanNeuroError, TicketRefused
from panneuro_hub.service.kept import remember
from panneuro_hub.service.ledger import Entry, Ledger
from panneuro_hub.service.membership import Members, person_of
from panneuro_hub.service.owners import Owner
from panneuro_hub.service.register import Register
from panneuro_hub.vending import Request, Vending
from panneuro_hub.wire import Credential, SessionView, Ticket
from panneuro_hub.wire.member import Member
from panneuro_hub.wording import describe_reasons, no_access

# The same refusal of the same session is one row in so many seconds: who asks in a
# loop must not fill the ledger.
_REFUSAL_SECONDS = 60.0
_REFUSALS_KEPT = 10_000


@dataclass(frozen=True)
class Session:
    """The session of a ticket, wherever it is known.

    Parameters
    ----------
    id, project : str
    what : str
        What it is, for the ledger; ``""`` for a server.
    """

    id: str = ""
    project: str = ""
    what: str = ""

    def says(self, reason: str) -> str:
        """A reason, with what the session is where that is not plain."""
        return f"{self.what}: {reason}" if self.what else reason


@dataclass(frozen=True)
class Issuer:
    """What the service knows how to do, apart from speaking HTTP.

    Parameters
    ----------
    current : Current
    members : Members
    register : Register
    vending : Vending
    ledger : Ledger
    refusals : Refusals
    """

    current: Current
    members: Members
    register: Register
    vending: Vending
    ledger: Ledger
    refusals: Refusals

    async def credential(self, ticket_text: str) -> Credential:
        """A credential for exactly what the ticket's session may do now.

        Raises
        ------
        TicketRefused, AccessDenied
            With the reason; the refusal is in the ledger.
        VendingError, ServiceUnavailable
            If a part that is needed does not work now.
        """
        person, session = "", Session()
        try:
            ticket = Ticket.decode(ticket_text)
            person = await self._known_person(ticket)
            member, session = await self._session(ticket)
            collaboration, access = self._access(member, session)
            if not access.grants:
                raise no_access(session.project, access.reasons)
        except (TicketRefused, AccessDenied) as refusal:
            await self.refused(person, session, refusal)
            raise
        return await self.issue(collaboration, access, session)

    async def issue(
        self, collaboration: Collaboration, access: Access, session: Session
    ) -> Credential:
        """A credential for exactly the grants of `access`, as it was decided now.

        Raises
        ------
        AccessDenied
            If there are none.
        VendingError, ServiceUnavailable
            If a part that is needed does not work now.
        """
        issued = await self.vending.credential(
            Request(
                session=session.id,
                person=access.person.name,
                project=access.project,
                store=collaboration.stores[collaboration.projects[access.project].store],
                grants=access.grants,
            ),
            # Before anybody gets it: what cannot be recorded is not issued.
            record=lambda made: self.ledger.record(_issue(access, session, made)),
        )
        return issued.credential

    async def view(self, ticket_text: str) -> SessionView:
        """Where the ticket's session is and what it may do.

        Raises
        ------
        TicketRefused
            If the session has ended.
        ServiceUnavailable
            If the hub does not answer.
        """
        member, session = await self._session(Ticket.decode(ticket_text))
        collaboration, access = self._access(member, session)
        others = decide_all(collaboration, access.person, datetime.now(UTC))
        return session_view(collaboration, access, others)

    async def accesses(self, name: str) -> tuple[Collaboration, dict[str, Access]]:
        """A person's access in every project, now, and the collaboration that says so.

        Raises
        ------
        AccessDenied
            If the hub does not know the person.
        ServiceUnavailable
            If the hub does not answer.
        """
        member = await self.members.known(name)
        collaboration = self.current.collaboration
        return collaboration, decide_all(
            collaboration, person_of(collaboration, member), datetime.now(UTC)
        )

    async def owner(self, name: str) -> Owner:
        """Return a person's account as it is now.

        Raises
        ------
        AccessDenied
            If the hub does not know the person.
        ServiceUnavailable
            If the hub does not answer.
        """
        return Owner(name, (await self.members.known(name)).account)

    async def is_admin(self, name: str) -> bool:
        """Return whether a person is a hub admin, as the collaboration has it now.

        Raises
        ------
        AccessDenied
            If the hub does not know the person.
        ServiceUnavailable
            If the hub does not answer.
        """
        member, collaboration = await self.members.known(name), self.current.collaboration
        return is_hub_admin(collaboration, person_of(collaboration, member), datetime.now(UTC))

    async def refused(self, person: str, session: Session, refusal: PanNeuroError) -> None:
        """Record a refusal, unless the same one was recorded a moment ago.

        Raises
        ------
        ServiceUnavailable
            If it could not be written.
        """
        reason = session.says(str(refusal))
        if self.refusals.is_new((person, session.id, reason)):
            await self.ledger.record(
                Entry("refusal", person[:255], session.project, session.id, reason)
            )

    async def _known_person(self, ticket: Ticket) -> str:
        """Who a refusal is of: a ticket may name anybody, the ledger names only who is known."""
        if ticket.kind == "register":
            found = await self.register.find(ticket.name)
            return ticket.user if found is not None and found.person == ticket.user else ""
        return ticket.user if await self.members.member(ticket.user) is not None else ""

    async def _session(self, ticket: Ticket) -> tuple[Member, Session]:
        if ticket.kind == "server":
            member, server = await self.members.session(ticket)
            return member, Session(server.id, server.project)
        found = await self.register.find(ticket.name)
        if found is not None and found.kind == "upload":
            # It ends with its login, from the next request on, in whichever replica.
            found = await self.register.find(ticket.name, fresh=True)
        if (
            found is None
            or found.person != ticket.user
            or not ticket.matches(found.ticket)
            or not found.runs(datetime.now(UTC))
        ):
            raise TicketRefused("the session of this ticket has ended; begin a new one")
        member = await self.members.known(found.person)
        if found.account != member.account:
            # Another account of the same name, or a row that does not say whose it is.
            await self.register.end(found.id, found.gateway)
            raise TicketRefused("the account of this session has ended; begin a new session")
        what = f"{found.kind} {found.id[:8]}… of {found.project}"
        return member, Session(found.id, found.project, what)

    def _access(self, member: Member, session: Session) -> tuple[Collaboration, Access]:
        # Read once for each answer: the file may change between a decision and its store.
        collaboration = self.current.collaboration
        person = person_of(collaboration, member)
        access = decide(collaboration, person, session.project, datetime.now(UTC))
        return collaboration, access


class Refusals:
    """Remembers which refusals have a row already; bounded in time and number."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: OrderedDict[tuple[str, ...], float] = OrderedDict()

    def is_new(self, refusal: tuple[str, ...]) -> bool:
        """Whether `refusal` has had no row in the last minute."""
        now = self._clock()
        last = self._seen.get(refusal)
        if last is not None and now - last < _REFUSAL_SECONDS:
            return False
        remember(self._seen, refusal, now, _REFUSALS_KEPT)
        return True


def _issue(access: Access, session: Session, credential: Credential) -> Entry:
    return Entry(
        event="issue",
        person=access.person.name,
        project=access.project,
        session=session.id,
        reason=session.says(describe_reasons(access.reasons)),
        grants=tuple((grant.mode, grant.prefix) for grant in access.grants),
        access_key_id=credential.access_key_id,
        expires=credential.expires,
    )
