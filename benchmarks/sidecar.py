"""What the agent's container uses in a running pod: at rest, and while clients ask it."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

from benchmarks.hubs import Hub, start_server, stop_server
from benchmarks.kube import ClusterProblem, Usage, exec_in, usage_after
from panneuro_hub.devstack.hub_visitor import HubVisitor

AGENT, NOTEBOOK = "panneuro-agent", "notebook"
RATE = 10  # requests a second
_MARGIN = 45  # s: the kubelet looks every 10 to 20
# As an S3 client asks: the token read again, a connection of its own.
_CLIENT = """
import os, sys, time, urllib.request
url = os.environ["AWS_CONTAINER_CREDENTIALS_FULL_URI"]
end = time.monotonic() + {seconds}
asked = 0
while time.monotonic() < end:
    due = time.monotonic() + 1 / {rate}
    token = open(os.environ["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"]).read()
    request = urllib.request.Request(url, headers={{"Authorization": token}})
    with urllib.request.urlopen(request) as answer:
        answer.read()
    asked += 1
    time.sleep(max(0, due - time.monotonic()))
print(asked)
"""


# The agent's own process is the first in its container.
_RESIDENT = """
lines = dict(line.split(":", 1) for line in open("/proc/1/status"))
print(int(lines["VmRSS"].split()[0]), int(lines["VmHWM"].split()[0]))
"""


async def measure_sidecar(hub: Hub, visitor: HubVisitor, seconds: int) -> dict[str, Any]:
    """Start a server, watch its agent at rest and at work for `seconds` each, and stop it."""
    await start_server(hub, visitor)
    try:
        return await asyncio.to_thread(_watch, hub, seconds)
    finally:
        await stop_server(hub, visitor)


def _watch(hub: Hub, seconds: int) -> dict[str, Any]:
    first, rested = _looks(hub, seconds)
    program = _CLIENT.format(seconds=seconds + _MARGIN, rate=RATE)
    with ThreadPoolExecutor(max_workers=1) as thread:
        client = thread.submit(exec_in, hub.namespace, hub.pod, NOTEBOOK, program)
        before, worked = _looks(hub, seconds)
        if client.done():
            raise ClusterProblem(f"the client ended too early: {client.result()}")
        asked = int(client.result())
    resident, peak = exec_in(hub.namespace, hub.pod, AGENT, _RESIDENT).split()
    rest, work = between(first, rested), between(before, worked)
    return {
        "requests_a_second": round(asked / (seconds + _MARGIN), 1),
        "rest": rest,
        "work": work,
        "first_cpu_s": first.cpu_seconds,
        "resident_mib": round(int(resident) / 1024, 1),
        "resident_peak_mib": round(int(peak) / 1024, 1),
        "head": ("CPU, thousandths of a core", "working set, MiB"),
        "rows": [
            ["at rest", *_cells(rest)],
            [f"{RATE} requests a second", *_cells(work)],
        ],
    }


def _looks(hub: Hub, seconds: int) -> tuple[Usage, Usage]:
    """What the kubelet counted first from now on, and `seconds` later."""
    first = usage_after(datetime.now(UTC), hub.namespace, hub.pod, AGENT)
    time.sleep(seconds)
    return first, usage_after(datetime.now(UTC), hub.namespace, hub.pod, AGENT)


def between(before: Usage, after: Usage) -> dict[str, float]:
    """CPU used between two looks, and memory at the second."""
    seconds = (after.at - before.at).total_seconds()
    return {
        "seconds": round(seconds, 1),
        "cpu_millicores": round((after.cpu_seconds - before.cpu_seconds) / seconds * 1000, 2),
        "working_set_mib": round(after.working_set / 2**20, 1),
    }


def _cells(seen: dict[str, float]) -> list[str]:
    return [f"{seen[name]:g}" for name in ("cpu_millicores", "working_set_mib")]
