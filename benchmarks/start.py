"""The start of a server beside stock KubeSpawner: time until it is ready, and the hub's CPU.

    KUBECONFIG=… python -m benchmarks.start [--json FILE]

Three hubs side by side on this machine, which is the cluster's node: one with KubeSpawner and
GenericOAuthenticator as they are, one where these ask the identity provider before each start,
and one that `panneuro_hub.configure` has made, with its service; that asks, too. The same image,
size, login and proxy. One person starts and stops a server on each in turn. Each server is gone
before the next one starts.
"""

from __future__ import annotations

import asyncio
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import click

from benchmarks.figures import difference_of_medians, ratio_of_medians, table
from benchmarks.hubs import (
    ASKING,
    OURS,
    STOCK,
    Hub,
    Images,
    logged_in,
    side_by_side,
    start_server,
    stop_server,
)
from benchmarks.kube import ClusterProblem, need_cluster
from benchmarks.machine import circumstances, cpu_seconds, end_in_order, write_json
from benchmarks.sidecar import measure_sidecar
from panneuro_hub.devstack.errors import DevstackError
from panneuro_hub.devstack.hub_visitor import HubVisitor

_AFTER = 2.0  # s that are still counted when a server is ready: its agent asks for keys
_QUIET = 1.0  # s between two starts
_IDLE = 10.0  # s
_AIMS = {"seconds": 1.05, "hub_cpu": 1.15}
_WORDS = {"seconds": ("time to ready, s", 1), "hub_cpu": ("hub CPU, ms", 1000)}
_ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Start:
    """One start.

    Parameters
    ----------
    seconds : float
        From the request to the news that the server is ready.
    hub_cpu, service_cpu : float
        CPU seconds of the hub's process and of the service's, from the request until
        two seconds after that.
    """

    seconds: float
    hub_cpu: float
    service_cpu: float


async def measure(hub: Hub, visitor: HubVisitor) -> Start:
    """Start the server, and stop it."""
    pids = [hub.child.pid, *([hub.service_pid] if hub.service_pid else [])]
    before = [cpu_seconds(pid) for pid in pids]
    began = time.perf_counter()
    await start_server(hub, visitor)
    seconds = time.perf_counter() - began
    await asyncio.sleep(_AFTER)
    used = [cpu_seconds(pid) - then for pid, then in zip(pids, before, strict=True)]
    await stop_server(hub, visitor)
    await asyncio.sleep(_QUIET)
    return Start(seconds, used[0], used[1] if len(used) > 1 else 0.0)


async def idle(hubs: Sequence[Hub]) -> dict[str, float]:
    """CPU seconds in a second of each hub that does nothing."""
    before = [cpu_seconds(hub.child.pid) for hub in hubs]
    await asyncio.sleep(_IDLE)
    return {
        hub.name: (cpu_seconds(hub.child.pid) - then) / _IDLE
        for hub, then in zip(hubs, before, strict=True)
    }


async def compare(hubs: Sequence[Hub], turns: int, warm: int, sidecar: int) -> dict[str, Any]:
    """Start servers on one hub after the other, again and again."""
    starts: dict[str, list[Start]] = {hub.name: [] for hub in hubs}
    async with AsyncExitStack() as stack:
        people = {hub.name: await stack.enter_async_context(logged_in(hub)) for hub in hubs}
        resting = await idle(hubs)
        for turn in range(warm + turns):
            # Who comes first changes: what one leaves behind helps nobody more than others.
            for hub in (*hubs[turn % len(hubs) :], *hubs[: turn % len(hubs)]):
                start = await measure(hub, people[hub.name])
                click.echo(f"{turn:3} {hub.name:12} {start.seconds:.2f} s", err=True)
                if turn >= warm:
                    starts[hub.name].append(start)
        ours = next(hub for hub in hubs if hub.name == OURS)
        used = await measure_sidecar(ours, people[OURS], sidecar) if sidecar else None
    return {
        "idle_cpu_ms_per_s": {name: round(cpu * 1000, 2) for name, cpu in resting.items()},
        "starts": {name: [asdict(start) for start in made] for name, made in starts.items()},
        "figures": [
            figures(starts, measured, beside) for measured in _AIMS for beside in (STOCK, ASKING)
        ],
        "service_cpu": median(start.service_cpu for start in starts[OURS]),
        "agent": used,
    }


