"""The service's process: settings from the command line and from the hub's environment."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
import signal
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlparse

import click
from tornado import web
from tornado.httpserver import HTTPServer

from panneuro_hub.current import Current
from panneuro_hub.errors import PanNeuroError
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
from panneuro_hub.service.membership import Members
from panneuro_hub.vending import Vending

_log = logging.getLogger("panneuro.service")


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


def make_app(issuer: Issuer, hub: Hub) -> web.Application:
    """The Tornado application, under the hub's prefix for it."""
    given = {"issuer": issuer}
    prefix = hub.prefix.rstrip("/")
    return web.Application(
        [
            (rf"{prefix}/api/credentials", CredentialsHandler, given),
            (rf"{prefix}/api/session", SessionHandler, given),
            (rf"{prefix}/api/access", AccessHandler, given),
            (rf"{prefix}/health", HealthHandler, given),
            (rf"{prefix}/?", PageHandler, given),
            (rf"{prefix}/oauth_callback", CallbackHandler),
        ],
        # The same in every replica, and as secret as the token that it is made of.
        cookie_secret=hashlib.sha256(f"panneuro cookies {hub.token}".encode()).digest(),
    )


async def serve(
    hub: Hub, collaboration: Path, ledger_url: str, reuse_for: timedelta | None
) -> None:
    """Serve until SIGTERM or SIGINT."""
    current = Current(collaboration, log=_log)
    ledger = Ledger(ledger_url)
    vending = Vending(reuse_for=reuse_for)
    members = Members(hub.api_url, hub.token)
    issuer = Issuer(current, members, vending, ledger, Refusals())
    server = HTTPServer(make_app(issuer, hub), max_header_size=16384, max_body_size=65536)
    address = urlparse(hub.listen)
    server.listen(address.port or 80, address.hostname or "127.0.0.1")
    _log.info("Serving %s at %s%s", current.collaboration.name, hub.listen, hub.prefix)
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    try:
        await stopped.wait()
    finally:
        server.stop()
        await server.close_all_connections()
        await vending.close()
        ledger.close()


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
def main(collaboration: Path, ledger: str, renew_after: int | None) -> None:
    """Serve credentials and reasons; JupyterHub starts this as its service."""
    logging.basicConfig(
        level=logging.INFO, format="[%(levelname)s %(asctime)s %(name)s] %(message)s"
    )
    reuse_for = timedelta(seconds=renew_after) if renew_after else None
    try:
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(serve(Hub.from_environment(), collaboration, ledger, reuse_for))
    except PanNeuroError as error:
        raise click.ClickException(str(error)) from error
