"""deploy/kustomize/dask: what Dask clusters need beside a hub, and what they may not reach."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
from manifests import DEPLOY, ROOT, Object, named, of_kind, read
from network import Outside, Pod, lets
from pod_security import problems
from ruamel.yaml import YAML

DASK = DEPLOY / "kustomize" / "dask"
WRITTEN = [
    one
    for path in sorted(DASK.glob("*.yaml"))
    if path.name != "kustomization.yaml"
    for one in read(path)
]
DEFINITIONS = [
    one
    for path in sorted((DASK / "crds").glob("*.yaml"))
    if path.name != "kustomization.yaml"
    for one in read(path)
]
KUBERNETES_OWN = [one for one in WRITTEN if one["apiVersion"] != "traefik.io/v1alpha1"]
DEPLOYMENTS = of_kind(WRITTEN, "Deployment")


def ident(one: Object) -> str:
    return f"{one['kind']}-{one['metadata']['name']}"


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> list[Object]:
    """The example, with what is commented out for Dask."""
    if shutil.which("kubectl") is None:
        pytest.skip("no kubectl here, and so nothing that renders an overlay")
    folder = tmp_path_factory.mktemp("rendered") / "deploy"
    shutil.copytree(DEPLOY, folder)
    overlay = folder / "kustomize" / "example"
    with_dask(overlay / "kustomization.yaml")
    shutil.copy(ROOT / "examples" / "collaboration.yaml", overlay)
    subprocess.run([folder / "secrets", overlay], check=True, stdout=subprocess.DEVNULL)
    done = subprocess.run(["kubectl", "kustomize", overlay], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [one for one in YAML(typ="safe").load_all(done.stdout) if one]


def with_dask(kustomization: Path) -> None:
    """Uncomment what the example says of Dask, as docs/how-to/dask.md tells an operator."""
    lines = kustomization.read_text().splitlines()
    chosen = [line.replace("# dask: ", "", 1) for line in lines]
    assert chosen != lines
    kustomization.write_text("\n".join(chosen))


@pytest.mark.parametrize("version", ["1.30", kubernetes_validate.latest_version()])
@pytest.mark.parametrize("one", [*KUBERNETES_OWN, *DEFINITIONS], ids=ident)
def test_every_object_is_valid(one: Object, version: str) -> None:
    kubernetes_validate.validate(one, version, strict=True)


def test_every_kind_that_is_used_is_defined() -> None:
    defined = {
        (f"{one['spec']['group']}/{version['name']}", one["spec"]["names"]["kind"])
        for one in DEFINITIONS
        for version in one["spec"]["versions"]
    }
    used = {(one["apiVersion"], one["kind"]) for one in WRITTEN if one not in KUBERNETES_OWN}
    assert used
    assert used <= defined


def test_the_proxy_may_follow_every_kind_that_traefik_follows() -> None:
    (rule,) = [
        rule
        for rule in named(WRITTEN, "Role", "dask-proxy")["rules"]
        if rule["apiGroups"] == ["traefik.io"]
    ]
    traefiks = [one for one in DEFINITIONS if one["spec"]["group"] == "traefik.io"]
    assert sorted(rule["resources"]) == sorted(one["spec"]["names"]["plural"] for one in traefiks)


def test_the_hub_and_the_service_take_part(rendered: list[Object]) -> None:
    (hub,) = [
        container
        for container in named(rendered, "Deployment", "hub")["spec"]["template"]["spec"][
            "containers"
        ]
        if container["name"] == "hub"
    ]
    variables = {variable["name"]: variable.get("value") for variable in hub["env"]}
    proxy = named(rendered, "Service", "dask-proxy")
    ports = {port["name"]: port["port"] for port in proxy["spec"]["ports"]}
    assert variables["PANNEURO_DASK_GATEWAY_URL"] == f"http://dask-proxy:{ports['web']}"
    assert variables["PANNEURO_DASK_PROXY_ADDRESS"] == f"gateway://dask-proxy:{ports['tcp']}"
    tokens = {
        one["metadata"]["name"].rpartition("-")[0]: one["data"]
        for one in of_kind(rendered, "Secret")
    }
    assert (
        tokens["panneuro-dask"]["JUPYTERHUB_API_TOKEN"]
        == tokens["panneuro-hub"]["PANNEURO_DASK_GATEWAY_TOKEN"]
    )


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=ident)
def test_pods_keep_to_the_strictest_standard(deployment: Object) -> None:
    spec = deployment["spec"]["template"]["spec"]
    assert list(problems(spec)) == []
    assert spec["automountServiceAccountToken"] is False
    (container,) = spec["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert set(container["resources"]["requests"]) == {"cpu", "memory"}
    assert container["image"] == "panneuro/hub:0.1"


def test_there_is_one_gateway_at_a_time() -> None:
    spec = named(WRITTEN, "Deployment", "dask-gateway")["spec"]
    assert (spec["replicas"], spec["strategy"]["type"]) == (1, "Recreate")


# -- rights ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "name", "expected"),
    [
        (
            "Role",
            "dask-gateway",
            {"daskclusters": {"create", "patch"}, "secrets": {"create", "delete", "get"}},
        ),
        (
            "Role",
            "dask-controller",
            {
                "daskclusters": {"delete"},
                "daskclusters/status": {"patch"},
                "pods": {"create", "delete"},
                "secrets": {"create", "delete"},
                "services": {"create"},
                "ingressroutes": {"create"},
                "ingressroutetcps": {"create"},
            },
        ),
        (
            "ClusterRole",
            "panneuro-dask-watch",
            {
                "daskclusters": {"list", "watch"},
                "pods": {"list", "watch"},
                "endpoints": {"list", "watch"},
            },
        ),
    ],
)
def test_rights_are_exactly_these(kind: str, name: str, expected: dict[str, set[str]]) -> None:
    assert {
        resource: set(rule["verbs"])
        for rule in named(WRITTEN, kind, name)["rules"]
        for resource in rule["resources"]
    } == expected


def test_nobody_may_read_secrets_of_all_namespaces() -> None:
    for role in of_kind(WRITTEN, "ClusterRole"):
        assert all("secrets" not in rule["resources"] for rule in role["rules"])


# -- the network ----------------------------------------------------------------------------


def pod_of(name: str, files: list[Object]) -> Pod:
    template = named(files, "Deployment", name)["spec"]["template"]
    ports = {
        port["name"]: port["containerPort"]
        for container in template["spec"]["containers"]
        for port in container["ports"]
    }
    return Pod(template["metadata"]["labels"], ports)


def dask_pod(component: str) -> Pod:
    """As the controller makes it."""
    return Pod(
        {"app.kubernetes.io/component": component, "panneuro.org/session": "0123456789abcdef"}
    )


@pytest.fixture(scope="module")
def policies(rendered: list[Object]) -> list[Object]:
    return of_kind(rendered, "NetworkPolicy")


BASE = [
    one
    for path in (
        DEPLOY / "kustomize" / "base" / "hub.yaml",
        DEPLOY / "kustomize" / "service" / "service.yaml",
    )
    for one in read(path)
]
HUB, SERVICE = pod_of("hub", BASE), pod_of("panneuro", BASE)
GATEWAY, CONTROLLER, PROXY = (
    pod_of(name, WRITTEN) for name in ("dask-gateway", "dask-controller", "dask-proxy")
)
SCHEDULER, WORKER = dask_pod("dask-scheduler"), dask_pod("dask-worker")
GOLDEN = ROOT / "tests" / "data" / "golden" / "pod-small.json"
NOTEBOOK = Pod(json.loads(GOLDEN.read_text())["metadata"]["labels"])
STRANGER = Pod({"app": "stranger"})
API_SERVER, METADATA, S3 = Outside("10.96.0.1"), Outside("169.254.169.254"), Outside("52.92.1.1")


@pytest.mark.parametrize(
    ("source", "target", "port"),
    [
        (HUB, PROXY, 8000),
        (NOTEBOOK, PROXY, 8000),
        (NOTEBOOK, PROXY, 8786),
        (PROXY, GATEWAY, 8000),
        (PROXY, SCHEDULER, 8786),
        (GATEWAY, HUB, 8081),
        (GATEWAY, SERVICE, 10143),
        (GATEWAY, SCHEDULER, 8787),
        (GATEWAY, SCHEDULER, 8788),
        (SCHEDULER, GATEWAY, 8000),
        (WORKER, SCHEDULER, 8786),
        (SCHEDULER, WORKER, 40123),
        (WORKER, WORKER, 40123),
        (SCHEDULER, SERVICE, 10143),
        (WORKER, SERVICE, 10143),
        (WORKER, S3, 443),
        *((pod, API_SERVER, 443) for pod in (GATEWAY, CONTROLLER, PROXY)),
    ],
)
def test_what_is_needed_gets_through(
    policies: list[Object], source: Any, target: Any, port: int
) -> None:
    assert lets(policies, source, target, port)


@pytest.mark.parametrize(
    ("source", "target", "port"),
    [
        # A dashboard is opened by way of the gateway, which asks who opens it.
        *((pod, SCHEDULER, 8787) for pod in (NOTEBOOK, WORKER, HUB, STRANGER, PROXY)),
        (PROXY, SERVICE, 10143),
        (NOTEBOOK, SCHEDULER, 8786),
        (NOTEBOOK, SCHEDULER, 8788),
        (NOTEBOOK, GATEWAY, 8000),
        (NOTEBOOK, WORKER, 40123),
        (WORKER, GATEWAY, 8000),
        (WORKER, NOTEBOOK, 8888),
        (WORKER, API_SERVER, 443),
        (STRANGER, PROXY, 8000),
        (STRANGER, GATEWAY, 8000),
        (STRANGER, SCHEDULER, 8786),
        *((pod, METADATA, 80) for pod in (GATEWAY, CONTROLLER, PROXY, SCHEDULER, WORKER)),
    ],
)
def test_nothing_else_does(policies: list[Object], source: Any, target: Any, port: int) -> None:
    assert not lets(policies, source, target, port)
