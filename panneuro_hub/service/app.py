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
from urllib.parse import urlparse

import click
from jupyterhub.services.auth import HubOAuth
from tornado import web
from tornado.httpserver import HTTPServer
from tornado.ioloop import PeriodicCallback

from panneuro_hub.current import Current, Version, follow
from panneuro_hub.errors import PanNeuroError, ServiceUnavailable
from panneuro_hub.service import (
    dashboard_handlers,
    data_pages,
    login,
    monitoring,
    notebook_pages,
)
from panneuro_hub.service.announcements import Announcements
from panneuro_hub.service.clusters import Clusters
from panneuro_hub.service.dashboards import Dashboards
from panneuro_hub.service.database import Database
from panneuro_hub.service.expiry_watch import ExpiryWatch
from panneuro_hub.service.gateway import (
    ClusterHandler,
    ClustersHandler,
    CollaborationHandler,
    Gateways,
    RequesterHandler,
)
from panneuro_hub.service.handlers import (
    AccessHandler,
    CallbackHandler,
    CredentialsHandler,
    HealthHandler,
    PageHandler,
    SessionHandler,
)
from panneuro_hub.service.issue import Issuer, Refusals
from panneuro_hub.service.ledger import Ledger
from panneuro_hub.service.logins import Logins
from panneuro_hub.service.membership import KEEP_SECONDS, Members
from panneuro_hub.service.metrics import StoreCalls
from panneuro_hub.service.notebooks import Notebooks
from panneuro_hub.service.register import Register
from panneuro_hub.service.shelves import Shelves
from panneuro_hub.service.viewing import Viewing
from panneuro_hub.vending import Vending
from panneuro_hub.version_store import VERSIONS, add_version, newest_version

_log = logging.getLogger("panneuro.service")
_SWEEP_SECONDS = 600
_FIRST_LOOK_SECONDS = 5
# All workers of a cluster ask at the same moment; beyond it the kernel drops who knocks, and
# they try again a second later at the earliest.
_BACKLOG = 4096


@dataclass(frozen=True)
class Hub:
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
    def from_environment(cls) -> Hub:
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
class Settings:
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


def make_app(
    issuer: Issuer,
    hub: Hub,
    gateways: Sequence[str] = (),
    calls: StoreCalls | None = None,
    logins: Logins | None = None,
    notebooks: Notebooks | None = None,
    expiries: ExpiryWatch | None = None,
) -> web.Application:
    """The Tornado application, under the hub's prefix for it.

    Parameters
    ----------
    gateways : sequence of str
        The hub's services that are Dask gateways.
    calls : StoreCalls, optional
        What counts the issuer's calls of stores, for the metrics.
    logins : Logins, optional
        Logins of people's own machines; without it there are none.
    notebooks : Notebooks, optional
        What reads projects for pages; without it there are no pages of data.
    expiries : ExpiryWatch, optional
        What compares `expires` with the hub's accounts, for health.
    """
    given = {"issuer": issuer}
    asked = {"clusters": Clusters(issuer), "gateways": Gateways(hub.api_url, gateways)}
    prefix = hub.prefix.rstrip("/")
    return web.Application(
        [
            (rf"{prefix}/api/credentials", CredentialsHandler, given),
            (rf"{prefix}/api/session", SessionHandler, given),
            (rf"{prefix}/api/access", AccessHandler, given),
            (rf"{prefix}/api/clusters", ClustersHandler, asked),
            (rf"{prefix}/api/clusters/requester", RequesterHandler, asked),
            (rf"{prefix}/api/clusters/([^/]+)", ClusterHandler, asked),
            (rf"{prefix}/api/collaboration", CollaborationHandler, asked),
            (rf"{prefix}/health", HealthHandler, {**given, "expiries": expiries}),
            (rf"{prefix}/?", PageHandler, given),
            (rf"{prefix}/oauth_callback", CallbackHandler),
            *monitoring.routes(prefix, issuer, calls or StoreCalls()),
            *dashboard_handlers.routes(prefix, Dashboards(issuer), tuple(gateways)),
            *(login.routes(prefix, issuer, logins) if logins else ()),
            *(data_pages.routes(prefix, notebooks.shelves) if notebooks else ()),
            *(notebook_pages.routes(prefix, notebooks) if notebooks else ()),
        ],
        # The same in every replica, and as secret as the token that it is made of.
        cookie_secret=hashlib.sha256(f"panneuro cookies {hub.token}".encode()).digest(),
        announcements=Announcements(hub.api_url, hub.token),
        hub_token=hub.token,
        # A script of the same origin may read the cookies of any path that it can show a frame of.
        xsrf_cookie_kwargs={"httponly": True},
        log_function=log_request,
    )


