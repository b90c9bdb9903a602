"""The dashboards of a project's clusters in JupyterLab's Dask panel; an extension of its server.

It answers the panel's requests about clusters as well; see `panneuro_hub.jupyter.dask_panel`.

The hub opens a dashboard to the browser of who may see it, not to programs. The panel has the
person's own server look at a dashboard first, and fetch it for them, which has none of the
browser's cookies and must not have them. With this extension the server answers by itself which
plots there are, and sends the browser to the dashboard's own address.

Addresses that are no dashboards of the hub's gateway go to the panel's own handlers, as before.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

import aiohttp
from jupyter_server.base.handlers import APIHandler
from jupyter_server.serverapp import ServerApp
from jupyter_server.utils import url_path_join
from tornado import web
from tornado.httputil import HTTPServerRequest
from tornado.routing import Matcher, Rule

from panneuro_hub.jupyter.dask_panel import PanelClustersHandler, PanelClustersMatcher

_PLOTS = "individual-plots.json"
_NAME = r"[A-Za-z0-9][A-Za-z0-9.-]{0,252}"
_PANEL = "dask/dashboard/"
_CACHE_SECONDS = 15.0  # seconds
_CHECK = "dask/dashboard-check/"


@dataclass(frozen=True)
class DashboardPage:
    """One dashboard's page, at the hub's gateway.

    Parameters
    ----------
    cluster : str
        The gateway's name of the cluster.
    page : str
        What comes after the dashboard's own address, as it is written.
    """

    cluster: str
    page: str = ""


@dataclass(frozen=True)
class GatewayDashboards:
    """The address of the gateway's dashboards, as a browser sees it.

    Parameters
    ----------
    public : SplitResult
        The gateway's address, with a host or without.
    """

    public: SplitResult

    @classmethod
    def configured(cls) -> GatewayDashboards | None:
        """As Dask's configuration says, or `None` where it names no gateway."""
        from dask_gateway.client import dask, format_template

        address = dask.config.get("gateway.public-address", None)
        address = address or dask.config.get("gateway.address", None)
        return cls(urlsplit(format_template(address).rstrip("/"))) if address else None

    def address(self, dashboard: DashboardPage) -> str:
        """Return the address of a dashboard's page: a path if the gateway's address is one."""
        path = f"{self.public.path}/clusters/{dashboard.cluster}/{dashboard.page}"
        return f"{self.public.scheme}://{self.public.netloc}{path}" if self.public.netloc else path

    def find(self, address: str, host: str) -> DashboardPage | None:
        """The dashboard that an address is of; `host` is the one that the browser sees."""
        try:
            parts = urlsplit(address)
        except ValueError:
            return None
        if parts.netloc and parts.netloc not in (host, self.public.netloc):
            return None
        return self.find_path(parts.path)

    def find_path(self, path: str) -> DashboardPage | None:
        """The dashboard that a path of the hub's host is of."""
        found = re.fullmatch(
            rf"{re.escape(self.public.path)}/clusters/({_NAME})(?:/(.*))?", path, re.DOTALL
        )
        if found is None or ".." in unquote(found[2] or "").split("/"):
            return None
        return DashboardPage(found[1], found[2] or "")


class DashboardMatcher(Matcher):
    """Matches what the panel asks of its server about the gateway's dashboards, and no more.

    Parameters
    ----------
    base_url : str
        The server's own path, ``/user/NAME/``.
    dashboards : GatewayDashboards
    """

    def __init__(self, base_url: str, dashboards: GatewayDashboards) -> None:
        self._base = base_url
        self._dashboards = dashboards

    def match(self, request: HTTPServerRequest) -> dict[str, Any] | None:
        """The handler's arguments; `None` for what is somebody else's."""
        path = str(request.path)
        if not path.startswith(self._base):
            return None
        below, host = path.removeprefix(self._base), str(request.host)
        checked = ""
        if below.startswith(_CHECK):
            checked = unquote(below.removeprefix(_CHECK))
            found = self._dashboards.find(checked, host)
        elif below.startswith(_PANEL):
            found = self._of_panel(below.removeprefix(_PANEL), host)
        else:
            found = self._dashboards.find_path(f"/{below}")
        # Text alone goes to a handler.
        return {"path_kwargs": {**asdict(found), "checked": checked}} if found else None

    def _of_panel(self, rest: str, host: str) -> DashboardPage | None:
        identifier, _, page = rest.partition("/")
        cluster = _find_panel_cluster(identifier)
        found = self._dashboards.find(cluster["dashboard_link"], host) if cluster else None
        if found is None or ".." in unquote(page).split("/"):
            return None
        return DashboardPage(found.cluster, page)


