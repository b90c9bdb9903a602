"""A person's account and access, as the hub and the collaboration have them now."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from panneuro_hub.access import Access, decide_all_accesses, is_hub_admin
from panneuro_hub.collaboration import Collaboration
from panneuro_hub.current import Current
from panneuro_hub.service.accounts.hub_account import HubAccount
from panneuro_hub.service.accounts.hub_users import HubUsers, make_person


@dataclass(frozen=True)
class AccessLookup:
    """Looks people up at the hub, and decides their access.

    Parameters
    ----------
    current : Current
    hub_users : HubUsers
    """

    current: Current
    hub_users: HubUsers

    async def decide_accesses(self, name: str) -> tuple[Collaboration, dict[str, Access]]:
        """Return a person's access in every project, and the collaboration that decided it.

        Raises
        ------
        AccessDeniedError
            If the hub does not know the person.
        ServiceUnavailableError
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
        ServiceUnavailableError
            If the hub does not answer.
        """
        return HubAccount(name, (await self.hub_users.require_member(name)).account)

    async def is_admin(self, name: str) -> bool:
        """Return whether a person is a hub admin, as the collaboration has it now.

        Raises
        ------
        AccessDeniedError
            If the hub does not know the person.
        ServiceUnavailableError
            If the hub does not answer.
        """
        member = await self.hub_users.require_member(name)
        collaboration = self.current.collaboration
        return is_hub_admin(collaboration, make_person(collaboration, member), datetime.now(UTC))
