"""What a gate asks before it shows a dashboard, and the page that earns the cookie for one."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from jupyterhub.utils import get_browser_protocol
from tornado import web

from panneuro_hub.errors import AccessDenied
from panneuro_hub.service.dashboards import (
    GOOD_FOR,
    Dashboard,
    Dashboards,
    NoDashboard,
    Passes,
    dashboard_at,
    way_on,
)
from panneuro_hub.service.handlers import Handler, PersonHandler, WebHandler, in_words
from panneuro_hub.service.page import render_problem
from panneuro_hub.wire.dashboards import CLUSTER_HEADER, COOKIE, is_navigation

_LOOKING = ("GET", "HEAD")
# Of pages, also the refusals: JupyterLab shows dashboards in a frame of its own page.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'"
_TITLE = "This dashboard cannot be shown"


class Doors:
    """What both handlers know.

    Parameters
    ----------
    dashboards : Dashboards
    prefix : str
        Path that this service is reached under, without a ``/`` at its end.
    gateways : tuple of str
        The hub's services that are Dask gateways.
    """

    def __init__(self, dashboards: Dashboards, prefix: str, gateways: tuple[str, ...]) -> None:
        self.dashboards = dashboards
        self.prefix = prefix
        self.gateways = gateways
        # The gateways are the hub's services, as this is one.
        self.services = prefix.rpartition("/")[0]

    def page(self, dashboard: Dashboard, address: str) -> str:
        """Where the cookie for a dashboard is earned, on the way to an address of it."""
        return f"{self.prefix}/dashboards/{dashboard.cluster}?next={quote(address, safe='')}"


class DoorHandler(Handler):
    """``GET /api/dashboard``: whether a gate may pass on the request that it asks about.

    ``204`` says yes, and names the cluster. Who is not known yet is redirected to the page
    that earns the cookie. What no person looks at gets a plain no.
    """

    policy = _POLICY

    def initialize(self, doors: Doors) -> None:
        """Take what the application was made with."""
        self.doors = doors
        self.dashboard: Dashboard | None = None
        self.address = ""

    @in_words
    async def get(self) -> None:
        """Judge the request that ``X-Forwarded-Uri`` and ``-Method`` tell of."""
        told = self.request.headers.get_list("X-Forwarded-Uri")
        self.address = told[0] if len(told) == 1 else ""
        dashboard = self.dashboard = dashboard_at(self.address, self.doors.services)
        if dashboard is None or dashboard.gateway not in self.doors.gateways:
            raise NoDashboard("this is not the address of a cluster's dashboard")
        if self._method not in _LOOKING:
            raise AccessDenied("dashboards are to be looked at: they take GET and HEAD alone")
        cookies = "; ".join(self.request.headers.get_list("Cookie"))
        holder = self.passes.holder(cookies, dashboard)
        if holder is None:
            self._ask_who(dashboard)
            return
        await self.doors.dashboards.require(holder, dashboard)
        self.set_header(CLUSTER_HEADER, dashboard.cluster)
        self.set_status(204)

    @property
    def passes(self) -> Passes:
        """Reads cookies."""
        return Passes(self.settings["cookie_secret"])

    @property
    def _method(self) -> str:
        return self.request.headers.get("X-Forwarded-Method", "GET")

    def _ask_who(self, dashboard: Dashboard) -> None:
        page = self.doors.page(dashboard, self.address)
        if not is_navigation(self.request.headers):
            self.set_status(401)
            self.say(
                "who you are is not known at this dashboard: open its address in a browser that "
                "is logged in at the hub"
            )
        else:
            self.redirect(page)

    @property
    def _wants_page(self) -> bool:
        return "text/html" in self.request.headers.get("Accept", "")

    def say(self, message: str) -> None:
        """Finish with one sentence: a page for a person's browser, or else JSON."""
        if self._wants_page:
            on = self.doors.page(self.dashboard, self.address) if self.dashboard else None
            self.finish(render_problem(_TITLE, message, on))
        else:
            self.finish({"message": message})


class DashboardPageHandler(PersonHandler, WebHandler):
    """``GET /dashboards/NAME``: who is logged in at the hub earns the cookie, and goes on."""

    policy = _POLICY
    problem = _TITLE
    takes_frames = True

    def initialize(self, doors: Doors) -> None:
        """Take what the application was made with."""
        self.doors = doors

    @web.authenticated
    @in_words
    async def get(self, name: str) -> None:
        """Decide, set the cookie and go on to the dashboard."""
        holder = await self.doors.dashboards.issuer.owner(self.person())
        dashboard = await self.doors.dashboards.named(name)
        await self.doors.dashboards.require(holder, dashboard)
        asked = self.get_query_argument("next", None, strip=False)
        on = way_on(asked, dashboard, self.doors.services)
        self.set_cookie(
            COOKIE,
            Passes(self.settings["cookie_secret"]).issue(holder, dashboard),
            path=dashboard.root(self.doors.services),
            max_age=int(GOOD_FOR.total_seconds()),
            httponly=True,
            samesite="Lax",
            secure=self._is_https,
        )
        self.redirect(on)

    @property
    def _is_https(self) -> bool:
        options = self.hub_auth.cookie_options
        return bool(options.get("secure")) or get_browser_protocol(self.request) == "https"


def routes(prefix: str, dashboards: Dashboards, gateways: tuple[str, ...]) -> list[Any]:
    """The application's routes to all this.

    Parameters
    ----------
    prefix : str
        Path that the service is reached under, without a ``/`` at its end.
    gateways : tuple of str
        The hub's services that are Dask gateways.
    """
    doors = {"doors": Doors(dashboards, prefix, gateways)}
    return [
        (rf"{prefix}/api/dashboard", DoorHandler, doors),
        (rf"{prefix}/dashboards/([^/]+)", DashboardPageHandler, doors),
    ]
