"""The service's process: settings from the command line and from the hub's environment."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import signal
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import click
from jupyterhub.services.auth import HubOAuth
from tornado import web
from tornado.httpserver import HTTPServer
from tornado.ioloop import PeriodicCallback

from panneuro_hub.current import CollaborationVersion, Current, follow_collaboration
from panneuro_hub.errors import PanNeuroError, ServiceUnavailableError
from panneuro_hub.service.accounts.access_lookup import AccessLookup
from panneuro_hub.service.accounts.hub_users import USER_CACHE_SECONDS, HubUsers
from panneuro_hub.service.browse.dataset_handlers import build_dataset_routes
from panneuro_hub.service.browse.notebook_handlers import build_notebook_routes
from panneuro_hub.service.browse.notebook_views import NotebookBrowser
from panneuro_hub.service.browse.project_browser import ProjectBrowser
from panneuro_hub.service.browse.project_reader import ProjectReader
from panneuro_hub.service.credentials.issuer import CredentialIssuer
from panneuro_hub.service.credentials.ticket_handlers import build_credential_routes
from panneuro_hub.service.dask.cluster_sessions import ClusterSessions
from panneuro_hub.service.dask.dashboard_access import DashboardAccess
from panneuro_hub.service.dask.dashboard_handlers import (
    DashboardCheckHandler,
    build_dashboard_routes,
)
from panneuro_hub.service.dask.gateway_handlers import GatewayVerifier, build_gateway_routes
from panneuro_hub.service.db.engine import Database
from panneuro_hub.service.db.ledger import Ledger
from panneuro_hub.service.db.schema import open_database
from panneuro_hub.service.db.session_store import SessionStore
from panneuro_hub.service.device_login.login_handlers import build_login_routes
from panneuro_hub.service.device_login.login_store import DeviceLoginStore
from panneuro_hub.service.monitoring.expiry_watch import ExpiryWatch
from panneuro_hub.service.monitoring.health_handler import ServiceHealthHandler
from panneuro_hub.service.monitoring.prometheus_metrics import ServiceMetrics, StoreCallMetrics
from panneuro_hub.service.monitoring.usage_handlers import build_monitoring_routes
from panneuro_hub.service.recorded_vending import RecordedVending
from panneuro_hub.service.refusal_recorder import RefusalRecorder
from panneuro_hub.service.web.access_handlers import build_access_routes
from panneuro_hub.service.web.base_handlers import CallbackHandler
from panneuro_hub.service.web.hub_announcements import AnnouncementCache
from panneuro_hub.vending import Vending
from panneuro_hub.version_store import add_version, newest_version

_log = logging.getLogger("panneuro.service")
_SWEEP_SECONDS = 600
_FIRST_CHECK_SECONDS = 5
# All workers of a cluster ask at the same moment; beyond it the kernel drops who knocks, and
# they try again a second later at the earliest.
_BACKLOG = 4096


@dataclass(frozen=True)
class HubConnection:
    """What JupyterHub tells a service about itself, in the service's environment.

    Parameters
    ----------
    api_url : str
        The hub's REST API.
    token : str
        The service's own token.
    prefix : str
        Path that the service is reached under.
    listen : str
        URL to listen at.
    """

    api_url: str
    token: str = field(repr=False)
    prefix: str
    listen: str

    @classmethod
    def from_environment(cls) -> HubConnection:
        """Read JUPYTERHUB_API_URL, _API_TOKEN, _SERVICE_PREFIX and _SERVICE_URL.

        Raises
        ------
        PanNeuroError
            If one is missing.
        """
        names = ("API_URL", "API_TOKEN", "SERVICE_PREFIX", "SERVICE_URL")
        values = [os.environ.get(f"JUPYTERHUB_{name}", "") for name in names]
        missing = [name for name, value in zip(names, values, strict=True) if not value]
        if missing:
            raise PanNeuroError(
                f"JUPYTERHUB_{missing[0]} is not set; JupyterHub sets it for the services it "
                "starts, and a deployment that starts this one itself must set it"
            )
        return cls(*values)


@dataclass(frozen=True)
class ServiceSettings:
    """What the command line says.

    Parameters
    ----------
    collaboration : Path
        The collaboration file.
    ledger_url : str
        SQLAlchemy URL; it may hold a password.
    reuse_for : timedelta or None
        How long a credential is handed out again.
    gateways : tuple of str
        The hub's services that are Dask gateways.
    """

    collaboration: Path
    ledger_url: str = field(repr=False)
    reuse_for: timedelta | None
    gateways: tuple[str, ...]


@dataclass(frozen=True)
class ServiceParts:
    """The objects that the parts of the service share.

    Parameters
    ----------
    current : Current
    hub_users : HubUsers
    sessions : SessionStore
    ledger : Ledger
    accesses : AccessLookup
    refusals : RefusalRecorder
    vending : RecordedVending
    issuer : CredentialIssuer
    """

    current: Current
    hub_users: HubUsers
    sessions: SessionStore
    ledger: Ledger
    accesses: AccessLookup
    refusals: RefusalRecorder
    vending: RecordedVending
    issuer: CredentialIssuer

    @classmethod
    def build(
        cls, current: Current, hub_users: HubUsers, database: Database, vending: Vending
    ) -> ServiceParts:
        """Return the objects at a hub and a database."""
        ledger, sessions = Ledger(database), SessionStore(database)
        refusals, recorded = RefusalRecorder(ledger), RecordedVending(vending, ledger)
        return cls(
            current,
            hub_users,
            sessions,
            ledger,
            AccessLookup(current, hub_users),
            refusals,
            recorded,
            CredentialIssuer(current, hub_users, sessions, recorded, refusals),
        )


def make_app(
    parts: ServiceParts,
    hub: HubConnection,
    gateways: Sequence[str] = (),
    calls: StoreCallMetrics | None = None,
    logins: DeviceLoginStore | None = None,
    notebooks: NotebookBrowser | None = None,
    expiries: ExpiryWatch | None = None,
) -> web.Application:
    """Return the Tornado application, under the hub's prefix for it.

    Parameters
    ----------
    parts : ServiceParts
    gateways : sequence of str
        The hub's services that are Dask gateways.
    calls : StoreCallMetrics, optional
        Counts the calls of stores, for the metrics.
    logins : DeviceLoginStore, optional
        Logins of people's own machines; without it there are none.
    notebooks : NotebookBrowser, optional
        Reads projects for pages; without it there are no pages of data.
    expiries : ExpiryWatch, optional
        Compares `expires` with the hub's accounts, for health.
    """
    prefix = hub.prefix.rstrip("/")
    for_health = {"current": parts.current, "expiries": expiries}
    return web.Application(
        [
            *build_routes(parts, hub, gateways, calls or StoreCallMetrics(), logins, notebooks),
            (rf"{prefix}/health", ServiceHealthHandler, for_health),
            (rf"{prefix}/oauth_callback", CallbackHandler),
        ],
        # The same in every replica, and as secret as the token that it is made of.
        cookie_secret=hashlib.sha256(f"panneuro cookies {hub.token}".encode()).digest(),
        announcements=AnnouncementCache(hub.api_url, hub.token),
        hub_token=hub.token,
        # A script of the same origin may read the cookies of any path that it can show a frame of.
        xsrf_cookie_kwargs={"httponly": True},
        log_function=log_request,
    )


def build_routes(
    parts: ServiceParts,
    hub: HubConnection,
    gateways: Sequence[str],
    calls: StoreCallMetrics,
    logins: DeviceLoginStore | None,
    notebooks: NotebookBrowser | None,
) -> list[Any]:
    """Return the routes of all parts of the service; the parameters are those of `make_app`."""
    prefix = hub.prefix.rstrip("/")
    accesses, hub_users, sessions = parts.accesses, parts.hub_users, parts.sessions
    metrics = ServiceMetrics(parts.current, sessions, parts.ledger, calls)
    routes = [
        *build_credential_routes(prefix, parts.issuer),
        *build_access_routes(prefix, accesses),
        *build_gateway_routes(
            prefix,
            GatewayVerifier(hub.api_url, gateways),
            ClusterSessions(parts.current, hub_users, sessions, parts.refusals),
            parts.current,
        ),
        *build_dashboard_routes(
            prefix, DashboardAccess(accesses, sessions), accesses, tuple(gateways)
        ),
        *build_monitoring_routes(prefix, accesses, sessions, metrics),
    ]
    if logins:
        routes += build_login_routes(prefix, accesses, hub_users, sessions, parts.refusals, logins)
    if notebooks:
        routes += build_dataset_routes(prefix, accesses, notebooks.browser)
        routes += build_notebook_routes(prefix, accesses, hub_users, notebooks)
    return routes


def log_request(handler: web.RequestHandler) -> None:
    """Tell the log of a request, but not of each probe and each part of a dashboard.

    The query may hold what a browser brings from the hub for us alone.
    """
    status = handler.get_status()
    request = handler.request
    level = logging.INFO if status < 400 else logging.WARNING
    if status >= 500 and status != 503:
        level = logging.ERROR
    if status >= 400 or not isinstance(handler, ServiceHealthHandler | DashboardCheckHandler):
        took = 1000 * request.request_time()
        _log.log(
            level, "%d %s %s (%s) %.0f ms", status, request.method, request.path,
            request.remote_ip, took,
        )  # fmt: skip


async def run_service(hub: HubConnection, settings: ServiceSettings) -> None:
    """Serve until SIGTERM or SIGINT."""
    # A browser's login ends with the account, at the next look.
    HubOAuth.instance(cache_max_age=int(USER_CACHE_SECONDS))
    async with AsyncExitStack() as stack:
        database = stack.enter_context(closing(open_database(settings.ledger_url)))
        current = await stack.enter_async_context(
            follow_collaboration_file(settings.collaboration, database)
        )
        calls = StoreCallMetrics()
        vending = Vending(calls.build_makers(), settings.reuse_for)
        stack.push_async_callback(vending.close)
        hub_users = HubUsers(hub.api_url, hub.token)
        parts = ServiceParts.build(current, hub_users, database, vending)
        stack.enter_context(sweep_sessions(parts.sessions))
        expiries = ExpiryWatch(current, hub_users)
        stack.enter_context(check_expiries(expiries))
        reader = ProjectReader(parts.vending, parts.refusals)
        stack.push_async_callback(reader.close)
        notebooks = NotebookBrowser(ProjectBrowser(reader), hub_users)
        app = make_app(
            parts, hub, settings.gateways, calls, DeviceLoginStore(database), notebooks, expiries
        )
        await stack.enter_async_context(listen_for_requests(app, hub))
        _log.info("Serving %s at %s%s", current.collaboration.name, hub.listen, hub.prefix)
        await wait_for_signal()


@asynccontextmanager
async def listen_for_requests(app: web.Application, hub: HubConnection) -> AsyncIterator[None]:
    """Serve the application where the hub expects it."""
    # A report of a thousand clusters is the largest body there is.
    server = HTTPServer(app, max_header_size=16384, max_body_size=1 << 20)
    address = urlparse(hub.listen)
    server.listen(address.port or 80, address.hostname or "127.0.0.1", backlog=_BACKLOG)
    try:
        yield
    finally:
        server.stop()
        await server.close_all_connections()


@asynccontextmanager
async def follow_collaboration_file(
    collaboration: Path, database: Database
) -> AsyncIterator[Current]:
    """Follow the collaboration file; the database keeps its last valid version.

    Raises
    ------
    CollaborationError
        If the file is broken, and the database has no valid version.
    ServiceUnavailableError
        If the database cannot be used.
    """
    stored = await database.run_transaction(newest_version)
    current = Current(collaboration, log=_log, stored=stored)

    async def save(version: CollaborationVersion) -> None:
        await database.run_transaction(lambda connection: add_version(connection, version))

    task = asyncio.create_task(follow_collaboration(current, save, _log))
    try:
        yield current
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@contextmanager
def sweep_sessions(sessions: SessionStore) -> Iterator[None]:
    """End in the register what has ended by itself, now and then."""

    async def sweep() -> None:
        try:
            for session in await sessions.end_expired():
                _log.info("The session %s has ended: nothing is heard of it any more", session)
        except ServiceUnavailableError as error:
            _log.warning("The register was not looked over: %s", error)

    every = PeriodicCallback(sweep, _SWEEP_SECONDS * 1000)
    every.start()
    try:
        yield
    finally:
        every.stop()


@contextmanager
def check_expiries(expiries: ExpiryWatch) -> Iterator[None]:
    """Compare `expires` with the hub's accounts, soon and then now and then."""
    every = PeriodicCallback(expiries.compare_accounts, _SWEEP_SECONDS * 1000)
    every.start()
    # The hub that starts this service answers no question before all is there.
    first = asyncio.get_running_loop().call_later(
        _FIRST_CHECK_SECONDS, lambda: tasks.add(asyncio.create_task(expiries.compare_accounts()))
    )
    tasks: set[asyncio.Task[None]] = set()
    try:
        yield
    finally:
        first.cancel()
        every.stop()
        for task in tasks:
            task.cancel()


