"""A hub in a pod, its service in pods, servers in pods: the main job on a real cluster."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
import pytest_asyncio
from deployment import Deployment
from kube import Cluster, own_namespace
from surroundings import AWKWARD, World, world_at

from panneuro_hub.demo.errors import DemoError
from panneuro_hub.demo.kernel import Kernel, kernel
from panneuro_hub.demo.visitor import Visitor, visit

PROJECT = "nhp-navigation"
RECORDING = "nhp-navigation/grasshopper-receptor.zarr"
LABELS = "hub.jupyter.org/username"

READ = f"""
import panneuro_hub.lab as lab
print(lab.open_zarr({RECORDING!r}).spike_times.size, "spikes")
"""
REFUSED = """
import obstore
try:
    lab.open_zarr("human-intracranial/event-related-fmri.zarr")
except Exception as refused:
    print("lab:", refused)
from obstore.store import S3Store
try:
    list(S3Store("learning-circuits").list("human-intracranial/"))
except Exception as refused:
    print("store:", "403" in str(refused) or "Forbidden" in str(refused) or type(refused))
"""
NO_SECRET = """
import os, pathlib
print([name for name in os.environ if "SECRET" in name or "TICKET" in name])
print(pathlib.Path("/run/panneuro-ticket").exists(),
      pathlib.Path("/var/run/secrets/kubernetes.io").exists(), os.getuid())
"""


@pytest.fixture(scope="module")
def place(kubeconfig: str) -> Iterator[Cluster]:
    with own_namespace(kubeconfig) as made:
        yield made


@pytest.fixture(scope="module")
def around(host_address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world_at(host_address, tmp_path_factory.mktemp("world")) as world:
        yield world


@pytest.fixture(scope="module")
def hub(
    place: Cluster,
    around: World,
    images: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Deployment]:
    collaboration = around.collaboration(
        images,
        vast={"cpu": 64, "cpu_guarantee": 64, "memory": "900G"},
    ).replace(
        "default: true}\nprofiles",
        "default: true}\n  lost: {title: Lost, image: "
        '"localhost/panneuro/no-such-image:1"}\nprofiles',
    )
    plan = around.plan(place, images, collaboration)
    with Deployment(place, plan, tmp_path_factory.mktemp("overlay") / "kustomize") as made:
        yield made


@pytest_asyncio.fixture
async def ada(hub: Deployment) -> AsyncIterator[Visitor]:
    async with visit(hub.url, patience=300) as visitor:
        await visitor.log_in("ada")
        yield visitor
        await visitor.stop()


async def start(visitor: Visitor, profile: str = "small", **more: str) -> list[str]:
    return await visitor.start({"project": PROJECT, f"profile--{PROJECT}": profile, **more})


async def said(python: Kernel, source: str) -> str:
    return (await python.run(source)).text.strip()


def objects(cluster: Cluster, kind: str, selector: str = "") -> list[dict[str, Any]]:
    words = ["get", kind, "--output", "json", *(["--selector", selector] if selector else [])]
    return list(json.loads(cluster.kubectl(*words))["items"])


def servers(cluster: Cluster) -> list[dict[str, Any]]:
    return objects(cluster, "pods", "component=singleuser-server")


def tickets(cluster: Cluster) -> list[str]:
    names = [secret["metadata"]["name"] for secret in objects(cluster, "secrets")]
    return [name for name in names if name.startswith("panneuro-ticket-")]


def until(what: Callable[[], object], patience: float = 120.0) -> None:
    """Wait for what the cluster tells nobody of."""
    end = time.monotonic() + patience
    while not what():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.5)


async def test_the_main_job(hub: Deployment, around: World, ada: Visitor) -> None:
    lines = await start(ada)
    assert any("nhp-navigation" in line and "manage" in line for line in lines)
    [pod] = servers(hub.cluster)
    labels = pod["metadata"]["labels"]
    assert labels["panneuro.org/project"] == PROJECT
    assert labels["panneuro.org/owner"] == "ada"
    assert len(tickets(hub.cluster)) == 1
    async with kernel(ada, await ada.enter()) as python:
        assert await said(python, READ) == "929 spikes"
        refused = await said(python, REFUSED)
        assert "human-intracranial" in refused
        assert "store: True" in refused
        assert (await said(python, NO_SECRET)).split("\n") == ["[]", "False False 1000"]
        # Past the end of the first keys, which the store itself then refuses.
        first = around.sts.ends[-1]
        reads = 0
        while time.time() < first + 5:
            assert await said(python, READ) == "929 spikes"
            reads += 1
        assert reads > 3
        assert around.sts.ends[-1] > first
    await ada.stop()
    until(lambda: not servers(hub.cluster))
    until(lambda: not tickets(hub.cluster))


async def test_an_agent_that_dies_comes_back(hub: Deployment, ada: Visitor) -> None:
    await start(ada)
    [pod] = servers(hub.cluster)
    name = pod["metadata"]["name"]
    async with kernel(ada, await ada.enter()) as python:
        await said(python, READ)
        kill = "import os; os.kill(1, 15)"
        hub.cluster.run(name, "panneuro-agent", ["python3", "-c", kill])

        def restarted() -> bool:
            [now] = servers(hub.cluster)
            return any(
                status["name"] == "panneuro-agent" and status["restartCount"] and status["ready"]
                for status in now["status"]["containerStatuses"]
            )

        until(restarted)
        assert await said(python, READ) == "929 spikes"


async def test_a_session_outlives_hub_and_service(
    hub: Deployment, around: World, ada: Visitor
) -> None:
    await start(ada)
    [before] = servers(hub.cluster)
    async with kernel(ada, await ada.enter()) as python:
        await said(python, READ)
        ends = len(around.sts.ends)
        hub.cluster.kubectl("rollout", "restart", "deployment/panneuro", "deployment/hub")
        hub.wait()
        # Everything that gives keys is new: the session is not, and goes on.
        until(lambda: len(around.sts.ends) > ends)
    async with kernel(ada, await ada.enter()) as python:
        assert await said(python, READ) == "929 spikes"
    [after] = servers(hub.cluster)
    assert after["metadata"]["uid"] == before["metadata"]["uid"]


async def test_an_image_that_is_not_there(hub: Deployment, ada: Visitor) -> None:
    with pytest.raises(DemoError, match=r"did not start: .*(image|Image|pull)"):
        await start(ada, **{f"image--{PROJECT}": "lost"})
    until(lambda: not servers(hub.cluster) and not tickets(hub.cluster))


async def test_a_profile_larger_than_any_node(hub: Deployment, ada: Visitor) -> None:
    with pytest.raises(DemoError, match=r"did not start: .*(nsufficient|node|fit)"):
        await start(ada, profile="vast")
    until(lambda: not servers(hub.cluster) and not tickets(hub.cluster))


async def test_names_of_every_kind(hub: Deployment) -> None:
    """Every one starts, or is told why not; no two share a pod, a ticket or a place."""
    owners = {}
    for person in AWKWARD:
        async with visit(hub.url, patience=300) as visitor:
            page = await visitor.try_log_in(person.name)
            if page.status >= 400:
                assert page.status < 500, page.text
                assert person.name[:8].lower() in page.text.lower() or "username" in page.text
                continue
            await visitor.log_in(person.name)
            await start(visitor)
            mine = [
                pod["metadata"]["labels"]["panneuro.org/owner"]
                for pod in servers(hub.cluster)
                if pod["metadata"]["labels"]["panneuro.org/owner"] not in owners
            ]
            assert len(mine) == 1, person.name
            owners[mine[0]] = person.name
            await visitor.stop()
    assert len(owners) >= 4, owners
