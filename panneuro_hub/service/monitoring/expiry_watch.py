"""Looks for entries of `expires` that match no account of the hub, now and then."""

from __future__ import annotations

import logging

from panneuro_hub.access.expiries import ExpiryFinding, describe_finding, review_expiries
from panneuro_hub.current import Current
from panneuro_hub.errors import ServiceUnavailableError
from panneuro_hub.service.accounts.hub_users import HubUsers

_log = logging.getLogger("panneuro.service")


class ExpiryWatch:
    """Knows which entries an admin should look at, for health and for the log.

    Parameters
    ----------
    current : Current
    hub_users : HubUsers
    """

    def __init__(self, current: Current, hub_users: HubUsers) -> None:
        self._current = current
        self._hub_users = hub_users
        self.findings: tuple[ExpiryFinding, ...] = ()

    async def compare_accounts(self) -> None:
        """Compare the file with the hub's accounts, and log what is new."""
        try:
            # Pages keep their list for a minute, and at the service's start nobody is in it.
            names = [member.name for member in await self._hub_users.fetch_members()]
        except ServiceUnavailableError as error:
            _log.warning("The entries of expires were not compared with the accounts: %s", error)
            return
        found = tuple(review_expiries(self._current.collaboration, names))
        for finding in found:
            if finding not in self.findings:
                _log.warning("%s", describe_finding(finding))
        self.findings = found

    @property
    def warnings(self) -> list[str]:
        """Sentences for health, which anybody can read: without names."""
        nobody = sum(finding.code == "matches-nobody" for finding in self.findings)
        odd = sum(finding.code == "other-form" for finding in self.findings)
        return [
            f"{number} of the entries of expires {what}; the service's log names them"
            for number, what in (
                (nobody, "match no account of the hub"),
                (odd, "are written in a form that no account's name has"),
            )
            if number
        ]
