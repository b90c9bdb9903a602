"""A hub below a path: sessions, pages, logins of machines and Dask clusters find each other."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from gateways import DaskGateway
from hubs import Ground
from people import ask, at
from testing.waiting import wait_until_async

from panneuro_hub.client.login import find_service_url

BASE = "/jhub"


@pytest.fixture(scope="module")
def gateway(ground: Ground, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskGateway]:
    folder = tmp_path_factory.mktemp("base-url") / "gateway"
    with DaskGateway(ground, folder, BASE) as it:
        yield it


async def test_everything_is_below_the_base_url(gateway: DaskGateway) -> None:
    hub = gateway.hub
    async with at(hub, hub.ground.register("bea", "navigation")) as bea:
        session = await bea.start({"project": "nhp-navigation"})
        keys = await wait_until_async(bea.ask_agent, "an answer of the agent")
        assert keys.status == 200, keys
        assert keys.json["AccessKeyId"]
        assert session.environment()["PANNEURO_SERVICE_URL"] == hub.service_url

        # Pages, and the links on them.
        page = await bea.visitor.open("/services/panneuro/")
        assert (page.status, page.url.path) == (200, f"{BASE}/services/panneuro/")
        for path in ("datasets", "notebooks", "usage", "login"):
            assert f'href="{BASE}/services/panneuro/{path}' in page.body
        assert f'href="{BASE}/hub/' in page.body
        assert 'href="/services' not in page.body
        assert 'href="/hub' not in page.body

        # `panneuro login`, from the addresses that a person may copy.
        for address in (hub.url, f"{hub.url}/", f"{hub.url}/hub/home"):
            begun = await ask("POST", f"{find_service_url(address)}/api/login", {"host": "laptop"})
            assert begun.status == 200, begun

        # A cluster, and its dashboard.
        name = await gateway.start_cluster(bea, project="nhp-navigation")
        shown = await gateway.api(bea, "GET", name)
        assert shown.json["dashboard_route"] == f"/clusters/{name}/status"
        address = f"/services/dask-gateway/clusters/{name}/status"
        dashboard = await bea.visitor.open(address)
        assert dashboard.status == 200
        assert dashboard.url.path.startswith(f"{BASE}/services/dask-gateway/clusters/{name}/")
        await gateway.stop_cluster(bea, name)
