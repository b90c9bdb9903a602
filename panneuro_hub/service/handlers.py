"""The service's pages and its API; thin, since `issue` knows what to do."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from jupyterhub.services.auth import HubOAuthCallbackHandler, HubOAuthenticated
from tornado import web

from panneuro_hub.access import Access
from panneuro_hub.collaboration import Collaboration
from panneuro_hub.errors import (
    AccessDenied,
    PanNeuroError,
    ServiceUnavailable,
    TicketRefused,
    VendingError,
)
from panneuro_hub.service.issue import Issuer
from panneuro_hub.service.page import render_access, render_problem

_SCHEME = "panneuro-ticket "
_RETRY_SECONDS = 5.0
_PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"


class ApiHandler(web.RequestHandler):
    """Answers JSON, errors too; nothing is kept by whatever stands between."""

    def initialize(self, issuer: Issuer) -> None:
        """Take what the application was made with."""
        self.issuer = issuer

    def set_default_headers(self) -> None:
        """Keep answers out of caches and frames."""
        self.set_header("Cache-Control", "no-store")
        self.set_header("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
        self.set_header("X-Content-Type-Options", "nosniff")

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Say what happened in one sentence, never more than the error meant to say."""
        error = kwargs.get("exc_info", (None, None, None))[1]
        message = getattr(error, "log_message", None) or self._reason
        if isinstance(error, PanNeuroError):
            message = str(error)
        self.finish({"message": message})

    def refuse(self, error: PanNeuroError) -> None:
        """Answer an error that was foreseen."""
        if isinstance(error, AccessDenied | TicketRefused):
            self.set_status(403)
        else:
            self.set_status(503)
            wait = getattr(error, "retry_after", None) or _RETRY_SECONDS
            self.set_header("Retry-After", str(math.ceil(wait)))
        self.finish({"message": str(error)})


class TicketHandler(ApiHandler):
    """What sessions ask, with their ticket."""

    @property
    def ticket(self) -> str:
        """The ticket's text, from the header Authorization."""
        header = self.request.headers.get("Authorization", "")
        return header.removeprefix(_SCHEME) if header.startswith(_SCHEME) else ""


class CredentialsHandler(TicketHandler):
    """``GET /api/credentials``: the container-credentials protocol."""

    async def get(self) -> None:
        """Issue a credential for the ticket's session."""
        try:
            credential = await self.issuer.credential(self.ticket)
        except (AccessDenied, TicketRefused, VendingError, ServiceUnavailable) as error:
            self.refuse(error)
        else:
            self.finish(credential.to_json())


class SessionHandler(TicketHandler):
    """``GET /api/session``: where the session is and what it may do."""

    async def get(self) -> None:
        """Describe the ticket's session."""
        try:
            view = await self.issuer.view(self.ticket)
        except (AccessDenied, TicketRefused, ServiceUnavailable) as error:
            self.refuse(error)
        else:
            self.finish(view.to_json())


class AccessHandler(HubOAuthenticated, ApiHandler):
    """``GET /api/access``: a person's own access in every project, with the reasons."""

    @web.authenticated
    async def get(self) -> None:
        """Tell the person who asks about themselves, and about nobody else."""
        try:
            name = person_name(self.current_user)
            collaboration, accesses = await self.issuer.accesses(name)
        except (AccessDenied, ServiceUnavailable) as error:
            self.refuse(error)
            return
        self.finish(
            {
                "user": name,
                "projects": {
                    name: access_json(collaboration, access) for name, access in accesses.items()
                },
            }
        )


class PageHandler(HubOAuthenticated, web.RequestHandler):
    """``GET /``: the same as ``/api/access``, for a browser."""

    def initialize(self, issuer: Issuer) -> None:
        """Take what the application was made with."""
        self.issuer = issuer

    def set_default_headers(self) -> None:
        """Keep the page out of caches and frames, and scripts out of the page."""
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Content-Security-Policy", _PAGE_POLICY)

    @web.authenticated
    async def get(self) -> None:
        """Show the person what they may do in every project, and why not more."""
        try:
            name = person_name(self.current_user)
            collaboration, accesses = await self.issuer.accesses(name)
        except (AccessDenied, ServiceUnavailable) as error:
            self.set_status(403 if isinstance(error, AccessDenied) else 503)
            self.finish(render_problem(str(error)))
            return
        self.finish(render_access(collaboration, name, accesses, self.hub_auth.hub_prefix))


class HealthHandler(ApiHandler):
    """``GET /health``: for probes; says when the collaboration file on disk is broken."""

    def get(self) -> None:
        """Answer 200 as long as the service can work."""
        collaboration = self.issuer.current.collaboration
        problem = self.issuer.current.problem
        self.finish(
            {
                "status": "ok" if problem is None else "the collaboration file is broken",
                "collaboration": collaboration.name,
                "problems": len(problem.problems) if problem else 0,
            }
        )


class CallbackHandler(HubOAuthCallbackHandler):
    """Where the hub's login returns to; public so that documents can name it."""


def person_name(user: Mapping[str, Any]) -> str:
    """The name of who asks; a service may be called as a person is, and is none.

    Raises
    ------
    AccessDenied
        If it is a service that asks.
    """
    if user.get("kind") != "user":
        raise AccessDenied("only people have access; this token is a service's")
    return str(user["name"])


def access_json(collaboration: Collaboration, access: Access) -> dict[str, Any]:
    """An access as JSON, as people and tools read it."""
    return {
        "title": collaboration.projects[access.project].title,
        "level": access.level,
        "reason": access.reason,
        "grants": [
            {"prefix": grant.prefix, "mode": grant.mode, "reason": grant.reason}
            for grant in access.grants
        ],
        "denied": [{"what": denial.what, "reason": denial.reason} for denial in access.denied],
        "profiles": [
            {
                "name": offer.name,
                "title": collaboration.profiles[offer.name].title,
                "price_per_hour": collaboration.profiles[offer.name].price_per_hour,
                "reason": offer.reason,
            }
            for offer in access.profiles
        ],
    }
