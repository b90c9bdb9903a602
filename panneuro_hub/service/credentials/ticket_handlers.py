"""What sessions ask with their ticket."""

from __future__ import annotations

from typing import Any

from panneuro_hub.service.credentials.issuer import CredentialIssuer
from panneuro_hub.service.web.base_handlers import ApiHandler, answer_errors
from panneuro_hub.wording import view_document

_SCHEME = "panneuro-ticket "


class TicketHandler(ApiHandler):
    """What sessions ask, with their ticket."""

    def initialize(self, issuer: CredentialIssuer) -> None:
        """Take what the application was made with."""
        self.issuer = issuer

    @property
    def ticket(self) -> str:
        """The ticket's text, from the header Authorization."""
        header = self.request.headers.get("Authorization", "")
        return header.removeprefix(_SCHEME) if header.startswith(_SCHEME) else ""


class CredentialsHandler(TicketHandler):
    """``GET /api/credentials``: the container-credentials protocol."""

    @answer_errors
    async def get(self) -> None:
        """Issue a credential for the ticket's session."""
        self.finish((await self.issuer.issue_credential(self.ticket)).to_json())


class SessionHandler(TicketHandler):
    """``GET /api/session``: where the session is and what it may do."""

    @answer_errors
    async def get(self) -> None:
        """Describe the ticket's session."""
        self.finish(view_document(await self.issuer.describe_session(self.ticket)))


def build_credential_routes(prefix: str, issuer: CredentialIssuer) -> list[Any]:
    """Return the application's routes for sessions.

    Parameters
    ----------
    prefix : str
        Path that the service is reached under, without a ``/`` at its end.
    """
    given = {"issuer": issuer}
    return [
        (rf"{prefix}/api/credentials", CredentialsHandler, given),
        (rf"{prefix}/api/session", SessionHandler, given),
    ]
