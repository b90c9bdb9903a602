"""Failures of workers, read from their pods or records; pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

FailureCode = Literal["image", "config", "no-room", "memory", "exit"]

_WORKER_CONTAINER = "dask-worker"
_IMAGE_REASONS = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull")
_CONFIG_REASONS = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError")


@dataclass(frozen=True)
class WorkerFailure:
    """The reason why a worker failed.

    Parameters
    ----------
    code : str
        ``image``: its image cannot be pulled. ``config``: its container cannot be created.
        ``no-room``: no node has room for it. ``memory``: it used more memory than its container
        has and was killed. ``exit``: its process ended.
    detail : str
        The message of Kubernetes, for people.
    """

    code: FailureCode
    detail: str = ""


def find_pod_failure(pod: Mapping[str, Any]) -> WorkerFailure | None:
    """Return the failure of the worker in a pod, or `None` if the worker runs or starts."""
    status = pod.get("status") or {}
    for condition in status.get("conditions") or ():
        if condition.get("reason") == "Unschedulable":
            return WorkerFailure("no-room", str(condition.get("message") or ""))
    for container in status.get("containerStatuses") or ():
        if container.get("name") == _WORKER_CONTAINER:
            return _find_container_failure(container)
    return None


def _find_container_failure(container: Mapping[str, Any]) -> WorkerFailure | None:
    state = container.get("state") or {}
    waiting = (state.get("waiting") or {}).get("reason")
    if waiting in _IMAGE_REASONS:
        return WorkerFailure("image", str(container.get("image") or ""))
    if waiting in _CONFIG_REASONS:
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
        The memory of one worker, for people, such as ``16G``.
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
                f"ended: it used more memory than the {memory} of the worker profile; choose a "
                "larger worker profile, or smaller chunks"
            )
        case "exit":
            detail = f" ({failure.detail})" if failure.detail else ""
            return f"ended unexpectedly{detail}; the gateway's log says more"
