"""Dask clusters of this session's project, from the hub's gateway.

In a notebook, `panneuro_hub.lab.cluster` gives a client, and `panneuro_hub.lab.clusters` lists what
runs. JupyterLab's Dask panel makes its clusters with `ProjectCluster`, which its configuration
names as the factory.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import warnings
import weakref
from collections.abc import Awaitable, Generator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self
from weakref import WeakSet

from dask_gateway import Gateway, GatewayCluster, GatewayWarning
from distributed import Client

from panneuro_hub.agent.service_client import to_printable
from panneuro_hub.errors import InvalidArgumentError, PanNeuroError
from panneuro_hub.lab.cluster_notices import read_notices
from panneuro_hub.lab.gateway_client import (
    close_gateway,
    open_gateway,
    read_session_project,
    require_gateway,
    runs_in_gateway_loop,
    silence_destructor,
)
from panneuro_hub.lab.gateway_errors import (
    FOREIGN_ERRORS,
    ClientClosedError,
    ClusterEndedError,
    ClusterNotFoundError,
    translate_errors,
    translate_errors_of,
)
from panneuro_hub.lab.tls_workaround import isolate_connections
from panneuro_hub.lab.worker_memory import MEMORY_TOPIC, describe_memory, watch_workers

log = logging.getLogger("panneuro_hub.lab")


def cluster(
    workers: int | str = 4,
    *,
    minimum: int = 0,
    profile: str | None = None,
    image: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> ProjectClient:
    """Start a Dask cluster in this session's project, or join one that runs.

    A new cluster grows with its work up to `workers`, and shrinks when there is none. Where the
    project or you have fewer workers left, it grows to what is left, and a warning says
    who holds the others.

    Parameters
    ----------
    workers : int or str
        The most workers that a new cluster may have; or the name of a running cluster of your own
        in this project, to join it. The last letters of the name are enough. `clusters` lists them.
    minimum : int
        The workers that it keeps without work.
    profile : str, optional
        How large each worker is: one of the project's worker profiles.
    image : str, optional
        What workers run; by default what this session runs, so that their Python is the same.
    environment : mapping of str to str, optional
        Further variables for the workers' processes; no secret, others may see them.

    Returns
    -------
    distributed.Client
        Dask computes on the cluster from now on. Closing the client of a new cluster
        (``client.close()``, or the end of a ``with`` block) closes the cluster, and so does the
        end of the kernel or of the server. After a kernel that dies, the cluster runs on until it
        has been idle for as long as the project allows; until then you can join it. Closing the
        client of a cluster that you joined leaves the cluster running, and ``client.shutdown()``
        ends it. ``client.cluster`` is the cluster.

    Raises
    ------
    AccessDenied
        If the gateway refuses; the text says why.
    ClusterNotFoundError
        If no running cluster has the name.
    NotInSessionError
        Outside a session of the hub.
    ServiceUnavailable
        If this hub has no gateway, or the gateway or the cluster does not answer.
    ValueError
        If `workers` and `minimum` are no sizes, or a cluster is joined with options of a new one.
    """
    if isinstance(workers, str):
        if minimum or profile or image or environment:
            raise InvalidArgumentError(
                "a cluster that runs keeps its profile, image and environment: join it with its "
                "name alone, and use client.cluster.scale or adapt for its size"
            )
        return _join_cluster(workers)
    if not 0 <= minimum <= workers or workers < 1:
        raise InvalidArgumentError(
            f"a cluster of {minimum} to {workers} workers cannot be; "
            "let workers be 1 or more, and minimum from 0 to workers"
        )
    made = ProjectCluster(profile=profile, image=image, environment=environment)
    try:
        made.adapt(minimum=minimum, maximum=workers)
        return ProjectClient(made, security=made.security, set_as_default=True)
    except BaseException:
        made.close()
        raise


def clusters() -> list[ClusterSummary]:
    """List your running clusters of this session's project, wherever you started them.

    Returns
    -------
    list of ClusterSummary
        The newest last. ``lab.clusters()[-1].join()`` gives a client, and ``.stop()`` ends the
        cluster.

    Raises
    ------
    AccessDeniedError, NotInSessionError, ServiceUnavailableError
        As for `cluster`.
    """
    read_session_project()
    require_gateway()
    with open_gateway() as gateway:
        reports = translate_errors(gateway.list_clusters)
    return [
        ClusterSummary(
            name=report.name,
            status=report.status.name.lower(),
            started=report.start_time.astimezone(),
            profile=to_printable(str((report.options or {}).get("profile") or "")),
            dashboard_link=report.dashboard_link,
        )
        for report in sorted(reports, key=lambda report: report.start_time)
    ]


@dataclass(frozen=True, repr=False)
class ClusterSummary:
    """A running cluster of your own.

    Parameters
    ----------
    name : str
    status : str
        ``pending`` or ``running``.
    started : datetime
        Local time.
    profile : str
        The worker profile that was asked for; ``""`` for the project's first.
    dashboard_link : str or None
        `None` while it starts.
    """

    name: str
    status: str
    started: datetime
    profile: str
    dashboard_link: str | None

    def __repr__(self) -> str:
        profile = f", {self.profile}" if self.profile else ""
        return f"<cluster {self.name}: {self.status} since {self.started:%d %b %H:%M}{profile}>"

    def join(self) -> ProjectClient:
        """Join it, as ``lab.cluster(NAME)`` does."""
        return _join_cluster(self.name)

    def stop(self) -> None:
        """End it, with all that it computes.

        Raises
        ------
        AccessDeniedError, ServiceUnavailableError
            As for `cluster`.
        """
        with open_gateway() as gateway:
            translate_errors(lambda: gateway.stop_cluster(self.name))


def _join_cluster(name: str) -> ProjectClient:
    found = _find_cluster(name, clusters())
    joined = translate_errors(lambda: ProjectCluster.from_name(found.name))
    try:
        return ProjectClient(joined, security=joined.security, set_as_default=True)
    except BaseException:
        joined.close()
        raise


def _find_cluster(name: str, running: list[ClusterSummary]) -> ClusterSummary:
    matching = [one for one in running if name and one.name.endswith(name)]
    exact = [one for one in matching if one.name == name]
    if len(exact or matching) == 1:
        return (exact or matching)[0]
    listed = ", ".join(one.name for one in running)
    if matching:
        raise ClusterNotFoundError(f"several of your clusters end with {name!r}: {listed}")
    raise ClusterNotFoundError(
        f"you have no running cluster {name!r} in {read_session_project()}; "
        + (f"running: {listed}" if running else "none of yours is running")
    )


class ProjectClient(Client):
    """A client of a project's cluster; the cluster that was made for it ends with it."""

    _ended: str | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[no-untyped-call]
        _open.add(self)
        if self.status == "running":
            watch_workers(self)

    def close(self, *args: Any, **kwargs: Any) -> Any:
        """Close the client, and its cluster if the cluster was made for it."""
        return self._close_with(None, *args, **kwargs)

    def shutdown(self) -> Any:
        """Close the client, and end its cluster, even if it was joined."""
        return self._close_with(True)

    def _send_to_scheduler(self, msg: Any) -> None:
        if self.status == "closed":
            raise ClientClosedError(
                self._ended
                or "this client was closed; lab.cluster() starts another cluster, and "
                "lab.cluster(NAME) joins one that runs"
            )
        super()._send_to_scheduler(msg)  # type: ignore[no-untyped-call]

    async def _reconnect(self) -> None:
        """End at once where the gateway knows that the cluster has ended: nothing comes back."""
        if self.cluster is not None:
            async with Gateway(asynchronous=True) as gateway:
                self._ended = (await read_notices(gateway, self.cluster.name)).ended
        if self._ended is None:
            await super()._reconnect()
            return
        self.scheduler_comm = None
        for state in self.futures.values():
            state.cancel(reason="cluster-ended", msg=self._ended)
        self.futures.clear()
        await self._close(fast=True)

    def _close_with(self, shutdown: bool | None, *args: Any, **kwargs: Any) -> Any:
        _open.discard(self)
        closing = super().close(*args, **kwargs)  # type: ignore[no-untyped-call]
        if self.cluster is not None:
            self.cluster.close(shutdown)
        return closing


