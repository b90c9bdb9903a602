"""Hubs side by side, alike but for their spawner and what comes with it."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from benchmarks.kube import node_address, own_namespace, wait_until_gone
from panneuro_hub.devstack.errors import DevstackError
from panneuro_hub.devstack.hub_visitor import HubVisitor, visit_hub
from panneuro_hub.devstack.identity_provider import make_authenticator_settings, start_provider
from panneuro_hub.devstack.processes import (
    ChildProcess,
    ProcessGroup,
    find_free_port,
    list_children,
    log_contains,
    url_answers,
)
from panneuro_hub.devstack.samples.collaboration_file import StoreAddress, write_collaboration
from panneuro_hub.devstack.samples.people import PEOPLE

STOCK, ASKING, OURS = NAMES = ("stock", "stock-asking", "panneuro")
PERSON = "ada"
_ROOT = Path(__file__).parents[1]
_CONFIG = Path(__file__).with_name("jupyterhub_config.py")
_PATIENCE = 120.0  # s, for the start of a process
_SIZE = {"cpu": 2, "cpu_guarantee": 0.05, "memory": "1G"}


@dataclass(frozen=True)
class Images:
    """Which images pods have."""

    notebook: str
    agent: str


@dataclass(frozen=True)
class Hub:
    """A running hub.

    Parameters
    ----------
    name : str
        Of `NAMES`.
    url : str
        As a browser sees it.
    namespace : str
        Where its pods are.
    child : ChildProcess
        JupyterHub's own process.
    options : mapping
        What is chosen for a start.
    """

    name: str
    url: str
    namespace: str
    child: ChildProcess
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def pod(self) -> str:
        """The name of the person's pod."""
        return f"jupyter-{PERSON}"

    @property
    def service_pid(self) -> int | None:
        """The service's process, which the hub has started; `None` where there is none."""
        for pid in list_children(self.child.pid):
            if "panneuro_hub.service" in Path(f"/proc/{pid}/cmdline").read_text():
                return pid
        return None


@contextmanager
def side_by_side(folder: Path, images: Images) -> Iterator[tuple[Hub, ...]]:
    """A hub for each of `NAMES`; all is stopped at the end.

    `STOCK` has KubeSpawner and GenericOAuthenticator as they are; `ASKING` lets the latter ask
    the identity provider before each start, as `OURS` does, which `configure` has made.
    """
    address = node_address()
    taken: list[int] = []
    with ExitStack() as stack:
        namespaces = {name: stack.enter_context(own_namespace(name)) for name in NAMES}
        processes = stack.enter_context(ProcessGroup())
        store = _stand_ins(processes, folder, taken)
        provider = start_provider(processes, PEOPLE, _port(taken), folder / "provider.log")
        provider.wait_until_ready()
        hubs = []
        for name in NAMES:
            place = folder / name
            place.mkdir(mode=0o700)
            url = f"http://127.0.0.1:{_port(taken)}"
            traits = _traits(place, url, address, taken)
            traits["KubeSpawner"] = _pods(namespaces[name], images.notebook)
            traits["GenericOAuthenticator"] = make_authenticator_settings(provider.url, url)
            if name == OURS:
                traits["JupyterHub"]["authenticator_class"] = "panneuro-oidc"
                traits["PanNeuroSpawner"] = {"agent_image": images.agent}
                configure = _configure(place, store, address, taken, images)
            else:
                _make_stock(traits, asking=name == ASKING)
                configure = None
            child = _start(processes, place, {"traits": traits, "configure": configure})
            options = {"project": "nhp-navigation", "profile": "small"} if name == OURS else {}
            hubs.append(Hub(name, url, namespaces[name], child, options))
        for hub in hubs:
            hub.child.wait_until_ready(log_contains("JupyterHub is now running"), _PATIENCE)
        yield tuple(hubs)


@asynccontextmanager
async def logged_in(hub: Hub) -> AsyncIterator[HubVisitor]:
    """The person, logged in at a hub."""
    async with visit_hub(hub.url, _PATIENCE) as visitor:
        await visitor.log_in(PERSON)
        yield visitor


async def start_server(hub: Hub, visitor: HubVisitor) -> None:
    """Start the person's server, and watch its progress until it is ready.

    Raises
    ------
    DevstackError
        If it does not start.
    """
    await visitor.call("POST", f"/hub/api/users/{PERSON}/server", dict(hub.options))
    async with aclosing(visitor.progress()) as events:
        async for event in events:
            if event.get("ready"):
                return
            if event.get("failed"):
                raise DevstackError(f"{hub.name}: {event.get('message')}; {hub.child.log_tail()}")
    raise DevstackError(f"{hub.name}: the server was never ready; {hub.child.log_tail()}")


async def stop_server(hub: Hub, visitor: HubVisitor) -> None:
    """Stop the person's server, and wait until nothing is left of it."""
    await visitor.call("DELETE", f"/hub/api/users/{PERSON}/server")
    await asyncio.to_thread(wait_until_gone, hub.namespace, hub.pod)
    # The hub has no event for a server that is gone.
    while (await visitor.call("GET", f"/hub/api/users/{PERSON}")).get("servers"):  # noqa: ASYNC110
        await asyncio.sleep(0.5)


