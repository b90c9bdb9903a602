"""The reasons why clusters ended, as data, and the sentence for each reason; pure."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from panneuro_hub.wire import Reason
from panneuro_hub.wording import describe_reasons

EndCode = Literal["idle", "stopped", "server-stopped", "refused", "failed"]

_MAX_ENDS = 2000


@dataclass(frozen=True)
class ClusterEnd:
    """The reason why a cluster ended.

    Parameters
    ----------
    code : str
        ``idle``: nobody used it. ``stopped``: its person stopped it. ``server-stopped``: the
        server that started it was stopped. ``refused``: the service ended it, for `reasons`.
        ``failed``: its scheduler or its workers did not start, or died.
    reasons : tuple of Reason
        The reasons of the service, for ``refused``.
    idle_timeout : timedelta or None
        The idle timeout of the project, for ``idle``.
    """

    code: EndCode
    reasons: tuple[Reason, ...] = ()
    idle_timeout: timedelta | None = None


class ClusterEnds:
    """The ends of the most recent clusters by name; a restart of the gateway clears them."""

    def __init__(self) -> None:
        self._ends: OrderedDict[str, ClusterEnd] = OrderedDict()

    def record_end(self, name: str, end: ClusterEnd) -> None:
        """Record the end of a cluster; the first reason stays, because it ended the cluster."""
        self._ends.setdefault(name, end)
        while len(self._ends) > _MAX_ENDS:
            self._ends.popitem(last=False)

    def find_end(self, name: str) -> ClusterEnd | None:
        """Return the end of a cluster, or `None` if the gateway does not know it."""
        return self._ends.get(name)


def describe_end(name: str, end: ClusterEnd | None) -> str:
    """Return one sentence that says that a cluster ended, and why.

    Parameters
    ----------
    name : str
        The name of the cluster, as the person knows it.
    end : ClusterEnd or None
        `None` if the reason is not known.
    """
    if end is None:
        return f"cluster {name} no longer runs; lab.cluster() starts another one"
    match end.code:
        case "idle":
            waited = f" for {describe_duration(end.idle_timeout)}" if end.idle_timeout else ""
            return (
                f"cluster {name} was stopped because nobody used it{waited}; "
                "lab.cluster() starts another one"
            )
        case "stopped":
            return f"cluster {name} was stopped by its owner; lab.cluster() starts another one"
        case "server-stopped":
            return f"cluster {name} was stopped together with the server that started it"
        case "refused":
            return f"cluster {name} was stopped: {describe_reasons(end.reasons)}"
        case "failed":
            return (
                f"cluster {name} failed: its scheduler or its workers did not start, or died; the "
                "gateway's log says why"
            )


def describe_duration(duration: timedelta) -> str:
    """Return a duration in its largest whole unit: ``30 minutes``."""
    seconds = round(duration.total_seconds())
    for unit, length in (("hour", 3600), ("minute", 60)):
        if seconds >= length and seconds % length == 0:
            count = seconds // length
            return f"{count} {unit}" + ("" if count == 1 else "s")
    return f"{seconds} second" + ("" if seconds == 1 else "s")
