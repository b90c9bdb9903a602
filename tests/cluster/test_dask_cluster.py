"""Dask on a real cluster: dask-gateway's KubeBackend, its controller, Traefik, workers in pods."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from deployment import Deployment
from started import PROJECT, objects, said, servers, start, tickets
from surroundings import MOST_WORKERS, World
from testing.waiting import wait_until

from panneuro_hub.devstack.hub_visitor import HubVisitor, visit_hub
from panneuro_hub.devstack.kernel_client import start_kernel

DASHBOARD = "Dask Diagnostic UI"
LABELS = tuple(f"panneuro.org/{name}" for name in ("project", "owner"))

CLUSTER = """
import warnings
import panneuro_hub.lab as lab
client = lab.cluster(workers=2, minimum=2)
client.wait_for_workers(2, timeout=300)
print(len(client.scheduler_info()["workers"]), client.cluster.name)
"""
COMPUTE = """
def spikes(_number):
    return lab.open_zarr("nhp-navigation/grasshopper-receptor.zarr").spike_times.size
print(set(client.gather(client.map(spikes, range(20), pure=False))))
"""
REFUSED = """
def others():
    import obstore
    from obstore.store import S3Store
    try:
        list(S3Store("learning-circuits").list("human-intracranial/"))
    except Exception as refused:
        return "403" in str(refused) or "Forbidden" in str(refused) or str(refused)
print(client.submit(others).result())
"""
ALL_WORKERS = """
def until_when():
    lab.open_zarr("nhp-navigation/grasshopper-receptor.zarr").spike_times[:10].load()
    return lab.session().keys_until.timestamp()
print(min(client.run(until_when).values()))
"""
MORE = """
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    client.cluster.scale(9)
print(*(one.message for one in said))
"""
FORGED = """
from dask_gateway import Gateway
with Gateway() as gateway:
    for options in ({"project": "human-intracranial"}, {"image": "mine"}, {"worker_cores": 99}):
        try:
            gateway.submit(**{"project": "nhp-navigation", **options})
        except Exception as refused:
            print(type(refused).__name__, refused)
"""
LEFT = """
from dask_gateway import Gateway
with Gateway() as gateway:
    name = gateway.submit(project="nhp-navigation")
    with gateway.connect(name) as cluster:
        cluster.scale(1)
        with cluster.get_client() as client:
            client.wait_for_workers(1, timeout=300)
