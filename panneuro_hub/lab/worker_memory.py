"""Warnings about workers that are ended for their memory, in clients of a project's clusters.

Dask's nanny ends a worker that uses more than 95 % of its memory. After four such workers a task
fails with ``KilledWorker``, which does not name the cause; the warning here does.
"""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from dask.utils import format_bytes
from dask_gateway import Gateway

from panneuro_hub.lab.cluster_notices import ClusterNotices, read_notices

MEMORY_TOPIC = "worker-restart-memory"
"""The topic under which Dask's nannies log that they end a worker for its memory."""

MemoryEvent = tuple[float, Any]


class WorkerMemoryWarning(UserWarning):
    """A worker of a cluster was ended because it used too much memory."""


def watch_workers(client: Any) -> None:
    """Warn in this process whenever a worker of the client's cluster is ended for its memory."""
    client.subscribe_topic(MEMORY_TOPIC, _warner(weakref.ref(client)))


def _warner(watched: weakref.ref[Any]) -> Callable[[MemoryEvent], Awaitable[None]]:
    async def warn(event: MemoryEvent) -> None:
        client = watched()
        address = client.scheduler.address if client is not None else ""
        notices = ClusterNotices()
        name = address.rpartition("/")[2]
        if address.startswith("gateway://"):
            async with Gateway(asynchronous=True) as gateway:
                notices = await read_notices(gateway, name)
        words = describe_memory([event], notices)
        # No line of anybody's code is to blame, and so none is shown.
        warnings.warn_explicit(words, WorkerMemoryWarning, f"<cluster {name}>", 1)

    return warn


def describe_memory(events: Sequence[MemoryEvent], notices: ClusterNotices) -> str:
    """Return the sentence for workers that were ended for their memory.

    Parameters
    ----------
    events : sequence
        Times and messages of `MEMORY_TOPIC`: ``{"worker", "pid", "rss"}``. Workers run people's
        own code, so anything may be in a message.
    notices : ClusterNotices
        What the gateway says about the cluster.
    """
    messages = [message for _, message in events if isinstance(message, Mapping)]
    used = max((rss for each in messages if isinstance(rss := each.get("rss"), int)), default=0)
    workers = "1 worker was" if len(events) == 1 else f"{len(events)} workers were"
    said = f" ({format_bytes(used)})" if used else ""
    limit = notices.worker_memory and f" than the {notices.worker_memory} that a worker has"
    profile = notices.profile and f" in the worker profile {notices.profile}"
    return (
        f"{workers} killed for using more memory{said}{limit}{profile}; a task to which this "
        "happens 4 times fails with KilledWorker. Choose a larger worker profile, or smaller chunks"
    )
