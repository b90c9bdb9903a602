"""What clusters use and cost, for people and for Prometheus."""

from __future__ import annotations

from typing import Any

from jupyterhub.services.auth import HubOAuthenticated
from prometheus_client import CONTENT_TYPE_LATEST
from tornado import web

from panneuro_hub.errors import AccessDeniedError
from panneuro_hub.service.accounts.access_lookup import AccessLookup
from panneuro_hub.service.db.session_store import SessionStore
from panneuro_hub.service.monitoring.cluster_usage import UsageReport, format_usage, load_usage
from panneuro_hub.service.monitoring.prometheus_metrics import ServiceMetrics
from panneuro_hub.service.web.base_handlers import (
    ApiHandler,
    OwnAccessHandler,
    WebPageHandler,
    answer_errors,
    translate_hub_errors,
)
from panneuro_hub.service.web.page_rendering import PageContext, render_page

_SCOPE = "read:metrics"


class UsageBaseHandler(OwnAccessHandler):
    """What people ask about what clusters use."""

    def initialize(  # type: ignore[override]
        self, accesses: AccessLookup, sessions: SessionStore
    ) -> None:
        """Take what the application was made with."""
        super().initialize(accesses)
        self.sessions = sessions

    async def load_own_usage(self) -> UsageReport:
        """Return what clusters use in the projects that the person has access to.

        Raises
        ------
        AccessDeniedError, ServiceUnavailableError
            As for `decide_own_access`; the second if the database does not answer.
        """
        return await load_usage(self.sessions, *await self.decide_own_access())


class UsageHandler(UsageBaseHandler, ApiHandler):
    """``GET /api/usage``: what clusters use in the projects that a person has access to."""

    @answer_errors
    async def get(self) -> None:
        """Answer who asks with their projects; a hub admin with all of them."""
        self.finish(format_usage(await self.load_own_usage()))


class UsagePageHandler(UsageBaseHandler, WebPageHandler):
    """``GET /usage``: the same, for a browser."""

    problem = "What clusters use cannot be shown now"

    @web.authenticated
    @answer_errors
    async def get(self) -> None:
        """Show who asks what clusters use."""
        self.finish(render_usage(await self.load_own_usage(), self.page_context))


class MetricsHandler(HubOAuthenticated, ApiHandler):
    """``GET /metrics``: for Prometheus, with a token of the hub that may read metrics."""

    def initialize(self, metrics: ServiceMetrics) -> None:
        """Take what the application was made with."""
        self.metrics = metrics

    @answer_errors
    async def get(self) -> None:
        """Answer all metrics of now."""
        await self._require_scope()
        text = await self.metrics.render_text()
        self.set_header("Content-Type", CONTENT_TYPE_LATEST)
        self.finish(text)

    async def _require_scope(self) -> None:
        token = self.hub_auth.get_token(self, in_cookie=False)
        async with translate_hub_errors():
            owner = await self.hub_auth.user_for_token(token, sync=False) if token else None
        if owner is None or _SCOPE not in owner.get("scopes", ()):
            raise AccessDeniedError(
                f"metrics are for tokens of the hub with the scope {_SCOPE}: give it to a role "
                "of a service, and send the service's API token as Authorization: token …"
            )


def render_usage(usage: UsageReport, page_context: PageContext) -> str:
    """Return the HTML of the page: for each project its clusters, and what they have cost."""
    return render_page("usage.html", page_context, usage=usage)


def build_monitoring_routes(
    prefix: str, accesses: AccessLookup, sessions: SessionStore, metrics: ServiceMetrics
) -> list[Any]:
    """The application's routes to all this.

    Parameters
    ----------
    prefix : str
        Path that the service is reached under, without a ``/`` at its end.
    """
    given = {"accesses": accesses, "sessions": sessions}
    return [
        (rf"{prefix}/api/usage", UsageHandler, given),
        (rf"{prefix}/usage", UsagePageHandler, given),
        (rf"{prefix}/metrics", MetricsHandler, {"metrics": metrics}),
    ]
