"""The core that all backends share: sessions, tickets, quotas and reports to the service.

`ClusterMixin` extends a backend class of dask-gateway-server. One process of the gateway serves a
hub, so it counts here, under one lock, the workers that it gives to clusters.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from dask_gateway_server import models
from dask_gateway_server.backends.base import Backend, PublicException
from traitlets import Float, Integer, Unicode, default

from panneuro_hub.access import ClusterChoice, DaskLimits, WorkerLimits, merge_dask_limits
from panneuro_hub.collaboration import Collaboration
from panneuro_hub.collaboration.units import format_memory
from panneuro_hub.current import build_health_report, follow_collaboration
from panneuro_hub.dask import client_messages, quota
from panneuro_hub.dask.authenticator import HubAuthenticator
from panneuro_hub.dask.client_messages import AdaptRequest
from panneuro_hub.dask.cluster_config import CHOICE_KEY, STARTED_IN_KEY
from panneuro_hub.dask.cluster_ends import ClusterEnd, ClusterEnds, EndCode, describe_end
from panneuro_hub.dask.cluster_options import make_cluster_options
from panneuro_hub.dask.collaboration_source import open_current_collaboration
from panneuro_hub.dask.dashboard_proxy import DashboardProxy
from panneuro_hub.dask.dashboard_tokens import mask_tokens
from panneuro_hub.dask.gateway_routes import add_routes, answer_errors_plainly, join_lines
from panneuro_hub.dask.gateway_service_client import GatewayServiceClient
from panneuro_hub.dask.session_user import SessionUser
from panneuro_hub.dask.worker_failures import WorkerFailure, describe_failures
from panneuro_hub.errors import PanNeuroError
from panneuro_hub.wire import Reason, Ticket
from panneuro_hub.wire.cluster_reports import ClusterReport, GatewayUser
from panneuro_hub.wire.session import Session
from panneuro_hub.wording import describe_reasons

# Many changes come at once when many clusters adapt; the delay puts them into one report.
_REPORT_DELAY_SECONDS = 0.5
_NO_WORKERS = WorkerLimits(0, 0.0, 0)


@dataclass(frozen=True)
class BackendCluster:
    """A cluster as the records of its backend describe it.

    Parameters
    ----------
    name, person : str
    config : mapping
        The configuration of its start; only the gateway writes it.
    active : bool
        Whether it starts or runs; a cluster that is stopping may still have workers.
    allocated : int
        The number of workers that the gateway gave it.
    present : int
        The number of workers that exist, with those that are starting or stopping.
    running : int
        The number of workers that run.
    """

    name: str
    person: str
    config: Mapping[str, Any]
    active: bool
    allocated: int
    present: int
    running: int

    @property
    def session(self) -> str:
        """The id of its session; ``""`` for a cluster of a version without sessions."""
        return str(self._choice.get("session", ""))

    @property
    def project(self) -> str:
        """Its project; ``""`` for a cluster of a version without sessions."""
        return str(self._choice.get("project", ""))

    @property
    def started_in(self) -> str:
        """The id of the session that started it; ``""`` if no session did."""
        return str(self._choice.get(STARTED_IN_KEY) or "")

    @property
    def _choice(self) -> Mapping[str, Any]:
        return self.config.get(CHOICE_KEY) or {}


@dataclass(frozen=True)
class GrantedSize:
    """The size that the gateway grants to a cluster.

    Parameters
    ----------
    workers : int
        The most workers that the cluster may have.
    notice : str or None
        The reason why the size is less than the request, for people; `None` if it is not less.
    """

    workers: int
    notice: str | None = None


class _TokenLogFilter(logging.Filter):
    """A filter that masks the tokens of dashboards in the log of requests."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Mask the tokens in the arguments of a record, and keep the record."""
        if isinstance(record.args, tuple):
            record.args = tuple(
                mask_tokens(arg) if isinstance(arg, str) else arg for arg in record.args
            )
        return True


