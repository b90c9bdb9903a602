"""JupyterLab's Dask panel and the gateway's dashboards: a real server, gateway and scheduler."""

from __future__ import annotations

import http.client
import json
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from small_gateways import SmallGateway, small_gateway

import panneuro_hub
from panneuro_hub.devstack.processes import ProcessGroup, find_free_port, url_answers

ROOT = Path(panneuro_hub.__file__).parents[1]
CONFIGURATION = ROOT / "images" / "notebook" / "etc"
BASE = "/user/ada/"
TASKS = "individual-task-stream"
TOKEN = "gurke"


@dataclass(frozen=True)
class Lab:
    """A person's server."""

    port: int
    gateway: SmallGateway

    def ask(
        self, method: str, path: str, token: str = TOKEN, body: Any = None
    ) -> tuple[int, str, Any]:
        """Status, where it sends to, and the answer's JSON."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            sent = None if body is None else json.dumps(body)
            connection.request(method, path, sent, headers={"Authorization": f"token {token}"})
            with connection.getresponse() as response:
                body = response.read()
                where = response.getheader("Location", "")
        finally:
            connection.close()
        try:
            return response.status, where, json.loads(body)
        except ValueError:
            return response.status, where, None

    def check(self, address: str) -> Any:
        """What the panel hears of a dashboard."""
        status, _, answer = self.ask("GET", f"{BASE}dask/dashboard-check/{quote(address, safe='')}")
        assert status == 200
        return answer


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("lab")
    port = find_free_port()
    with small_gateway(folder / "gateway") as gateway, ProcessGroup() as processes:
        server = processes.start(
            "lab",
            [
                *(sys.executable, "-m", "jupyter_server", f"--port={port}", "--no-browser"),
                *(f"--ServerApp.base_url={BASE}", f"--IdentityProvider.token={TOKEN}"),
                *(["--allow-root"] if os.geteuid() == 0 else []),
            ],
            log=folder / "lab.log",
            environment={
                "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.defpath]),
                "HOME": str(folder),
                "PYTHONPATH": str(ROOT),
                # As the notebook's image has them below /etc.
                "JUPYTER_CONFIG_PATH": str(CONFIGURATION / "jupyter"),
                "DASK_CONFIG": str(CONFIGURATION / "dask"),
                "PANNEURO_PROJECT": "nhp-navigation",
                **gateway.environment,
                "DASK_GATEWAY__PUBLIC_ADDRESS": "/services/dask-gateway",
            },
            folder=folder,
        )
        server.wait_until_ready(url_answers(f"http://127.0.0.1:{port}{BASE}api"), 60)
        yield Lab(port, gateway)


@pytest.fixture(scope="module")
def cluster(lab: Lab) -> Iterator[dict[str, Any]]:
    """A cluster that somebody made with the panel's "New"."""
    identifier = "6a8ecf5c-6c22-4a0e-a5c3-1b36f2c4be20"
    status, _, model = lab.ask("PUT", f"{BASE}dask/clusters/{identifier}")
    assert status == 200, model
    yield model
    lab.ask("DELETE", f"{BASE}dask/clusters/{identifier}")


def name_of(cluster: dict[str, Any]) -> str:
    name = cluster["dashboard_link"].split("/")[-2]
    assert cluster["dashboard_link"] == f"/services/dask-gateway/clusters/{name}/status"
    return str(name)


def test_the_plots_are_those_of_the_schedulers_own_list(lab: Lab, cluster: dict[str, Any]) -> None:
    status, _, listed = lab.ask(
        "GET", f"{BASE}dask/dashboard/{cluster['id']}/individual-plots.json"
    )
    assert status == 200
    assert listed == lab.gateway.get(f"/clusters/{name_of(cluster)}/individual-plots.json")
    assert listed["Individual Task Stream"] == f"/{TASKS}"


def test_a_plot_is_opened_at_the_dashboards_own_address(lab: Lab, cluster: dict[str, Any]) -> None:
    home = f"/services/dask-gateway/clusters/{name_of(cluster)}"
    of_panel = f"{BASE}dask/dashboard/{cluster['id']}"
    assert lab.ask("GET", f"{of_panel}/{TASKS}?theme=dark")[:2] == (
        302,
        f"{home}/{TASKS}?theme=dark",
    )
    # What the panel makes of a client's link: the path below the server's own.
    of_kernel = f"{BASE}services/dask-gateway/clusters/{name_of(cluster)}"
    assert lab.ask("GET", f"{of_kernel}/{TASKS}")[:2] == (302, f"{home}/{TASKS}")
    assert lab.ask("GET", f"{of_kernel}/individual-plots.json")[0] == 200


@pytest.mark.parametrize("host", ["", "http://127.0.0.1:{port}"])
def test_a_link_is_checked_without_a_look_at_it(
    lab: Lab, cluster: dict[str, Any], host: str
) -> None:
    link = host.format(port=lab.port) + f"/services/dask-gateway/clusters/{name_of(cluster)}"
    answer = lab.check(link)
    assert answer["url"] == link
    assert answer["isActive"] is True
    assert answer["plots"]["Individual Task Stream"] == f"/{TASKS}"


