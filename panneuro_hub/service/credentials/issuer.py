"""From a ticket to a credential: membership, decision, vending and record, in this order."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from panneuro_hub.access import (
    Access,
    build_session_view,
    decide_access,
    decide_all_accesses,
    is_hub_admin,
)
from panneuro_hub.collaboration import Collaboration
from panneuro_hub.current import Current
from panneuro_hub.errors import AccessDeniedError, PanNeuroError, TicketRefusedError
from panneuro_hub.service.accounts.hub_account import HubAccount
from panneuro_hub.service.accounts.hub_users import HubUsers, make_person
from panneuro_hub.service.cache import put_newest
from panneuro_hub.service.db.ledger import Ledger, LedgerEntry
from panneuro_hub.service.db.session_store import SessionStore
from panneuro_hub.vending import CredentialRequest, Vending
from panneuro_hub.wire import Credential, SessionView, Ticket
from panneuro_hub.wire.hub_member import HubMember
from panneuro_hub.wording import describe_reasons, no_access

# The same refusal of the same session is one row in so many seconds: who asks in a
# loop must not fill the ledger.
_REFUSAL_SECONDS = 60.0
_MOST_REFUSALS = 10_000


@dataclass(frozen=True)
class LedgerSession:
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

    def add_description(self, reason: str) -> str:
        """A reason, with what the session is where that is not plain."""
        return f"{self.what}: {reason}" if self.what else reason


@dataclass(frozen=True)
class CredentialIssuer:
    """What the service knows how to do, apart from speaking HTTP.

    Parameters
    ----------
    current : Current
    hub_users : HubUsers
    sessions : SessionStore
    vending : Vending
    ledger : Ledger
    refusals : RefusalCache
    """

    current: Current
    hub_users: HubUsers
    sessions: SessionStore
    vending: Vending
    ledger: Ledger
    refusals: RefusalCache

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
            await self.record_refusal(person, session, refusal)
            raise
        return await self.vend_credential(collaboration, access, session)

    async def vend_credential(
        self, collaboration: Collaboration, access: Access, session: LedgerSession
    ) -> Credential:
        """A credential for exactly the grants of `access`, as it was decided now.

        Raises
        ------
        AccessDeniedError
            If there are none.
        VendingError, ServiceUnavailable
            If a part that is needed does not work now.
        """
        issued = await self.vending.credential(
            CredentialRequest(
                session=session.id,
                person=access.person.name,
                project=access.project,
                store=collaboration.stores[collaboration.projects[access.project].store],
                grants=access.grants,
            ),
            # Before anybody gets it: what cannot be recorded is not issued.
            record=lambda made: self.ledger.record_entry(_make_entry(access, session, made)),
        )
        return issued.credential

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

    async def decide_accesses(self, name: str) -> tuple[Collaboration, dict[str, Access]]:
        """A person's access in every project, now, and the collaboration that says so.

        Raises
        ------
        AccessDeniedError
            If the hub does not know the person.
        ServiceUnavailable
            If the hub does not answer.
        """
        member = await self.hub_users.require_member(name)
        collaboration = self.current.collaboration
        return collaboration, decide_all_accesses(
            collaboration, make_person(collaboration, member), datetime.now(UTC)
        )

    async def find_account(self, name: str) -> HubAccount:
        """Return a person's account as it is now.

        Raises
        ------
        AccessDeniedError
            If the hub does not know the person.
        ServiceUnavailable
            If the hub does not answer.
        """
        return HubAccount(name, (await self.hub_users.require_member(name)).account)

    async def is_admin(self, name: str) -> bool:
        """Return whether a person is a hub admin, as the collaboration has it now.

        Raises
        ------
        AccessDeniedError
            If the hub does not know the person.
        ServiceUnavailable
            If the hub does not answer.
        """
        member, collaboration = (
            await self.hub_users.require_member(name),
            self.current.collaboration,
        )
        return is_hub_admin(collaboration, make_person(collaboration, member), datetime.now(UTC))

    async def record_refusal(
        self, person: str, session: LedgerSession, refusal: PanNeuroError
    ) -> None:
        """Record a refusal, unless the same one was recorded a moment ago.

        Raises
        ------
        ServiceUnavailable
            If it could not be written.
        """
        reason = session.add_description(str(refusal))
        if self.refusals.is_new((person, session.id, reason)):
            await self.ledger.record_entry(
                LedgerEntry("refusal", person[:255], session.project, session.id, reason)
            )

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


class RefusalCache:
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
        put_newest(self._seen, refusal, now, _MOST_REFUSALS)
        return True


def _make_entry(access: Access, session: LedgerSession, credential: Credential) -> LedgerEntry:
    return LedgerEntry(
        event="issue",
        person=access.person.name,
        project=access.project,
        session=session.id,
        reason=session.add_description(describe_reasons(access.reasons)),
        grants=tuple((grant.mode, grant.prefix) for grant in access.grants),
        access_key_id=credential.access_key_id,
        expires=credential.expires,
    )