async def wait_for_signal() -> None:
    """Wait for SIGTERM or SIGINT."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    await stopped.wait()


@click.command(name="panneuro-service")
@click.option(
    "--collaboration",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="The collaboration file.",
)
@click.option(
    "--ledger",
    default="sqlite:///ledger.sqlite",
    show_default=True,
    help="SQLAlchemy URL of the ledger; without a password here, see PANNEURO_LEDGER_URL.",
    envvar="PANNEURO_LEDGER_URL",
)
@click.option(
    "--renew-after",
    type=click.IntRange(min=1),
    help="Seconds that a credential is handed out again; by default a third of its lifetime.",
)
@click.option(
    "--gateway",
    "gateways",
    multiple=True,
    default=["dask-gateway"],
    show_default=True,
    help="Name of the hub's service that is a Dask gateway; once for each.",
)
def main(
    collaboration: Path, ledger: str, renew_after: int | None, gateways: tuple[str, ...]
) -> None:
    """Serve credentials and reasons; JupyterHub starts this as its service."""
    logging.basicConfig(
        level=logging.INFO, format="[%(levelname)s %(asctime)s %(name)s] %(message)s"
    )
    # The service says itself what it upgrades.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    reuse_for = timedelta(seconds=renew_after) if renew_after else None
    settings = ServiceSettings(collaboration, ledger, reuse_for, gateways)
    try:
        with suppress(KeyboardInterrupt):
            asyncio.run(run_service(HubConnection.from_environment(), settings))
    except PanNeuroError as error:
        raise click.ClickException(str(error)) from error
