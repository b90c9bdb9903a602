"""What a gate asks before it shows a dashboard, and the page that earns the cookie for one."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from jupyterhub.utils import get_browser_protocol
from tornado import web

from panneuro_hub.errors import AccessDeniedError
from panneuro_hub.service.accounts.access_lookup import AccessLookup
from panneuro_hub.service.dask.dashboard_access import (
    COOKIE_LIFETIME,
    DashboardAccess,
    DashboardAddress,
    DashboardCookies,
    DashboardNotFoundError,
    check_next_address,
    parse_dashboard_address,
)
from panneuro_hub.service.web.base_handlers import (
    BaseHandler,
    PersonHandler,
    WebPageHandler,
    answer_errors,
)
from panneuro_hub.service.web.page_rendering import render_problem
from panneuro_hub.wire.dashboard_requests import (
    CLUSTER_HEADER,
    DASHBOARD_COOKIE,
    is_page_navigation,
)
from panneuro_hub.wire.refusal import Refusal

_READ_METHODS = ("GET", "HEAD")
# Of pages, also the refusals: JupyterLab shows dashboards in a frame of its own page.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'"
_TITLE = "This dashboard cannot be shown"


class DashboardContext:
    """What both handlers know.

    Parameters
    ----------
    dashboards : DashboardAccess
    accesses : AccessLookup
    prefix : str
        Path that this service is reached under, without a ``/`` at its end.
    gateways : tuple of str
        The hub's services that are Dask gateways.
    """

    def __init__(
        self,
        dashboards: DashboardAccess,
        accesses: AccessLookup,
        prefix: str,
        gateways: tuple[str, ...],
    ) -> None:
        self.dashboards = dashboards
        self.accesses = accesses
        self.prefix = prefix
        self.gateways = gateways
        # The gateways are the hub's services, as this is one.
        self.services = prefix.rpartition("/")[0]

    def make_page_url(self, dashboard: DashboardAddress, address: str) -> str:
        """Where the cookie for a dashboard is earned, on the way to an address of it."""
        return f"{self.prefix}/dashboards/{dashboard.cluster}?next={quote(address, safe='')}"


class DashboardCheckHandler(BaseHandler):
    """``GET /api/dashboard``: whether a gate may pass on the request that it asks about.

    ``204`` says yes, and names the cluster. Who is not known yet is redirected to the page
    that earns the cookie. What no person looks at gets a plain no.
    """

    policy = _POLICY

    def initialize(self, context: DashboardContext) -> None:
        """Take what the application was made with."""
        self.context = context
        self.dashboard: DashboardAddress | None = None
        self.address = ""

    @answer_errors
    async def get(self) -> None:
        """Judge the request that ``X-Forwarded-Uri`` and ``-Method`` tell of."""
        forwarded = self.request.headers.get_list("X-Forwarded-Uri")
        self.address = forwarded[0] if len(forwarded) == 1 else ""
        dashboard = self.dashboard = parse_dashboard_address(self.address, self.context.services)
        if dashboard is None or dashboard.gateway not in self.context.gateways:
            raise DashboardNotFoundError("this is not the address of a cluster's dashboard")
        if self._method not in _READ_METHODS:
            raise AccessDeniedError("dashboards are to be looked at: they take GET and HEAD alone")
        header = "; ".join(self.request.headers.get_list("Cookie"))
        holder = self.dashboard_cookies.read_cookie(header, dashboard)
        if holder is None:
            self._request_identity(dashboard)
            return
        await self.context.dashboards.require_access(holder, dashboard)
        self.set_header(CLUSTER_HEADER, dashboard.cluster)
        self.set_status(204)

    @property
    def dashboard_cookies(self) -> DashboardCookies:
        """Reads cookies."""
        return DashboardCookies(self.settings["cookie_secret"])

    @property
    def _method(self) -> str:
        return self.request.headers.get("X-Forwarded-Method", "GET")

    def _request_identity(self, dashboard: DashboardAddress) -> None:
        page = self.context.make_page_url(dashboard, self.address)
        if not is_page_navigation(self.request.headers):
            self.send_refusal(
                Refusal.from_status(
                    401,
                    "who you are is not known at this dashboard: open its address in a browser "
                    "that is logged in at the hub",
                )
            )
        else:
            self.redirect(page)

    @property
    def _wants_page(self) -> bool:
        return "text/html" in self.request.headers.get("Accept", "")

    def finish_refusal(self, refusal: Refusal) -> None:
        """Finish with one sentence: a page for a person's browser, or else JSON."""
        if self._wants_page:
            on = (
                self.context.make_page_url(self.dashboard, self.address) if self.dashboard else None
            )
            self.finish(render_problem(_TITLE, refusal.message, on))
        else:
            self.finish(refusal.to_json())


class DashboardPageHandler(PersonHandler, WebPageHandler):
    """``GET /dashboards/NAME``: who is logged in at the hub earns the cookie, and goes on."""

    policy = _POLICY
    problem = _TITLE
    takes_frames = True

    def initialize(self, context: DashboardContext) -> None:
        """Take what the application was made with."""
        self.context = context

    @web.authenticated
    @answer_errors
    async def get(self, name: str) -> None:
        """Decide, set the cookie and go on to the dashboard."""
        holder = await self.context.accesses.find_account(self.require_person())
        dashboard = await self.context.dashboards.find_dashboard(name)
        await self.context.dashboards.require_access(holder, dashboard)
        asked = self.get_query_argument("next", None, strip=False)
        on = check_next_address(asked, dashboard, self.context.services)
        self.set_cookie(
            DASHBOARD_COOKIE,
            DashboardCookies(self.settings["cookie_secret"]).make_cookie(holder, dashboard),
            path=dashboard.make_root(self.context.services),
            max_age=int(COOKIE_LIFETIME.total_seconds()),
            httponly=True,
            samesite="Lax",
            secure=self._is_https,
        )
        self.redirect(on)

    @property
    def _is_https(self) -> bool:
        options = self.hub_auth.cookie_options
        return bool(options.get("secure")) or get_browser_protocol(self.request) == "https"


def build_dashboard_routes(
    prefix: str,
    dashboards: DashboardAccess,
    accesses: AccessLookup,
    gateways: tuple[str, ...],
) -> list[Any]:
    """The application's routes to all this.

    Parameters
    ----------
    prefix : str
        Path that the service is reached under, without a ``/`` at its end.
    gateways : tuple of str
        The hub's services that are Dask gateways.
    """
    context = {"context": DashboardContext(dashboards, accesses, prefix, gateways)}
    return [
        (rf"{prefix}/api/dashboard", DashboardCheckHandler, context),
        (rf"{prefix}/dashboards/([^/]+)", DashboardPageHandler, context),
    ]
