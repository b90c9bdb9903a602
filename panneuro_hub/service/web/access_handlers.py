"""The page and the API of a person's own access."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tornado import web

from panneuro_hub.access import Access
from panneuro_hub.collaboration import Collaboration
from panneuro_hub.service.accounts.access_lookup import AccessLookup
from panneuro_hub.service.web.base_handlers import (
    ApiHandler,
    OwnAccessHandler,
    WebPageHandler,
    answer_errors,
)
from panneuro_hub.service.web.page_rendering import PageContext, render_page
from panneuro_hub.wording import denial_document, grant_document, reasons_document


class AccessHandler(OwnAccessHandler, ApiHandler):
    """``GET /api/access``: a person's own access in every project, with the reasons."""

    @answer_errors
    async def get(self) -> None:
        """Tell the person who asks about themselves, and about nobody else."""
        name, collaboration, accesses = await self.decide_own_access()
        self.finish(
            {
                "user": name,
                "projects": {
                    name: format_access(collaboration, access) for name, access in accesses.items()
                },
            }
        )


class AccessPageHandler(OwnAccessHandler, WebPageHandler):
    """``GET /``: the same as ``/api/access``, for a browser."""

    problem = "Your access cannot be shown now"

    @web.authenticated
    @answer_errors
    async def get(self) -> None:
        """Show the person what they may do in every project, and why not more."""
        name, collaboration, accesses = await self.decide_own_access()
        self.finish(render_access(collaboration, name, accesses, self.page_context))


def render_access(
    collaboration: Collaboration,
    person: str,
    accesses: Mapping[str, Access],
    page_context: PageContext,
) -> str:
    """Return the HTML of the page: open projects first, and every reason there is."""
    ordered = sorted(accesses.values(), key=lambda access: access.level is None)
    return render_page(
        "access.html", page_context, collaboration=collaboration, person=person, accesses=ordered
    )


def format_access(collaboration: Collaboration, access: Access) -> dict[str, Any]:
    """An access as JSON, as people and tools read it."""
    return {
        "title": collaboration.projects[access.project].title,
        "level": access.level,
        **reasons_document(access.reasons),
        "grants": [grant_document(grant) for grant in access.grants],
        "denied": [denial_document(denial) for denial in access.denied],
        "profiles": [
            {
                "name": offer.name,
                "title": collaboration.profiles[offer.name].title,
                "price_per_hour": collaboration.profiles[offer.name].price_per_hour,
                **reasons_document(offer.reasons),
            }
            for offer in access.profiles
        ],
    }


def build_access_routes(prefix: str, accesses: AccessLookup) -> list[Any]:
    """Return the application's routes for a person's own access.

    Parameters
    ----------
    prefix : str
        Path that the service is reached under, without a ``/`` at its end.
    """
    given = {"accesses": accesses}
    return [
        (rf"{prefix}/api/access", AccessHandler, given),
        (rf"{prefix}/?", AccessPageHandler, given),
    ]
