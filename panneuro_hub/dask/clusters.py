"""The core that every backend shares: session, ticket, limits, and what the service is told.

`ClusterMixin` stands before a backend class of dask-gateway-server. One process of the
gateway serves a hub: what it gives to clusters is counted here, under one lock.
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

from panneuro_hub.access import ClusterChoice, DaskLimits, WorkerLimits, dask_limits
from panneuro_hub.collaboration import Collaboration
from panneuro_hub.collaboration.quantities import format_memory
from panneuro_hub.current import follow, health
from panneuro_hub.dask import messages, pool
from panneuro_hub.dask.authenticator import HubAuthenticator
from panneuro_hub.dask.ends import ClusterEnd, ClusterEnds, EndCode, describe_end
from panneuro_hub.dask.following import open_current
from panneuro_hub.dask.gate import Gate
from panneuro_hub.dask.messages import Adapt
from panneuro_hub.dask.options import cluster_options
from panneuro_hub.dask.routes import add_routes, answer_plainly, one_line
from panneuro_hub.dask.service import Service
from panneuro_hub.dask.session_user import SessionUser
from panneuro_hub.dask.shape import CHOICE, STARTED_IN
from panneuro_hub.dask.views import without_names
from panneuro_hub.dask.worker_failures import WorkerFailure, describe_failures
from panneuro_hub.errors import PanNeuroError
from panneuro_hub.wire import Reason, Ticket
from panneuro_hub.wire.clusters import Requester, Running
from panneuro_hub.wire.state import Session
from panneuro_hub.wording import describe_reasons

# Much happens at once when many clusters adapt: one report tells it all.
_TOGETHER_SECONDS = 0.5
_NONE = WorkerLimits(0, 0.0, 0)


@dataclass(frozen=True)
class Cluster:
    """A cluster as its backend's own records tell of it.

    Parameters
    ----------
    name, person : str
    config : mapping
        What it was started with; only the gateway writes it.
    active : bool
        Whether it starts or runs; one that is stopping may still have workers.
    kept : int
        The workers that it was given.
    live : int
        The workers that there are, those on their way in and out too.
    working : int
        The workers that run.
    """

    name: str
    person: str
    config: Mapping[str, Any]
    active: bool
    kept: int
    live: int
    working: int

    @property
    def session(self) -> str:
        """Its session's id; ``""`` for a cluster from before there were sessions."""
        return str(self._what.get("session", ""))

    @property
    def project(self) -> str:
        """Its project; ``""`` as for `session`."""
        return str(self._what.get("project", ""))

    @property
    def started_in(self) -> str:
        """Id of the session that started it; ``""`` where no session did."""
        return str(self._what.get(STARTED_IN) or "")

    @property
    def _what(self) -> Mapping[str, Any]:
        return self.config.get(CHOICE) or {}


@dataclass(frozen=True)
class Granted:
    """The size that a cluster may have.

    Parameters
    ----------
    workers : int
        As many at most.
    words : str or None
        Why it is less than was asked for, for people; `None` where it is all of it.
    """

    workers: int
    words: str | None = None


