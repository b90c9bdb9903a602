"""A session as the hub stores it in a server's state, from which the service reads it."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from panneuro_hub.wire.api_token import hash_api_token
from panneuro_hub.wire.ticket import Ticket

STATE_KEY = "panneuro"
"""Key of the session in the state of its server."""


@dataclass(frozen=True)
class Session:
    """One server of one person, working in exactly one project.

    Parameters
    ----------
    id : str
        Identifies the session in the ledger; not secret.
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
        """Return the same session with its ticket's digest."""
        return replace(self, ticket=ticket.digest)

    def with_api_token(self, token: str) -> Session:
        """Return the same session with the digest of its server's API token."""
        return replace(self, api_token=hash_api_token(token))

    def to_state(self) -> dict[str, Any]:
        """Return the state that survives a restart of the hub."""
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
            # Sessions of earlier versions have no digest.
            state.get("api_token", ""),
        )
