"""The role that the service has at the hub."""

from __future__ import annotations

from typing import Any

from panneuro_hub.wire.hub_member import MEMBERS_SCOPE
from panneuro_hub.wire.service_urls import SERVICE_NAME

SERVICE_ROLE: dict[str, Any] = {
    "name": "panneuro-service",
    "description": "Read what the identity provider says of people, and which sessions run",
    "scopes": [
        MEMBERS_SCOPE,
        # Announcements are of people, and so is the right to read them.
        "read:users:name",
    ],
    "services": [SERVICE_NAME],
}