class _NamesNoView(logging.Filter):
    """Keeps from the log of requests what stands in an address in a cookie's place."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(
                without_names(arg) if isinstance(arg, str) else arg for arg in record.args
            )
        return True


class ClusterMixin(Backend):
    """Makes every cluster of a backend a session in exactly one project."""

    collaboration_file = Unicode(
        config=True, help="Path of the collaboration file; set by panneuro_hub.dask.configure."
    )
    service_url = Unicode(
        config=True, help="URL of the PanNeuro service, as gateway and clusters reach it."
    )
    service_token = Unicode(
        config=True, help="The gateway's own API token; by default JUPYTERHUB_API_TOKEN."
    )
    prefix = Unicode(
        "/services/dask-gateway", config=True, help="Path below which browsers see the gateway."
    )
    report_seconds = Float(
        15.0, min=1.0, config=True, help="How often the service is told what runs."
    )
    most_clusters = Integer(
        10, min=1, config=True, help="How many clusters one person may have at once."
    )

    max_workers = Integer(
        pool.MOST_WORKERS,
        min=1,
        config=True,
        help="""
        How many workers all clusters of this gateway may have together, in all projects: what the
        machine or the Kubernetes cluster can run.
        """,
    )

    @default("service_token")
    def _service_token_default(self) -> str:
        return os.environ.get("JUPYTERHUB_API_TOKEN", "")

    @default("cluster_options")
    def _cluster_options_default(self) -> Any:
        return cluster_options(lambda: self.collaboration)

    # -- what a backend tells and does -----------------------------------------------------

    def known_clusters(self) -> Iterator[Cluster]:
        """Every cluster that is active or still has workers."""
        raise NotImplementedError

    def config_of(
        self,
        collaboration: Collaboration,
        session: Session,
        person: str,
        variables: Mapping[str, str],
    ) -> dict[str, Any]:
        """The traits of the backend's cluster config for a session."""
        raise NotImplementedError

    async def launch(
        self, person: str, options: dict[str, Any], config: Any, ticket: Ticket
    ) -> str:
        """Start a cluster, and see to it that its processes get the ticket; gives its name."""
        raise NotImplementedError

    async def set_workers(self, name: str, count: int) -> None:
        """Give a cluster more workers than before, without its scheduler asking."""
        raise NotImplementedError

    async def forget_ticket(self, name: str, session: str) -> None:
        """Remove what is left of the ticket of a cluster that has ended."""

    def worker_failures(self, name: str) -> list[WorkerFailure]:
        """Return how workers of a running cluster failed, one for each worker."""
        return []

    async def begin(self) -> None:
        """Make ready what `known_clusters` needs, after the backend's own setup."""

    def dashboard(self, name: str) -> str | None:
        """The address of a running cluster's dashboard; `None` where there is none."""
        raise NotImplementedError

    # -- begin and end ---------------------------------------------------------------------

    async def setup(self, app: web.Application) -> None:
        """Begin to serve: the backend's own setup, our answers, and the reports."""
        if not isinstance(app["authenticator"], HubAuthenticator):
            raise PanNeuroError(
                "c.DaskGateway.authenticator_class is set: only panneuro_hub.dask.authenticator."
                "HubAuthenticator, or a subclass of it, knows which session a request comes from; "
                "take it out"
            )
        for trait in ("collaboration_file", "service_url", "service_token"):
            if not getattr(self, trait):
                raise PanNeuroError(
                    f"c.ClusterMixin.{trait} is not set; call panneuro_hub.dask.configure(c) in "
                    "the gateway's config file, and give the gateway its JUPYTERHUB_API_TOKEN"
                )
        if any(
            "cluster_options" in self.config.get(kind.__name__, {}) for kind in type(self).mro()
        ):
            raise PanNeuroError(
                "c.Backend.cluster_options is set: a cluster's options come from the collaboration "
                "file, where each project has its worker profiles and images; take it out"
            )
        self._service = Service(self.service_url, self.service_token)
        try:
            self._current = await open_current(self.collaboration_file, self._service, self.log)
        except PanNeuroError as error:
            self.log.critical("the gateway does not start:\n%s", error)
            raise SystemExit(1) from error
        self._book = pool.Book()
        self._ends = ClusterEnds()
        self._counting = asyncio.Lock()
        self._soon = asyncio.Event()
        self._told: dict[str, str] = {}
        self._trouble = ""
        app.middlewares.append(answer_plainly)
        await super().setup(app)
        await self.begin()
        self._gate = Gate(self.service_url, self.prefix, self.dashboard)
        self.log.addFilter(_NamesNoView())
        app.add_routes(self._gate.routes())
        add_routes(app)
        self._reports = asyncio.ensure_future(self._report_loop())
        self._following = asyncio.ensure_future(follow(self._current, log=self.log))

    async def cleanup(self) -> None:
        """Stop; sessions of clusters that stop with the gateway end, others go on."""
        if hasattr(self, "_following"):
            for task in (self._reports, self._following):
                task.cancel()
            await asyncio.gather(self._reports, self._following, return_exceptions=True)
        await super().cleanup()
        if hasattr(self, "_gate"):
            await self._gate.close()
        if hasattr(self, "_service"):
            with contextlib.suppress(PanNeuroError):  # the service may be gone before us
                for session in self._gone():
                    await self._service.end(session)
            await self._service.close()

    @property
    def collaboration(self) -> Collaboration:
        """The collaboration as it is now."""
        return self._current.collaboration

    def health(self) -> dict[str, Any]:
        """Return what the gateway's health page says, as JSON."""
        return health(self._current.look())

    async def find_requester(self, user: str, token: str, *, may_start_servers: bool) -> Requester:
        """Ask the service who shows a token; see `panneuro_hub.dask.service.Service`."""
        return await self._service.find_requester(user, token, may_start_servers=may_start_servers)

    # -- start and stop --------------------------------------------------------------------

    async def start_cluster(self, user: SessionUser, cluster_options: Any) -> str:
        """Start a cluster that the person may have; its session begins before it does.

        Raises
        ------
        PublicException
            With words for the person: what is not theirs to choose, or what does not
            work now.
        """
        try:
            options, choice, variables = await self._chosen(user, cluster_options)
            self._require_room(user.name)
            session_id, ticket = await self._service.register(user.name, choice)
        except PanNeuroError as refusal:
            raise PublicException(one_line(str(refusal))) from refusal
        session = Session(session_id, choice.project, choice.profile, choice.image)
        try:
            traits = self.config_of(self.collaboration, session, user.name, variables)
            traits[CHOICE] = {**traits[CHOICE], STARTED_IN: user.session}
            config = self.cluster_config_class(parent=self, **traits)
            name = await self.launch(user.name, options, config, ticket)
        except BaseException as error:
            await asyncio.shield(self._abandon(session_id))
            if isinstance(error, PublicException) or not isinstance(error, Exception):
                raise
            self.log.exception("A cluster of %s could not be started", session.project)
            raise PublicException(
                "the cluster could not be started, and nothing is left of it; the gateway's log "
                f"says why, under session {session_id}"
            ) from error
        if self._find(name) is not None:  # else it is when the backend's records have it
            self._told[session_id] = name
        self.report_soon()
        return name

    async def stop_cluster(self, cluster_name: str, failed: bool = False) -> None:
        """Stop a cluster; its ticket dies at once."""
        await super().stop_cluster(cluster_name, failed=failed)
        self.report_soon()

    async def end_cluster(self, name: str, code: EndCode, reasons: tuple[Reason, ...] = ()) -> None:
        """Stop a cluster, and keep the reason for the people who ask for it."""
        cluster = self._find(name)
        if cluster is not None:
            idle = self._limits(cluster.project).idle_timeout if code == "idle" else None
            self._ends.record(name, ClusterEnd(code, reasons, idle))
        await self.stop_cluster(name)

    async def end_clusters_of_session(self, person: str, session: str) -> list[str]:
        """Stop the clusters that a session started; return their names.

        Parameters
        ----------
        person : str
        session : str
            Id of the session.
        """
        names = [
            cluster.name
            for cluster in self.known_clusters()
            if cluster.active and cluster.person == person and cluster.started_in == session
        ]
        for name in names:
            await self.end_cluster(name, "server-stopped")
        return names

    def describe_end(self, cluster: models.Cluster) -> str:
        """Return the sentence that says why a cluster that is not running any more ended."""
        end = self._ends.find(cluster.name)
        if end is None and cluster.status == models.ClusterStatus.FAILED:
            end = ClusterEnd("failed")
        return describe_end(cluster.name, end)

    def notices(self, name: str) -> list[str]:
        """Return what a cluster's person should read about its workers, as sentences."""
        cluster = self._find(name)
        if cluster is None:
            return []
        memory = format_memory(int(cluster.config["worker_memory"]))
        return describe_failures(self.worker_failures(name), memory)

    async def _chosen(
        self, user: SessionUser, asked: Any
    ) -> tuple[dict[str, Any], ClusterChoice, dict[str, str]]:
        options = await self.get_cluster_options(user)
        normal = options.parse_options(asked)
        chosen = options.get_configuration(normal, user)
        return normal, ClusterChoice(**chosen[CHOICE]), chosen["environment"]

    def _require_room(self, person: str) -> None:
        running = [c.name for c in self.known_clusters() if c.active and c.person == person]
        if len(running) >= self.most_clusters:
            raise PanNeuroError(
                f"you have {len(running)} clusters already, and may have {self.most_clusters} at "
                f"once; stop one first: {', '.join(sorted(running)[:3])}"
            )

    async def _abandon(self, session: str) -> None:
        try:
            await self._service.end(session)
        except PanNeuroError as error:
            # No report lists it, so the service ends it by itself.
            self.log.warning("Session %s could not be ended at once: %s", session, error)

    # -- limits ----------------------------------------------------------------------------

    async def scale(self, cluster: models.Cluster, wanted: int) -> Granted:
        """Scale a cluster to what it may have; return that, with words where it is less.

        Raises
        ------
        PublicException
            If its scheduler cannot be told.
        """
        async with self._counting:
            share = self._share(cluster.name, wanted)
            self._book.promise(cluster.name, share.workers)
        message = {"op": "scale", "count": share.workers}
        try:
            await self.forward_message_to_scheduler(cluster, message)
        except PublicException:
            self._book.break_promise(cluster.name)
            raise
        self.report_soon()
        words = f"{share.words}. Scaling to {share.workers}." if share.words else None
        return Granted(share.workers, words)

    async def adapt(self, cluster: models.Cluster, asked: Adapt) -> Granted:
        """Let a cluster adapt within what its project could ever give it; return as `scale`.

        Raises
        ------
        PublicException
            If its scheduler cannot be told.
        """
        async with self._counting:
            holding = self._holding(self._find(cluster.name))
            most = pool.most(self._limits(holding.project), holding, self.max_workers)
            maximum = most.workers if asked.maximum is None else min(asked.maximum, most.workers)
            now = self._share(cluster.name, maximum)
        minimum = None if asked.minimum is None else min(asked.minimum, maximum)
        await self.forward_message_to_scheduler(
            cluster,
            {"op": "adapt", "minimum": minimum, "maximum": maximum, "active": asked.active},
        )
        words = None
        if asked.active and asked.maximum is not None and asked.maximum > maximum:
            words = f"{most.words}. Adapting up to {maximum}."
        elif asked.active and now.words and (asked.maximum is not None or now.workers == 0):
            words = (
                f"{now.words}. Adapting up to {maximum}: it has {now.workers} at most for now, and "
                "more as others give theirs back."
            )
        return Granted(maximum, words)

    async def on_cluster_heartbeat(self, cluster_name: str, msg: Any) -> None:
        """Take in what a scheduler says; it gets no more workers than it may have.

        Raises
        ------
        PublicException
            If it says what no scheduler of ours says.
        """
        try:
            wanted = self.read_heartbeat(msg)
        except PanNeuroError as error:
            raise PublicException(one_line(str(error))) from error
        async with self._counting:
            share = self._share(cluster_name, wanted)
            held = self._held(cluster_name)
            await super().on_cluster_heartbeat(cluster_name, {**msg, "count": share.workers})
            self._book.give(cluster_name, wanted, share.workers)
        if share.workers != held:
            self.report_soon()

    def read_heartbeat(self, message: Any) -> int:
        """Check a scheduler's message; gives the number of workers that it wants.

        Raises
        ------
        InvalidChoice
            If it is not one that a scheduler of ours sends.
        """
        return messages.read_heartbeat(message)

    async def _give_to_who_waits(self) -> None:
        """Give what others gave back: a scheduler asks once, and would never hear of it."""
        async with self._counting:
            for name, wanted in self._book.waiting():
                share = self._share(name, wanted)
                if share.workers > self._held(name):
                    self.log.info("Cluster %s gets %d workers now", name, share.workers)
                    await self.set_workers(name, share.workers)
                    self._book.give(name, wanted, share.workers)

    def _share(self, name: str, wanted: int) -> pool.Share:
        cluster = self._find(name)
        if cluster is None:
            return pool.Share(0, f"there is no cluster {name}")
        asker = self._holding(cluster)
        others = [self._holding(other) for other in self.known_clusters()]
        return pool.share(self._limits(asker.project), asker, wanted, others, self.max_workers)

    def _limits(self, project: str) -> DaskLimits:
        if project in self.collaboration.projects:
            return dask_limits(self.collaboration, project)
        return DaskLimits(0, 0.0, 0, _NONE, (), None, (Reason("no-such-project", project),))

    def _holding(self, cluster: Cluster | None) -> pool.Holding:
        if cluster is None:
            return pool.Holding("", "", "", 1.0, 1)
        return pool.Holding(
            cluster=cluster.name,
            person=cluster.person,
            project=cluster.project,
            cores=float(cluster.config["worker_cores"]),
            memory=int(cluster.config["worker_memory"]),
            workers=self._book.held(cluster.name, cluster.kept, cluster.live)
            if cluster.active
            else cluster.live,
            most=cluster.config.get("cluster_max_workers"),
        )

    def _held(self, name: str) -> int:
        return self._holding(self._find(name)).workers

    def _find(self, name: str) -> Cluster | None:
        return next((c for c in self.known_clusters() if c.name == name and c.active), None)

    # -- reports ---------------------------------------------------------------------------

    def report_soon(self) -> None:
        """Tell the service what runs, without waiting for the next time."""
        self._soon.set()

    async def _report_loop(self) -> None:
        while True:
            self._soon.clear()
            trouble = ""
            try:
                await self._report()
            except PanNeuroError as error:
                trouble = str(error)
            except Exception:
                trouble = "unforeseen"
                self.log.exception("The service could not be told what runs")
            if trouble and trouble != self._trouble:
                self.log.warning("The service could not be told what runs: %s", trouble)
            self._trouble = trouble
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._soon.wait(), self.report_seconds)
            await asyncio.sleep(_TOGETHER_SECONDS)

    async def _report(self) -> None:
        clusters = list(self.known_clusters())
        async with self._counting:
            self._book.keep_only({cluster.name for cluster in clusters if cluster.active})
        await self._give_to_who_waits()
        running = {c.session: c for c in clusters if c.active and c.session}
        stops = await self._service.report(
            Running(
                session=session,
                name=cluster.name,
                workers=cluster.working,
                cores=float(cluster.config["worker_cores"]),
                memory=int(cluster.config["worker_memory"]),
            )
            for session, cluster in running.items()
        )
        self._told.update({session: cluster.name for session, cluster in running.items()})
        for stop in stops:
            if stop.session in running:
                name = running[stop.session].name
                because = one_line(describe_reasons(stop.reasons))
                self.log.warning("Stopping cluster %s: %s", name, because)
                await self.end_cluster(name, "refused", stop.reasons)
        for session in self._gone():
            await self._service.end(session)
            await self.forget_ticket(self._told.pop(session), session)

    def _gone(self) -> list[str]:
        """The sessions that the service was told of, whose clusters run no more."""
        running = {cluster.session for cluster in self.known_clusters() if cluster.active}
        return [session for session in self._told if session not in running]
