"""The settings of a hub and a Dask gateway on this machine, as private files."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

HUB_VARIABLE = "PANNEURO_DEMO_SETTINGS"
GATEWAY_VARIABLE = "PANNEURO_DEMO_GATEWAY"


@dataclass(frozen=True)
class HubSettings:
    """The settings that `jupyterhub_config.py` reads; they hold secrets.

    Parameters
    ----------
    folder : str
        Where the hub keeps its database and the proxy's files.
    homes : str
        Where people's home folders are.
    collaboration : str
        The collaboration file.
    hub_url : str
        The hub as a browser sees it.
    hub_port, service_port, proxy_api_port, gateway_port : int
        Ports of 127.0.0.1 for the hub itself, the service, the proxy's API, and the Dask
        gateway.
    authenticator : dict
        Traits of the authenticator.
    service_environment : dict of str to str
        The service's own: the keys with which it assumes the store's role.
    renew_after_seconds : int
        After how long sessions get new keys.
    notebook : str
        What opens first in a server, relative to the home folder.
    gateway_command : list of str
        What starts the Dask gateway.
    """

    folder: str
    homes: str
    collaboration: str
    hub_url: str
    hub_port: int
    service_port: int
    proxy_api_port: int
    gateway_port: int
    authenticator: dict[str, Any] = field(repr=False)
    service_environment: dict[str, str] = field(repr=False)
    renew_after_seconds: int
    notebook: str
    gateway_command: list[str]

    @property
    def ledger_url(self) -> str:
        """Where the ledger is, for SQLAlchemy."""
        return f"sqlite:///{self.folder}/ledger.sqlite"

    def write(self, path: Path) -> None:
        """Write it where only this account reads it; what was there is replaced."""
        _write_private(path, asdict(self))

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> HubSettings:
        """Read what `write` wrote."""
        return cls(**json.loads(Path(path).read_text()))


@dataclass(frozen=True)
class GatewaySettings:
    """The settings that ``dask_gateway_config.py`` reads; they hold no secret.

    Parameters
    ----------
    folder : str
        Where clusters keep their files.
    collaboration : str
        The collaboration file.
    service_url : str
        The PanNeuro service.
    port, api_port : int
        Ports of 127.0.0.1 for the gateway as hub and sessions reach it, and for its own
        process.
    """

    folder: str
    collaboration: str
    service_url: str
    port: int
    api_port: int

    def write(self, path: Path) -> None:
        """Write it where only this account reads it; what was there is replaced."""
        _write_private(path, asdict(self))

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> GatewaySettings:
        """Read what `write` wrote."""
        return cls(**json.loads(Path(path).read_text()))


def _write_private(path: Path, content: dict[str, Any]) -> None:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as output:
        json.dump(content, output)
