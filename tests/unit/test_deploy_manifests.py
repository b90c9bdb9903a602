"""The manifests of deploy/kustomize: valid today, with no right and no way more than is needed."""

from __future__ import annotations

import importlib.metadata
import json
import shutil
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
from manifests import DEPLOY, ROOT, Object, named, of_kind, read, rendered, written
from network import Outside, Pod, lets
from pod_security import problems

WRITTEN = written()
WORKLOADS = of_kind(WRITTEN, "Deployment", "StatefulSet")
GOLDEN = ROOT / "tests" / "data" / "golden"


def ident(one: Object) -> str:
    return f"{one['kind']}-{one['metadata']['name']}"


def pod_spec(workload: Object) -> dict[str, Any]:
    return workload["spec"]["template"]["spec"]


CONTAINERS = [
    pytest.param(container, id=container["name"])
    for workload in WORKLOADS
    for container in pod_spec(workload)["containers"]
]


# -- schemas --------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["1.30", kubernetes_validate.latest_version()])
@pytest.mark.parametrize("one", WRITTEN, ids=ident)
def test_every_object_is_valid(one: Object, version: str) -> None:
    kubernetes_validate.validate(one, version, strict=True)


def test_a_wrong_object_would_not_be() -> None:
    wrong = json.loads(json.dumps(named(WRITTEN, "Deployment", "hub")))
    wrong["spec"]["template"]["spec"]["containers"][0]["readinesProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, kubernetes_validate.latest_version(), strict=True)


@pytest.fixture(scope="module")
def kubectl() -> None:
    if shutil.which("kubectl") is None:
        pytest.skip("no kubectl here, and so nothing that renders an overlay")


@pytest.fixture(scope="module", params=["kustomize/example", "helm"])
def overlay(
    kubectl: None, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> list[Object]:
    return rendered(tmp_path_factory.mktemp("rendered") / "deploy", request.param)


def test_what_an_overlay_makes_is_valid(overlay: list[Object]) -> None:
    for one in overlay:
        kubernetes_validate.validate(one, kubernetes_validate.latest_version(), strict=True)


def test_whatever_a_pod_names_is_there(overlay: list[Object]) -> None:
    there = {(one["kind"], one["metadata"]["name"]) for one in overlay}
    wanted = set()
    for workload in of_kind(overlay, "Deployment", "StatefulSet"):
        spec = pod_spec(workload)
        for volume in spec["volumes"]:
            sources = volume["projected"]["sources"] if "projected" in volume else [volume]
            wanted |= {
                ("ConfigMap", one["configMap"]["name"]) for one in sources if "configMap" in one
            }
        for container in spec["containers"]:
            wanted |= {("Secret", one["secretRef"]["name"]) for one in container.get("envFrom", ())}
        if "serviceAccountName" in spec:
            wanted.add(("ServiceAccount", spec["serviceAccountName"]))
    assert wanted - {("ConfigMap", "kube-root-ca.crt")} <= there


def test_a_change_of_the_collaboration_reaches_running_pods(overlay: list[Object]) -> None:
    # By name, since a name with a hash would be another ConfigMap, and new pods.
    assert set(named(overlay, "ConfigMap", "panneuro")["data"]) == {"collaboration.yaml"}
    for workload in of_kind(overlay, "Deployment"):
        for container in pod_spec(workload)["containers"]:
            for mount in container["volumeMounts"]:
                assert "subPath" not in mount, "the kubelet never changes a file mounted so"


def test_only_registries_of_ones_own_are_named(overlay: list[Object]) -> None:
    for workload in of_kind(overlay, "Deployment", "StatefulSet"):
        for container in pod_spec(workload)["containers"]:
            assert container["image"].startswith("registry.example.org/")


# -- pods -----------------------------------------------------------------------------------


@pytest.mark.parametrize("workload", WORKLOADS, ids=ident)
def test_pods_keep_to_the_strictest_standard(workload: Object) -> None:
    assert list(problems(pod_spec(workload))) == []


@pytest.mark.parametrize("name", ["pod-small.json", "pod-gpu.json"])
def test_so_do_sessions(name: str) -> None:
    assert list(problems(json.loads((GOLDEN / name).read_text())["spec"])) == []


def test_the_namespace_holds_them_to_it() -> None:
    (namespace,) = of_kind(WRITTEN, "Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


@pytest.mark.parametrize("workload", WORKLOADS, ids=ident)
def test_no_pod_is_anybody_in_kubernetes_by_default(workload: Object) -> None:
    assert pod_spec(workload)["automountServiceAccountToken"] is False


@pytest.mark.parametrize("account", of_kind(WRITTEN, "ServiceAccount"), ids=ident)
def test_nor_is_any_pod_by_its_account(account: Object) -> None:
    assert account["automountServiceAccountToken"] is False


def test_only_the_hubs_container_has_the_hubs_token() -> None:
    spec = pod_spec(named(WRITTEN, "Deployment", "hub"))
    (token,) = [
        volume["name"]
        for volume in spec["volumes"]
        if any(
            "serviceAccountToken" in one for one in volume.get("projected", {}).get("sources", ())
        )
    ]
    holders = [
        container["name"]
        for container in spec["containers"]
        if token in {mount["name"] for mount in container["volumeMounts"]}
    ]
    assert holders == ["hub"]


@pytest.mark.parametrize("container", CONTAINERS)
def test_containers_cannot_change_themselves(container: dict[str, Any]) -> None:
    assert container["securityContext"]["readOnlyRootFilesystem"] is True


@pytest.mark.parametrize("container", CONTAINERS)
def test_images_have_a_fixed_tag(container: dict[str, Any]) -> None:
    _, _, tag = container["image"].rpartition(":")
    assert tag
    assert tag != "latest"
    assert "/" not in tag


def test_images_are_of_this_version() -> None:
    version = importlib.metadata.version("panneuro-hub")
    ours = {
        container["image"]
        for workload in WORKLOADS
        for container in pod_spec(workload)["containers"]
        if container["image"].startswith("panneuro/")
    }
    assert ours == {f"panneuro/hub:{version.rpartition('.')[0]}"}


@pytest.mark.parametrize("container", CONTAINERS)
def test_containers_say_what_they_need(container: dict[str, Any]) -> None:
    assert set(container["resources"]["requests"]) == {"cpu", "memory"}
    assert "memory" in container["resources"]["limits"]


@pytest.mark.parametrize("container", CONTAINERS)
def test_containers_are_looked_after(container: dict[str, Any]) -> None:
    names = {port["name"] for port in container["ports"]}
    for kind in ("readinessProbe", "livenessProbe"):
        probe = container[kind]
        for how in ("httpGet", "tcpSocket"):
            assert how not in probe or probe[how]["port"] in names
    # Starting takes long the first time: a database is made, a hub waits for its service.
    if container["name"] != "proxy":
        start = container["startupProbe"]
        assert start["periodSeconds"] * start["failureThreshold"] >= 120


def test_the_services_replicas_do_not_go_at_once() -> None:
    service = named(WRITTEN, "Deployment", "panneuro")
    assert service["spec"]["replicas"] == 2
    (budget,) = of_kind(WRITTEN, "PodDisruptionBudget")
    assert budget["spec"]["maxUnavailable"] == 1
    assert budget["spec"]["selector"] == service["spec"]["selector"]


def test_there_is_one_hub_at_a_time() -> None:
    spec = named(WRITTEN, "Deployment", "hub")["spec"]
    assert (spec["replicas"], spec["strategy"]["type"]) == (1, "Recreate")


@pytest.mark.parametrize("service", of_kind(WRITTEN, "Service"), ids=ident)
def test_services_lead_to_a_port_that_there_is(service: Object) -> None:
    chosen = [
        workload
        for workload in WORKLOADS
        if service["spec"]["selector"].items()
        <= workload["spec"]["template"]["metadata"]["labels"].items()
    ]
    assert len(chosen) == 1
    names = {
        port["name"]
        for container in pod_spec(chosen[0])["containers"]
        for port in container["ports"]
    }
    assert {port["targetPort"] for port in service["spec"]["ports"]} <= names


def test_sessions_are_reached_while_the_hub_starts_again() -> None:
    assert named(WRITTEN, "Service", "proxy-public")["spec"]["publishNotReadyAddresses"] is True


# -- rights ---------------------------------------------------------------------------------


def test_the_hub_has_exactly_these_rights() -> None:
    rules = {
        resource: sorted(rule["verbs"])
        for rule in named(WRITTEN, "Role", "hub")["rules"]
        for resource in rule["resources"]
        if rule["apiGroups"] == [""] and set(rule) == {"apiGroups", "resources", "verbs"}
    }
    assert rules == {
        "pods": ["create", "delete", "list", "watch"],
        "events": ["list", "watch"],
        "persistentvolumeclaims": ["create", "get"],
        "secrets": ["create"],
    }


def test_nobody_else_has_any() -> None:
    assert [ident(one) for one in WRITTEN if "rbac" in one["apiVersion"]] == [
        "Role-hub",
        "RoleBinding-hub",
        "ClusterRole-panneuro-hub-nodes",
        "ClusterRoleBinding-panneuro-hub-nodes",
    ]
    (binding,) = of_kind(WRITTEN, "RoleBinding")
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "hub"}]


def test_outside_its_namespace_the_hub_may_only_count_nodes() -> None:
    (role,) = of_kind(WRITTEN, "ClusterRole")
    assert role["rules"] == [{"apiGroups": [""], "resources": ["nodes"], "verbs": ["list"]}]
    (binding,) = of_kind(WRITTEN, "ClusterRoleBinding")
    assert [one["name"] for one in binding["subjects"]] == ["hub"]


def test_it_is_the_hub_of_the_overlays_own_namespace(kubectl: None, tmp_path: Path) -> None:
    made = rendered(tmp_path / "deploy", "kustomize/example", namespace="elsewhere")
    (binding,) = of_kind(made, "ClusterRoleBinding")
    assert [one["namespace"] for one in binding["subjects"]] == ["elsewhere"]


def test_no_secret_is_in_the_files() -> None:
    assert of_kind(WRITTEN, "Secret") == []
    assert "*.env" in (DEPLOY / ".gitignore").read_text().split()
    assert [path for path in DEPLOY.rglob("*.env") if "my-hub" not in path.parts] == []


# -- the network ----------------------------------------------------------------------------


def ports_of(workload: Object) -> dict[str, int]:
    return {
        port["name"]: port["containerPort"]
        for container in pod_spec(workload)["containers"]
        for port in container["ports"]
    }


def pod_of(kind: str, name: str) -> Pod:
    workload = named(WRITTEN, kind, name)
    return Pod(workload["spec"]["template"]["metadata"]["labels"], ports_of(workload))


def session(name: str) -> Pod:
    """As the spawner makes it."""
    metadata = json.loads((GOLDEN / name).read_text())["metadata"]
    return Pod(metadata["labels"], {"notebook-port": 8888})


HUB = pod_of("Deployment", "hub")
SERVICE = pod_of("Deployment", "panneuro")
DATABASE = pod_of("StatefulSet", "postgres")
SESSION, OTHER = session("pod-small.json"), session("pod-gpu.json")
STRANGER = Pod({"app": "stranger"})
NAMES = Pod({"k8s-app": "kube-dns"}, namespace="kube-system")
ELSEWHERE = Pod({"app": "jupyterhub", "component": "hub"}, namespace="other")
BROWSER = Outside("203.0.113.7")
METADATA, POD_METADATA = Outside("169.254.169.254"), Outside("169.254.170.23")
METADATA_6 = Outside("fd00:ec2::254")
API_SERVER = Outside("10.96.0.1")
S3, S3_6 = Outside("52.92.1.1"), Outside("2600:1fa0::1")
STORE, OTHER_INSIDE = Outside("10.20.30.40"), Outside("10.20.30.41")
POLICIES = of_kind(WRITTEN, "NetworkPolicy")


@pytest.mark.parametrize(
    ("source", "target", "port"),
    [
        (BROWSER, HUB, 8000),
        (HUB, SESSION, 8888),
        (HUB, SERVICE, 10143),
        (HUB, DATABASE, 5432),
        (HUB, API_SERVER, 443),
        (HUB, Outside("10.0.0.2"), 6443),
        (HUB, S3, 443),  # an identity provider
        (SESSION, HUB, 8081),
        (SESSION, SERVICE, 10143),
        (SESSION, S3, 443),
        (SESSION, S3_6, 443),
        (SESSION, Outside("140.82.112.3"), 22),
        (SESSION, STORE, 8333),
        (SERVICE, HUB, 8081),
        (SERVICE, DATABASE, 5432),
        (SERVICE, S3, 443),
        (SERVICE, STORE, 8333),
        *((pod, NAMES, 53) for pod in (HUB, SERVICE, SESSION)),
    ],
)
def test_what_is_needed_gets_through(source: Any, target: Any, port: int) -> None:
    assert lets(POLICIES, source, target, port)


@pytest.mark.parametrize(
    ("source", "target", "port"),
    [
        # Instance metadata, of either kind, from nowhere.
        *(
            (pod, address, 80)
            for pod in (SESSION, SERVICE, HUB, DATABASE)
            for address in (METADATA, POD_METADATA, METADATA_6)
        ),
        *((pod, METADATA, 443) for pod in (SESSION, SERVICE, HUB)),
        # Sessions: no API server, no database, no other session, nothing inside.
        (SESSION, API_SERVER, 443),
        (SESSION, Outside("10.0.0.2"), 6443),
        (SESSION, Outside("100.64.0.1"), 443),
        (SESSION, Outside("192.168.0.1"), 443),
        (SESSION, Outside("172.16.0.1"), 443),
        (SESSION, Outside("fd12::1"), 443),
        (SESSION, DATABASE, 5432),
        (SESSION, OTHER, 8888),
        (SESSION, OTHER, 8317),
        (SESSION, HUB, 8000),
        (SESSION, HUB, 8099),
        (SESSION, HUB, 8082),
        (SESSION, STRANGER, 80),
        (SESSION, NAMES, 443),
        # Of a store inside, its S3 port alone: no filer, no volume server, no master.
        *((pod, STORE, port) for pod in (SESSION, SERVICE) for port in (8888, 8080, 9333, 18333)),
        (SESSION, OTHER_INSIDE, 8333),
        # Nobody else gets in.
        (BROWSER, HUB, 8081),
        (BROWSER, HUB, 8099),
        (BROWSER, SERVICE, 10143),
        (BROWSER, SESSION, 8888),
        (BROWSER, DATABASE, 5432),
        (STRANGER, HUB, 8081),
        (STRANGER, SERVICE, 10143),
        (STRANGER, SESSION, 8888),
        (STRANGER, DATABASE, 5432),
        (ELSEWHERE, SERVICE, 10143),
        (ELSEWHERE, SESSION, 8888),
        (SERVICE, SESSION, 8888),
        (SERVICE, API_SERVER, 6443),
        (DATABASE, S3, 443),
        (HUB, SESSION, 8317),
    ],
)
def test_nothing_else_does(source: Any, target: Any, port: int) -> None:
    assert not lets(POLICIES, source, target, port)


def test_beside_the_chart_too() -> None:
    alone = read(DEPLOY / "kustomize" / "service" / "network.yaml")
    proxy = Pod({"app": "jupyterhub", "component": "proxy", "release": "hub"})
    scheduler = Pod({"app": "jupyterhub", "component": "user-scheduler", "release": "hub"})
    for pod in (proxy, HUB, SESSION):
        assert lets(alone, pod, SERVICE, 10143)
    for pod in (scheduler, STRANGER, BROWSER):
        assert not lets(alone, pod, SERVICE, 10143)
    for target, port in ((HUB, 8081), (S3, 443), (NAMES, 53)):
        assert lets(alone, SERVICE, target, port)
    assert not lets(alone, SERVICE, METADATA, 80)


def test_without_policies_everything_does() -> None:
    assert lets([], SESSION, METADATA, 80)


# -- what the hub is told -------------------------------------------------------------------


def test_the_example_and_the_chart_are_told_the_same() -> None:
    (hub,) = read(DEPLOY / "kustomize" / "example" / "hub.yaml")
    (values,) = read(DEPLOY / "helm" / "zero-to-jupyterhub.yaml")
    chart = values["hub"]["config"]
    assert chart["OAuthenticator"] == hub["OAuthenticator"]
    assert chart["PanNeuroSpawner"] == hub["PanNeuroSpawner"]
