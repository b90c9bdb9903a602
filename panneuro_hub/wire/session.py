"""A session as the hub keeps it: in a server's state, where the service reads it."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from panneuro_hub.wire.api_token import hash_api_token
from panneuro_hub.wire.ticket import Ticket

STATE_KEY = "panneuro"
"""Where a session stands in the state of its server."""


@dataclass(frozen=True)
class Session:
    """One server of one person, working in exactly one project.

    Parameters
    ----------
    id : str
        Names the session in the ledger; no secret.
    project, profile : str
    image : str or None
    ticket : str
        Digest of the session's ticket, ``""`` while there is none.
    api_token : str
        Digest of the API token that the hub gave the server, ``""`` while there is none.
    """

    id: str
    project: str
    profile: str
    image: str | None
    ticket: str = ""
    api_token: str = ""

    @classmethod
    def begin(cls, project: str, profile: str, image: str | None) -> Session:
        """Make a new session."""
        return cls(secrets.token_hex(8), project, profile, image)

    def with_ticket(self, ticket: Ticket) -> Session:
        """The same session, knowing its ticket's digest."""
        return replace(self, ticket=ticket.digest)

    def with_api_token(self, token: str) -> Session:
        """Return the same session with the digest of its server's API token."""
        return replace(self, api_token=hash_api_token(token))

    def to_state(self) -> dict[str, Any]:
        """What survives a restart of the hub."""
        return asdict(self)

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Session:
        """Read what `to_state` wrote."""
        return cls(
            state["id"],
            state["project"],
            state["profile"],
            state["image"],
            state["ticket"],
            # Sessions that began before the hub kept it have none.
            state.get("api_token", ""),
        )