print(name)
"""


def dask_pods(hub: Deployment, part: str) -> list[dict[str, Any]]:
    return objects(hub.cluster, "pods", f"app.kubernetes.io/component=dask-{part}")


def running(hub: Deployment) -> list[dict[str, Any]]:
    return [*dask_pods(hub, "scheduler"), *dask_pods(hub, "worker")]


def until_no_cluster_is_left(hub: Deployment) -> None:
    wait_until(lambda: not running(hub) and not tickets(hub.cluster), patience=240)


async def test_a_cluster_of_the_project(hub: Deployment, around: World, ada: HubVisitor) -> None:
    await start(ada)
    async with start_kernel(ada, await ada.enter()) as python:
        count, name = (await said(python, CLUSTER)).split()
        assert count == "2"
        [notebook] = servers(hub.cluster)
        assert len(tickets(hub.cluster)) == 2  # the notebook's and the cluster's, however many pods
        for pod in running(hub):
            found = pod["metadata"]["labels"]
            assert [found[label] for label in LABELS] == [
                notebook["metadata"]["labels"][label] for label in LABELS
            ]
            assert {one["name"] for one in pod["spec"]["containers"]} > {"panneuro-agent"}
            assert "SECRET" not in str(pod["spec"]).upper().replace("SECRETNAME", "").replace(
                "'SECRET':", ""
            )
        assert await said(python, COMPUTE) == "{929}"
        assert await said(python, REFUSED) == "True"
        # Past the end of the first keys, on every worker.
        first = float(await said(python, ALL_WORKERS))
        while time.time() < first + 5:
            assert await said(python, COMPUTE) == "{929}"
        assert float(await said(python, ALL_WORKERS)) > first
        words = await said(python, MORE)
        assert f"{PROJECT} may have {MOST_WORKERS} workers at once" in words
        wait_until(lambda: len(dask_pods(hub, "worker")) == MOST_WORKERS)
        await check_dashboard(hub, ada, name)
        await said(python, "client.close()")
        wait_until(lambda: len(tickets(hub.cluster)) == 1 and not running(hub), patience=240)


async def check_dashboard(hub: Deployment, ada: HubVisitor, name: str) -> None:
    """People of the project open it, nobody else does."""
    path = f"/services/dask-gateway/clusters/{name}/status"
    earned = await ada.open(f"/services/panneuro/dashboards/{name}")
    assert earned.status == 200, earned.text
    assert DASHBOARD in earned.text
    assert (await ada.open(path)).status == 200
    async with visit_hub(hub.url) as stranger:
        page = await stranger.open(path)
        assert DASHBOARD not in page.text
    async with visit_hub(hub.url, patience=300) as grace:
        await grace.log_in("grace")
        refused = await grace.open(f"/services/panneuro/dashboards/{name}")
        assert refused.status == 403, refused.text
        assert (await grace.open(path)).status in (401, 403)
    await check_schedulers_own_route(hub, ada, name)


async def check_schedulers_own_route(hub: Deployment, ada: HubVisitor, name: str) -> None:
    """The route that the controller makes lets nobody pass, were it to come before the gate."""
    path = f"/services/dask-gateway/clusters/{name}/status"
    [made] = [
        one
        for one in objects(hub.cluster, "ingressroutes.traefik.io")
        if f"/clusters/{name}/" in one["spec"]["routes"][0]["match"]
    ]
    [route] = made["spec"]["routes"]
    open_to_all = {key: value for key, value in route.items() if key != "middlewares"}

    def put_first(route: dict[str, Any]) -> None:
        hub.cluster.apply(
            {key: made[key] for key in ("apiVersion", "kind")}
            | {"metadata": {"name": "comes-first"}}
            | {"spec": {**made["spec"], "routes": [{**route, "priority": 2_000_000}]}}
        )

    async def until_answered(*, shut: bool) -> None:
        for _ in range(120):
            if ((await ada.open(path)).status == 403) is shut:
                return
            await asyncio.sleep(0.5)
        pytest.fail(f"{path} does not get {'shut' if shut else 'open'} in a minute")

    try:
        put_first(route)
        await until_answered(shut=True)
        put_first(open_to_all)  # what answered was this route, and the middleware shut it
        await until_answered(shut=False)
    finally:
        hub.cluster.kubectl("delete", "ingressroutes.traefik.io", "comes-first")


async def test_what_is_not_theirs_is_refused_in_words(hub: Deployment, ada: HubVisitor) -> None:
    await start(ada)
    async with start_kernel(ada, await ada.enter()) as python:
        other, image, unknown = (await said(python, FORGED)).split("\n")
        assert "human-intracranial" in other
        assert "image 'mine' may not be used" in image
        assert "unknown option 'worker_cores'" in unknown
    assert not running(hub)


async def test_a_cluster_outlives_a_gateway_but_no_access(hub: Deployment, ada: HubVisitor) -> None:
    await start(ada)
    async with start_kernel(ada, await ada.enter()) as python:
        await said(python, LEFT)
    [worker] = dask_pods(hub, "worker")
    hub.cluster.kubectl("rollout", "restart", "deployment/dask-gateway", "deployment/dask-proxy")
    hub.wait()
    [same] = dask_pods(hub, "worker")
    assert same["metadata"]["uid"] == worker["metadata"]["uid"]
    before = hub.plan.collaboration
    without = before.replace("navigation-lab: manage", "categorization-lab: manage", 1)
    assert without != before
    hub.replace(without)
    try:
        wait_until(lambda: not running(hub), patience=240)
    finally:
        hub.replace(before)


async def test_a_server_that_is_stopped_takes_its_clusters_with_it(
    hub: Deployment, ada: HubVisitor
) -> None:
    await start(ada)
    async with start_kernel(ada, await ada.enter()) as python:
        await said(python, LEFT)
    assert len(running(hub)) == 2  # a scheduler and a worker
    await ada.stop()
    until_no_cluster_is_left(hub)