def log_request(handler: web.RequestHandler) -> None:
    """Tell the log of a request, but not of each probe and each part of a dashboard.

    The query may hold what a browser brings from the hub for us alone.
    """
    status = handler.get_status()
    request = handler.request
    level = logging.INFO if status < 400 else logging.WARNING
    if status >= 500 and status != 503:
        level = logging.ERROR
    if status >= 400 or not isinstance(handler, HealthHandler | dashboard_handlers.DoorHandler):
        took = 1000 * request.request_time()
        _log.log(
            level, "%d %s %s (%s) %.0f ms", status, request.method, request.path,
            request.remote_ip, took,
        )  # fmt: skip


async def serve(hub: Hub, settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT."""
    # A browser's login ends with the account, at the next look.
    HubOAuth.instance(cache_max_age=int(KEEP_SECONDS))
    async with AsyncExitStack() as stack:
        database = stack.enter_context(closing(Database(settings.ledger_url)))
        ledger, register = Ledger(database), Register(database)
        current = await stack.enter_async_context(following(settings.collaboration, database))
        calls = StoreCalls()
        vending = Vending(calls.makers(), settings.reuse_for)
        stack.push_async_callback(vending.close)
        members = Members(hub.api_url, hub.token)
        issuer = Issuer(current, members, register, vending, ledger, Refusals())
        stack.enter_context(sweeping(register))
        expiries = ExpiryWatch(current, members)
        stack.enter_context(looking(expiries))
        viewing = Viewing(issuer)
        stack.push_async_callback(viewing.close)
        notebooks = Notebooks(Shelves(issuer, viewing))
        app = make_app(issuer, hub, settings.gateways, calls, Logins(database), notebooks, expiries)
        await stack.enter_async_context(listening(app, hub))
        _log.info("Serving %s at %s%s", current.collaboration.name, hub.listen, hub.prefix)
        await told_to_stop()


@asynccontextmanager
async def listening(app: web.Application, hub: Hub) -> AsyncIterator[None]:
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
async def following(collaboration: Path, database: Database) -> AsyncIterator[Current]:
    """Follow the collaboration file; the database keeps its last valid version.

    Raises
    ------
    CollaborationError
        If the file is broken, and the database has no valid version.
    ServiceUnavailable
        If the database cannot be used.
    """
    database.create(VERSIONS)
    stored = await database.run(newest_version)
    current = Current(collaboration, log=_log, stored=stored)

    async def save(version: Version) -> None:
        await database.run(lambda connection: add_version(connection, version))

    task = asyncio.create_task(follow(current, save, _log))
    try:
        yield current
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@contextmanager
def sweeping(register: Register) -> Iterator[None]:
    """End in the register what has ended by itself, now and then."""

    async def sweep() -> None:
        try:
            for session in await register.sweep():
                _log.info("The session %s has ended: nothing is heard of it any more", session)
        except ServiceUnavailable as error:
            _log.warning("The register was not looked over: %s", error)

    every = PeriodicCallback(sweep, _SWEEP_SECONDS * 1000)
    every.start()
    try:
        yield
    finally:
        every.stop()


@contextmanager
def looking(expiries: ExpiryWatch) -> Iterator[None]:
    """Compare `expires` with the hub's accounts, soon and then now and then."""
    every = PeriodicCallback(expiries.look, _SWEEP_SECONDS * 1000)
    every.start()
    # The hub that starts this service answers no question before all is there.
    first = asyncio.get_running_loop().call_later(
        _FIRST_LOOK_SECONDS, lambda: tasks.add(asyncio.create_task(expiries.look()))
    )
    tasks: set[asyncio.Task[None]] = set()
    try:
        yield
    finally:
        first.cancel()
        every.stop()
        for task in tasks:
            task.cancel()


async def told_to_stop() -> None:
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
    reuse_for = timedelta(seconds=renew_after) if renew_after else None
    settings = Settings(collaboration, ledger, reuse_for, gateways)
    try:
        with suppress(KeyboardInterrupt):
            asyncio.run(serve(Hub.from_environment(), settings))
    except PanNeuroError as error:
        raise click.ClickException(str(error)) from error
