"""A real dask-gateway-server beside a real hub: local schedulers and workers, restarted at will."""

from __future__ import annotations

import os
import secrets
import sqlite3
import sys
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import dask_gateway
from hubs import PATIENCE, Ground, Hub
from people import Answer, Person, ask
from testing.waiting import wait_until_async

from panneuro_hub.devstack.processes import ChildProcess, ProcessGroup, find_free_port, url_answers

NAME = "dask-gateway"
_HUB = """
c.JupyterHub.services.append(
    {{"name": {name!r}, "api_token": {token!r}, "url": {url!r}, "oauth_no_confirm": True}}
)
c.SessionMixin.gateway_address = {url!r}
"""
_CONFIG = """
from panneuro_hub.dask import configure

configure(c, {collaboration!r}, service_url={service_url!r}, backend="local")
c.DaskGateway.address = {address!r}
c.Proxy.address = {proxy!r}
c.PanNeuroLocalBackend.db_url = {database!r}
c.PanNeuroLocalBackend.stop_clusters_on_shutdown = False
c.PanNeuroLocalBackend.clusters_directory = {clusters!r}
c.PanNeuroLocalBackend.cluster_heartbeat_period = 1
c.PanNeuroLocalBackend.cluster_heartbeat_timeout = 10
c.PanNeuroLocalBackend.sigint_timeout = 3
c.PanNeuroLocalBackend.sigterm_timeout = 1
c.PanNeuroLocalBackend.sigkill_timeout = 1
c.ClusterMixin.report_seconds = 1
c.ClusterMixin.most_clusters = 4
"""


class DaskGateway:
    """A gateway on ports of its own that it keeps, and the hub that it belongs to.

    Parameters
    ----------
    ground : Ground
    folder : Path
        Where it keeps its files; made.
    base : str
        The hub's base URL, without a ``/`` at the end.
    """

    def __init__(self, ground: Ground, folder: Path, base: str = "") -> None:
        folder.mkdir(mode=0o700)
        self.folder = folder
        self.token = secrets.token_hex(16)
        self.port = find_free_port()
        self.proxy_port = find_free_port(avoid=[self.port])
        self.prefix = f"{base}/services/{NAME}"
        url = f"http://127.0.0.1:{self.proxy_port}"
        config = _HUB.format(name=NAME, token=self.token, url=url)
        self.hub = Hub(ground, folder / "hub", config, base)
        self.config = folder / "dask_gateway_config.py"
        (folder / "clusters").mkdir(mode=0o700)
        self.config.write_text(
            _CONFIG.format(
                collaboration=str(self.hub.collaboration),
                service_url=self.hub.service_url,
                address=f"127.0.0.1:{self.port}",
                proxy=f"127.0.0.1:{self.proxy_port}",
                database=f"sqlite:///{folder}/gateway.sqlite",
                clusters=str(folder / "clusters"),
            )
        )
        self._key = urlsafe_b64encode(secrets.token_bytes(32)).decode()
        self._processes = ProcessGroup()
        self._runs: list[Path] = []
        self.child: ChildProcess | None = None

    def __enter__(self) -> DaskGateway:
        self._processes.__enter__()
        try:
            self.start()  # first: the hub waits for whatever it leads to
            self.hub.__enter__()
        except BaseException:
            self._processes.stop()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        try:
            self.hub.__exit__(*error)
        finally:
            self._processes.stop()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        log = self.folder / f"gateway-{len(self._runs)}.log"
        self._runs.append(log)
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        self.child = self._processes.start(
            "gateway",
            [sys.executable, "-m", "dask_gateway_server", "-f", str(self.config)],
            log=log,
            environment={
                "PATH": path,
                "HOME": str(self.folder),
                "LANG": "C.UTF-8",
                "JUPYTERHUB_API_TOKEN": self.token,
                "JUPYTERHUB_API_URL": self._hub_api_url,
                "JUPYTERHUB_SERVICE_NAME": NAME,
                "JUPYTERHUB_SERVICE_PREFIX": f"{self.prefix}/",
                "DASK_GATEWAY_ENCRYPT_KEYS": self._key,
            },
            folder=self.folder,
        )
        # Through its proxy, which learns where to lead a little later.
        health = f"http://127.0.0.1:{self.proxy_port}{self.prefix}/api/health"
        self.child.wait_until_ready(url_answers(health), PATIENCE)

    def stop(self) -> None:
        """Stop it, as an operator does; its clusters go on."""
        assert self.child is not None
        self.child.stop(PATIENCE)

    @property
    def url(self) -> str:
        """The gateway as people reach it: through the hub's proxy."""
        return f"{self.hub.settings.hub_url}{self.prefix}"

    @property
    def _hub_api_url(self) -> str:
        return f"http://127.0.0.1:{self.hub.settings.hub_port}{self.hub.base}/hub/api"

    @property
    def log(self) -> str:
        """What it has said, over all starts."""
        return "".join(log.read_text(errors="replace") for log in self._runs)

    async def api(self, person: Person, method: str, path: str, body: Any = None) -> Answer:
        """Ask its REST API with a person's token, as a program of theirs does."""
        url = f"{self.url}/api/v1/clusters/{path}"
        given = {} if body is None else {"body": body}
        return await ask(method, url, **given, authorization=f"jupyterhub {person.token}")

    async def offers(self, person: Person, project: str) -> bool:
        """Whether a person may choose a project for a cluster."""
        return project in await self.projects(person)

    async def projects(self, person: Person) -> list[str]:
        """The projects that a person, or a session of theirs, may choose for a cluster."""
        url = f"{self.url}/api/v1/options"
        answer = await ask("GET", url, authorization=f"jupyterhub {person.token}")
        assert answer.status == 200, answer
        fields = {field["field"]: field["spec"] for field in answer.json["cluster_options"]}
        return [name for name in fields["project"]["options"] if name]

    async def start_cluster(self, person: Person, **options: Any) -> str:
        """Start a cluster by REST, and wait until it runs; gives its name."""
        answer = await self.api(person, "POST", "", {"cluster_options": options})
        assert answer.status == 201, answer
        name = str(answer.json["name"])
        await wait_until_async(lambda: self.is_running(person, name), f"cluster {name}")
        return name

    async def is_running(self, person: Person, name: str) -> bool:
        answer = await self.api(person, "GET", name)
        assert answer.json["status"] in ("PENDING", "RUNNING"), answer
        return bool(answer.json["status"] == "RUNNING")

    async def scale(self, person: Person, name: str, count: Any) -> Answer:
        """Scale a cluster by REST."""
        return await self.api(person, "POST", f"{name}/scale", {"count": count})

    async def stop_cluster(self, person: Person, name: str) -> None:
        """Stop a cluster by REST, and wait until its processes are gone."""
        answer = await self.api(person, "DELETE", name)
        assert answer.status == 204, answer
        await wait_until_async(
            lambda: not (self.folder / "clusters" / name).exists(), f"the end of {name}"
        )

    @asynccontextmanager
    async def client(self, person: Person) -> AsyncIterator[dask_gateway.Gateway]:
        """dask-gateway's own client, as in a person's notebook."""
        async with dask_gateway.Gateway(
            address=self.url,
            proxy_address=f"gateway://127.0.0.1:{self.proxy_port}",
            auth=dask_gateway.JupyterHubAuth(api_token=person.token),
            asynchronous=True,
        ) as gateway:
            yield gateway


