"""The whole of deploy/kustomize on a cluster, as operators have it: hub, service, database."""

from __future__ import annotations

import base64
import json
import secrets
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlparse
from urllib.request import urlopen

from kube import PATIENCE, Cluster
from ruamel.yaml import YAML

DEPLOY = Path(__file__).parents[2] / "deploy"
ROLLED_OUT = ("statefulset/postgres", "deployment/panneuro", "deployment/hub")
WITH_DASK = tuple(f"deployment/dask-{part}" for part in ("gateway", "controller", "proxy"))
# Pods that follow the collaboration file: their labels, and the container that does; the last
# one where Dask is deployed.
FOLLOW = (
    ("component=hub", "hub"),
    ("app=panneuro", "service"),
    ("app=dask-gateway,component=gateway", "gateway"),
)
# Where a cluster has no storage to give, what a test writes need not outlive its pod.
_HOME_IN_POD = {"storage_pvc_ensure": False, "volumes": [{"name": "home", "emptyDir": {}}]}
_CLUSTER_WIDE = ("ClusterRole", "ClusterRoleBinding")
_UNVERIFIED = {"k8s_api_verify_ssl": False}
# dask-gateway has no setting for it; here it verifies, but for RFC 5280 to the letter.
_LENIENT = """\
import ssl

strict = ssl.create_default_context


def lenient(*arguments, **settings):
    context = strict(*arguments, **settings)
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


ssl.create_default_context = lenient
load_subconfig("dask_gateway_config.py", path="/usr/local/etc/dask-gateway")
"""

Object = dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """What an operator decides.

    Parameters
    ----------
    hub, postgres : str
        Images.
    traefik : str
        Image of Dask's proxy; ``""`` for a hub without Dask.
    collaboration : str
        The collaboration file's text.
    settings, dask_settings : mapping of str to mapping
        What hub.yaml and dask.yaml hold: traits by class.
    hub_environment, service_environment : mapping of str to str
        What hub.env and service.env hold beside what deploy/secrets writes.
    node_port : int or None
        Port of every node that leads to the hub; `None` for none.
    """

    hub: str
    postgres: str
    collaboration: str
    traefik: str = ""
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    dask_settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    hub_environment: Mapping[str, str] = field(default_factory=dict)
    service_environment: Mapping[str, str] = field(default_factory=dict)
    node_port: int | None = None


def node_port() -> int:
    """A port that is hardly taken, of those that Kubernetes gives to Services."""
    return 30_000 + secrets.randbelow(2_768)


@dataclass(frozen=True)
class Place:
    """What a cluster has, and what an overlay has to do without.

    Parameters
    ----------
    versions : tuple of str
        API versions that it serves.
    has_storage : bool
        Whether it gives volumes to who claims them; where not, data is in the pods.
    has_strict_certificates : bool
        Whether Python 3.13, in the hub's image, takes its API server's certificates.
    """

    versions: tuple[str, ...] = ("policy/v1",)
    has_storage: bool = True
    has_strict_certificates: bool = True

    @classmethod
    def of(cls, cluster: Cluster) -> Place:
        """Look at a cluster."""
        classes = cluster.kubectl("get", "storageclass", "--output", "name")
        view = cluster.kubectl("config", "view", "--raw", "--minify", "--output", "json")
        return cls(
            versions=tuple(cluster.kubectl("api-versions").split()),
            has_storage=bool(classes.split()),
            has_strict_certificates=_is_strict(json.loads(view)["clusters"][0]["cluster"]),
        )


