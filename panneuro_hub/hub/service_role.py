"""The role that the service has at the hub."""

from __future__ import annotations

from typing import Any

from panneuro_hub.wire.addresses import SERVICE

SERVICE_ROLE: dict[str, Any] = {
    "name": "panneuro-service",
    "description": "Read who is in which team, and which sessions run; say who is at work",
    "scopes": [
        "read:users:name",
        "read:users:groups",
        # Whom of a team the hub knows: pages say who cannot read what a notebook uses.
        "read:groups",
        "read:servers",
        "admin:server_state",
        "users:activity",
    ],
    "services": [SERVICE],
}
