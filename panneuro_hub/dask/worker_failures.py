"""Workers that did not start or were ended, as their pods or records show it; pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

FailureCode = Literal["image", "config", "no-room", "memory", "exit"]

_WORKER = "dask-worker"
_IMAGE = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull")
_CONFIG = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError")


@dataclass(frozen=True)
class WorkerFailure:
    """One way in which a worker failed.

    Parameters
    ----------
    code : str
        ``image``: its image cannot be pulled. ``config``: its container cannot be made.
        ``no-room``: no node has room for it. ``memory``: it was killed for using more memory
        than its container has. ``exit``: its process ended.
    detail : str
        What Kubernetes says, for people.
    """

    code: FailureCode
    detail: str = ""


def find_pod_failure(pod: Mapping[str, Any]) -> WorkerFailure | None:
    """Return how the worker in a pod failed; `None` for one that runs or starts."""
    status = pod.get("status") or {}
    for condition in status.get("conditions") or ():
        if condition.get("reason") == "Unschedulable":
            return WorkerFailure("no-room", str(condition.get("message") or ""))
    for container in status.get("containerStatuses") or ():
        if container.get("name") == _WORKER:
            return _container_failure(container)
    return None


def _container_failure(container: Mapping[str, Any]) -> WorkerFailure | None:
    state = container.get("state") or {}
    waiting = (state.get("waiting") or {}).get("reason")
    if waiting in _IMAGE:
        return WorkerFailure("image", str(container.get("image") or ""))
    if waiting in _CONFIG:
        return WorkerFailure("config", str(waiting))
    for ended in (state.get("terminated"), (container.get("lastState") or {}).get("terminated")):
        if ended and ended.get("reason") == "OOMKilled":
            return WorkerFailure("memory")
        if ended and ended.get("exitCode"):
            return WorkerFailure("exit", f"exit code {ended['exitCode']}")
    return None


def describe_failures(failures: Iterable[WorkerFailure], memory: str) -> list[str]:
    """Return a sentence for each kind of failure, with the number of workers.

    Parameters
    ----------
    memory : str
        What a worker of the cluster has, for people: ``16G``.
    """
    return [
        f"{count} worker{'' if count == 1 else 's'} {_describe(failure, memory)}"
        for failure, count in Counter(failures).items()
    ]


def _describe(failure: WorkerFailure, memory: str) -> str:
    match failure.code:
        case "image":
            return f"cannot start: the image {failure.detail} cannot be pulled"
        case "config":
            return f"cannot start: {failure.detail}"
        case "no-room":
            return f"cannot start yet: no node has room ({failure.detail})"
        case "memory":
            return (
                f"ended: more memory was used than the {memory} of the worker profile; choose a "
                "larger worker profile, or smaller chunks"
            )
        case "exit":
            detail = f" ({failure.detail})" if failure.detail else ""
            return f"ended unexpectedly{detail}; the gateway's log says more"
