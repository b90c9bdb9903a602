"""The service's web application at a small hub, for tests that ask it over HTTP."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from jupyterhub.httpclient import JupyterHubHTTPClient
from jupyterhub.services.auth import HubOAuth
from small_hub import TOKEN, SmallHub, member, small_hub
from small_service import SmallService
from tornado.httpclient import AsyncHTTPClient, HTTPRequest, HTTPResponse
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port

from panneuro_hub.service.app import HubConnection, make_app
from panneuro_hub.service.browse.notebook_views import NotebookBrowser
from panneuro_hub.service.db.session_store import SessionRecord
from panneuro_hub.service.device_login.login_store import DeviceLoginStore
from panneuro_hub.service.monitoring.prometheus_metrics import StoreCallMetrics
from panneuro_hub.wire.cluster_reports import ClusterReport

GATEWAY = "dask-gateway"
SERVICES = "/base/services"
PREFIX = f"{SERVICES}/panneuro"
SCOPES = ["access:services!service=panneuro"]


@dataclass
class Site:
    """The service, as a browser or a program asks it."""

    url: str
    secret: bytes

    async def get(self, path: str, **headers: str) -> HTTPResponse:
        """Ask for a path; an underscore in a header's name stands for a dash."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = HTTPRequest(f"{self.url}{path}", headers=named, follow_redirects=False)
        return await AsyncHTTPClient().fetch(request, raise_error=False)

    async def get_as(self, person: str, path: str) -> HTTPResponse:
        """Ask with a token that the small hub knows."""
        return await self.get(f"{PREFIX}{path}", Authorization=f"token token-of-{person}")


@asynccontextmanager
async def hub_of(people: Mapping[str, Sequence[str]]) -> AsyncIterator[SmallHub]:
    """A hub where people are in teams and have tokens for the service; one service has one too."""
    users = {name: member(name, *teams) for name, teams in people.items()}
    async with small_hub(**users) as hub:
        hub.owners = {
            f"token-of-{name}": {"kind": "user", "name": name, "scopes": SCOPES} for name in users
        }
        hub.owners["token-of-a-service"] = {"kind": "service", "name": "ada", "scopes": SCOPES}
        yield hub


@asynccontextmanager
async def small_site(
    service: SmallService,
    calls: StoreCallMetrics | None = None,
    notebooks: NotebookBrowser | None = None,
    logins: DeviceLoginStore | None = None,
) -> AsyncIterator[tuple[str, bytes]]:
    """Serve; gives the address and the secret of the cookies."""
    HubOAuth.clear_instance()
    auth = HubOAuth.instance(
        api_url=service.hub.url,
        api_token=TOKEN,
        base_url=f"{PREFIX}/",
        hub_prefix="/base/hub/",
        oauth_client_id="service-panneuro",
        access_scopes=set(SCOPES),
    )
    hub = HubConnection(service.hub.url, TOKEN, f"{PREFIX}/", "http://127.0.0.1:0")
    app = make_app(service.parts, hub, [GATEWAY], calls, logins, notebooks)
    server = HTTPServer(app)
    socket, port = bind_unused_port()
    server.add_socket(socket)
    try:
        yield f"http://127.0.0.1:{port}", app.settings["cookie_secret"]
    finally:
        server.stop()
        await server.close_all_connections()
        # Here, and in its thread, which is made where it is looked for: connections to the hub,
        # each with a watch on the machine's settings, of which there may be 128 in all.
        await _forget_hub()
        auth._pool.submit(lambda: auth._thread_loop.run_until_complete(_forget_hub())).result()
        auth._pool.shutdown()
        auth._thread_loop.close()
        HubOAuth.clear_instance()


async def _forget_hub() -> None:
    """Close what JupyterHub's client has open in this event loop."""
    await JupyterHubHTTPClient.loop_instance().close()


async def run(
    service: SmallService,
    name: str,
    *,
    gateway: str = GATEWAY,
    person: str = "ada",
    project: str = "nhp-navigation",
    workers: int = 2,
) -> SessionRecord:
    """A cluster that its gateway reports, beside those that run already."""
    register = service.register
    session, _ = await register.begin_session(
        "cluster",
        person,
        project,
        "standard",
        "neuro",
        account=f"account-of-{person}",
        gateway=gateway,
        price_per_hour=0.07,
    )
    others = [
        ClusterReport(one.id, one.name, one.workers, one.cores, one.memory)
        for one in await register.list_running()
        if one.gateway == gateway and one.id != session.id
    ]
    await register.record_report(
        gateway, [*others, ClusterReport(session.id, name, workers, 4.0, 1 << 34)]
    )
    return session


def body(response: HTTPResponse) -> str:
    """What was answered, as text."""
    return response.body.decode()


def read(response: HTTPResponse) -> Any:
    """What was answered, as JSON."""
    return json.loads(response.body)
