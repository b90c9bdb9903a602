"""A hub on this machine: its folder, its settings and its process.

The hub's store and identity provider are started before it; see `seaweedfs` and
`identity_provider`.
"""

from __future__ import annotations

import os
import secrets
import shutil
import sys
from collections.abc import Mapping
from itertools import product
from pathlib import Path

from panneuro_hub.devstack.identity_provider import make_authenticator_settings
from panneuro_hub.devstack.processes import ChildProcess, ProcessGroup
from panneuro_hub.devstack.samples.collaboration_file import (
    StoreAddress,
    project_names,
    write_collaboration,
)
from panneuro_hub.devstack.samples.people import MEMBERSHIPS_THAT_ENDED, PEOPLE
from panneuro_hub.devstack.seaweedfs import SeaweedFS
from panneuro_hub.devstack.stack_settings import (
    GATEWAY_VARIABLE,
    HUB_VARIABLE,
    GatewaySettings,
    HubSettings,
)
from panneuro_hub.pod.home_volumes import make_home_path

BUCKET = "learning-circuits"
HUB_CONFIG = Path(__file__).with_name("jupyterhub_config.py")
GATEWAY_CONFIG = Path(__file__).with_name("dask_gateway_config.py")
# Removed before each start. The files of people in "homes" stay.
_REMOVED = (
    *("store", "hub", "gateway", "logs"),
    *("settings.json", "gateway.json", "collaboration.yaml"),
)


def prepare_hub_folder(folder: Path, notebooks: Mapping[str, str] | None = None) -> None:
    """Remove the files of an earlier start, and put the notebooks into all homes.

    Parameters
    ----------
    folder : Path
        Created, for this account only, where missing. People's homes in it are kept.
    notebooks : mapping of str to str, optional
        Contents by file name. A notebook that a home has already is not replaced.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for left in (folder / name for name in _REMOVED):
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
        home = Path(make_home_path(homes / person.name, project))
        home.mkdir(parents=True, exist_ok=True)
        for name, content in (notebooks or {}).items():
            if not (home / name).exists():
                (home / name).write_text(content, encoding="utf-8")


def load_sample_datasets(store: SeaweedFS) -> tuple[str, ...]:
    """Write the sample datasets into the store, and return their names with their projects."""
    # The import takes seconds; a hub without datasets does not wait for it.
    from panneuro_hub.devstack.samples.sample_datasets import make_store_opener, write_datasets

    place = make_store_opener(store.endpoint_url, store.bucket, store.region, *store.admin)
    return write_datasets(place)


def prepare_hub_settings(
    folder: Path,
    store: SeaweedFS,
    provider_url: str,
    ports: list[int],
    renew_after_seconds: int,
    notebook: str = "",
) -> HubSettings:
    """Write the collaboration file, and return the settings of the hub.

    Parameters
    ----------
    folder : Path
        The hub's folder, prepared by `prepare_hub_folder`.
    store : SeaweedFS
        The running object store.
    provider_url : str
        The identity provider as a browser sees it, without a slash at the end.
    ports : list of int
        For the hub as a browser sees it, for the hub itself, the service, the proxy, and
        the Dask gateway.
    renew_after_seconds : int
        The time after which sessions receive new credentials, in seconds.
    notebook : str
        The notebook that opens first in a server; none by default.
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
        authenticator=make_authenticator_settings(provider_url, hub_url),
        service_environment={
            "AWS_ACCESS_KEY_ID": store.vendor.access_key,
            "AWS_SECRET_ACCESS_KEY": store.vendor.secret_key,
            "AWS_EC2_METADATA_DISABLED": "true",
        },
        renew_after_seconds=renew_after_seconds,
        notebook=notebook,
        gateway_command=make_gateway_command(folder),
    )


def make_gateway_command(folder: Path) -> list[str]:
    """Return the command that starts the Dask gateway with the settings file in `folder`."""
    return [
        *("env", f"{GATEWAY_VARIABLE}={folder / 'gateway.json'}"),
        *(sys.executable, "-m", "dask_gateway_server", "-f", str(GATEWAY_CONFIG)),
    ]


def make_gateway_settings(hub: HubSettings, api_port: int) -> GatewaySettings:
    """Return the settings of a hub's Dask gateway; its own process listens on `api_port`."""
    return GatewaySettings(
        folder=str(Path(hub.folder).with_name("gateway")),
        collaboration=hub.collaboration,
        service_url=f"http://127.0.0.1:{hub.service_port}/services/panneuro",
        port=hub.gateway_port,
        api_port=api_port,
    )


def start_local_hub(processes: ProcessGroup, hub: HubSettings, folder: Path) -> ChildProcess:
    """Start JupyterHub, which starts its proxy, the service and the Dask gateway."""
    # This process's environment is not passed on: keys in it must not reach the hub.
    environment = {
        # Traefik and jupyterhub-singleuser are next to this interpreter.
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        "HOME": str(folder),
        "LANG": os.environ.get("LANG", "C.UTF-8"),
        "JUPYTERHUB_CRYPT_KEY": secrets.token_hex(32),
        HUB_VARIABLE: str(folder / "settings.json"),
    }
    return processes.start(
        "hub",
        [sys.executable, "-m", "jupyterhub", "-f", str(HUB_CONFIG)],
        log=folder / "logs" / "hub.log",
        environment=environment,
        folder=folder / "hub",
    )
