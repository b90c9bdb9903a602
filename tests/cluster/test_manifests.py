"""deploy/ on a real API server: it takes every object whole, and gives the rights meant."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from deployment import DEPLOY, Object, Place, lowered, objects_of
from kube import Cluster, PodFailed
from ruamel.yaml import YAML

EXAMPLE = Path(__file__).parents[2] / "examples" / "collaboration.yaml"
# What a server writes differently from how it was asked.
_QUANTITIES = ("cpu", "memory", "storage", "sizeLimit")


@pytest.fixture(scope="module", params=["kustomize/example", "helm"])
def objects(
    request: pytest.FixtureRequest, cluster: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> list[Object]:
    """An overlay as an operator copies it, for the tests' namespace and the cluster's versions."""
    copy = tmp_path_factory.mktemp("deploy") / "deploy"
    shutil.copytree(DEPLOY, copy)
    overlay = copy / request.param
    shutil.copy(EXAMPLE, overlay)
    subprocess.run([copy / "secrets", overlay], check=True, capture_output=True)
    file = overlay / "kustomization.yaml"
    document = YAML(typ="safe").load(file.read_text())
    document["namespace"] = cluster.namespace
    with file.open("w") as output:
        YAML(typ="safe").dump(document, output)
    made, words = lowered(objects_of(overlay), Place.of(cluster).versions)
    for word in words:
        terminal = request.config.pluginmanager.getplugin("terminalreporter")
        terminal.write_line(f"this cluster gets {word}")
    for one in made:
        if one["kind"] == "Secret":  # kustomize folds long values
            one["data"] = {name: "".join(value.split()) for name, value in one["data"].items()}
    # The tests' own namespace is there already.
    return [one for one in made if one["kind"] != "Namespace"]


def text(objects: list[Object]) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})


def lost(asked: Any, stored: Any, path: str = "") -> list[str]:
    """What was asked for and is not stored."""
    if isinstance(asked, Mapping):
        if not isinstance(stored, Mapping):
            return [path]
        return [
            problem
            for name, value in asked.items()
            if name not in ("creationTimestamp", "stringData")
            for problem in lost(value, stored.get(name), f"{path}.{name}")
        ]
    if isinstance(asked, list):
        if not isinstance(stored, list) or len(asked) != len(stored):
            return [path]
        pairs = enumerate(zip(asked, stored, strict=True))
        return [problem for i, (one, two) in pairs for problem in lost(one, two, f"{path}[{i}]")]
    if path.rpartition(".")[2] in _QUANTITIES:
        return [] if stored is not None else [path]
    return [] if asked == stored or (not asked and stored is None) else [path]


def test_the_server_would_take_everything(cluster: Cluster, objects: list[Object]) -> None:
    said = cluster.kubectl("apply", "--dry-run=server", "--filename", "-", give=text(objects))
    assert said.count("(server dry run)") == len(objects)


def test_it_takes_everything_and_loses_nothing(cluster: Cluster, objects: list[Object]) -> None:
    cluster.kubectl("apply", "--filename", "-", give=text(objects))
    try:
        for one in objects:
            kind, name = one["kind"], one["metadata"]["name"]
            # Whole: some kinds are served in several versions.
            group, _, version = one["apiVersion"].rpartition("/")
            resource = f"{kind}.{version}.{group}" if group else kind
            stored = json.loads(cluster.kubectl("get", resource, name, "--output", "json"))
            assert lost(one, stored) == [], f"{kind} {name}"
        # And again, as an upgrade does.
        said = cluster.kubectl("apply", "--filename", "-", give=text(objects))
        assert "created" not in said
    finally:
        cluster.kubectl("delete", "--filename", "-", "--wait=false", give=text(objects))


def test_a_wrong_object_is_refused(cluster: Cluster, objects: list[Object]) -> None:
    (service,) = [
        one for one in objects if (one["kind"], one["metadata"]["name"]) == ("Service", "panneuro")
    ]
    wrong = json.loads(json.dumps(service))
    wrong["spec"]["sessionAffinity"] = "Cookie"
    with pytest.raises(PodFailed, match="sessionAffinity"):
        cluster.kubectl("apply", "--dry-run=server", "--filename", "-", give=text([wrong]))


def can(cluster: Cluster, account: str, verb: str, resource: str, *more: str) -> bool:
    who = f"--as=system:serviceaccount:{cluster.namespace}:{account}"
    done = subprocess.run(
        [
            "kubectl",
            "auth",
            "can-i",
            verb,
            resource,
            who,
            f"--namespace={cluster.namespace}",
            *more,
        ],
        capture_output=True,
        text=True,
    )
    return done.stdout.strip() == "yes"


@pytest.fixture(scope="module")
def rights(cluster: Cluster) -> Cluster:
    """A cluster in which the hub has its rights."""
    made = YAML(typ="safe").load_all((DEPLOY / "kustomize" / "base" / "rbac.yaml").read_text())
    place = {"namespace": cluster.namespace}
    objects = [{**one, "metadata": {**one["metadata"], **place}} for one in made]
    for one in objects:
        for subject in one.get("subjects", ()):
            subject.update(place)
    cluster.kubectl("apply", "--filename", "-", give=text(objects))
    return cluster


@pytest.mark.parametrize(
    ("verb", "resource"),
    [
        *((verb, "pods") for verb in ("create", "delete", "list", "watch")),
        *((verb, "events") for verb in ("list", "watch")),
        *((verb, "persistentvolumeclaims") for verb in ("create", "get")),
        ("create", "secrets"),
    ],
)
def test_the_hub_may(rights: Cluster, verb: str, resource: str) -> None:
    assert can(rights, "hub", verb, resource)
    assert not can(rights, "default", verb, resource)
    assert not can(rights, "hub", verb, resource, "--all-namespaces")


@pytest.mark.parametrize(
    ("verb", "resource", "more"),
    [
        *((verb, "secrets", ()) for verb in ("get", "list", "watch", "delete", "patch", "update")),
        *((verb, "pods", ()) for verb in ("get", "patch", "update", "deletecollection")),
        *(("create", "pods", (f"--subresource={sub}",)) for sub in ("exec", "attach", "eviction")),
        ("get", "pods", ("--subresource=log",)),
        *((verb, "persistentvolumeclaims", ()) for verb in ("delete", "list", "patch")),
        *(("create", kind, ()) for kind in ("services", "configmaps", "serviceaccounts")),
        *((verb, "configmaps", ()) for verb in ("get", "list", "update")),
        ("create", "serviceaccounts", ("--subresource=token",)),
        *((verb, "rolebindings", ()) for verb in ("create", "bind", "escalate")),
        ("impersonate", "serviceaccounts", ()),
        *((verb, "deployments", ()) for verb in ("create", "get", "patch")),
        ("create", "namespaces", ()),
        ("list", "nodes", ()),
    ],
)
def test_the_hub_may_not(rights: Cluster, verb: str, resource: str, more: tuple[str, ...]) -> None:
    assert not can(rights, "hub", verb, resource, *more)
