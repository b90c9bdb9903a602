"""The backend for Kubernetes: dask-gateway's KubeBackend with a session for each cluster."""

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
from panneuro_hub.pod import agent_sidecar
from panneuro_hub.wire import Ticket
from panneuro_hub.wire.session import Session

_GROUP = "gateway.dask.org"
_PLURAL = "daskclusters"
_ACTIVE_PHASES = ("Pending", "Running")


class KubeConfig(KubeClusterConfig):
    """The configuration of a cluster of pods, with its session and project."""

    panneuro = Dict(help="Session, project, worker profile and image; set by the gateway.")

    @default("scheduler_cmd")
    def _scheduler_cmd_default(self) -> list[str]:
        return ["dask", "scheduler", "--preload", PRELOAD_MODULE]

    @default("worker_cmd")
    def _worker_cmd_default(self) -> list[str]:
        return ["dask", "worker", "--preload", PRELOAD_MODULE, "--preload-nanny", PRELOAD_MODULE]


class PanNeuroKubeBackend(ClusterMixin, KubeBackend):
    """A backend of pods with an agent as sidecar; a Secret of the DaskCluster holds the ticket."""

    @default("cluster_config_class")
    def _cluster_config_class_default(self) -> type[KubeConfig]:
        return KubeConfig

    agent_image = Unicode(
        "panneuro/agent:0.1", config=True, help="Container image of the session's agent."
    )

    # -- the methods of ClusterMixin -------------------------------------------------------

    def iterate_clusters(self) -> Iterator[BackendCluster]:
        """Yield the DaskCluster objects that run or still have worker pods."""
        present, running = self._count_workers()
        for name, obj in list(self.informer.cache.items()):
            spec = obj.get("spec") or {}
            phase = (obj.get("status") or {}).get("phase", "Pending")
            active = bool(spec.get("active", True)) and phase in _ACTIVE_PHASES
            if active or present[name]:
                yield BackendCluster(
                    name=name,
                    person=str(spec.get("username", "")),
                    config=spec.get("config") or {},
                    active=active,
                    allocated=int(spec.get("replicas") or 0) if active else 0,
                    present=present[name],
                    running=running[name],
                )

    def build_config(
        self,
        collaboration: Collaboration,
        session: Session,
        person: str,
        variables: Mapping[str, str],
    ) -> dict[str, Any]:
        """Return the traits of `KubeConfig` for a session; they extend the administrator's."""
        return cluster_pods.build_kube_config(
            collaboration,
            session,
            person,
            variables,
            service_url=self.service_url,
            agent_image=self.agent_image,
            admin_traits=self.cluster_config_class(parent=self).to_dict(),
        )

    async def launch_cluster(
        self, person: str, options: dict[str, Any], config: Any, ticket: Ticket
    ) -> str:
        """Create the DaskCluster object, from which the controller makes pods, and its Secret."""
        obj = self.make_cluster_object(person, options, config)
        choice = config.panneuro
        labels = agent_sidecar.build_session_labels(
            Session(choice["session"], choice["project"], choice["profile"], choice["image"]),
            person,
        )
        obj["metadata"]["labels"] = {**obj["metadata"]["labels"], **labels}
        name = f"{config.namespace}.{obj['metadata']['name']}"
        self.log.info("Creating cluster %s for user %s", name, person)
        created = await self.custom_client.create_namespaced_custom_object(
            _GROUP, self.crd_version, config.namespace, _PLURAL, obj
        )
        try:
            await self._create_ticket_secret(created, config, ticket, labels)
        except BaseException:
            await self.stop_cluster(name)
            raise
        return name

    async def set_workers(self, name: str, count: int) -> None:
        """Let the controller start the missing workers."""
        namespace, _, obj = name.partition(".")
        patch = [{"op": "add", "path": "/spec/replicas", "value": count}]
        await self.custom_client.patch_namespaced_custom_object(
            _GROUP, self.crd_version, namespace, _PLURAL, obj, patch
        )

    async def forget_ticket(self, name: str, session: str) -> None:
        """Delete the Secret, which would stay for a day with the record of the ended cluster."""
        namespace = name.partition(".")[0]
        with contextlib.suppress(
            ApiException
        ):  # Kubernetes deletes it with its owner at the latest
            await self.core_client.delete_namespaced_secret(
                agent_sidecar.name_ticket_secret(session), namespace
            )

    async def follow_pods(self) -> None:
        """Follow the worker pods, because the reports of schedulers are untrusted."""
        self._pods = Informer(
            parent=self,
            name="worker",
            client=self.core_client,
            method="list_pod_for_all_namespaces",
            method_kwargs={
                "label_selector": (f"{self.label_selector},app.kubernetes.io/component=dask-worker")
            },
            on_update=self._ignore_pod_event,
            on_delete=self._ignore_pod_event,
        )
        await self._pods.start()

    def find_worker_failures(self, name: str) -> list[WorkerFailure]:
        """Return the failures of the cluster's worker pods."""
        failures = (find_pod_failure(pod) for pod in self._iterate_pods(name))
        return [failure for failure in failures if failure is not None]

    def find_dashboard(self, name: str) -> str | None:
        """Return the address of the dashboard at the scheduler's Service, or `None`."""
        cluster = self.clusters.get(name)
        return (cluster.dashboard_address or None) if cluster is not None else None

    # -- the methods of KubeBackend --------------------------------------------------------

    async def cleanup(self) -> None:
        """Stop the gateway; the clusters continue to run."""
        if hasattr(self, "_pods"):
            await self._pods.stop()
        await super().cleanup()

    def on_cluster_event(self, cluster: dict[str, Any], old: dict[str, Any] | None = None) -> None:
        """Process a change of a cluster, and report it to the service."""
        super().on_cluster_event(cluster, old=old)
        if _read_state(cluster) != _read_state(old or {}):
            self.report_soon()

    # -- pods and Secrets ------------------------------------------------------------------

    def _ignore_pod_event(self, pod: dict[str, Any], old: dict[str, Any] | None = None) -> None:
        """Do nothing; `iterate_clusters` counts the pods when it is called."""

    def _count_workers(self) -> tuple[Counter[str], Counter[str]]:
        """Return the number of workers of each cluster, and of those that run."""
        present: Counter[str] = Counter()
        running: Counter[str] = Counter()
        for pod in list(self._pods.cache.values()) if hasattr(self, "_pods") else ():
            name = _find_cluster_name(pod)
            if has_worker(pod):
                present[name] += 1
                running[name] += pod["status"].get("phase") == "Running"
        return present, running

    def _iterate_pods(self, name: str) -> Iterator[Mapping[str, Any]]:
        for pod in list(self._pods.cache.values()) if hasattr(self, "_pods") else ():
            if _find_cluster_name(pod) == name:
                yield pod

    async def _create_ticket_secret(
        self, cluster: Mapping[str, Any], config: Any, ticket: Ticket, labels: dict[str, str]
    ) -> None:
        owner = {
            "apiVersion": cluster["apiVersion"],
            "kind": cluster["kind"],
            "name": cluster["metadata"]["name"],
            "uid": cluster["metadata"]["uid"],
        }
        name = agent_sidecar.name_ticket_secret(config.panneuro["session"])
        secret = agent_sidecar.build_ticket_secret(
            name, ticket, {**labels, **self.get_labels(owner["name"])}, owner
        )
        try:
            await self.core_client.create_namespaced_secret(config.namespace, secret)
        except ApiException as error:
            # Without the error's own text, which may repeat the request.
            raise PublicException(
                f"the cluster's ticket could not be stored in namespace {config.namespace} "
                f"({error.status}); the gateway's service account needs to create Secrets there"
            ) from None


def _find_cluster_name(pod: Mapping[str, Any]) -> str:
    labels = pod["metadata"].get("labels") or {}
    return f"{pod['metadata']['namespace']}.{labels.get('gateway.dask.org/cluster')}"


def has_worker(pod: Mapping[str, Any]) -> bool:
    """Return whether a pod has a worker that starts, runs or stops; its sidecar may run longer."""
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
