"""JSON that crosses processes: grants, credentials, sessions and tickets.

These types travel between hub, service, agents and users' images, which may run
different versions of this package: readers ignore keys that they do not know.
"""

from __future__ import annotations

from panneuro_hub.wire.access import AccessMode, Denial, Grant, SessionView
from panneuro_hub.wire.credential import Credential
from panneuro_hub.wire.reason import Reason
from panneuro_hub.wire.ticket import Ticket

__all__ = ["AccessMode", "Credential", "Denial", "Grant", "Reason", "SessionView", "Ticket"]