@pytest.mark.parametrize(
    "link",
    [
        "/services/dask-gateway/clusters/" + "0" * 32,
        "http://evil.example/services/dask-gateway/clusters/{name}",
        "/services/dask-gateway/clusters/{name}/../../../hub",
        "/services/other/clusters/{name}",
        "http://[",
    ],
)
def test_what_is_no_running_cluster_of_this_gateway_is_not_active(
    lab: Lab, cluster: dict[str, Any], link: str
) -> None:
    answer = lab.check(link.format(name=name_of(cluster)))
    assert answer["isActive"] is False
    assert answer["plots"] == {}


@pytest.mark.parametrize(
    "path",
    [
        "dask/dashboard/{id}/x/../../../../hub/logout",
        "dask/dashboard/{id}/%2e%2e/%2e%2e/%2e%2e/hub/logout",
        "services/dask-gateway/clusters/{name}/..%2f..%2f../hub/logout",
        "dask/dashboard/00000000-0000-0000-0000-000000000000/" + TASKS,
        "services/dask-gateway/clusters/{name}%0d%0aX/" + TASKS,
        "services/dask-gateway/api/v1/clusters",
    ],
)
def test_nothing_else_is_sent_on(lab: Lab, cluster: dict[str, Any], path: str) -> None:
    filled = path.format(id=cluster["id"], name=name_of(cluster))
    status, where, _ = lab.ask("GET", BASE + filled)
    assert status >= 400
    assert where == ""


def test_strangers_are_told_nothing(lab: Lab, cluster: dict[str, Any]) -> None:
    link = f"{BASE}dask/dashboard/{cluster['id']}"
    assert lab.ask("GET", f"{link}/individual-plots.json", token="")[0] == 403
    status, where, _ = lab.ask("GET", f"{link}/{TASKS}", token="")
    assert status == 403 or urlsplit(where).path == f"{BASE}login"


def test_the_panel_reads_what_the_gateway_says_of_a_size(lab: Lab, cluster: dict[str, Any]) -> None:
    path = f"{BASE}dask/clusters/{cluster['id']}"
    assert cluster["cluster"] == name_of(cluster)
    assert cluster["messages"] == []
    status, _, model = lab.ask("PATCH", path, body={"workers": 99})
    assert status == 200
    (said,) = model["messages"]
    assert "would exceed resource limit of 4 workers" in said
    # As the panel's next look, which comes by itself.
    assert lab.ask("GET", path)[2]["messages"] == [said]
    (listed,) = lab.ask("GET", f"{BASE}dask/clusters/")[2]
    assert listed["messages"] == [said]
    status, _, model = lab.ask("PATCH", path, body={"adapt": {"minimum": 0, "maximum": 2}})
    assert (status, model["messages"], model["adapt"]["maximum"]) == (200, [], 2)


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"workers": -1},
        {"workers": "3"},
        {"workers": True},
        {"adapt": {}},
        {"adapt": []},
        {"adapt": {"minimum": 3, "maximum": 2}},
        {"adapt": {"minimum": 0, "maximum": None}},
    ],
)
def test_a_size_that_is_none_is_refused_in_words(
    lab: Lab, cluster: dict[str, Any], body: Any
) -> None:
    status, _, answer = lab.ask("PATCH", f"{BASE}dask/clusters/{cluster['id']}", body=body)
    assert status == 400
    assert "must be" in answer["message"]


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
def test_a_cluster_that_the_panel_does_not_have(lab: Lab, method: str) -> None:
    path = f"{BASE}dask/clusters/00000000-0000-0000-0000-000000000000"
    status, _, answer = lab.ask(method, path, body={"workers": 1})
    assert (status, answer["message"]) == (404, "the panel has no such cluster any more")
    assert answer["error"] == "panel-cluster-not-found"
    assert lab.ask(method, path, token="", body={"workers": 1})[0] == 403


def test_the_answer_says_why_a_cluster_takes_no_size(lab: Lab, cluster: dict[str, Any]) -> None:
    # It ends behind the panel's back. The gateway refuses the size, unless the server has already
    # noticed that the scheduler is gone and asked the gateway for the reason.
    reason = re.compile("the Dask gateway says: |nobody used it$")
    identifier = "0c1f8f3e-3c1f-4a55-9e2b-3a1d8f2b7c10"
    _, _, model = lab.ask("PUT", f"{BASE}dask/clusters/{identifier}")
    lab.gateway.stop(name_of(model))
    for size in ({"workers": 1}, {"adapt": {"minimum": 0, "maximum": 3}}):
        status, _, answer = lab.ask("PATCH", f"{BASE}dask/clusters/{identifier}", body=size)
        assert status == 503
        assert reason.match(answer["message"]), answer["message"]
    assert lab.ask("DELETE", f"{BASE}dask/clusters/{identifier}")[0] == 204


def test_a_cluster_that_has_ended_is_not_active(lab: Lab) -> None:
    identifier = "b3b5d7f2-9dd9-4c0b-8a1e-0d5d0c8a7f11"
    _, _, model = lab.ask("PUT", f"{BASE}dask/clusters/{identifier}")
    link = model["dashboard_link"].removesuffix("/status")
    assert lab.ask("DELETE", f"{BASE}dask/clusters/{identifier}")[0] == 204
    assert lab.check(link)["isActive"] is False
    assert lab.ask("GET", f"{BASE}{link[1:]}/individual-plots.json")[0] == 404
