"""A real cluster for tests: whichever one KUBECONFIG names."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from kube import Cluster, is_of_this_machine, own_namespace

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
    tags = dict(line.split() for line in _said(ROOT / "images" / "build", "--tags").splitlines())
    postgres = _said(Path(__file__).with_name("postgres") / "build", "--tag")
    return {**tags, "postgres": postgres.strip()}


def _said(*command: str | Path) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