class PanelDashboardHandler(APIHandler):
    """Handle requests for a dashboard's plots, its state and its page."""

    def initialize(self, dashboards: GatewayDashboards, running: RunningClusters) -> None:
        """Take what the extension was loaded with."""
        self._dashboards = dashboards
        self._running = running

    @web.authenticated
    async def get(self, cluster: str, page: str, checked: str) -> None:
        """Answer the panel's script, or send the browser on to the dashboard."""
        if checked:
            active = await self._running.is_known_running(cluster)
            self.finish(
                {"url": checked, "isActive": active, "plots": list_plots() if active else {}}
            )
        elif page == _PLOTS:
            if not await self._running.is_known_running(cluster):
                raise web.HTTPError(404, f"cluster {cluster} does not run any more")
            self.finish(list_plots())
        else:
            query = f"?{self.request.query}" if self.request.query else ""
            self.redirect(self._dashboards.address(DashboardPage(cluster, page)) + query)


class RunningClusters:
    """Cache the running clusters, since the panel asks every few seconds.

    Parameters
    ----------
    ask : callable
        Whether a cluster runs, as the gateway says now.
    monotonic_clock : callable
        A clock that never goes back, in seconds.
    """

    def __init__(
        self,
        ask: Callable[[str], Awaitable[bool]],
        monotonic_clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ask = ask
        self._monotonic_clock = monotonic_clock
        self._last_seen: dict[str, float] = {}

    async def is_known_running(self, cluster: str) -> bool:
        """Return whether a cluster runs, or ran a moment ago."""
        now = self._monotonic_clock()
        self._last_seen = {
            name: at for name, at in self._last_seen.items() if now - at < _CACHE_SECONDS
        }
        if cluster not in self._last_seen and await self._ask(cluster):
            self._last_seen[cluster] = now
        return cluster in self._last_seen


async def is_cluster_running(cluster: str) -> bool:
    """Return `False` only if the gateway says that the cluster has ended.

    A colleague's cluster is none of this server's business, so the gateway says nothing of it;
    whether its dashboard may be seen, the hub decides when the browser comes.
    """
    from dask_gateway import Gateway
    from dask_gateway.client import ClusterStatus

    try:
        async with Gateway(asynchronous=True) as gateway:
            report = await gateway.get_cluster(cluster)
    except aiohttp.ClientError:
        return True
    except ValueError:  # there is none
        return False
    return bool(report.status in (ClusterStatus.PENDING, ClusterStatus.RUNNING))


@cache
def list_plots() -> dict[str, str]:
    """The plots of a dashboard by their names, as a scheduler of this image lists them."""
    import distributed.http
    from distributed.dashboard.scheduler import applications

    static = Path(distributed.http.__file__).parent / "static"
    pages = [name for name in sorted(os.listdir(static)) if name.endswith(".html")]
    return {
        **{_make_title(path): path for path in applications if path.startswith("/individual-")},
        **{
            _make_title(name.removesuffix(".html")): f"/statics/{name}"
            for name in pages
            if name.startswith("individual-")
        },
    }


def _make_title(name: str) -> str:
    return name.strip("/").replace("-", " ").title()


def _find_panel_cluster(identifier: str) -> dict[str, Any] | None:
    """Return the panel's model of one of its clusters, or nothing before the panel is loaded."""
    panel = sys.modules.get("dask_labextension.manager")
    return panel.manager.get_cluster(identifier) if panel else None


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": __name__}]


def _load_jupyter_server_extension(server: ServerApp) -> None:
    """Come before the panel's own handlers, for the gateway's dashboards."""
    dashboards = GatewayDashboards.configured()
    if dashboards is None:
        server.log.info("no Dask gateway is configured, so there are no dashboards to open")
        return
    base_url = url_path_join(server.web_app.settings["base_url"], "/")
    known = {"dashboards": dashboards, "running": RunningClusters(is_cluster_running)}
    rule = Rule(DashboardMatcher(base_url, dashboards), PanelDashboardHandler, known)
    clusters = Rule(PanelClustersMatcher(base_url), PanelClustersHandler)
    server.web_app.default_router.rules[:0] = [rule, clusters]
