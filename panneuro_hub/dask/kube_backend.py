"""Clusters as Kubernetes pods: dask-gateway's KubeBackend, with a session in each."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from dask_gateway_server.backends.base import PublicException
from dask_gateway_server.backends.kubernetes.backend import KubeBackend, KubeClusterConfig
from dask_gateway_server.backends.kubernetes.utils import Informer
from kubernetes_asyncio.client import ApiException
from traitlets import Dict, Unicode, default

from panneuro_hub.collaboration import Collaboration
from panneuro_hub.dask import cluster_pods
from panneuro_hub.dask.backend_mixin import BackendCluster, ClusterMixin
from panneuro_hub.dask.cluster_config import PRELOAD_MODULE
from panneuro_hub.dask.worker_failures import WorkerFailure, find_pod_failure
from panneuro_hub.pod import agent_sidecar as attached
from panneuro_hub.wire import Ticket
from panneuro_hub.wire.session import Session

_GROUP = "gateway.dask.org"
_PLURAL = "daskclusters"
_RUNNING = ("Pending", "Running")


class KubeConfig(KubeClusterConfig):
    """A cluster of pods, and what it is."""

    panneuro = Dict(help="Session, project, worker profile and image; set by the gateway.")

    @default("scheduler_cmd")
    def _scheduler_cmd_default(self) -> list[str]:
        return ["dask", "scheduler", "--preload", PRELOAD_MODULE]

    @default("worker_cmd")
    def _worker_cmd_default(self) -> list[str]:
        return ["dask", "worker", "--preload", PRELOAD_MODULE, "--preload-nanny", PRELOAD_MODULE]


class PanNeuroKubeBackend(ClusterMixin, KubeBackend):
    """Pods whose agents are sidecars; the ticket is in a Secret that the DaskCluster owns."""

    @default("cluster_config_class")
    def _cluster_config_class_default(self) -> type[KubeConfig]:
        return KubeConfig

    agent_image = Unicode(
        "panneuro/agent:0.1", config=True, help="Container image of the session's agent."
    )

    # -- what ClusterMixin asks for --------------------------------------------------------

    def iterate_clusters(self) -> Iterator[BackendCluster]:
        """The DaskCluster objects that run or still have worker pods, as the API tells them."""
        live, working = self._workers()
        for name, obj in list(self.informer.cache.items()):
            spec = obj.get("spec") or {}
            phase = (obj.get("status") or {}).get("phase", "Pending")
            active = bool(spec.get("active", True)) and phase in _RUNNING
            if active or live[name]:
                yield BackendCluster(
                    name=name,
                    person=str(spec.get("username", "")),
                    config=spec.get("config") or {},
                    active=active,
                    allocated=int(spec.get("replicas") or 0) if active else 0,
                    present=live[name],
                    running=working[name],
                )

    def build_config(
        self,
        collaboration: Collaboration,
        session: Session,
        person: str,
        variables: Mapping[str, str],
    ) -> dict[str, Any]:
        """The traits of `KubeConfig` for a session, upon those that the admin set."""
        return cluster_pods.build_kube_config(
            collaboration,
            session,
            person,
            variables,
            service_url=self.service_url,
            agent_image=self.agent_image,
            admins=self.cluster_config_class(parent=self).to_dict(),
        )

    async def launch_cluster(
        self, person: str, options: dict[str, Any], config: Any, ticket: Ticket
    ) -> str:
        """Make the DaskCluster object, from which the controller makes pods, and its Secret."""
        obj = self.make_cluster_object(person, options, config)
        what = config.panneuro
        labels = attached.build_session_labels(
            Session(what["session"], what["project"], what["profile"], what["image"]), person
        )
        obj["metadata"]["labels"] = {**obj["metadata"]["labels"], **labels}
        name = f"{config.namespace}.{obj['metadata']['name']}"
        self.log.info("Creating cluster %s for user %s", name, person)
        made = await self.custom_client.create_namespaced_custom_object(
            _GROUP, self.crd_version, config.namespace, _PLURAL, obj
        )
        try:
            await self._create_ticket_secret(made, config, ticket, labels)
        except BaseException:
            await self.stop_cluster(name)
            raise
        return name

    async def set_workers(self, name: str, count: int) -> None:
        """Have the controller start the missing workers."""
        namespace, _, obj = name.partition(".")
        patch = [{"op": "add", "path": "/spec/replicas", "value": count}]
        await self.custom_client.patch_namespaced_custom_object(
            _GROUP, self.crd_version, namespace, _PLURAL, obj, patch
        )

    async def forget_ticket(self, name: str, session: str) -> None:
        """Delete the Secret, which the record of an ended cluster would keep for a day."""
        namespace = name.partition(".")[0]
        with contextlib.suppress(ApiException):  # it goes with its owner at the latest
            await self.core_client.delete_namespaced_secret(
                attached.name_ticket_secret(session), namespace
            )

    async def follow_pods(self) -> None:
        """Follow the worker pods: what schedulers say of them is people's own word."""
        self._pods = Informer(
            parent=self,
            name="worker",
            client=self.core_client,
            method="list_pod_for_all_namespaces",
            method_kwargs={
                "label_selector": (f"{self.label_selector},app.kubernetes.io/component=dask-worker")
            },
            on_update=self._on_pod,
            on_delete=self._on_pod,
        )
        await self._pods.start()

    def find_worker_failures(self, name: str) -> list[WorkerFailure]:
        """Return the failures that the cluster's worker pods show."""
        failures = (find_pod_failure(pod) for pod in self._pods_of(name))
        return [failure for failure in failures if failure is not None]

    def find_dashboard(self, name: str) -> str | None:
        """Behind the scheduler's Service, as the controller has made it."""
        cluster = self.clusters.get(name)
        return (cluster.dashboard_address or None) if cluster is not None else None

    # -- what KubeBackend asks for ---------------------------------------------------------

    async def cleanup(self) -> None:
        """Stop; clusters go on."""
        if hasattr(self, "_pods"):
            await self._pods.stop()
        await super().cleanup()

    def on_cluster_event(self, cluster: dict[str, Any], old: dict[str, Any] | None = None) -> None:
        """Take in that a cluster has changed, and tell it."""
        super().on_cluster_event(cluster, old=old)
        if _read_state(cluster) != _read_state(old or {}):
            self.report_soon()

    # -- the rest --------------------------------------------------------------------------

    def _on_pod(self, pod: dict[str, Any], old: dict[str, Any] | None = None) -> None:
        """Nothing: pods are counted when somebody asks."""

    def _workers(self) -> tuple[Counter[str], Counter[str]]:
        """How many workers each cluster has, and how many of them run."""
        live: Counter[str] = Counter()
        working: Counter[str] = Counter()
        for pod in list(self._pods.cache.values()) if hasattr(self, "_pods") else ():
            name = _find_cluster_name(pod)
            if has_worker(pod):
                live[name] += 1
                working[name] += pod["status"].get("phase") == "Running"
        return live, working

    def _pods_of(self, name: str) -> Iterator[Mapping[str, Any]]:
        for pod in list(self._pods.cache.values()) if hasattr(self, "_pods") else ():
            if _find_cluster_name(pod) == name:
                yield pod

    async def _create_ticket_secret(
        self, made: Mapping[str, Any], config: Any, ticket: Ticket, labels: dict[str, str]
    ) -> None:
        owner = {
            "apiVersion": made["apiVersion"],
            "kind": made["kind"],
            "name": made["metadata"]["name"],
            "uid": made["metadata"]["uid"],
        }
        name = attached.name_ticket_secret(config.panneuro["session"])
        secret = attached.build_ticket_secret(
            name, ticket, {**labels, **self.get_labels(owner["name"])}, owner
        )
        try:
            await self.core_client.create_namespaced_secret(config.namespace, secret)
        except ApiException as error:
            # Not the error's own text, which may repeat the request.
            raise PublicException(
                f"the cluster's ticket could not be stored in namespace {config.namespace} "
                f"({error.status}); the gateway's service account needs to create Secrets there"
            ) from None


def _find_cluster_name(pod: Mapping[str, Any]) -> str:
    labels = pod["metadata"].get("labels") or {}
    return f"{pod['metadata']['namespace']}.{labels.get('gateway.dask.org/cluster')}"


def has_worker(pod: Mapping[str, Any]) -> bool:
    """Whether a worker is in a pod, or on its way in or out; a sidecar outlives its worker."""
    status = pod.get("status") or {}
    if status.get("phase") in ("Succeeded", "Failed"):
        return False
    for container in status.get("containerStatuses") or ():
        if container.get("name") == "dask-worker":
            ended = (container.get("state") or {}).get("terminated")
            return ended is None or ended.get("exitCode") != 0
    return True


def _read_state(cluster: Mapping[str, Any]) -> tuple[Any, ...]:
    spec, status = cluster.get("spec") or {}, cluster.get("status") or {}
    return spec.get("active", True), spec.get("replicas"), status.get("phase")