_open: WeakSet[ProjectClient] = WeakSet()


# Runs before what dask-gateway has registered, which takes the cluster from under the client.
@atexit.register
def _close_all() -> None:
    for client in list(_open):
        try:
            client.close()
        except (OSError, RuntimeError) as problem:  # the next one is to end as well
            log.warning("a cluster may run on until it is idle for long enough: %s", problem)


class ProjectCluster(GatewayCluster):
    """A cluster of this session's project; ``ProjectCluster.from_name`` joins one that runs.

    Parameters
    ----------
    profile, image, environment
        As for `cluster`.
    **kwargs
        As for `dask_gateway.GatewayCluster`; ``asynchronous=True`` in a program that has an
        event loop, which then awaits the cluster.

    Raises
    ------
    AccessDeniedError, NotInSessionError, ServiceUnavailableError
        As for `cluster`; an asynchronous one raises them when it is awaited.
    """

    def __init__(
        self,
        *,
        profile: str | None = None,
        image: str | None = None,
        environment: Mapping[str, str] | None = None,
        **kwargs: Any,
    ) -> None:
        chosen = {
            "project": read_session_project(),
            "profile": profile,
            "image": image or os.environ.get("PANNEURO_IMAGE"),
            "environment": dict(environment or {}),
        }
        options = {name: value for name, value in chosen.items() if value}
        refused: PanNeuroError | None = None
        try:
            super().__init__(**options, **kwargs)
        except PanNeuroError as problem:
            # Without dask-gateway's part of the way, which says nothing to a person.
            refused = problem.with_traceback(None)
        if refused is not None:
            raise refused

    # Both of dask-gateway's ways to make a cluster lead here.
    def _init_internal(self, **kwargs: Any) -> None:
        isolate_connections()
        self._released = False
        self._size_notice: str | None = None
        self._end: str | None = None
        self.adapting: AdaptiveScaling | None = None
        require_gateway(kwargs.get("address"))
        try:
            translate_errors(lambda: super(ProjectCluster, self)._init_internal(**kwargs))
        except BaseException:
            self._release()
            raise
        if not self.gateway.asynchronous:
            silence_destructor(self.gateway)
        _made.add(self)

    async def __aenter__(self) -> Self:
        await translate_errors_of(super().__aenter__())
        return self

    def scale(self, n: int, **_: Any) -> Any:
        """Scale to `n` workers, or to what is left; a warning says who holds the others."""
        return self._request_size("scale", {"count": n})

    def adapt(
        self, minimum: int | None = None, maximum: int | None = None, active: bool = True, **_: Any
    ) -> Any:
        """Let the work scale the cluster, between `minimum` and `maximum` workers.

        Returns
        -------
        Adapting or None
            For an asynchronous cluster, what was asked; may be awaited.
        """
        bounds = {"minimum": minimum, "maximum": maximum, "active": active}
        asked = self._request_size("adapt", bounds)
        self.adapting = AdaptiveScaling(minimum or 0, maximum, asked) if self.asynchronous else None
        return self.adapting

    def get_client(self, set_as_default: bool = True) -> Client:
        """Return a client of the cluster, which stays open when the client is closed."""
        self._require_open()
        return super().get_client(set_as_default=set_as_default)

    def close(self, shutdown: bool | None = None) -> Any:
        """End the cluster, or leave it if it was joined; to be awaited where it is asynchronous.

        Parameters
        ----------
        shutdown : bool, optional
            Whether to end it; by default only a cluster that this object has started.
        """
        closing = super().close(shutdown)
        self._release()
        return closing

    def __del__(self) -> None:
        gateway = getattr(self, "gateway", None)
        if gateway is None or gateway.asynchronous or not runs_in_gateway_loop(gateway):
            super().__del__()
        elif not self._released:
            # To close it here would be to wait for this very thread.
            ends = self.shutdown_on_close and self.status == "running"
            name = self.name if ends else None
            gateway.loop.add_callback(_release_cluster, gateway, self.scheduler_comm, name)

    async def read_messages(self) -> list[str]:
        """Return what its person should know: its end, its limits, workers that failed."""
        said = await read_notices(self.gateway, self.name)
        messages = [said.ended, self._size_notice if said.ended is None else None, *said.notices]
        events = () if said.ended else await self._read_memory_events()
        if events:
            messages.append(describe_memory(events, said))
        return [message for message in messages if message]

    async def _read_memory_events(self) -> tuple[Any, ...]:
        if self.scheduler_comm is None:
            return ()
        try:
            return tuple(await self.scheduler_comm.events(topic=MEMORY_TOPIC))
        except OSError:  # it ends just now
            return ()

    def _request_size(self, operation: str, body: Mapping[str, Any]) -> Any:
        self._require_open()
        if self.asynchronous:
            return self._ask_size(operation, body)
        answer = translate_errors(lambda: self.gateway.sync(self._ask_size, operation, body))
        if self._size_notice:
            warnings.warn(GatewayWarning(self._size_notice), stacklevel=3)
        return None if operation == "adapt" else answer

    async def _ask_size(self, operation: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        url = f"{self.gateway.address}/api/v1/clusters/{self.name}/{operation}"
        # dask-gateway's own methods drop the size that was granted.
        response = await translate_errors_of(self.gateway._request("POST", url, json=body))
        try:
            answer = dict(await response.json())
        except FOREIGN_ERRORS:
            answer = {}
        said = None if answer.get("ok", True) else answer.get("msg")
        self._size_notice = to_printable(str(said)) if said else None
        return answer

    def _require_open(self) -> None:
        if self._end is not None:
            raise ClusterEndedError(self._end)
        if self.status in ("closing", "closed"):
            raise ClusterEndedError(
                f"cluster {self.name} was closed here; lab.cluster() starts another one, and "
                "lab.clusters() lists those that run"
            )

    async def _watch_worker_status(self, comm: Any) -> None:
        watched = weakref.ref(self)
        watching = super()._watch_worker_status(comm)
        del self  # as dask-gateway does: a cluster that nobody holds any more is to be closed
        await watching
        cluster = watched()
        if cluster is not None:
            await cluster._note_end()

    async def _note_end(self) -> None:
        """Say why the scheduler went away, if it was not this process that closed the cluster."""
        if self.status != "running":
            return
        self._end = (await read_notices(self.gateway, self.name)).ended
        if self._end is not None:
            # No line of anybody's code is to blame, and so none is shown.
            warnings.warn_explicit(self._end, GatewayWarning, f"<cluster {self.name}>", 1)

    def _release(self) -> None:
        """Close the connection to the gateway for good."""
        gateway = getattr(self, "gateway", None)
        if gateway is None or gateway.asynchronous or self._released:
            return
        self._released = True
        silence_destructor(gateway)
        close_gateway(gateway)


_made: WeakSet[ProjectCluster] = WeakSet()


def find_open_cluster(name: str) -> ProjectCluster | None:
    """Return the cluster of this name that this process made or joined."""
    return next((made for made in list(_made) if made.name == name), None)


async def _release_cluster(gateway: Any, scheduler: Any, ending: str | None) -> None:
    """Close the connections of a cluster that nobody holds any more, and end it by its name."""
    try:
        if ending is not None:
            await translate_errors_of(gateway._stop_cluster(ending))
    except PanNeuroError as problem:
        log.warning("cluster %s runs on until it is idle for long enough: %s", ending, problem)
    if scheduler is not None:
        await scheduler.close_rpc()
    await gateway._cleanup()


class AdaptiveScaling:
    """Adaptive scaling that was asked for, as JupyterLab's Dask panel shows it.

    The panel does not await it; so it is asked for at once, and a refusal is logged.

    Parameters
    ----------
    minimum : int
    maximum : int or None
        What was asked for; once the gateway has answered, what it granted.
    asked : awaitable
        Ends when the gateway has taken it, with the gateway's answer.
    """

    def __init__(
        self, minimum: int, maximum: int | None, asked: Awaitable[Mapping[str, Any]]
    ) -> None:
        self.minimum = minimum
        self.maximum = maximum
        self._task = asyncio.ensure_future(asked)
        self._task.add_done_callback(self._settle)

    def __await__(self) -> Generator[Any, None, Mapping[str, Any]]:
        return self._task.__await__()

    def _settle(self, task: asyncio.Future[Mapping[str, Any]]) -> None:
        if task.cancelled():
            return
        problem = task.exception()
        if problem is not None:
            log.warning("the cluster keeps its size: %s", problem)
            return
        granted = task.result().get("maximum")
        if isinstance(granted, int) and self.maximum is not None:
            self.maximum = min(self.maximum, granted)
            self.minimum = min(self.minimum, self.maximum)
