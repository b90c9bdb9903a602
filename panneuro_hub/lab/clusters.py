"""Dask clusters of this session's project, from the hub's gateway.

In a notebook, `panneuro_hub.lab.cluster` gives a client. JupyterLab's Dask panel makes
its clusters with `ProjectCluster`, which its configuration names as the factory.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
from collections.abc import Awaitable, Callable, Generator, Mapping
from json import JSONDecodeError
from typing import Any, Self, TypeVar
from weakref import WeakSet

import aiohttp
import dask
from dask_gateway import GatewayCluster
from dask_gateway.client import GatewayClusterError, GatewayServerError
from distributed import Client

from panneuro_hub.errors import (
    AccessDenied,
    InvalidArgumentError,
    PanNeuroError,
    ServiceUnavailable,
)
from panneuro_hub.lab.here import NotInSession
from panneuro_hub.lab.streams import keep_apart
from panneuro_hub.lab.upstream import printable

log = logging.getLogger("panneuro_hub.lab")

Got = TypeVar("Got")

# What dask-gateway's client raises for what a gateway says, and for one that says nothing.
_FOREIGN = (
    aiohttp.ClientError,
    GatewayClusterError,
    GatewayServerError,
    OSError,
    ValueError,
)


def cluster(
    workers: int = 4,
    *,
    minimum: int = 0,
    profile: str | None = None,
    image: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> ProjectClient:
    """Start a Dask cluster in this session's project.

    It grows with its work up to `workers`, and shrinks when there is none. Where the
    project or you have fewer workers left, it grows to what is left, and a warning says
    who holds the others.

    Parameters
    ----------
    workers : int
        The most workers that it may have.
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
        Dask computes on the cluster from now on. Closing it (``client.close()``, or the end
        of a ``with`` block) closes the cluster, and so does the end of the kernel; after a
        kernel that dies, the cluster ends when it has been idle for as long as the project
        allows. ``client.cluster`` is the cluster.

    Raises
    ------
    AccessDenied
        If the gateway refuses; the text says why.
    NotInSession
        Outside a session of the hub.
    ServiceUnavailable
        If this hub has no gateway, or the gateway or the cluster does not answer.
    ValueError
        If `workers` and `minimum` are no sizes.
    """
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


class ProjectClient(Client):
    """A client whose cluster ends with it, at the end of the interpreter at the latest."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[no-untyped-call]
        _open.add(self)

    def close(self, *args: Any, **kwargs: Any) -> Any:
        """Close the client, then its cluster."""
        _open.discard(self)
        closing = super().close(*args, **kwargs)  # type: ignore[no-untyped-call]
        if self.cluster is not None:
            self.cluster.close()
        return closing

    def shutdown(self) -> Any:
        """The same as `close`."""
        return self.close()


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
    """A cluster of this session's project.

    Parameters
    ----------
    profile, image, environment
        As for `cluster`.
    **kwargs
        As for `dask_gateway.GatewayCluster`; ``asynchronous=True`` in a program that has an
        event loop, which then awaits the cluster.

    Raises
    ------
    AccessDenied, NotInSession, ServiceUnavailable
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
        keep_apart()
        chosen = {
            "project": _project(),
            "profile": profile,
            "image": image or os.environ.get("PANNEURO_IMAGE"),
            "environment": dict(environment or {}),
        }
        _require_gateway(kwargs.get("address"))
        options = {name: value for name, value in chosen.items() if value}
        try:
            _plainly(lambda: super(ProjectCluster, self).__init__(**options, **kwargs))
        except BaseException:
            self._let_go()
            raise

    async def __aenter__(self) -> Self:
        await _plainly_awaited(super().__aenter__())
        return self

    def scale(self, n: int, **kwargs: Any) -> Any:
        """Scale to `n` workers, or to what is left; a warning says who holds the others."""
        return self._asked(lambda: super(ProjectCluster, self).scale(n, **kwargs))

    def adapt(self, minimum: int | None = None, maximum: int | None = None, **kwargs: Any) -> Any:
        """Let the work scale the cluster, between `minimum` and `maximum` workers.

        Returns
        -------
        Adapting or None
            For an asynchronous cluster, what was asked; may be awaited.
        """
        asked = self._asked(
            lambda: super(ProjectCluster, self).adapt(minimum=minimum, maximum=maximum, **kwargs)
        )
        return Adapting(minimum or 0, maximum, asked) if self.asynchronous else None

    def close(self, shutdown: bool | None = None) -> Any:
        """End the cluster; to be awaited where it is asynchronous."""
        closing = super().close(shutdown)
        self._let_go()
        return closing

    def _let_go(self) -> None:
        """Close the connection to the gateway for good."""
        gateway = getattr(self, "gateway", None)
        if gateway is not None and not gateway.asynchronous and "close" not in vars(gateway):
            if gateway._loop_runner.is_started():
                gateway.close()
            # Its destructor closes it once more, and asks for a loop that is gone by then: every
            # cluster would end with a traceback that nobody can do anything about.
            gateway.close = _nothing

    def _asked(self, ask: Callable[[], Any]) -> Any:
        return _plainly_awaited(ask()) if self.asynchronous else _plainly(ask)


def _nothing() -> None:
    """There is nothing left to close."""


class Adapting:
    """Adaptive scaling that was asked for, as JupyterLab's Dask panel shows it.

    The panel does not await it; so it is asked for at once, and a refusal is logged.

    Parameters
    ----------
    minimum : int
    maximum : int or None
    asked : awaitable
        Ends when the gateway has taken it.
    """

    def __init__(self, minimum: int, maximum: int | None, asked: Awaitable[None]) -> None:
        self.minimum = minimum
        self.maximum = maximum
        self._task = asyncio.ensure_future(asked)
        self._task.add_done_callback(_log_refusal)

    def __await__(self) -> Generator[Any, None, None]:
        return self._task.__await__()


def _log_refusal(task: asyncio.Future[None]) -> None:
    problem = None if task.cancelled() else task.exception()
    if problem is not None:
        log.warning("the cluster keeps its size: %s", problem)


def _project() -> str:
    project = os.environ.get("PANNEURO_PROJECT")
    if not project:
        raise NotInSession(
            "this process is not in a session of the hub, which sets PANNEURO_PROJECT; start a "
            "server from the hub and work there"
        )
    return project


def _require_gateway(address: str | None) -> None:
    if not (address or dask.config.get("gateway.address", None)):
        raise ServiceUnavailable(
            "this hub has no Dask gateway (DASK_GATEWAY__ADDRESS is not set), so there are no "
            "clusters; dask.distributed.LocalCluster computes on this server alone"
        )


def _plainly(call: Callable[[], Got]) -> Got:
    """Call, and translate what dask-gateway's client raises."""
    try:
        return call()
    except _FOREIGN as problem:
        plain = _translated(problem)
    # Raised here, with nothing behind it: an aiohttp error holds the request, whose header has
    # the server's token, and pages of traceback say nothing to who meets them.
    raise plain


