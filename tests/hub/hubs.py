"""Real hubs on this machine: one store and one provider, and hubs that can be restarted."""

from __future__ import annotations

import io
import json
import os
import secrets
import sqlite3
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import boto3.session
from botocore.config import Config
from ruamel.yaml import YAML

from panneuro_hub.devstack.identity_provider import IdentityProvider, start_provider
from panneuro_hub.devstack.local_hub import HUB_CONFIG, prepare_hub_folder, prepare_hub_settings
from panneuro_hub.devstack.processes import (
    ChildProcess,
    ProcessGroup,
    find_free_port,
    log_contains,
    url_answers,
)
from panneuro_hub.devstack.samples.people import PEOPLE
from panneuro_hub.devstack.seaweedfs import SeaweedFS
from panneuro_hub.devstack.stack_settings import HUB_VARIABLE, HubSettings
from panneuro_hub.service.db.ledger import LEDGER_TABLE

PATIENCE = 90.0  # s, for whatever is waited for; far more than it takes
FAILURE_LIMIT = 3
RENEW_AFTER = 2  # s
# One object in every place that matters; each holds its own key.
OBJECTS = (
    "nhp-navigation/data.txt",
    "nhp-categorization/data.txt",
    "human-intracranial/data.txt",
    "human-intracranial/release-2026/data.txt",
    "shared-stimuli/data.txt",
)
# A service of somebody else's, who may look at everything.
_WATCHER = """
c.JupyterHub.services.append({"name": "watcher", "api_token": %r})
c.JupyterHub.load_roles.append({"name": "watcher", "services": ["watcher"], "scopes": [
    "list:users", "read:users", "admin:server_state", "admin:auth_state", "read:servers",
    "list:groups", "read:groups", "read:metrics", "access:services",
    "read:services", "delete:servers",
]})
"""
_BELOW = """
c.JupyterHub.bind_url = "{url}/"
c.PanNeuroGenericOAuthenticator.oauth_callback_url = "{url}/hub/oauth_callback"
"""
_SMALL_SERVER = Path(__file__).with_name("small_server.py")


@dataclass(frozen=True)
class Ground:
    """What all hubs stand on."""

    store: SeaweedFS
    provider: IdentityProvider

    def register(self, name: str, *groups: str) -> str:
        """Let the provider know a person, or say something else of them from now on."""
        said = {
            "preferred_username": name,
            "groups": [f"u19-circuits:{group}" for group in groups],
        }
        self._ask("PUT", f"/users/{quote(name)}", said)
        return name

    def forget_tokens(self, name: str) -> None:
        """Revoke everything that the provider has given out for a person."""
        self._ask("POST", f"/users/{quote(name)}/revoke-tokens", {})

    def _ask(self, method: str, path: str, body: Any) -> None:
        request = urllib.request.Request(
            f"{self.provider.url}{path}",
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
            method=method,
        )
        urllib.request.urlopen(request, timeout=PATIENCE).close()


def s3(store: SeaweedFS, key: str, secret: str, token: str | None = None) -> Any:
    """A client of the store that looks nowhere else for keys."""
    return boto3.session.Session().client(
        "s3",
        endpoint_url=store.endpoint_url,
        region_name=store.region,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        aws_session_token=token,
        config=Config(retries={"total_max_attempts": 2}, proxies={}),
    )


@contextmanager
def ground(folder: Path) -> Iterator[Ground]:
    """A store and an identity provider with the demo's people."""
    folder.mkdir(mode=0o700)
    with SeaweedFS(folder / "store", "learning-circuits") as store, ProcessGroup() as processes:
        provider = start_provider(processes, PEOPLE, find_free_port(), folder / "provider.log")
        with closing(s3(store, *store.admin)) as client:
            for key in OBJECTS:
                client.put_object(Bucket=store.bucket, Key=key, Body=key.encode())
        provider.wait_until_ready()
        yield Ground(store, provider)


