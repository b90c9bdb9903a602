"""Everything that the demo consists of, started in order and stopped for certain."""

from __future__ import annotations

import os
import secrets
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib import resources
from itertools import product
from pathlib import Path

from panneuro_hub.attach.homes import home_folder
from panneuro_hub.demo.collaboration import (
    StoreAddress,
    project_names,
    write_collaboration,
)
from panneuro_hub.demo.people import MEMBERSHIPS_THAT_ENDED, PEOPLE, DemoPerson
from panneuro_hub.demo.processes import Child, Processes, answers, claimed, free_port
from panneuro_hub.demo.provider import settings, start_provider
from panneuro_hub.demo.seaweedfs import SeaweedFS
from panneuro_hub.demo.settings import (
    GATEWAY_VARIABLE,
    VARIABLE,
    GatewaySettings,
    HubSettings,
)

BUCKET = "learning-circuits"
NOTEBOOK = "spike_triggered_average.ipynb"
CLUSTER_NOTEBOOK = "spectrum_on_a_cluster.ipynb"
NOTEBOOKS = (NOTEBOOK, CLUSTER_NOTEBOOK)
_HUB_PORT = 8000
_PATIENCE = 120  # s: for the first start on a slow laptop
# Made anew each time. What people have in "homes" outlives a demo.
_ANEW = (
    *("store", "hub", "gateway", "logs"),
    *("settings.json", "gateway.json", "collaboration.yaml"),
)

Say = Callable[[str], None]


@dataclass(frozen=True)
class Demo:
    """A running demo.

    Parameters
    ----------
    hub_url : str
        What to open in a browser.
    people : tuple of DemoPerson
        Whom to log in as.
    store : SeaweedFS
        The object store.
    settings : HubSettings
        What the hub was told.
    processes : Processes
        The provider and the hub, with their logs.
    """

    hub_url: str
    people: tuple[DemoPerson, ...]
    store: SeaweedFS
    settings: HubSettings
    processes: Processes

    @property
    def logs(self) -> dict[str, str]:
        """The end of every log, by the name of the part."""
        return {child.name: child.log_tail() for child in self.processes.children}


@contextmanager
def running(folder: Path, renew_after_seconds: int, say: Say) -> Iterator[Demo]:
    """Start the demo in `folder`; leaving the block stops all of it.

    Parameters
    ----------
    folder : Path
        Made, for this account only, where missing. People's homes in it are kept, the
        rest is made anew.
    renew_after_seconds : int
        After how long sessions get new keys.
    say : callable
        Told what has just been done.

    Raises
    ------
    DemoError, StoreUnavailable
        If a part does not start, with the end of its log.
    """
    folder = folder.resolve()
    prepare_folder(folder)
    with ExitStack() as stack:
        store = stack.enter_context(SeaweedFS(folder / "store", BUCKET))
        say(f"the object store answers at {store.endpoint_url}")
        processes = stack.enter_context(Processes())
        first = stack.enter_context(claimed(_HUB_PORT))
        ports = _ports(_HUB_PORT if first else None)
        provider = start_provider(processes, PEOPLE, ports[0], folder / "logs" / "provider.log")
        hub = hub_settings(folder, store, provider.url, ports[1:], renew_after_seconds)
        hub.write(folder / "settings.json")
        gateway_settings(hub, ports[-1]).write(folder / "gateway.json")
        hub_process = start_hub(processes, hub, folder)
        # Meanwhile: both take a few seconds to start.
        say(f"{len(load(store))} datasets are in s3://{BUCKET}")
        provider.wait_ready()
        say(f"the identity provider answers at {provider.url}")
        hub_process.wait_ready(answers(f"{hub.hub_url}/hub/health"), _PATIENCE)
        say(f"the hub answers at {hub.hub_url}")
        yield Demo(hub.hub_url, PEOPLE, store, hub, processes)