@asynccontextmanager
async def in_session(person: Person, project: str) -> AsyncIterator[Person]:
    """A session of a person, who shows its server's own token; the server stops at the end."""
    running = await person.start({"project": project})
    token = running.environment()["JUPYTERHUB_API_TOKEN"]
    assert token != person.token
    try:
        yield replace(person, token=token)
    finally:
        await person.stop()


def session_of(gateway: DaskGateway, name: str) -> dict[str, Any]:
    """A cluster's row in the service's register, read past it; empty before it is told."""
    path = gateway.hub.folder / "hub" / "ledger.sqlite"
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        database.row_factory = sqlite3.Row
        found = database.execute("select * from panneuro_register where name = ?", (name,))
        return next((dict(row) for row in found), {})


def sessions(gateway: DaskGateway, *, ended: bool) -> list[str]:
    """Ids of all sessions in the service's register."""
    path = gateway.hub.folder / "hub" / "ledger.sqlite"
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        what = "not null" if ended else "null"
        return [row[0] for row in database.execute(
            f"select id from panneuro_register where ended is {what}"
        )]  # fmt: skip


def processes(gateway: DaskGateway, name: str) -> dict[str, list[int]]:
    """Process ids of a cluster's scheduler and workers, by what they are."""
    found: dict[str, list[int]] = {"scheduler": [], "worker": []}
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            environment = path.read_bytes().split(b"\0")
            words = (path.parent / "cmdline").read_bytes().split(b"\0")
        except OSError:  # it has ended meanwhile
            continue
        if f"DASK_GATEWAY_CLUSTER_NAME={name}".encode() in environment:
            for kind, pids in found.items():
                if kind.encode() in words and b"dask" in words:
                    pids.append(int(path.parent.name))
    return found


def token_of(pid: int) -> str:
    """The token with which a scheduler, and whoever runs code in it, speaks to the gateway."""
    for variable in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
        name, _, value = variable.decode().partition("=")
        if name == "DASK_GATEWAY_API_TOKEN":
            return value
    raise AssertionError(f"process {pid} has no token")
