"""Read what the gateway knows about one cluster: its end, failed workers, and their memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from panneuro_hub.agent.service_client import to_printable
from panneuro_hub.lab.gateway_errors import FOREIGN_ERRORS


@dataclass(frozen=True)
class ClusterNotices:
    """The messages of the gateway about a cluster, for the person who started it.

    Parameters
    ----------
    ended : str or None
        The sentence that says why it ended; `None` while it runs or starts.
    notices : tuple of str
        Sentences about workers that failed.
    profile : str
        The worker profile; ``""`` if the gateway does not name it.
    worker_memory : str
        The memory of one worker, such as ``16G``.
    """

    ended: str | None = None
    notices: tuple[str, ...] = ()
    profile: str = ""
    worker_memory: str = ""


async def read_notices(gateway: Any, name: str) -> ClusterNotices:
    """Return the gateway's messages about a cluster; none if the gateway does not answer.

    Parameters
    ----------
    gateway : dask_gateway.Gateway
        Used in its own event loop.
    name : str
    """
    url = f"{gateway.address}/api/v1/clusters/{name}/notices"
    try:
        # The client's only way to a route that dask-gateway itself does not have.
        answer = await (await gateway._request("GET", url)).json()
    except FOREIGN_ERRORS:
        return ClusterNotices()
    if not isinstance(answer, dict):
        return ClusterNotices()
    ended = answer.get("ended")
    return ClusterNotices(
        ended=to_printable(str(ended)) if ended else None,
        notices=tuple(to_printable(str(notice)) for notice in answer.get("notices") or ()),
        profile=to_printable(str(answer.get("profile") or "")),
        worker_memory=to_printable(str(answer.get("worker_memory") or "")),
    )
