"""Rules of the proxy, asked of a real Traefik: every name leads to its own server."""

from __future__ import annotations

import http.client
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from jupyterhub.utils import url_escape_path
from testing.stand_in_server import StandInRequest, StandInResponse, StandInServer

from panneuro_hub.devstack.processes import ProcessGroup, find_free_port, url_answers
from panneuro_hub.hub.traefik_proxy import build_route_rule

PRINTABLE = [chr(code) for code in range(0x21, 0x7F) if chr(code) != "/"]
NAMES = [
    *(f"x{character}y" for character in PRINTABLE),
    "xy",
    "x y",
    "x%21y",
    "x%2521y",
    "ñoor %2F? #&=+",
    "ünïcödé ✓ 🧠",
    "o'brien+lab@uni.example",
    "x`) || PathPrefix(`",
    'x") || PathPrefix("',
    "x`) || Method(`GET",
    'x\\") || Method("GET',
]


def path_of(name: str) -> str:
    """As JupyterHub writes it, in addresses and in routes."""
    return f"/user/{url_escape_path(name)}/"


def echo(request: StandInRequest) -> StandInResponse:
    """Say which server it is: the header that the route's service adds."""
    return StandInResponse(200, request.headers["x-server"].encode())


@pytest.fixture(scope="module")
def backend() -> Iterator[str]:
    with StandInServer(echo) as server:
        yield server.url


@pytest.fixture(scope="module")
def port(backend: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    folder = tmp_path_factory.mktemp("traefik")
    specs = {"hub": "/", **{f"s{number}": path_of(name) for number, name in enumerate(NAMES)}}
    dynamic = {
        "routers": {
            key: {"rule": build_route_rule(spec), "service": "all", "middlewares": [key]}
            for key, spec in specs.items()
        },
        "middlewares": {
            key: {"headers": {"customRequestHeaders": {"X-Server": key}}} for key in specs
        },
        "services": {"all": {"loadBalancer": {"servers": [{"url": backend}]}}},
    }
    rules = folder / "rules.yaml"  # JSON is YAML
    rules.write_text(json.dumps({"http": dynamic}, ensure_ascii=False))
    traefik = Path(sys.executable).with_name("traefik")
    listening, ping = find_free_port(), find_free_port()
    with ProcessGroup() as processes:
        processes.start(
            "traefik",
            [
                str(traefik),
                "--global.checknewversion=false",
                "--global.sendanonymoususage=false",
                f"--entrypoints.http.address=127.0.0.1:{listening}",
                f"--entrypoints.ping.address=127.0.0.1:{ping}",
                "--ping=true",
                "--ping.entrypoint=ping",
                f"--providers.file.filename={rules}",
            ],
            log=folder / "traefik.log",
            environment={},
        ).wait_until_ready(url_answers(f"http://127.0.0.1:{listening}/"), 60)
        yield listening
    log = (folder / "traefik.log").read_text()
    assert "error" not in log.lower(), log


def reached(port: int, path: str) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", path)
    with connection.getresponse() as response:
        said = response.read().decode()
    connection.close()
    return said


@pytest.mark.parametrize("name", NAMES)
def test_a_name_leads_to_its_own_server(port: int, name: str) -> None:
    mine = f"s{NAMES.index(name)}"
    path = path_of(name)
    assert {reached(port, path + more) for more in ("", "lab", "api/x%2Fy?a=b")} == {mine}
    assert reached(port, path.removesuffix("/")) == mine


@pytest.mark.parametrize("path", ["/", "/hub/home", "/user/", "/user/somebody/lab", "/xy"])
def test_everything_else_leads_to_the_hub(port: int, path: str) -> None:
    assert reached(port, path) == "hub"