def prepare_folder(folder: Path) -> None:
    """Clear what an earlier demo left, and put the notebooks into all homes."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for left in (folder / name for name in _ANEW):
        if left.is_dir():
            shutil.rmtree(left)
        else:
            left.unlink(missing_ok=True)
    for name in ("logs", "hub", "gateway"):
        (folder / name).mkdir(mode=0o700)
    (folder / "gateway" / "clusters").mkdir(mode=0o700)
    homes = folder / "homes"
    homes.mkdir(mode=0o700, exist_ok=True)
    for person, project in product(PEOPLE, project_names()):
        home = Path(home_folder(homes / person.name, project))
        home.mkdir(parents=True, exist_ok=True)
        for name in NOTEBOOKS:
            if not (home / name).exists():
                (home / name).write_text(notebook(name), encoding="utf-8")


def notebook(name: str = NOTEBOOK) -> str:
    """One of the example notebooks, as JSON."""
    packaged = resources.files("panneuro_hub.demo") / "notebooks" / name
    return packaged.read_text(encoding="utf-8")


def load(store: SeaweedFS) -> tuple[str, ...]:
    """Write the datasets into the store; see `write_datasets`."""
    # Seconds to import, which the rest of the demo need not wait for.
    from panneuro_hub.demo.datasets import admin_place, write_datasets

    place = admin_place(store.endpoint_url, store.bucket, store.region, *store.admin)
    return write_datasets(place)


def hub_settings(
    folder: Path,
    store: SeaweedFS,
    provider_url: str,
    ports: list[int],
    renew_after_seconds: int,
) -> HubSettings:
    """Write the collaboration file, and say what the hub is to be told.

    Parameters
    ----------
    ports : list of int
        For the hub as a browser sees it, for the hub itself, the service, the proxy, and
        the Dask gateway.
    """
    address = StoreAddress(store.endpoint_url, store.bucket, store.region, store.role_arn)
    collaboration = folder / "collaboration.yaml"
    write_collaboration(collaboration, address, MEMBERSHIPS_THAT_ENDED)
    hub_url = f"http://127.0.0.1:{ports[0]}"
    return HubSettings(
        folder=str(folder / "hub"),
        homes=str(folder / "homes"),
        collaboration=str(collaboration),
        hub_url=hub_url,
        hub_port=ports[1],
        service_port=ports[2],
        proxy_api_port=ports[3],
        gateway_port=ports[4],
        authenticator=settings(provider_url, hub_url),
        service_environment={
            "AWS_ACCESS_KEY_ID": store.vendor.access_key,
            "AWS_SECRET_ACCESS_KEY": store.vendor.secret_key,
            "AWS_EC2_METADATA_DISABLED": "true",
        },
        renew_after_seconds=renew_after_seconds,
        notebook=NOTEBOOK,
        gateway_command=gateway_command(folder),
    )


def gateway_command(folder: Path) -> list[str]:
    """What starts the Dask gateway; its settings are in a file of `folder`."""
    config = Path(__file__).with_name("dask_gateway_config.py")
    return [
        *("env", f"{GATEWAY_VARIABLE}={folder / 'gateway.json'}"),
        *(sys.executable, "-m", "dask_gateway_server", "-f", str(config)),
    ]


def gateway_settings(hub: HubSettings, api_port: int) -> GatewaySettings:
    """What the Dask gateway of a hub is to be told; `api_port` is for its own process."""
    return GatewaySettings(
        folder=str(Path(hub.folder).with_name("gateway")),
        collaboration=hub.collaboration,
        service_url=f"http://127.0.0.1:{hub.service_port}/services/panneuro",
        port=hub.gateway_port,
        api_port=api_port,
    )


def start_hub(processes: Processes, hub: HubSettings, folder: Path) -> Child:
    """Start JupyterHub, which starts its proxy, the service and the Dask gateway."""
    config = Path(__file__).with_name("jupyterhub_config.py")
    # Not this process's environment: keys in it must reach no part of the demo.
    environment = {
        # Traefik and jupyterhub-singleuser are beside this interpreter.
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        "HOME": str(folder),
        "LANG": os.environ.get("LANG", "C.UTF-8"),
        "JUPYTERHUB_CRYPT_KEY": secrets.token_hex(32),
        VARIABLE: str(folder / "settings.json"),
    }
    return processes.start(
        "hub",
        [sys.executable, "-m", "jupyterhub", "-f", str(config)],
        log=folder / "logs" / "hub.log",
        environment=environment,
        folder=folder / "hub",
    )


def _ports(hub: int | None) -> list[int]:
    """Seven free ports; the second is the hub's as a browser sees it, `hub` if that is free."""
    ports = [free_port()]
    ports.append(free_port(hub, avoid=ports))
    while len(ports) < 7:
        ports.append(free_port(avoid=ports))
    return ports
