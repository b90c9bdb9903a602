"""From a ticket to a credential: membership, decision, vending and record, in this order."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from panneuro_hub.access import (
    Access,
    build_session_view,
    decide_access,
    decide_all_accesses,
)
from panneuro_hub.collaboration import Collaboration
from panneuro_hub.current import Current
from panneuro_hub.errors import AccessDeniedError, TicketRefusedError
from panneuro_hub.service.accounts.hub_users import HubUsers, make_person
from panneuro_hub.service.db.ledger import LedgerSession
from panneuro_hub.service.db.session_store import SessionStore
from panneuro_hub.service.recorded_vending import RecordedVending
from panneuro_hub.service.refusal_recorder import RefusalRecorder
from panneuro_hub.wire import Credential, SessionView, Ticket
from panneuro_hub.wire.hub_member import HubMember
from panneuro_hub.wording import no_access


@dataclass(frozen=True)
class CredentialIssuer:
    """Issues credentials for tickets, and describes their sessions.

    Parameters
    ----------
    current : Current
    hub_users : HubUsers
    sessions : SessionStore
    vending : RecordedVending
    refusals : RefusalRecorder
    """

    current: Current
    hub_users: HubUsers
    sessions: SessionStore
    vending: RecordedVending
    refusals: RefusalRecorder

    async def issue_credential(self, ticket_text: str) -> Credential:
        """A credential for exactly what the ticket's session may do now.

        Raises
        ------
        TicketRefused, AccessDenied
            With the reason; the refusal is in the ledger.
        VendingError, ServiceUnavailable
            If a part that is needed does not work now.
        """
        person, session = "", LedgerSession()
        try:
            ticket = Ticket.decode(ticket_text)
            person = await self._find_known_person(ticket)
            member, session = await self._find_session(ticket)
            collaboration, access = self._decide_access(member, session)
            if not access.grants:
                raise no_access(session.project, access.reasons)
        except (TicketRefusedError, AccessDeniedError) as refusal:
            await self.refusals.record_refusal(person, session, refusal)
            raise
        return await self.vending.vend_credential(collaboration, access, session)

    async def describe_session(self, ticket_text: str) -> SessionView:
        """Where the ticket's session is and what it may do.

        Raises
        ------
        TicketRefusedError
            If the session has ended.
        ServiceUnavailable
            If the hub does not answer.
        """
        member, session = await self._find_session(Ticket.decode(ticket_text))
        collaboration, access = self._decide_access(member, session)
        others = decide_all_accesses(collaboration, access.person, datetime.now(UTC))
        return build_session_view(collaboration, access, others)

    async def _find_known_person(self, ticket: Ticket) -> str:
        """Who a refusal is of: a ticket may name anybody, the ledger names only who is known."""
        if ticket.kind == "register":
            found = await self.sessions.find_session(ticket.name)
            return ticket.user if found is not None and found.person == ticket.user else ""
        return ticket.user if await self.hub_users.find_member(ticket.user) is not None else ""

    async def _find_session(self, ticket: Ticket) -> tuple[HubMember, LedgerSession]:
        if ticket.kind == "server":
            member, server = await self.hub_users.find_ticket_session(ticket)
            return member, LedgerSession(server.id, server.project)
        found = await self.sessions.find_session(ticket.name)
        if found is not None and found.kind == "upload":
            # It ends with its login, from the next request on, in whichever replica.
            found = await self.sessions.find_session(ticket.name, fresh=True)
        if (
            found is None
            or found.person != ticket.user
            or not ticket.matches(found.ticket)
            or not found.is_running(datetime.now(UTC))
        ):
            raise TicketRefusedError("the session of this ticket has ended; begin a new one")
        member = await self.hub_users.require_member(found.person)
        if found.account != member.account:
            # Another account of the same name, or a row that does not say whose it is.
            await self.sessions.end_session(found.id, found.gateway)
            raise TicketRefusedError("the account of this session has ended; begin a new session")
        what = f"{found.kind} {found.id[:8]}… of {found.project}"
        return member, LedgerSession(found.id, found.project, what)

    def _decide_access(
        self, member: HubMember, session: LedgerSession
    ) -> tuple[Collaboration, Access]:
        # Read once for each answer: the file may change between a decision and its store.
        collaboration = self.current.collaboration
        person = make_person(collaboration, member)
        access = decide_access(collaboration, person, session.project, datetime.now(UTC))
        return collaboration, access
