"""The cluster that KUBECONFIG names, by way of kubectl."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

_PATIENCE = 120.0  # s


class ClusterProblem(Exception):
    """The cluster did not do what was asked."""


@dataclass(frozen=True)
class Usage:
    """What a container has used, as the kubelet counted it at one moment.

    Parameters
    ----------
    at : datetime
    cpu_seconds : float
        Since it started.
    working_set : int
        Bytes; what the kubelet holds against limits and in evictions.
    """

    at: datetime
    cpu_seconds: float
    working_set: int


def need_cluster() -> None:
    """Look for a cluster before anything starts.

    Raises
    ------
    ClusterProblem
        If KUBECONFIG names none.
    """
    if not os.environ.get("KUBECONFIG"):
        raise ClusterProblem("KUBECONFIG names no cluster; nobody's own is taken for a benchmark")


def kubectl(*words: str, give: str | None = None) -> str:
    """Run kubectl; what it prints.

    Raises
    ------
    ClusterProblem
        If it fails, with what it says.
    """
    done = subprocess.run(["kubectl", *words], input=give, capture_output=True, text=True)  # noqa: S603, S607
    if done.returncode:
        raise ClusterProblem(f"kubectl {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


@contextmanager
def own_namespace(about: str) -> Iterator[str]:
    """A namespace that is new, and goes at the end of the block."""
    name = f"panneuro-benchmark-{about}-{secrets.token_hex(3)}"
    kubectl("create", "namespace", name)
    try:
        yield name
    finally:
        kubectl("delete", "namespace", name, "--wait=false")


def wait_until_gone(namespace: str, pod: str) -> None:
    """Wait until nothing is left of a pod.

    Raises
    ------
    ClusterProblem
        If something still is after two minutes.
    """
    words = ("wait", "--for=delete", f"pod/{pod}", f"--timeout={_PATIENCE:.0f}s")
    try:
        kubectl(f"--namespace={namespace}", *words)
    except ClusterProblem as problem:
        if "NotFound" not in str(problem):
            raise


def node_address() -> str:
    """The inner address of the cluster's first node, which is this machine."""
    path = '{.items[0].status.addresses[?(@.type=="InternalIP")].address}'
    return kubectl("get", "nodes", f"--output=jsonpath={path}").strip()


def usage(namespace: str, pod: str, container: str) -> Usage:
    """What a container has used so far.

    Source: the kubelet's summary API, /stats/summary.

    Raises
    ------
    ClusterProblem
        If the kubelet does not know it.
    """
    found = kubectl(f"--namespace={namespace}", "get", "pod", pod, "--output=json")
    node = json.loads(found)["spec"]["nodeName"]
    summary = json.loads(kubectl("get", "--raw", f"/api/v1/nodes/{node}/proxy/stats/summary"))
    for one in summary["pods"]:
        if (one["podRef"]["namespace"], one["podRef"]["name"]) == (namespace, pod):
            for stats in one.get("containers", ()):
                if stats["name"] == container and "usageCoreNanoSeconds" in stats["cpu"]:
                    return _usage(stats)
    raise ClusterProblem(f"the kubelet knows no {container} in {pod} (yet)")


def usage_after(moment: datetime, namespace: str, pod: str, container: str) -> Usage:
    """What a container has used, counted after `moment`: the kubelet looks now and then.

    Raises
    ------
    ClusterProblem
        If it does not look in two minutes.
    """
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        try:
            seen = usage(namespace, pod, container)
        except ClusterProblem:  # a container that has just started
            seen = None
        if seen is not None and seen.at > moment:
            return seen
        time.sleep(1)
    raise ClusterProblem(f"the kubelet counted nothing of {container} in {_PATIENCE:.0f} s")


def exec_in(namespace: str, pod: str, container: str, program: str) -> str:
    """Run a Python program in a container; what it prints."""
    words = ("exec", "--stdin", pod, f"--container={container}", "--", "python3", "-")
    return kubectl(f"--namespace={namespace}", *words, give=program)


def _usage(stats: dict[str, Any]) -> Usage:
    return Usage(
        datetime.fromisoformat(stats["cpu"]["time"]),
        stats["cpu"]["usageCoreNanoSeconds"] / 1e9,
        stats["memory"]["workingSetBytes"],
    )