def render(
    plan: Plan, folder: Path, namespace: str, place: Place
) -> tuple[list[Object], list[str]]:
    """Everything that an overlay of `plan` makes in `place`; `folder` is made.

    Returns
    -------
    list of dict
        The objects.
    list of str
        What is other than an operator of today's Kubernetes would have it, and why.
    """
    shutil.copytree(DEPLOY / "kustomize", folder)
    overlay = folder / "test"
    overlay.mkdir()
    subprocess.run([DEPLOY / "secrets", overlay], check=True, stdout=subprocess.DEVNULL)
    _add(overlay / "hub.env", plan.hub_environment)
    _add(overlay / "service.env", plan.service_environment)
    (overlay / "collaboration.yaml").write_text(plan.collaboration)
    settings = {name: dict(traits) for name, traits in plan.settings.items()}
    spawner = settings.setdefault("KubeSpawner", {})
    words = []
    if not place.has_storage:
        settings["KubeSpawner"] = spawner = {**_HOME_IN_POD, **spawner}
        words.append("homes and databases inside pods: there is no StorageClass")
    if not place.has_strict_certificates:
        settings["KubeSpawner"] = {**_UNVERIFIED, **spawner}
        words.append("a hub that verifies no API server: Python 3.13 refuses its certificates")
    dask_settings = {name: dict(traits) for name, traits in plan.dask_settings.items()}
    _write(overlay / "hub.yaml", settings)
    _write(overlay / "dask.yaml", dask_settings)
    (overlay / "lenient.py").write_text(_LENIENT)
    _write(overlay / "kustomization.yaml", _kustomization(plan, namespace, place))
    objects, lower = lowered(objects_of(overlay), place.versions)
    return named_after(namespace, objects), [*words, *lower]