async def _plainly_awaited(awaitable: Awaitable[Got]) -> Got:
    try:
        return await awaitable
    except _FOREIGN as problem:
        plain = _translated(problem)
    raise plain


def _translated(problem: Exception) -> PanNeuroError:
    if isinstance(problem, aiohttp.ClientResponseError):
        return _answered(problem.status, printable(problem.message))
    if isinstance(problem, GatewayServerError | GatewayClusterError):
        return ServiceUnavailable(f"the Dask gateway says: {printable(str(problem))}")
    if isinstance(problem, aiohttp.ClientError | OSError | JSONDecodeError):
        reason = printable(str(problem)) or type(problem).__name__
        return ServiceUnavailable(
            f"the Dask gateway cannot be reached ({reason}); try again in a minute"
        )
    words = str(problem)
    if words.lstrip().startswith("<"):  # a page, of a hub or a proxy
        return ServiceUnavailable(
            "what answers at DASK_GATEWAY__ADDRESS is no Dask gateway, or it is not running"
        )
    return AccessDenied(printable(words))


def _answered(status: int, words: str) -> PanNeuroError:
    if status == 401:
        return AccessDenied(
            "the Dask gateway does not know this server's person any more; stop your server, "
            "and start it again from the hub"
        )
    if status < 500:
        return AccessDenied(f"the Dask gateway refuses this: {words}")
    return ServiceUnavailable(f"the Dask gateway answers {status} ({words}); try again in a minute")
