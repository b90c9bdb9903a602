"""Whole pods of a cluster, as dask-gateway's own controller makes them from our config."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import kubernetes_validate
import pytest
from collaborations import changed
from dask_gateway_server.backends.kubernetes.controller import KubeController
from dask_gateway_server.utils import FrozenAttrDict
from pod_security import problems
from traitlets.config import Config

from panneuro_hub.collaboration import Collaboration
from panneuro_hub.dask.cluster_pods import build_kube_config
from panneuro_hub.dask.kube_backend import KubeConfig, has_worker
from panneuro_hub.wire.session import Session

SESSION = Session("0123456789abcdef", "nhp-navigation", "standard", "neuro")
SERVICE = "http://panneuro:10143/services/panneuro"
PERSON = "Ada.Monkman@uni.example"


@pytest.fixture
def placed(example: Collaboration) -> Collaboration:
    """The example, whose workers have nodes of their own, in a store of their own."""

    def change(document: dict[str, Any]) -> None:
        document["stores"]["main"]["endpoint_url"] = "https://s3.example.org"
        document["dask"]["worker_profiles"]["standard"]["kubernetes"] = {
            "node_selector": {"hub.jupyter.org/node-purpose": "worker"},
            "tolerations": [{"key": "spot", "operator": "Exists"}],
        }

    return changed(example, change)


def cluster(
    collaboration: Collaboration,
    config: Config | None = None,
    variables: Mapping[str, str] | None = None,
    session: Session = SESSION,
) -> dict[str, Any]:
    """What the gateway writes into the DaskCluster object."""
    given = config or Config()
    traits = build_kube_config(
        collaboration,
        session,
        PERSON,
        variables or {"OMP_NUM_THREADS": "1"},
        service_url=SERVICE,
        agent_image="panneuro/agent:test",
        admin_traits=KubeConfig(config=given).to_dict(),
    )
    written: dict[str, Any] = json.loads(json.dumps(KubeConfig(config=given, **traits).to_dict()))
    return written


def pod(written: dict[str, Any], *, worker: bool) -> dict[str, Any]:
    """The pod that the controller makes of it."""
    controller = KubeController(gateway_instance="hub", api_url="http://dask-gateway:8000/api")
    made: dict[str, Any] = controller.make_pod(
        "hub", "c1", FrozenAttrDict(written), is_worker=worker
    )
    del made["metadata"]["labels"]["app.kubernetes.io/version"]  # not ours, new with every release
    return made


def both(written: dict[str, Any]) -> list[dict[str, Any]]:
    return [pod(written, worker=True), pod(written, worker=False)]


def variables_of(made: dict[str, Any]) -> dict[str, Any]:
    return {one["name"]: one.get("value") for one in made["spec"]["containers"][0]["env"]}


@pytest.mark.parametrize("part", ["worker", "scheduler"])
def test_the_whole_pod(
    placed: Collaboration, part: str, golden: Callable[[str, str], None]
) -> None:
    made = pod(cluster(placed), worker=part == "worker")
    golden(f"pod-dask-{part}.json", json.dumps(made, indent=2, sort_keys=True) + "\n")


@pytest.mark.parametrize("version", ["1.30", kubernetes_validate.latest_version()])
def test_pods_are_valid(placed: Collaboration, version: str) -> None:
    for made in both(cluster(placed)):
        kubernetes_validate.validate(made, version, strict=True)


def test_pods_are_restricted(placed: Collaboration) -> None:
    for made in both(cluster(placed)):
        assert list(problems(made["spec"])) == []


def test_only_the_agent_mounts_the_ticket(placed: Collaboration) -> None:
    for made in both(cluster(placed)):
        mounts = {
            container["name"]: [mount["name"] for mount in container["volumeMounts"]]
            for container in made["spec"]["containers"]
        }
        assert mounts.pop("panneuro-agent") == ["panneuro-token", "panneuro-ticket"]
        assert list(mounts.values()) == [["dask-credentials", "panneuro-token"]]


def test_sizes_are_of_the_worker_profile(placed: Collaboration) -> None:
    written = cluster(placed)
    worker, scheduler = both(written)
    size = {"cpu": "4.000", "memory": str(16 * 1024**3)}
    assert worker["spec"]["containers"][0]["resources"] == {"requests": size, "limits": size}
    assert scheduler["spec"]["containers"][0]["resources"]["limits"]["cpu"] == "1.000"
    assert written["idle_timeout"] == 1800
    assert written["panneuro"] == {
        "session": SESSION.id, "project": "nhp-navigation", "profile": "standard",
        "image": "neuro",
    }  # fmt: skip


def test_without_listed_images_the_gateways_own_is_used(example: Collaboration) -> None:
    def change(document: dict[str, Any]) -> None:
        document["images"] = {}

    config = Config()
    config.KubeClusterConfig.image = "panneuro/notebook:own"
    session = Session(SESSION.id, SESSION.project, SESSION.profile, None)
    written = cluster(changed(example, change), config, session=session)
    assert written["image"] == "panneuro/notebook:own"


def test_nothing_comes_alive_in_a_variable(placed: Collaboration) -> None:
    values = {"A": "$(DASK_GATEWAY_API_TOKEN)", "B": "$$(X)", "C": "$HOME ${X}", "D": "plain"}
    for made in both(cluster(placed, variables=values)):
        got = {name: variables_of(made)[name] for name in values}
        assert got == {
            "A": "$$(DASK_GATEWAY_API_TOKEN)", "B": "$$$$(X)", "C": "$$HOME $${X}", "D": "plain",
        }  # fmt: skip


def test_our_variables_come_last(placed: Collaboration) -> None:
    theirs = {"PANNEURO_PROJECT": "human-intracranial", "AWS_REGION": "x"}
    for made in both(cluster(placed, variables=theirs)):
        assert variables_of(made)["PANNEURO_PROJECT"] == "nhp-navigation"
        assert variables_of(made)["AWS_REGION"] == "us-west-2"


def test_what_the_admin_set_stays(placed: Collaboration) -> None:
    config = Config()
    config.KubeClusterConfig.worker_extra_pod_config = {
        "nodeSelector": {"zone": "a"},
        "tolerations": [{"key": "theirs"}],
        "volumes": [{"name": "scratch", "emptyDir": {}}],
        "priorityClassName": "low",
        "automountServiceAccountToken": True,
    }
    config.KubeClusterConfig.worker_extra_container_config = {
        "volumeMounts": [{"name": "scratch", "mountPath": "/scratch"}],
        "securityContext": {"runAsUser": 1234},
    }
    config.KubeClusterConfig.worker_extra_pod_labels = {
        "theirs": "yes", "panneuro.org/project": "forged",
    }  # fmt: skip
    config.KubeClusterConfig.scheduler_memory = "1 G"
    worker, scheduler = both(cluster(placed, config))
    spec = worker["spec"]
    assert spec["nodeSelector"] == {"zone": "a", "hub.jupyter.org/node-purpose": "worker"}
    assert [one["key"] for one in spec["tolerations"]] == ["theirs", "spot"]
    assert spec["priorityClassName"] == "low"
    assert spec["automountServiceAccountToken"] is False
    assert "scratch" in [volume["name"] for volume in spec["volumes"]]
    security = spec["containers"][0]["securityContext"]
    assert (security["runAsUser"], security["runAsNonRoot"]) == (1234, True)
    labels = worker["metadata"]["labels"]
    assert (labels["theirs"], labels["panneuro.org/project"]) == ("yes", "nhp-navigation")
    assert "nodeSelector" not in scheduler["spec"]
    limits = scheduler["spec"]["containers"][0]["resources"]["limits"]
    assert limits["memory"] == str(1024**3)


def worker_pod(phase: str, **state: Any) -> dict[str, Any]:
    containers = [{"name": "panneuro-agent", "state": {"running": {}}}]
    if state:
        containers.append({"name": "dask-worker", "state": state})
    return {"status": {"phase": phase, "containerStatuses": containers}}


def test_a_worker_counts_until_it_is_gone_though_its_agent_goes_on() -> None:
    assert has_worker(worker_pod("Pending"))
    assert has_worker(worker_pod("Running", running={}))
    assert has_worker(worker_pod("Running", terminated={"exitCode": 1})), "it is started again"
    assert not has_worker(worker_pod("Running", terminated={"exitCode": 0}))
    assert not has_worker(worker_pod("Failed"))
    assert not has_worker(worker_pod("Succeeded"))