def objects_of(overlay: Path) -> list[Object]:
    """What kustomize makes of a folder."""
    done = subprocess.run(["kubectl", "kustomize", overlay], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [made for made in YAML(typ="safe").load_all(done.stdout) if made]


def named_after(namespace: str, objects: Iterable[Object]) -> list[Object]:
    """The objects, with names of their own where they are no namespace's.

    As whoever has two hubs in one cluster must do it: the second hub's right to see the
    nodes would take the place of the first's.
    """
    made = []
    for one in objects:
        if one["kind"] not in _CLUSTER_WIDE:
            made.append(one)
            continue
        named = {**one, "metadata": {**one["metadata"]}}
        named["metadata"]["name"] += f"-{namespace}"
        if "roleRef" in one:
            role = {**one["roleRef"]}
            role["name"] += f"-{namespace}"
            named["roleRef"] = role
        made.append(named)
    return made


def lowered(objects: Iterable[Object], served: Iterable[str]) -> tuple[list[Object], list[str]]:
    """The objects as a server of these API versions takes them, and what is different.

    policy/v1 is Kubernetes 1.21's; servers before that know the same object as policy/v1beta1.
    """
    known, made, words = set(served), [], []
    for one in objects:
        version = one["apiVersion"]
        if version == "policy/v1" and version not in known:
            words.append(f"{one['kind']} {one['metadata']['name']}: policy/v1beta1 for {version}")
            made.append({**one, "apiVersion": "policy/v1beta1"})
        else:
            made.append(one)
    return made, words


class Deployment:
    """A hub on a cluster, as a context manager: ready at the beginning, gone at the end.

    Parameters
    ----------
    cluster : Cluster
        Whose namespace it is put into.
    plan : Plan
    folder : Path
        Where the overlay is written; made.
    """

    def __init__(self, cluster: Cluster, plan: Plan, folder: Path) -> None:
        self.cluster = cluster
        self.plan = plan
        place = Place.of(cluster)
        self.objects, self.words = render(plan, folder, cluster.namespace, place)

    def __enter__(self) -> Deployment:
        for word in self.words:
            print(f"this cluster gets {word}")
        if self.plan.traefik:
            self._define()
        self.cluster.apply(*self.objects)
        try:
            self.wait()
        except BaseException:
            print(self.tail())
            self._delete()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            print(self.tail())
        self._delete()

    @property
    def url(self) -> str:
        """The hub as a browser on this machine finds it."""
        assert self.plan.node_port is not None, "the plan has no node_port"
        return f"http://{self.cluster.node_addresses()[0]}:{self.plan.node_port}"

    def wait(self) -> None:
        """Wait until everything is ready, in the present version."""
        for name in (*ROLLED_OUT, *(WITH_DASK if self.plan.traefik else ())):
            self.cluster.kubectl("rollout", "status", name, f"--timeout={PATIENCE:g}s")
        self._wait_for_proxy()

    def _wait_for_proxy(self) -> None:
        """Wait until the proxy leads to the hub, which tells it so after it has begun."""
        end = time.monotonic() + PATIENCE
        while self.plan.node_port is not None:
            try:
                with urlopen(f"{self.url}/hub/health", timeout=10):
                    return
            except OSError:
                assert time.monotonic() < end, "the proxy leads to no hub"
                time.sleep(0.5)

    def apply(self, collaboration: str) -> None:
        """Put another text into the collaboration file, as `kubectl apply` does, and no more.

        The kubelet of a pod brings it when it next looks, in up to a minute or two.
        """
        (config,) = [
            one
            for one in self.objects
            if (one["kind"], one["metadata"]["name"]) == ("ConfigMap", "panneuro")
        ]
        config["data"]["collaboration.yaml"] = collaboration
        self.cluster.apply(config)

    def replace(self, collaboration: str) -> None:
        """Put another text into the collaboration file, and wait until all who follow it have it.

        The kubelets look at once, since something else of the pods changes too.
        """
        self.apply(collaboration)
        end = time.monotonic() + PATIENCE
        for labels, container in FOLLOW if self.plan.traefik else FOLLOW[:2]:
            mark = f"panneuro.org/looked={secrets.token_hex(4)}"
            self.cluster.kubectl("annotate", "pods", "--selector", labels, "--overwrite", mark)
            while self._has(labels, container) != collaboration:
                assert time.monotonic() < end, f"{labels}: no new collaboration"
                time.sleep(1)

    def _has(self, labels: str, container: str) -> str | None:
        """The collaboration file that all pods with these labels see; `None` if they differ."""
        words = ("get", "pods", "--selector", labels, "--output", "name")
        command = ["cat", "/etc/panneuro/collaboration.yaml"]
        pods = self.cluster.kubectl(*words).split()
        texts = {self.cluster.run(pod, container, command).text for pod in pods}
        return texts.pop() if len(texts) == 1 else None

    def ledger(self, command: Sequence[str]) -> str:
        """Run one of PostgreSQL's programs on the ledger; what it prints."""
        said = self.cluster.run(
            "postgres-0", "postgres", ["env", "PGHOST=/tmp", "PGDATABASE=ledger", *command]
        )
        assert said.status == 0, said.text
        return said.text

    def tail(self) -> str:
        """The end of what everything has said, for who looks for a fault."""
        said = [self.cluster.kubectl("get", "pods", "--output", "wide")]
        for label in ("app=postgres", "app=panneuro", "component=hub", "app=dask-gateway"):
            words = ("logs", "--selector", label, "--all-containers", "--prefix", "--tail=60")
            said.append(self.cluster.kubectl(*words))
        return "\n".join(said)

    def _define(self) -> None:
        """Define, for the whole cluster, what Dask Gateway and Traefik keep; it stays."""
        crds = DEPLOY / "kustomize" / "dask" / "crds"
        self.cluster.kubectl("apply", "--kustomize", str(crds))
        files = [f"--filename={crds / name}.yaml" for name in ("dask", "traefik")]
        words = ("wait", "--for=condition=established", f"--timeout={PATIENCE:g}s")
        self.cluster.kubectl(*words, *files)

    def _delete(self) -> None:
        everything = {"apiVersion": "v1", "kind": "List", "items": self.objects}
        words = ("delete", "--filename", "-", "--ignore-not-found", "--wait=false")
        self.cluster.kubectl(*words, give=json.dumps(everything))


def _kustomization(plan: Plan, namespace: str, place: Place) -> Object:
    patches = []
    if plan.node_port is not None:
        port = [
            {"op": "add", "path": "/spec/type", "value": "NodePort"},
            {"op": "add", "path": "/spec/ports/0/nodePort", "value": plan.node_port},
        ]
        patches.append(_patch("Service", "proxy-public", port))
    if not place.has_storage:
        volume = [
            {"op": "remove", "path": "/spec/volumeClaimTemplates"},
            {
                "op": "add",
                "path": "/spec/template/spec/volumes/-",
                "value": {"name": "data", "emptyDir": {}},
            },
        ]
        patches.append(_patch("StatefulSet", "postgres", volume))
    without_hash = {"disableNameSuffixHash": True}
    dask: dict[str, list[Any]] = {"components": [], "configs": [], "secrets": []}
    if plan.traefik:
        patches.append(_patch("Deployment", "dask-proxy", _use_image(plan.traefik)))
        if not place.has_strict_certificates:
            for name, position in (("dask-gateway", 1), ("dask-controller", 2)):
                patches.append(_patch("Deployment", name, _use_lenient_config(position)))
        dask = {
            "components": ["../dask"],
            "configs": [{"name": "dask", "files": ["dask.yaml", "lenient.py"]}],
            "secrets": [{"name": "panneuro-dask", "envs": ["dask.env"]}],
        }
    return {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": namespace,
        "resources": ["../base", "../nodes", "../postgres"],
        "components": dask["components"],
        "images": [_image("panneuro/hub", plan.hub), _image("postgres", plan.postgres)],
        "configMapGenerator": [
            {"name": "panneuro", "files": ["collaboration.yaml"], "options": without_hash},
            {"name": "hub", "files": ["hub.yaml"]},
            *dask["configs"],
        ],
        "secretGenerator": [
            {"name": "panneuro-hub", "envs": ["hub.env"]},
            {"name": "panneuro-service", "envs": ["service.env"]},
            {"name": "postgres", "envs": ["postgres.env"]},
            *dask["secrets"],
        ],
        "patches": patches,
    }


def _is_strict(cluster: Mapping[str, Any]) -> bool:
    """Whether the API server's certificates keep to RFC 5280 to the letter."""
    data, file = cluster.get("certificate-authority-data"), cluster.get("certificate-authority")
    context = ssl.create_default_context(
        cafile=file, cadata=base64.b64decode(data).decode() if data else None
    )
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    where = urlparse(cluster["server"])
    name = cluster.get("tls-server-name") or where.hostname
    try:
        with (
            socket.create_connection((where.hostname, where.port or 443), PATIENCE) as plain,
            context.wrap_socket(plain, server_hostname=name),
        ):
            return True
    except ssl.SSLCertVerificationError:
        return False


def _patch(kind: str, name: str, operations: list[Object]) -> Object:
    return {"target": {"kind": kind, "name": name}, "patch": json.dumps(operations)}


def _use_lenient_config(position: int) -> list[Object]:
    path = f"/spec/template/spec/containers/0/args/{position}"
    return [{"op": "replace", "path": path, "value": "--config=/etc/panneuro/lenient.py"}]


def _use_image(wanted: str) -> list[Object]:
    path = "/spec/template/spec/containers/0/image"
    return [{"op": "replace", "path": path, "value": wanted}]


def _image(name: str, wanted: str) -> Object:
    new_name, _, tag = wanted.rpartition(":")
    return {"name": name, "newName": new_name, "newTag": tag}


def _add(file: Path, variables: Mapping[str, str]) -> None:
    """Set variables in an env file, in place of what it says of them."""
    kept = [
        line
        for line in file.read_text().splitlines()
        if not line.startswith(tuple(f"{name}=" for name in variables))
    ]
    file.write_text("\n".join([*kept, *(f"{k}={v}" for k, v in variables.items()), ""]))


def _write(file: Path, document: Mapping[str, Any]) -> None:
    with file.open("w") as output:
        YAML(typ="safe").dump(document, output)
