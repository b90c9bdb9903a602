"""What clusters use and cost, for people and for Prometheus."""

from __future__ import annotations

from typing import Any

from jupyterhub.services.auth import HubOAuthenticated
from prometheus_client import CONTENT_TYPE_LATEST
from tornado import web

from panneuro_hub.errors import AccessDenied
from panneuro_hub.service.handlers import (
    ApiHandler,
    OwnAccessHandler,
    WebHandler,
    hub_in_words,
    in_words,
)
from panneuro_hub.service.issue import Issuer
from panneuro_hub.service.metrics import Metrics, StoreCalls
from panneuro_hub.service.page import render_usage
from panneuro_hub.service.usage import usage_json, usage_of

_SCOPE = "read:metrics"


class UsageHandler(OwnAccessHandler, ApiHandler):
    """``GET /api/usage``: what clusters use in the projects that a person has access to."""

    @in_words
    async def get(self) -> None:
        """Answer who asks with their projects; a hub admin with all of them."""
        self.finish(usage_json(await usage_of(self.issuer, *await self.own_access())))


class UsagePageHandler(OwnAccessHandler, WebHandler):
    """``GET /usage``: the same, for a browser."""

    problem = "What clusters use cannot be shown now"

    @web.authenticated
    @in_words
    async def get(self) -> None:
        """Show who asks what clusters use."""
        usage = await usage_of(self.issuer, *await self.own_access())
        self.finish(render_usage(usage, self.around))


class MetricsHandler(HubOAuthenticated, ApiHandler):
    """``GET /metrics``: for Prometheus, with a token of the hub that may read metrics."""

    def initialize(self, metrics: Metrics) -> None:
        """Take what the application was made with."""
        self.metrics = metrics

    @in_words
    async def get(self) -> None:
        """Answer all metrics of now."""
        await self._require_scope()
        text = await self.metrics.text()
        self.set_header("Content-Type", CONTENT_TYPE_LATEST)
        self.finish(text)

    async def _require_scope(self) -> None:
        token = self.hub_auth.get_token(self, in_cookie=False)
        async with hub_in_words():
            owner = await self.hub_auth.user_for_token(token, sync=False) if token else None
        if owner is None or _SCOPE not in owner.get("scopes", ()):
            raise AccessDenied(
                f"metrics are for tokens of the hub with the scope {_SCOPE}: give it to a role "
                "of a service, and send the service's API token as Authorization: token …"
            )


def routes(prefix: str, issuer: Issuer, calls: StoreCalls) -> list[Any]:
    """The application's routes to all this.

    Parameters
    ----------
    prefix : str
        Path that the service is reached under, without a ``/`` at its end.
    """
    return [
        (rf"{prefix}/api/usage", UsageHandler, {"issuer": issuer}),
        (rf"{prefix}/usage", UsagePageHandler, {"issuer": issuer}),
        (rf"{prefix}/metrics", MetricsHandler, {"metrics": Metrics(issuer, calls)}),
    ]
