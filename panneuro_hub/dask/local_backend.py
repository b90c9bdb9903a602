"""Clusters as simple local processes, for the demo, tests and trying things out.

All of them run as the gateway's own account, so nothing keeps one person's workers from
reading another's files: never use this for people who must not see each other's data.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from aiohttp import web
from dask_gateway_server.backends.db_base import Cluster as DBCluster
from dask_gateway_server.backends.db_base import JobStatus
from dask_gateway_server.backends.local import LocalClusterConfig, UnsafeLocalBackend
from traitlets import Dict, Float, default

from panneuro_hub.collaboration import Collaboration
from panneuro_hub.dask import client_messages
from panneuro_hub.dask.backend_mixin import BackendCluster, ClusterMixin
from panneuro_hub.dask.cluster_config import PRELOAD_MODULE, build_cluster_traits
from panneuro_hub.dask.worker_failures import WorkerFailure
from panneuro_hub.errors import PanNeuroError
from panneuro_hub.wire import Ticket
from panneuro_hub.wire.session import Session

_PRELOAD = ("--preload", "panneuro_hub.agent.dask_preload", "--preload", PRELOAD_MODULE)


class LocalConfig(LocalClusterConfig):
    """A local cluster, and what it is."""

    panneuro = Dict(help="Session, project, worker profile and image; set by the gateway.")
    worker_cores = Float(1, min=0, config=True, help="Cores of a worker.")

    @default("scheduler_cmd")
    def _scheduler_cmd_default(self) -> list[str]:
        return [sys.executable, "-m", "dask", "scheduler"]

    @default("worker_cmd")
    def _worker_cmd_default(self) -> list[str]:
        return [sys.executable, "-m", "dask", "worker"]


class PanNeuroLocalBackend(ClusterMixin, UnsafeLocalBackend):
    """Local processes whose agents are preloads of them; see `panneuro_hub.agent.dask_preload`."""

    @default("cluster_config_class")
    def _cluster_config_class_default(self) -> type[LocalConfig]:
        return LocalConfig

    # -- what ClusterMixin asks for --------------------------------------------------------

    def iterate_clusters(self) -> Iterator[BackendCluster]:
        """The clusters of the gateway's database that have not stopped."""
        for cluster in list(self.db.name_to_cluster.values()):
            if cluster.status >= JobStatus.STOPPED:
                continue
            active = bool(cluster.is_active())
            states = [worker.status for worker in cluster.workers.values()]
            yield BackendCluster(
                name=cluster.name,
                person=cluster.username,
                config=cluster.config,
                active=active,
                allocated=cluster.count if active else 0,
                present=sum(state < JobStatus.STOPPED for state in states),
                running=sum(JobStatus.RUNNING <= state < JobStatus.STOPPED for state in states),
            )

    def build_config(
        self,
        collaboration: Collaboration,
        session: Session,
        person: str,
        variables: Mapping[str, str],
    ) -> dict[str, Any]:
        """The traits of `LocalConfig` for a session."""
        return build_cluster_traits(collaboration, session, variables, self.service_url)

    async def launch_cluster(
        self, person: str, options: dict[str, Any], config: Any, ticket: Ticket
    ) -> str:
        """Put the cluster into the database, from where it is started."""
        cluster = self.db.create_cluster(person, options, config.to_dict())
        self._tickets[cluster.name] = ticket
        self.log.info("Created cluster %s for user %s", cluster.name, person)
        self.queue.put(cluster)
        return str(cluster.name)

    async def set_workers(self, name: str, count: int) -> None:
        """Have the cluster's missing workers started."""
        cluster = self.db.get_cluster(name)
        if cluster is not None:
            self.db.update_cluster(cluster, count=count)
            self.queue.put(cluster)

    def find_worker_failures(self, name: str) -> list[WorkerFailure]:
        """Return one failure for each worker whose process ended unexpectedly."""
        cluster = self.db.get_cluster(name)
        workers = cluster.workers.values() if cluster is not None else ()
        return [WorkerFailure("exit") for worker in workers if worker.status == JobStatus.FAILED]

    def find_dashboard(self, name: str) -> str | None:
        """Where the cluster's scheduler says that it is; on this machine."""
        cluster = self.db.get_cluster(name)
        if cluster is None or cluster.status != JobStatus.RUNNING:
            return None
        address = str(cluster.dashboard_address)
        return address if client_messages.is_loopback(address, "http") else None

    def read_heartbeat(self, message: Any) -> int:
        """Check a scheduler's message; all of it is on this machine."""
        count = super().read_heartbeat(message)
        client_messages.require_loopback(message)
        return int(count)

    # -- what UnsafeLocalBackend asks for --------------------------------------------------

    async def setup(self, app: web.Application) -> None:
        """Begin to serve."""
        self._tickets: dict[str, Ticket] = {}
        await super().setup(app)

    async def do_stop_cluster(self, cluster: DBCluster) -> None:
        """Stop the scheduler, and remove the folder with the ticket."""
        self._tickets.pop(cluster.name, None)
        await super().do_stop_cluster(cluster)
        self.report_soon()

    def setup_working_directory(self, cluster: DBCluster) -> str:
        """Make the cluster's private folder, with its ticket for this account only."""
        ticket = self._tickets.pop(cluster.name, None)
        if ticket is None:
            raise PanNeuroError(f"the ticket of cluster {cluster.name} went with the last gateway")
        folder = str(super().setup_working_directory(cluster))
        path = Path(folder) / "ticket"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(ticket.encode())
        return folder

    def get_env(self, cluster: DBCluster) -> dict[str, str]:
        """The environment of a cluster's processes, which says where the ticket is."""
        folder = cluster.state["workdir"]
        return {
            **super().get_env(cluster),
            "PANNEURO_TICKET_FILE": str(Path(folder) / "ticket"),
            "DASK_TEMPORARY_DIRECTORY": folder,  # gone with the cluster
        }

    def get_scheduler_command(self, cluster: DBCluster) -> list[str]:
        """The command of a scheduler, whose agent starts first."""
        command = list(super().get_scheduler_command(cluster))
        own = len(cluster.config.scheduler_cmd)
        return [*command[:own], *_PRELOAD, *command[own:]]

    def get_worker_command(
        self, cluster: DBCluster, worker_name: str, scheduler_address: str | None = None
    ) -> list[str]:
        """The command of a worker, whose agent starts first."""
        command = super().get_worker_command(cluster, worker_name, scheduler_address)
        return [*command, *_PRELOAD, "--preload-nanny", PRELOAD_MODULE]

    async def _check_cluster_proxied(self, cluster: DBCluster) -> None:
        # Private to dask-gateway, where it leads the proxy straight to the dashboard, which
        # asks nobody who they are. Without that route the proxy leads to this process.
        if not cluster.added_to_proxies:
            await self.proxy.add_route(
                kind="SNI", sni=cluster.name, target=cluster.scheduler_address
            )
            cluster.added_to_proxies = True