class Hub:
    """A JupyterHub with its proxy and service, on ports of its own that it keeps.

    Parameters
    ----------
    ground : Ground
    folder : Path
        Where it keeps its files; made.
    config : str
        Lines of a JupyterHub config file, read after the demo's.
    base : str
        Its base URL, without a ``/`` at the end.
    """

    def __init__(self, ground: Ground, folder: Path, config: str = "", base: str = "") -> None:
        prepare_hub_folder(folder)
        (folder / "tmp").mkdir(mode=0o700)
        self.ground = ground
        self.folder = folder
        self.settings: HubSettings = prepare_hub_settings(
            folder, ground.store, ground.provider.url, _ports(5), RENEW_AFTER
        )
        self.settings.write(folder / "settings.json")
        self.base = base
        self.service_address = "127.0.0.1"  # a config may let the service listen elsewhere
        self.watcher_token = secrets.token_hex(16)
        self._config = folder / "jupyterhub_config.py"
        self._config.write_text(
            "\n".join(
                [
                    "c = get_config()",
                    f"load_subconfig({str(HUB_CONFIG)!r})",
                    # Without its Dask gateway, which few tests need.
                    "named = {service['name']: service for service in c.JupyterHub.services}",
                    "named.pop('dask-gateway', None)",
                    "c.JupyterHub.services = list(named.values())",
                    f"c.Spawner.cmd = {[sys.executable, str(_SMALL_SERVER)]!r}",
                    "c.Spawner.args = []",
                    f"c.Spawner.consecutive_failure_limit = {FAILURE_LIMIT}",
                    _WATCHER % self.watcher_token,
                    config,
                    _BELOW.format(url=f"{self.settings.hub_url}{base}") if base else "",
                ]
            )
        )
        self._key = secrets.token_hex(32)  # the same over restarts, as an operator's is
        self._processes = ProcessGroup()
        self._runs: list[Path] = []
        self.child: ChildProcess | None = None

    # -- running --------------------------------------------------------------------------

    def __enter__(self) -> Hub:
        self._processes.__enter__()
        try:
            self.start()
        except BaseException:
            self._processes.stop()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        self._processes.stop()

    @contextmanager
    def launched(self) -> Iterator[ChildProcess]:
        """Start it without waiting for its answer; it is stopped after the block."""
        with self._processes:
            yield self.launch()

    def launch(self) -> ChildProcess:
        """Start it, and do not wait."""
        log = self.folder / "logs" / f"hub-{len(self._runs)}.log"
        self._runs.append(log)
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        self.child = self._processes.start(
            "hub",
            [sys.executable, "-m", "jupyterhub", "-f", str(self._config)],
            log=log,
            environment={
                "PATH": path,
                "HOME": str(self.folder),
                "TMPDIR": str(self.folder / "tmp"),  # what a killed hub leaves stays here
                "LANG": "C.UTF-8",
                "JUPYTERHUB_CRYPT_KEY": self._key,
                HUB_VARIABLE: str(self.folder / "settings.json"),
            },
            folder=self.folder / "hub",
        )
        return self.child

    def start(self) -> None:
        """Start it, and wait until it and its service answer."""
        child = self.launch()
        # It answers before, but a server that stops before this line takes the hub with it.
        child.wait_until_ready(log_contains("JupyterHub is now running"), PATIENCE)
        child.wait_until_ready(url_answers(f"{self.service_url}/health"), PATIENCE)

    def add_config(self, lines: str) -> None:
        """Add lines to the config file, for the next start."""
        self._config.write_text(f"{self._config.read_text()}\n{lines}\n")

    def stop(self) -> None:
        """Stop the hub itself, as an operator does."""
        assert self.child is not None
        self.child.stop(PATIENCE)

    # -- what there is to look at ---------------------------------------------------------

    @property
    def url(self) -> str:
        return f"{self.settings.hub_url}{self.base}"

    @property
    def service_url(self) -> str:
        """The service as sessions reach it."""
        address = f"http://{self.service_address}:{self.settings.service_port}"
        return f"{address}{self.base}/services/panneuro"

    @property
    def log(self) -> str:
        """Everything that hub, service and servers have said, over all starts."""
        return "".join(log.read_text(errors="replace") for log in self._runs)

    @property
    def files(self) -> list[Path]:
        """Logs and databases: where no secret may be."""
        return [*self._runs, *(self.folder / "hub").glob("*.sqlite*")]

    def ledger(self, person: str) -> list[dict[str, Any]]:
        """A person's rows, oldest first, read past the service."""
        path = self.folder / "hub" / "ledger.sqlite"
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            database.row_factory = sqlite3.Row
            query = f"select * from {LEDGER_TABLE.name} where person = ? order by id"
            return [dict(row) for row in database.execute(query, (person,))]

    @property
    def collaboration(self) -> Path:
        return Path(self.settings.collaboration)

    @contextmanager
    def changed(self, change: Callable[[dict[str, Any]], object]) -> Iterator[None]:
        """Another collaboration file, for a while."""
        before = self.collaboration.read_text()
        self.edit(change)
        try:
            yield
        finally:
            self.replace(before)

    def replace(self, text: str) -> None:
        """Put a new collaboration file in the old one's place, whatever it says."""
        draft = self.collaboration.with_suffix(".new")
        draft.write_text(text)
        draft.replace(self.collaboration)

    def edit(self, change: Callable[[dict[str, Any]], object]) -> None:
        """Change the collaboration file as an admin does: one new file in its place."""
        yaml = YAML()
        document = yaml.load(self.collaboration.read_text())
        change(document)
        text = io.StringIO()
        yaml.dump(document, text)
        self.replace(text.getvalue())


def _ports(number: int) -> list[int]:
    ports: list[int] = []
    while len(ports) < number:
        ports.append(find_free_port(avoid=ports))
    return ports
