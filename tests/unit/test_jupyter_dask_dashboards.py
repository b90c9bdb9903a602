"""Which addresses the lab's dashboards extension takes for its own, and how often it asks."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from panneuro_hub.jupyter.dask_dashboards import DashboardPage, GatewayDashboards, RunningClusters

HOST = "hub.example:8000"
PATH_ONLY = GatewayDashboards(urlsplit("/services/dask-gateway"))
WHOLE = GatewayDashboards(urlsplit("https://dask.example/services/dask-gateway"))
HOME = "/services/dask-gateway/clusters/ab12"


@pytest.mark.parametrize("where", ["", f"http://{HOST}", f"https://{HOST}", f"//{HOST}"])
@pytest.mark.parametrize("page", ["", "status", "individual-task-stream", "info/main/workers.html"])
def test_a_dashboard_is_found_by_its_link(where: str, page: str) -> None:
    assert PATH_ONLY.find(f"{where}{HOME}/{page}", HOST) == DashboardPage("ab12", page)
    assert PATH_ONLY.find(f"{where}{HOME}", HOST) == DashboardPage("ab12")


def test_its_host_may_be_the_gateways_own() -> None:
    assert WHOLE.find(f"https://dask.example{HOME}/status", HOST) == DashboardPage("ab12", "status")


def test_the_browser_is_sent_to_the_gateway_s_own_host_where_it_has_one() -> None:
    page = DashboardPage("ab12", "status")
    assert WHOLE.address(page) == f"https://dask.example{HOME}/status"
    assert PATH_ONLY.address(page) == f"{HOME}/status"


@pytest.mark.parametrize(
    "address",
    [
        f"http://evil.example{HOME}/status",
        f"http://{HOST}@evil.example{HOME}/status",
        f"http://{HOST}.evil.example{HOME}",
        f"//evil.example{HOME}",
        f"/x{HOME}",
        f"{HOME}/../../../hub/logout",
        f"{HOME}/%2e%2E/%2e./hub",
        "/services/dask-gateway/clusters/",
        "/services/dask-gateway/clusters//status",
        "/services/dask-gateway/clusters/../status",
        "/services/dask-gateway/clusters/a%2fb/status",
        "/services/dask-gatewayX/clusters/ab12/status",
        "/services/dask-gateway/api/v1/clusters/ab12",
        "http://[/services/dask-gateway/clusters/ab12",
        "javascript:alert(1)",
        "",
    ],
)
def test_what_is_no_dashboard_is_left_to_others(address: str) -> None:
    assert PATH_ONLY.find(address, HOST) is None


@given(st.text() | st.text(alphabet="ab12/.%2eF\\?#:@").map(lambda text: HOME + text))
def test_a_browser_is_sent_to_dashboards_only(address: str) -> None:
    found = PATH_ONLY.find(address, HOST)
    if found is not None:
        target = PATH_ONLY.address(found)
        assert target.startswith("/services/dask-gateway/clusters/")
        assert ".." not in unquote(target).split("/")
        assert PATH_ONLY.find_path(target) == found


class Gateway:
    """Says which clusters run, and counts."""

    def __init__(self, *clusters: str) -> None:
        self.clusters = set(clusters)
        self.asked = 0

    async def __call__(self, cluster: str) -> bool:
        self.asked += 1
        return cluster in self.clusters


async def test_the_gateway_is_asked_now_and_then() -> None:
    gateway, now = Gateway("a"), [0.0]
    running = RunningClusters(gateway, lambda: now[0])
    for moment in (0.0, 5.0, 14.0):
        now[0] = moment
        assert await running.is_known_running("a")
    assert gateway.asked == 1
    gateway.clusters.clear()
    now[0] = 15.0
    assert not await running.is_known_running("a")
    # What does not run is asked for again at once: it may be about to.
    gateway.clusters.add("a")
    assert await running.is_known_running("a")
    assert gateway.asked == 3
