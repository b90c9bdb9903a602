"""Dask workers that start at once: what their keys cost the service, and the store's STS.

    python -m benchmarks.agents [--json FILE]

A real service process with a ledger in SQLite; stand-ins for the hub and for STS (see
`benchmarks.stand_ins`), over HTTP. Three ways, one after the other in every round:

- ``one session``: all workers are of one cluster, and ask the service with its ticket;
- ``a session each``: every worker is of a cluster of its own, and another person's; what
  nobody does, and what the service does where nothing is shared;
- ``a call each``: no service; every worker asks STS itself, as cloud roles of pods do.

Nobody and nothing is known to the service before: neither person nor keys.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlencode

import click

from benchmarks.bursts import Asked, Burst, allow_connections, ask_at_once, get, post_form
from benchmarks.figures import percentile, table
from benchmarks.machine import circumstances, cpu_seconds, end_in_order, write_json
from benchmarks.stand_ins import ticket
from panneuro_hub.devstack.processes import ChildProcess, ProcessGroup, find_free_port, url_answers
from panneuro_hub.devstack.samples.collaboration_file import StoreAddress, write_collaboration

ONE_SESSION, SESSION_EACH, CALL_EACH = WAYS = ("one session", "a session each", "a call each")
_PREFIX = "/services/panneuro"
_ROLE = "arn:aws:iam::000000000000:role/PanNeuroData"
_PATIENCE = 60.0  # s, for the start of a process


@dataclass(frozen=True)
class Ground:
    """What runs: the stand-ins, and the service.

    Parameters
    ----------
    port : int
        Of the stand-ins.
    service_port : int
    service : ChildProcess
    """

    port: int
    service_port: int
    service: ChildProcess

    def counts(self) -> Counter[str]:
        """How often hub and STS were asked."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/counts") as answer:
            return Counter(json.load(answer))


@dataclass(frozen=True)
class Round:
    """One burst, and what it cost."""

    burst: Burst
    asked: Counter[str]
    service_cpu: float


@contextmanager
def ground(folder: Path, latency: float) -> Iterator[Ground]:
    """Start the stand-ins and the service; they are stopped at the end."""
    port = find_free_port()
    service_port = find_free_port(avoid=[port])
    url = f"http://127.0.0.1:{port}"
    collaboration = folder / "collaboration.yaml"
    write_collaboration(collaboration, StoreAddress(url, "benchmark", "us-west-2", _ROLE), {})
    service_url = f"http://127.0.0.1:{service_port}"
    with ProcessGroup() as processes:
        stand_ins = processes.start(
            "stand-ins",
            [
                *(sys.executable, "-m", "benchmarks.stand_ins"),
                *(f"--port={port}", f"--latency={latency}"),
            ],
            log=folder / "stand-ins.log",
            environment=_environment(),
        )
        stand_ins.wait_until_ready(url_answers(f"{url}/counts"), _PATIENCE)
        service = processes.start(
            "service",
            [sys.executable, "-m", "panneuro_hub.service", "--collaboration", str(collaboration)],
            log=folder / "service.log",
            environment={
                **_environment(),
                "AWS_ACCESS_KEY_ID": "benchmark",
                "AWS_SECRET_ACCESS_KEY": "benchmark",
                "JUPYTERHUB_API_TOKEN": "benchmark",
                "JUPYTERHUB_API_URL": f"{url}/hub/api",
                "JUPYTERHUB_SERVICE_PREFIX": f"{_PREFIX}/",
                "JUPYTERHUB_SERVICE_URL": service_url,
                "PANNEURO_LEDGER_URL": f"sqlite:///{folder}/ledger.sqlite",
            },
        )
        service.wait_until_ready(url_answers(f"{service_url}{_PREFIX}/health"), _PATIENCE)
        yield Ground(port, service_port, service)


def _environment() -> dict[str, str]:
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "PYTHONPATH": str(Path(__file__).parents[1]),
        "LANG": "C.UTF-8",
    }


