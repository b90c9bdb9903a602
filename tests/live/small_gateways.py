"""A gateway that is little more than dask-gateway itself, as a process."""

from __future__ import annotations

import base64
import getpass
import json
import os
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import panneuro_hub
from panneuro_hub.devstack.processes import ProcessGroup, find_free_port, url_answers

ROOT = Path(panneuro_hub.__file__).parents[1]
CONFIG = Path(__file__).with_name("small_gateway.py")
PATIENCE = 60.0


@dataclass(frozen=True)
class SmallGateway:
    """Where it is.

    Parameters
    ----------
    url : str
        Its API and its dashboards.
    proxy_address : str
        Where clients reach schedulers.
    """

    url: str
    proxy_address: str

    @property
    def environment(self) -> dict[str, str]:
        """What tells a process's Dask where it is."""
        return {
            "DASK_GATEWAY__ADDRESS": self.url,
            "DASK_GATEWAY__PROXY_ADDRESS": self.proxy_address,
        }

    def get(self, path: str) -> Any:
        """Ask for JSON, as who dask-gateway's client is where nothing else is configured."""
        with urllib.request.urlopen(self._request("GET", path)) as answer:
            return json.load(answer)

    def stop(self, name: str) -> None:
        """Stop a cluster, as its person does from elsewhere."""
        with urllib.request.urlopen(self._request("DELETE", f"/api/v1/clusters/{name}")):
            return

    def _request(self, method: str, path: str) -> urllib.request.Request:
        person = base64.b64encode(f"{getpass.getuser()}:".encode()).decode()
        return urllib.request.Request(
            self.url + path, headers={"Authorization": f"Basic {person}"}, method=method
        )

    def running(self) -> dict[str, Any]:
        """The clusters that run or start, by name: what they were asked to be."""
        clusters = self.get("/api/v1/clusters/?status=pending,running")
        return {name: cluster["options"] for name, cluster in clusters.items()}


@contextmanager
def small_gateway(folder: Path) -> Iterator[SmallGateway]:
    """Start one, with its files in `folder`."""
    folder.mkdir(exist_ok=True)
    ports = [find_free_port()]
    ports.append(find_free_port(avoid=ports))
    gateway = SmallGateway(f"http://127.0.0.1:{ports[0]}", f"tcp://127.0.0.1:{ports[1]}")
    with ProcessGroup() as processes:
        server = processes.start(
            "gateway",
            [sys.executable, "-m", "dask_gateway_server", "-f", str(CONFIG)],
            log=folder / "gateway.log",
            environment={
                "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.defpath]),
                "HOME": str(folder),
                "PYTHONPATH": str(ROOT),
                "PORT": str(ports[0]),
                "TCP_PORT": str(ports[1]),
            },
            folder=folder,
        )
        server.wait_until_ready(url_answers(f"{gateway.url}/api/health"), PATIENCE)
        yield gateway