class ClusterMixin(Backend):
    """A mixin that makes every cluster of a backend a session in exactly one project."""

    collaboration_file = Unicode(
        config=True, help="Path of the collaboration file; set by panneuro_hub.dask.gateway_config."
    )
    service_url = Unicode(
        config=True, help="URL at which the gateway and clusters reach the PanNeuro service."
    )
    service_token = Unicode(
        config=True, help="The gateway's own API token; by default JUPYTERHUB_API_TOKEN."
    )
    prefix = Unicode(
        "/services/dask-gateway", config=True, help="Path below which browsers see the gateway."
    )
    report_seconds = Float(
        15.0,
        min=1.0,
        config=True,
        help="Seconds between two reports of the running clusters to the service.",
    )
    most_clusters = Integer(
        10, min=1, config=True, help="The most clusters that one person may have at once."
    )

    max_workers = Integer(
        quota.MAX_WORKERS,
        min=1,
        config=True,
        help="""
        The most workers that all clusters of this gateway may have together, in all projects: as
        many as the machine or the Kubernetes cluster can run.
        """,
    )

    @default("service_token")
    def _service_token_default(self) -> str:
        return os.environ.get("JUPYTERHUB_API_TOKEN", "")

    @default("cluster_options")
    def _cluster_options_default(self) -> Any:
        return make_cluster_options(lambda: self.collaboration)

    # -- methods that a backend implements -------------------------------------------------

    def iterate_clusters(self) -> Iterator[BackendCluster]:
        """Yield every cluster that is active or still has workers."""
        raise NotImplementedError

    def build_config(
        self,
        collaboration: Collaboration,
        session: Session,
        person: str,
        variables: Mapping[str, str],
    ) -> dict[str, Any]:
        """Return the traits of the backend's cluster config for a session."""
        raise NotImplementedError

    async def launch_cluster(
        self, person: str, options: dict[str, Any], config: Any, ticket: Ticket
    ) -> str:
        """Start a cluster, pass the ticket to its processes, and return its name."""
        raise NotImplementedError

    async def set_workers(self, name: str, count: int) -> None:
        """Give a cluster more workers than before, without a request of its scheduler."""
        raise NotImplementedError

    async def forget_ticket(self, name: str, session: str) -> None:
        """Remove the stored ticket of a cluster that has ended."""

    def find_worker_failures(self, name: str) -> list[WorkerFailure]:
        """Return the failures of a running cluster's workers, one for each failed worker."""
        return []

    async def follow_pods(self) -> None:
        """Start to follow the pods that `iterate_clusters` counts, after the backend's setup."""

    def find_dashboard(self, name: str) -> str | None:
        """Return the address of a running cluster's dashboard, or `None` without one."""
        raise NotImplementedError

    # -- setup and cleanup -----------------------------------------------------------------

    async def setup(self, app: web.Application) -> None:
        """Start the backend, our routes and the reports to the service."""
        if not isinstance(app["authenticator"], HubAuthenticator):
            raise PanNeuroError(
                "c.DaskGateway.authenticator_class is set: only panneuro_hub.dask.authenticator."
                "HubAuthenticator, or a subclass of it, knows the session of a request; remove "
                "this setting"
            )
        for trait in ("collaboration_file", "service_url", "service_token"):
            if not getattr(self, trait):
                raise PanNeuroError(
                    f"c.ClusterMixin.{trait} is not set; call "
                    "panneuro_hub.dask.gateway_config.configure(c) in "
                    "the gateway's config file, and give the gateway its JUPYTERHUB_API_TOKEN"
                )
        if any(
            "cluster_options" in self.config.get(kind.__name__, {}) for kind in type(self).mro()
        ):
            raise PanNeuroError(
                "c.Backend.cluster_options is set: a cluster's options come from the collaboration "
                "file, where each project has its worker profiles and images; remove this setting"
            )
        self._service = GatewayServiceClient(self.service_url, self.service_token)
        try:
            self._current = await open_current_collaboration(
                self.collaboration_file, self._service, self.log
            )
        except PanNeuroError as error:
            self.log.critical("the gateway does not start:\n%s", error)
            raise SystemExit(1) from error
        self._quota_ledger = quota.QuotaLedger()
        self._ends = ClusterEnds()
        self._quota_lock = asyncio.Lock()
        self._report_event = asyncio.Event()
        self._reported_sessions: dict[str, str] = {}
        self._last_problem = ""
        app.middlewares.append(answer_errors_plainly)
        await super().setup(app)
        await self.follow_pods()
        self._dashboard_proxy = DashboardProxy(self.service_url, self.prefix, self.find_dashboard)
        self.log.addFilter(_TokenLogFilter())
        app.add_routes(self._dashboard_proxy.build_routes())
        add_routes(app)
        self._reports = asyncio.ensure_future(self._report_loop())
        self._following = asyncio.ensure_future(follow_collaboration(self._current, log=self.log))

    async def cleanup(self) -> None:
        """Stop the gateway, and end the sessions of the clusters that stop with it."""
        if hasattr(self, "_following"):
            for task in (self._reports, self._following):
                task.cancel()
            await asyncio.gather(self._reports, self._following, return_exceptions=True)
        await super().cleanup()
        if hasattr(self, "_dashboard_proxy"):
            await self._dashboard_proxy.close()
        if hasattr(self, "_service"):
            with contextlib.suppress(PanNeuroError):  # the service may have stopped already
                for session in self._list_ended_sessions():
                    await self._service.end_session(session)
            await self._service.close()

    @property
    def collaboration(self) -> Collaboration:
        """The current collaboration."""
        return self._current.collaboration

    def report_health(self) -> dict[str, Any]:
        """Return the content of the gateway's health page, as JSON."""
        return build_health_report(self._current.look())

    async def find_requester(
        self, user: str, token: str, *, may_start_servers: bool
    ) -> GatewayUser:
        """Ask the service for the person and the session of a token."""
        return await self._service.find_requester(user, token, may_start_servers=may_start_servers)

    # -- start and stop --------------------------------------------------------------------

    async def start_cluster(self, user: SessionUser, cluster_options: Any) -> str:
        """Start a cluster that the person may have; its session begins before the cluster.

        Raises
        ------
        PublicException
            If the person may not choose this, or the start fails; the text is for the person.
        """
        try:
            options, choice, variables = await self._parse_choice(user, cluster_options)
            self._require_free_cluster(user.name)
            session_id, ticket = await self._service.begin_session(user.name, choice)
        except PanNeuroError as refusal:
            raise PublicException(join_lines(str(refusal))) from refusal
        session = Session(session_id, choice.project, choice.profile, choice.image)
        try:
            traits = self.build_config(self.collaboration, session, user.name, variables)
            traits[CHOICE_KEY] = {**traits[CHOICE_KEY], STARTED_IN_KEY: user.session}
            config = self.cluster_config_class(parent=self, **traits)
            name = await self.launch_cluster(user.name, options, config, ticket)
        except BaseException as error:
            await asyncio.shield(self._end_unstarted_session(session_id))
            if isinstance(error, PublicException) or not isinstance(error, Exception):
                raise
            self.log.exception("A cluster of %s could not be started", session.project)
            raise PublicException(
                "the cluster could not be started and was removed; the gateway's log has the "
                f"reason, under session {session_id}"
            ) from error
        if self._find_cluster(name) is not None:  # else when the backend's records contain it
            self._reported_sessions[session_id] = name
        self.report_soon()
        return name

    async def stop_cluster(self, cluster_name: str, failed: bool = False) -> None:
        """Stop a cluster, and make its ticket invalid at once."""
        await super().stop_cluster(cluster_name, failed=failed)
        self.report_soon()

    async def end_cluster(self, name: str, code: EndCode, reasons: tuple[Reason, ...] = ()) -> None:
        """Stop a cluster, and record the reason for its person."""
        cluster = self._find_cluster(name)
        if cluster is not None:
            idle = self._find_limits(cluster.project).idle_timeout if code == "idle" else None
            self._ends.record_end(name, ClusterEnd(code, reasons, idle))
        await self.stop_cluster(name)

    async def stop_session_clusters(self, person: str, session: str) -> list[str]:
        """Stop the clusters that a session started; return their names.

        Parameters
        ----------
        person : str
        session : str
            Id of the session.
        """
        names = [
            cluster.name
            for cluster in self.iterate_clusters()
            if cluster.active and cluster.person == person and cluster.started_in == session
        ]
        for name in names:
            await self.end_cluster(name, "server-stopped")
        return names

    def describe_end(self, cluster: models.Cluster) -> str:
        """Return the sentence that says why a cluster ended."""
        end = self._ends.find_end(cluster.name)
        if end is None and cluster.status == models.ClusterStatus.FAILED:
            end = ClusterEnd("failed")
        return describe_end(cluster.name, end)

    def list_notices(self, name: str) -> list[str]:
        """Return sentences for a cluster's person about its failed workers."""
        cluster = self._find_cluster(name)
        if cluster is None:
            return []
        memory = format_memory(int(cluster.config["worker_memory"]))
        return describe_failures(self.find_worker_failures(name), memory)

    async def _parse_choice(
        self, user: SessionUser, cluster_request: Any
    ) -> tuple[dict[str, Any], ClusterChoice, dict[str, str]]:
        options = await self.get_cluster_options(user)
        parsed = options.parse_options(cluster_request)
        chosen = options.get_configuration(parsed, user)
        return parsed, ClusterChoice(**chosen[CHOICE_KEY]), chosen["environment"]

    def _require_free_cluster(self, person: str) -> None:
        running = [c.name for c in self.iterate_clusters() if c.active and c.person == person]
        if len(running) >= self.most_clusters:
            raise PanNeuroError(
                f"you have {len(running)} clusters already, and may have {self.most_clusters} at "
                f"once; stop one first: {', '.join(sorted(running)[:3])}"
            )

    async def _end_unstarted_session(self, session: str) -> None:
        try:
            await self._service.end_session(session)
        except PanNeuroError as error:
            # The service ends a session that no report lists.
            self.log.warning("Session %s could not be ended at once: %s", session, error)

    # -- limits ----------------------------------------------------------------------------

    async def scale_cluster(self, cluster: models.Cluster, wanted: int) -> GrantedSize:
        """Scale a cluster up to its quota, and return the size, with a notice if it is less.

        Raises
        ------
        PublicException
            If the scheduler does not receive the message.
        """
        async with self._quota_lock:
            allowed = self._compute_quota(cluster.name, wanted)
            self._quota_ledger.reserve(cluster.name, allowed.workers)
        message = {"op": "scale", "count": allowed.workers}
        try:
            await self.forward_message_to_scheduler(cluster, message)
        except PublicException:
            self._quota_ledger.cancel_reservation(cluster.name)
            raise
        self.report_soon()
        notice = f"{allowed.words}. Scaling to {allowed.workers}." if allowed.words else None
        return GrantedSize(allowed.workers, notice)

    async def adapt_cluster(
        self, cluster: models.Cluster, adapt_request: AdaptRequest
    ) -> GrantedSize:
        """Let a cluster adapt within the limits of its project; return the same as `scale_cluster`.

        Raises
        ------
        PublicException
            If the scheduler does not receive the message.
        """
        async with self._quota_lock:
            allocation = self._make_allocation(self._find_cluster(cluster.name))
            largest = quota.compute_largest_quota(
                self._find_limits(allocation.project), allocation, self.max_workers
            )
            maximum = (
                largest.workers
                if adapt_request.maximum is None
                else min(adapt_request.maximum, largest.workers)
            )
            current = self._compute_quota(cluster.name, maximum)
        minimum = None if adapt_request.minimum is None else min(adapt_request.minimum, maximum)
        await self.forward_message_to_scheduler(
            cluster,
            {"op": "adapt", "minimum": minimum, "maximum": maximum, "active": adapt_request.active},
        )
        notice = None
        if (
            adapt_request.active
            and adapt_request.maximum is not None
            and adapt_request.maximum > maximum
        ):
            notice = f"{largest.words}. Adapting up to {maximum}."
        elif (
            adapt_request.active
            and current.words
            and (adapt_request.maximum is not None or current.workers == 0)
        ):
            notice = (
                f"{current.words}. Adapting up to {maximum}: it has {current.workers} at most for "
                "now, and more when other clusters release theirs."
            )
        return GrantedSize(maximum, notice)

    async def on_cluster_heartbeat(self, cluster_name: str, msg: Any) -> None:
        """Process the heartbeat of a scheduler, and limit its workers to the quota.

        Raises
        ------
        PublicException
            If the heartbeat is invalid.
        """
        try:
            wanted = self.read_heartbeat(msg)
        except PanNeuroError as error:
            raise PublicException(join_lines(str(error))) from error
        async with self._quota_lock:
            allowed = self._compute_quota(cluster_name, wanted)
            count_held = self._count_held(cluster_name)
            await super().on_cluster_heartbeat(cluster_name, {**msg, "count": allowed.workers})
            self._quota_ledger.allocate(cluster_name, wanted, allowed.workers)
        if allowed.workers != count_held:
            self.report_soon()

    def read_heartbeat(self, message: Any) -> int:
        """Check the heartbeat of a scheduler, and return the number of workers that it requests.

        Raises
        ------
        InvalidChoiceError
            If the heartbeat is invalid.
        """
        return client_messages.read_heartbeat(message)

    async def _give_freed_workers(self) -> None:
        """Give released workers to waiting clusters, because their schedulers ask only once."""
        async with self._quota_lock:
            for name, wanted in self._quota_ledger.list_waiting():
                allowed = self._compute_quota(name, wanted)
                if allowed.workers > self._count_held(name):
                    self.log.info("Cluster %s gets %d workers now", name, allowed.workers)
                    await self.set_workers(name, allowed.workers)
                    self._quota_ledger.allocate(name, wanted, allowed.workers)

    def _compute_quota(self, name: str, wanted: int) -> quota.WorkerQuota:
        cluster = self._find_cluster(name)
        if cluster is None:
            return quota.WorkerQuota(0, f"there is no cluster {name}")
        requester = self._make_allocation(cluster)
        others = [self._make_allocation(other) for other in self.iterate_clusters()]
        return quota.compute_quota(
            self._find_limits(requester.project), requester, wanted, others, self.max_workers
        )

    def _find_limits(self, project: str) -> DaskLimits:
        if project in self.collaboration.projects:
            return merge_dask_limits(self.collaboration, project)
        return DaskLimits(0, 0.0, 0, _NO_WORKERS, (), None, (Reason("no-such-project", project),))

    def _make_allocation(self, cluster: BackendCluster | None) -> quota.ClusterAllocation:
        if cluster is None:
            return quota.ClusterAllocation("", "", "", 1.0, 1)
        return quota.ClusterAllocation(
            cluster=cluster.name,
            person=cluster.person,
            project=cluster.project,
            cores=float(cluster.config["worker_cores"]),
            memory=int(cluster.config["worker_memory"]),
            workers=self._quota_ledger.count_held(cluster.name, cluster.allocated, cluster.present)
            if cluster.active
            else cluster.present,
            max_workers=cluster.config.get("cluster_max_workers"),
        )

    def _count_held(self, name: str) -> int:
        return self._make_allocation(self._find_cluster(name)).workers

    def _find_cluster(self, name: str) -> BackendCluster | None:
        return next((c for c in self.iterate_clusters() if c.name == name and c.active), None)

    # -- reports ---------------------------------------------------------------------------

    def report_soon(self) -> None:
        """Send a report to the service soon, without waiting for the next interval."""
        self._report_event.set()

    async def _report_loop(self) -> None:
        while True:
            self._report_event.clear()
            problem = ""
            try:
                await self._report()
            except PanNeuroError as error:
                problem = str(error)
            except Exception:
                problem = "unforeseen"
                self.log.exception("The report of running clusters failed")
            if problem and problem != self._last_problem:
                self.log.warning("The report of running clusters failed: %s", problem)
            self._last_problem = problem
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._report_event.wait(), self.report_seconds)
            await asyncio.sleep(_REPORT_DELAY_SECONDS)

    async def _report(self) -> None:
        clusters = list(self.iterate_clusters())
        async with self._quota_lock:
            self._quota_ledger.keep_only({cluster.name for cluster in clusters if cluster.active})
        await self._give_freed_workers()
        running = {c.session: c for c in clusters if c.active and c.session}
        stops = await self._service.report_clusters(
            ClusterReport(
                session=session,
                name=cluster.name,
                workers=cluster.running,
                cores=float(cluster.config["worker_cores"]),
                memory=int(cluster.config["worker_memory"]),
            )
            for session, cluster in running.items()
        )
        self._reported_sessions.update(
            {session: cluster.name for session, cluster in running.items()}
        )
        for stop in stops:
            if stop.session in running:
                name = running[stop.session].name
                explanation = join_lines(describe_reasons(stop.reasons))
                self.log.warning("Stopping cluster %s: %s", name, explanation)
                await self.end_cluster(name, "refused", stop.reasons)
        for session in self._list_ended_sessions():
            await self._service.end_session(session)
            await self.forget_ticket(self._reported_sessions.pop(session), session)

    def _list_ended_sessions(self) -> list[str]:
        """Return the sessions in the service's last report whose clusters no longer run."""
        running = {cluster.session for cluster in self.iterate_clusters() if cluster.active}
        return [session for session in self._reported_sessions if session not in running]