def requests(ground: Ground, way: str, number: int, people: str) -> list[Asked]:
    """What `number` workers ask.

    Parameters
    ----------
    people : str
        Begins the names of people who have not been seen before.
    """
    if way == CALL_EACH:
        form = {
            "Action": "AssumeRoleWithWebIdentity",
            "Version": "2011-06-15",
            "RoleArn": _ROLE,
            "RoleSessionName": "worker",
            "WebIdentityToken": "z" * 1000,
        }
        return [Asked(ground.port, post_form("/", urlencode(form)))] * number
    names = [f"{people}-{0 if way == ONE_SESSION else worker}" for worker in range(number)]
    path = f"{_PREFIX}/api/credentials"
    return [
        Asked(ground.service_port, get(path, f"panneuro-ticket {ticket(name).encode()}"))
        for name in names
    ]


async def measure(ground: Ground, asked: Sequence[Asked]) -> Round:
    """Let all of them ask at once."""
    before, cpu = ground.counts(), cpu_seconds(ground.service.pid)
    burst = await ask_at_once(asked)
    return Round(burst, ground.counts() - before, cpu_seconds(ground.service.pid) - cpu)


def summary(way: str, number: int, rounds: Sequence[Round]) -> dict[str, Any]:
    """The figures of all rounds of one way and number."""
    latencies = [latency for one in rounds for latency in one.burst.latencies]
    failures = sum((one.burst.failures for one in rounds), Counter[str]())
    return {
        "way": way,
        "workers": number,
        "rounds": len(rounds),
        "sts_calls": [one.asked["sts"] for one in rounds],
        "hub_calls": [one.asked["hub"] for one in rounds],
        "p50_ms": _ms(percentile(latencies, 50)) if latencies else None,
        "p99_ms": _ms(percentile(latencies, 99)) if latencies else None,
        "worst_ms": _ms(max(latencies)) if latencies else None,
        "all_ms": _ms(median(one.burst.seconds for one in rounds)),
        "service_cpu_ms": _ms(median(one.service_cpu for one in rounds)),
        "came_again": [one.burst.again for one in rounds],
        "failures": dict(failures),
    }


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)


def _row(figures: dict[str, Any]) -> list[str]:
    cells = [
        *(f"{figures['workers']:,}", figures["way"]),
        *(f"{median(figures[name]):g}" for name in ("sts_calls", "hub_calls")),
        *(f"{figures[name] or 0:,.0f}" for name in ("p50_ms", "p99_ms", "worst_ms", "all_ms")),
        f"{figures['service_cpu_ms']:,.0f}" if figures["way"] != CALL_EACH else "none",
    ]
    failed = ", ".join(f"{count} {what}" for what, count in figures["failures"].items())
    return [*cells, f"{median(figures['came_again']):g}", failed or "0"]


_HEAD = (
    *("workers", "way", "STS calls", "hub calls", "p50 ms", "p99 ms", "worst ms", "all ms"),
    *("service CPU ms", "came again", "failed"),
)


@click.command()
@click.option("--workers", default="10,100,1000", show_default=True, help="How many at once.")
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(min=1))
@click.option("--latency", default=0.05, show_default=True, help="Seconds that STS takes.")
@click.option("--json", "output", type=click.Path(path_type=Path), help="Write figures here, too.")
def main(workers: str, rounds: int, latency: float, output: Path | None) -> None:
    """Measure what the keys of workers cost that start at once."""
    end_in_order()
    numbers = [int(number) for number in workers.split(",")]
    with (
        tempfile.TemporaryDirectory(prefix="panneuro-benchmark-") as name,
        ground(Path(name), latency) as running,
    ):
        allow_connections(max(numbers))
        document = {
            "benchmark": "agents",
            "sts_latency_s": latency,
            **circumstances(),
            "figures": asyncio.run(_run(running, numbers, rounds)),
        }
    click.echo(table(_HEAD, [_row(figures) for figures in document["figures"]]))
    if output is not None:
        write_json(output, document)


async def _run(running: Ground, numbers: Sequence[int], rounds: int) -> list[dict[str, Any]]:
    for way in WAYS:  # the service imports and connects at its first requests
        await measure(running, requests(running, way, 10, f"warm-{WAYS.index(way)}"))
    seen: dict[tuple[int, str], list[Round]] = {}
    for turn in range(rounds):
        for number in numbers:
            for way in WAYS:
                people = f"turn{turn}-{number}-{WAYS.index(way)}"
                done = await measure(running, requests(running, way, number, people))
                seen.setdefault((number, way), []).append(done)
    return [summary(way, number, done) for (number, way), done in seen.items()]


if __name__ == "__main__":
    main()