def figures(starts: Mapping[str, Sequence[Start]], measured: str, beside: str) -> dict[str, Any]:
    """Medians of our hub and of another, their ratio and their difference."""
    ours = [getattr(start, measured) for start in starts[OURS]]
    theirs = [getattr(start, measured) for start in starts[beside]]
    return {
        "measured": measured,
        "beside": beside,
        "ours": median(ours),
        "theirs": median(theirs),
        "ratio": asdict(ratio_of_medians(ours, theirs)),
        "difference": asdict(difference_of_medians(ours, theirs)),
    }


def images(notebook: str | None, agent: str | None) -> Images:
    """Those that are named, or else those of the present files."""
    said = subprocess.run(  # noqa: S603 -- ours
        [_ROOT / "images" / "build", "--tags"], check=True, capture_output=True, text=True
    )
    tags = dict(line.split() for line in said.stdout.splitlines())
    return Images(notebook or tags["notebook"], agent or tags["agent"])


_HEAD = (
    "median of a start",
    "beside",
    "theirs",
    "ours",
    "ratio (95 %)",
    "difference (95 %)",
    "aim",
)


def _row(seen: Mapping[str, Any]) -> list[str]:
    words, scale = _WORDS[seen["measured"]]
    ratio = seen["ratio"]
    less = {name: value * scale for name, value in seen["difference"].items()}
    return [
        *(words, seen["beside"]),
        *(f"{seen[name] * scale:.3g}" for name in ("theirs", "ours")),
        f"{ratio['value']:.3f} ({ratio['low']:.3f} to {ratio['high']:.3f})",
        f"{less['value']:+.3g} ({less['low']:+.3g} to {less['high']:+.3g})",
        f"{_AIMS[seen['measured']]:.2f}",
    ]


@click.command()
@click.option("--turns", default=15, show_default=True, type=click.IntRange(min=2))
@click.option("--warm", default=2, show_default=True, help="Turns before those that count.")
@click.option("--sidecar", default=60, show_default=True, help="Seconds; 0 leaves that part out.")
@click.option("--notebook-image", help="By default the one of the present files.")
@click.option("--agent-image", help="By default the one of the present files.")
@click.option("--json", "output", type=click.Path(path_type=Path), help="Write figures here, too.")
def main(
    turns: int,
    warm: int,
    sidecar: int,
    notebook_image: str | None,
    agent_image: str | None,
    output: Path | None,
) -> None:
    """Compare starts with those of stock KubeSpawner."""
    end_in_order()
    chosen = images(notebook_image, agent_image)
    document: dict[str, Any] = {"benchmark": "start", "images": asdict(chosen), **circumstances()}
    try:
        need_cluster()
        with (
            tempfile.TemporaryDirectory(prefix="panneuro-benchmark-") as name,
            side_by_side(Path(name), chosen) as hubs,
        ):
            document |= asyncio.run(compare(hubs, turns, warm, sidecar))
    except (ClusterProblem, DevstackError) as problem:
        raise click.ClickException(str(problem)) from problem
    document["load_after"] = circumstances()["load"]
    click.echo(table(_HEAD, [_row(seen) for seen in document["figures"]]))
    click.echo(f"The service's CPU for a start: {document['service_cpu'] * 1000:.0f} ms")
    if document["agent"]:
        agent = document["agent"]
        click.echo(table(("the agent's container", *agent["head"]), agent["rows"]))
        click.echo(
            f"resident: {agent['resident_mib']} MiB, {agent['resident_peak_mib']} at the most; "
            f"CPU from its start to the first look: {agent['first_cpu_s']:.2f} s"
        )
    if output is not None:
        write_json(output, document)


if __name__ == "__main__":
    main()
