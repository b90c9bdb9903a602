"""Credentials that are in the ledger before anybody gets them."""

from __future__ import annotations

from dataclasses import dataclass

from panneuro_hub.access import Access
from panneuro_hub.collaboration import Collaboration
from panneuro_hub.service.db.ledger import Ledger, LedgerEntry, LedgerSession
from panneuro_hub.vending import CredentialRequest, Vending
from panneuro_hub.wire import Credential
from panneuro_hub.wording import describe_reasons


@dataclass(frozen=True)
class RecordedVending:
    """Vends credentials, and records each in the ledger.

    Parameters
    ----------
    vending : Vending
    ledger : Ledger
    """

    vending: Vending
    ledger: Ledger

    async def vend_credential(
        self, collaboration: Collaboration, access: Access, session: LedgerSession
    ) -> Credential:
        """Return a credential for exactly the grants of `access`, as it was decided now.

        Raises
        ------
        AccessDeniedError
            If there are no grants.
        VendingError, ServiceUnavailableError
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
