"""The backend of local processes, for the demo, for tests and for trying things out.

All processes run as the gateway's own account, so the workers of one person can read the files of
another. Never use this backend for people who must not see each other's data.
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
    """The configuration of a local cluster, with its session and project."""

    panneuro = Dict(help="Session, project, worker profile and image; set by the gateway.")
    worker_cores = Float(1, min=0, config=True, help="Cores of a worker.")

    @default("scheduler_cmd")
    def _scheduler_cmd_default(self) -> list[str]:
        return [sys.executable, "-m", "dask", "scheduler"]

    @default("worker_cmd")
    def _worker_cmd_default(self) -> list[str]:
        return [sys.executable, "-m", "dask", "worker"]


class PanNeuroLocalBackend(ClusterMixin, UnsafeLocalBackend):
    """A backend of local processes that preload the agent (`panneuro_hub.agent.dask_preload`)."""

    @default("cluster_config_class")
    def _cluster_config_class_default(self) -> type[LocalConfig]:
        return LocalConfig

    # -- the methods of ClusterMixin -------------------------------------------------------

    def iterate_clusters(self) -> Iterator[BackendCluster]:
        """Yield the clusters of the gateway's database that have not stopped."""
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
        """Return the traits of `LocalConfig` for a session."""
        return build_cluster_traits(collaboration, session, variables, self.service_url)

    async def launch_cluster(
        self, person: str, options: dict[str, Any], config: Any, ticket: Ticket
    ) -> str:
        """Put the cluster into the database and the queue of clusters to start."""
        cluster = self.db.create_cluster(person, options, config.to_dict())
        self._tickets[cluster.name] = ticket
        self.log.info("Created cluster %s for user %s", cluster.name, person)
        self.queue.put(cluster)
        return str(cluster.name)

    async def set_workers(self, name: str, count: int) -> None:
        """Let the backend start the missing workers."""
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
        """Return the scheduler's address of the dashboard if it is on loopback, or `None`."""
        cluster = self.db.get_cluster(name)
        if cluster is None or cluster.status != JobStatus.RUNNING:
            return None
        address = str(cluster.dashboard_address)
        return address if client_messages.is_loopback(address, "http") else None

    def read_heartbeat(self, message: Any) -> int:
        """Check the heartbeat of a scheduler, whose addresses must be on this machine."""
        count = super().read_heartbeat(message)
        client_messages.require_loopback(message)
        return int(count)

    # -- the methods of UnsafeLocalBackend -------------------------------------------------

    async def setup(self, app: web.Application) -> None:
        """Start the backend."""
        self._tickets: dict[str, Ticket] = {}
        await super().setup(app)

    async def do_stop_cluster(self, cluster: DBCluster) -> None:
        """Stop the scheduler, and remove the folder with the ticket."""
        self._tickets.pop(cluster.name, None)
        await super().do_stop_cluster(cluster)
        self.report_soon()

    def setup_working_directory(self, cluster: DBCluster) -> str:
        """Create the cluster's private folder, with a ticket that only this account can read."""
        ticket = self._tickets.pop(cluster.name, None)
        if ticket is None:
            raise PanNeuroError(
                f"the ticket of cluster {cluster.name} was lost when the gateway stopped"
            )
        folder = str(super().setup_working_directory(cluster))
        path = Path(folder) / "ticket"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(ticket.encode())
        return folder

    def get_env(self, cluster: DBCluster) -> dict[str, str]:
        """Return the environment of a cluster's processes, with the path of the ticket."""
        folder = cluster.state["workdir"]
        return {
            **super().get_env(cluster),
            "PANNEURO_TICKET_FILE": str(Path(folder) / "ticket"),
            "DASK_TEMPORARY_DIRECTORY": folder,  # removed with the cluster
        }

    def get_scheduler_command(self, cluster: DBCluster) -> list[str]:
        """Return the command of a scheduler that starts the agent first."""
        command = list(super().get_scheduler_command(cluster))
        length = len(cluster.config.scheduler_cmd)
        return [*command[:length], *_PRELOAD, *command[length:]]

    def get_worker_command(
        self, cluster: DBCluster, worker_name: str, scheduler_address: str | None = None
    ) -> list[str]:
        """Return the command of a worker that starts the agent first."""
        command = super().get_worker_command(cluster, worker_name, scheduler_address)
        return [*command, *_PRELOAD, "--preload-nanny", PRELOAD_MODULE]

    async def _check_cluster_proxied(self, cluster: DBCluster) -> None:
        # A private method of dask-gateway, which routes the proxy directly to the dashboard, and
        # the dashboard authenticates nobody. Without that route the proxy uses this process.
        if not cluster.added_to_proxies:
            await self.proxy.add_route(
                kind="SNI", sni=cluster.name, target=cluster.scheduler_address
            )
            cluster.added_to_proxies = True
