"""A real cluster for tests: whichever one KUBECONFIG names."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from deployment import Deployment
from kube import Cluster, is_of_this_machine, own_namespace
from surroundings import World, world_at

from panneuro_hub.devstack.hub_visitor import HubVisitor, visit_hub

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def kubeconfig() -> str:
    """Of the cluster for tests. Only where it is said: nobody's own cluster is taken for one."""
    named = os.environ.get("KUBECONFIG", "")
    if not named:
        pytest.skip("no Kubernetes cluster: KUBECONFIG names none")
    if shutil.which("kubectl") is None:
        pytest.fail("KUBECONFIG names a cluster, but there is no kubectl on PATH; install it")
    return named


@pytest.fixture(scope="session")
def cluster(kubeconfig: str) -> Iterator[Cluster]:
    """A namespace of its own in the cluster, gone at the end."""
    with own_namespace(kubeconfig) as made:
        yield made


@pytest.fixture(scope="session")
def host_address(cluster: Cluster) -> str:
    """Where pods reach what runs on this machine."""
    named = os.environ.get("PANNEURO_TEST_ADDRESS")
    for address in [named] if named else cluster.node_addresses():
        if is_of_this_machine(address):
            return address
    pytest.skip(
        "pods of this cluster may not reach this machine, which is none of its nodes; "
        "PANNEURO_TEST_ADDRESS can say at which address they do"
    )


@pytest.fixture(scope="session")
def images() -> dict[str, str]:
    """What the images are called that are made of the present files."""
    said = _said(ROOT / "images" / "build", "--tags") + _said(
        Path(__file__).with_name("build"), "--tags"
    )
    return dict(line.split() for line in said.splitlines())


@pytest.fixture(scope="session")
def around(host_address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """What a deployed hub needs around it."""
    with world_at(host_address, tmp_path_factory.mktemp("world")) as world:
        yield world


@pytest.fixture(scope="session")
def hub(
    kubeconfig: str,
    around: World,
    images: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Deployment]:
    """A hub in a namespace of its own, with choices in it that cannot work."""
    collaboration = around.collaboration(
        images,
        {
            "lost": "localhost/panneuro/no-such-image:1",
            "wrong": "localhost/Not-An-Image:1",
            "bare": images["postgres"],
        },
        vast={"cpu": 64, "cpu_guarantee": 64, "memory": "900G"},
        tiny={"cpu": 2, "cpu_guarantee": 0.01, "memory": "256M"},
    )
    with own_namespace(kubeconfig) as place:
        plan = around.plan(place, images, collaboration)
        with Deployment(place, plan, tmp_path_factory.mktemp("overlay") / "kustomize") as made:
            yield made


@pytest_asyncio.fixture
async def ada(hub: Deployment) -> AsyncIterator[HubVisitor]:
    """Ada, logged in; her server is gone at the end."""
    async with visit_hub(hub.url, patience=300) as visitor:
        await visitor.log_in("ada")
        yield visitor
        await visitor.stop()


def _said(*command: str | Path) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