def _port(taken: list[int]) -> int:
    taken.append(find_free_port(avoid=taken))
    return taken[-1]


def _stand_ins(processes: ProcessGroup, folder: Path, taken: list[int]) -> str:
    port = _port(taken)
    url = f"http://127.0.0.1:{port}"
    child = processes.start(
        "stand-ins",
        [sys.executable, "-m", "benchmarks.stand_ins", f"--port={port}"],
        log=folder / "stand-ins.log",
        environment={"PATH": os.defpath, "PYTHONPATH": str(_ROOT)},
    )
    child.wait_until_ready(url_answers(f"{url}/counts"), _PATIENCE)
    return url


def _traits(place: Path, url: str, address: str, taken: list[int]) -> dict[str, dict[str, Any]]:
    """What both hubs have: all but login, spawner and pods."""
    return {
        "JupyterHub": {
            "bind_url": url,
            "default_url": "/hub/home",  # to log in starts nothing
            "hub_bind_url": f"http://{address}:{_port(taken)}",
            "db_url": f"sqlite:///{place}/jupyterhub.sqlite",
            "cookie_secret_file": f"{place}/cookie_secret",
            "proxy_class": "traefik_file",
            "tornado_settings": {"slow_spawn_timeout": 0},
        },
        "TraefikFileProviderProxy": {
            "static_config_file": f"{place}/traefik.toml",
            "dynamic_config_file": f"{place}/rules.toml",
            "traefik_api_url": f"http://127.0.0.1:{_port(taken)}",
            "extra_static_config": {
                "global": {"checkNewVersion": False, "sendAnonymousUsage": False}
            },
        },
    }


def _pods(namespace: str, image: str) -> dict[str, Any]:
    return {
        "namespace": namespace,
        "image": image,
        "image_pull_policy": "IfNotPresent",
        "start_timeout": 180,
        "http_timeout": 120,
        # A home, as servers have: for a pod's first volume, whosever it is, the kubelet waits.
        "volumes": [{"name": "home", "emptyDir": {}}],
        "volume_mounts": [{"name": "home", "mountPath": "/home/researcher"}],
        "fs_gid": 1000,
    }


def _make_stock(traits: dict[str, dict[str, Any]], *, asking: bool) -> None:
    """What a hub has that is not ours; servers of the size that our profile gives them."""
    traits["JupyterHub"]["spawner_class"] = "kubespawner.KubeSpawner"
    traits["JupyterHub"]["authenticator_class"] = "generic-oauth"
    traits["GenericOAuthenticator"] |= {"allow_all": True, "refresh_pre_spawn": asking}
    traits["KubeSpawner"] |= {
        "cpu_limit": _SIZE["cpu"],
        "cpu_guarantee": _SIZE["cpu_guarantee"],
        "mem_limit": _SIZE["memory"],
        "mem_guarantee": _SIZE["memory"],
    }


def _configure(
    place: Path, store: str, address: str, taken: list[int], images: Images
) -> dict[str, Any]:
    path = place / "collaboration.yaml"
    role = "arn:aws:iam::000000000000:role/PanNeuroData"
    write_collaboration(path, StoreAddress(store, "benchmark", "us-west-2", role), {})
    yaml = YAML()
    document = yaml.load(path.read_text())
    document["images"]["neuro"]["image"] = images.notebook
    document["profiles"]["small"].update(_SIZE)
    with path.open("w") as output:
        yaml.dump(document, output)
    return {
        "collaboration": str(path),
        "service_url": f"http://{address}:{_port(taken)}",
        "service_environment": {
            "AWS_ACCESS_KEY_ID": "benchmark",
            "AWS_SECRET_ACCESS_KEY": "benchmark",
        },
        "ledger_url": f"sqlite:///{place}/ledger.sqlite",
    }


def _start(processes: ProcessGroup, place: Path, given: dict[str, Any]) -> ChildProcess:
    path = place / "settings.json"
    path.touch(mode=0o600)
    path.write_text(json.dumps(given))
    (place / "tmp").mkdir(mode=0o700)
    return processes.start(
        f"{place.name} hub",
        [sys.executable, "-m", "jupyterhub", "-f", str(_CONFIG)],
        log=place / "hub.log",
        environment={
            # Traefik is beside this interpreter.
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.defpath]),
            "PYTHONPATH": str(_ROOT),  # the files beside these, wherever others are installed
            "HOME": str(place),
            "TMPDIR": str(place / "tmp"),
            "LANG": "C.UTF-8",
            "JUPYTERHUB_CRYPT_KEY": secrets.token_hex(32),
            "KUBECONFIG": os.environ["KUBECONFIG"],
            "PANNEURO_BENCHMARK": str(path),
        },
        folder=place,
    )
