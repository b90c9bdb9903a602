"""Who may have how many workers: limits pooled over a project's clusters; arithmetic, no I/O.

Cores are added as the decimal numbers that the collaboration file says, so that no
rounding lets a worker too many in, or keeps one out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from panneuro_hub.access import DaskLimits, WorkerLimits
from panneuro_hub.collaboration.units import format_memory
from panneuro_hub.names import shorten_names

MAX_WORKERS = 10_000
"""More than any one cluster is given, whatever the limits are."""

RESERVATION_SECONDS = 60.0
_HOLDERS_NAMED = 3


@dataclass(frozen=True)
class ClusterAllocation:
    """A cluster, and the workers that it holds.

    Parameters
    ----------
    cluster, person, project : str
    cores : float
        Of one worker.
    memory : int
        Of one worker, in bytes.
    workers : int
    max_workers : int or None
        What the gateway's own configuration allows any one cluster.
    """

    cluster: str
    person: str
    project: str
    cores: float
    memory: int
    workers: int = 0
    max_workers: int | None = None


@dataclass(frozen=True)
class WorkerQuota:
    """What a cluster may have of what it asks for.

    Parameters
    ----------
    workers : int
    words : str or None
        Why it is less, for people; `None` where it is all of it.
    """

    workers: int
    words: str | None = None


def compute_quota(
    limits: DaskLimits,
    requester: ClusterAllocation,
    wanted: int,
    allocations: Iterable[ClusterAllocation],
    all_clusters: int = MAX_WORKERS,
) -> WorkerQuota:
    """How many of the `wanted` workers a cluster may have in all.

    Parameters
    ----------
    limits : DaskLimits
        Of the asker's project.
    requester : ClusterAllocation
        The cluster; what it holds already is part of what is wanted.
    allocations : iterable of ClusterAllocation
        All clusters. The asker is passed over, and so are other projects' clusters for the limits
        of the project.
    all_clusters : int
        The workers that all clusters of the gateway may have together.
    """
    tightest = _find_tightest_bound(limits, requester, allocations, all_clusters)
    workers = max(0, min(wanted, tightest.workers))
    return WorkerQuota(workers, tightest.words(requester) if workers < wanted else None)


def compute_largest_quota(
    limits: DaskLimits, requester: ClusterAllocation, all_clusters: int = MAX_WORKERS
) -> WorkerQuota:
    """How many workers a cluster could have if no other held any."""
    alone = _find_tightest_bound(limits, requester, (), all_clusters)
    return WorkerQuota(alone.workers, alone.words(requester))


# One limit


@dataclass(frozen=True)
class _QuotaBound:
    """One limit, and what it leaves for a cluster.

    Parameters
    ----------
    kind : str
        ``workers``, ``cores`` or ``memory``.
    whose : {"project", "person", "cluster", "gateway"}
    limit, left, each : Fraction
        All of it, what no other cluster holds, and what one worker takes.
    holders : tuple of (ClusterAllocation, Fraction)
        The others, and how much each holds; the greatest first.
    """

    kind: str
    whose: Literal["project", "person", "cluster", "gateway"]
    limit: Fraction
    left: Fraction
    each: Fraction
    holders: tuple[tuple[ClusterAllocation, Fraction], ...]

    @property
    def workers(self) -> int:
        return int(self.left // self.each)

    def words(self, requester: ClusterAllocation) -> str:
        """Say what is left, and who holds the rest."""
        return (
            f"{self._left(requester)}{self._enough()}{self._own(requester)}{self._held(requester)}"
        )

    def _left(self, requester: ClusterAllocation) -> str:
        limit = _format_amount(self.kind, self.limit)
        what = "of memory" if self.kind == "memory" else self.kind
        if self.whose == "gateway":
            free = (
                ""
                if self.left == self.limit
                else f", and {_format_amount(self.kind, self.left)} are free"
            )
            return f"all clusters of this hub together may have {limit} {what} at once{free}"
        if not self.holders:
            who = {
                "project": requester.project,
                "person": f"each person in {requester.project}",
                "cluster": "a cluster",
            }[self.whose]
            return f"{who} may have {limit} {what} at once"
        left = _format_amount(self.kind, self.left)
        if self.whose == "person":
            return f"you have {left} of your {limit} {what} in {requester.project} free"
        return f"{requester.project} has {left} of its {limit} {what} free"

    def _enough(self) -> str:
        if self.kind == "workers":
            return ""
        plural = "" if self.workers == 1 else "s"
        return (
            f", enough for {self.workers} worker{plural} of {_format_amount(self.kind, self.each)}"
        )

    def _own(self, requester: ClusterAllocation) -> str:
        if not requester.workers or not self.holders:
            return ""
        amount = _format_amount(self.kind, self.each * requester.workers)
        return f", with the {amount} that this cluster has"

    def _held(self, requester: ClusterAllocation) -> str:
        names = shorten_names([requester.cluster, *(holder.cluster for holder, _ in self.holders)])
        said = [
            f"{_name_owner(holder, requester)} cluster {names[holder.cluster]} holds "
            f"{_format_amount(self.kind, held)}"
            for holder, held in self.holders[:_HOLDERS_NAMED]
        ]
        rest = self.holders[_HOLDERS_NAMED:]
        if rest:
            total = _format_amount(self.kind, sum((held for _, held in rest), Fraction(0)))
            plural = "cluster holds" if len(rest) == 1 else "clusters hold"
            said.append(f"{len(rest)} more {plural} {total}")
        return f"; {', '.join(said)}" if said else ""


def _name_owner(holder: ClusterAllocation, requester: ClusterAllocation) -> str:
    return "your" if holder.person == requester.person else f"{holder.person}'s"


def _find_tightest_bound(
    limits: DaskLimits,
    requester: ClusterAllocation,
    allocations: Iterable[ClusterAllocation],
    all_clusters: int,
) -> _QuotaBound:
    everywhere = [other for other in allocations if other.cluster != requester.cluster]
    others = [other for other in everywhere if other.project == requester.project]
    own = [other for other in others if other.person == requester.person]
    bounds = [
        *_list_bounds(limits.pooled, requester, others, "project"),
        *_list_bounds(limits.per_person, requester, own, "person"),
        _bound_cluster(requester),
        _bound_gateway(all_clusters, everywhere),
    ]
    return min(bounds, key=lambda bound: bound.workers)


def _list_bounds(
    limits: WorkerLimits,
    requester: ClusterAllocation,
    others: Sequence[ClusterAllocation],
    whose: Literal["project", "person"],
) -> Iterator[_QuotaBound]:
    for kind, limit in (
        ("workers", limits.max_workers),
        ("cores", limits.max_cores),
        ("memory", limits.max_memory),
    ):
        if limit is None:
            continue
        held = [
            (other, _worker_amount(kind, other) * other.workers)
            for other in others
            if other.workers
        ]
        left = max(
            Fraction(0), _to_fraction(limit) - sum((amount for _, amount in held), Fraction(0))
        )
        greatest_first = sorted(held, key=lambda entry: (-entry[1], entry[0].cluster))
        yield _QuotaBound(
            kind,
            whose,
            _to_fraction(limit),
            left,
            _worker_amount(kind, requester),
            tuple(greatest_first),
        )


def _bound_cluster(requester: ClusterAllocation) -> _QuotaBound:
    largest = Fraction(
        MAX_WORKERS if requester.max_workers is None else min(requester.max_workers, MAX_WORKERS)
    )
    return _QuotaBound("workers", "cluster", largest, largest, Fraction(1), ())


def _bound_gateway(limit: int, others: Sequence[ClusterAllocation]) -> _QuotaBound:
    """Bound what the gateway gives in all; it names no holders, who may be of other projects."""
    left = Fraction(max(0, limit - sum(other.workers for other in others)))
    return _QuotaBound("workers", "gateway", Fraction(limit), left, Fraction(1), ())


def _worker_amount(kind: str, allocation: ClusterAllocation) -> Fraction:
    sizes = {"workers": 1, "cores": allocation.cores, "memory": allocation.memory}
    return _to_fraction(sizes[kind])


def _to_fraction(number: float) -> Fraction:
    return Fraction(str(number))


def _format_amount(kind: str, amount: Fraction) -> str:
    return format_memory(int(amount)) if kind == "memory" else f"{float(amount):g}"


# What is held


class QuotaLedger:
    """The workers that clusters were given, promised, and still wait for.

    What a cluster asks for through a route is promised until its scheduler asks for it
    too, so that of two who ask at the same moment the second is told what is left.

    Parameters
    ----------
    clock : callable
        Seconds that only grow, as `time.monotonic`.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._allocated: dict[str, int] = {}
        self._reserved: dict[str, tuple[int, float]] = {}
        self._waiting: dict[str, int] = {}

    def count_held(self, cluster: str, kept: int, live: int) -> int:
        """How many workers count as a cluster's.

        Parameters
        ----------
        kept : int
            What its record says that it was given, which counts after a restart.
        live : int
            How many of its workers there are; those that are on their way out count.
        """
        promised, until = self._reserved.get(cluster, (0, 0.0))
        if until <= self._clock():
            promised = 0
        return max(self._allocated.get(cluster, kept), promised, live)

    def reserve(self, cluster: str, workers: int) -> None:
        """Keep workers for a cluster until it asks for them, or a minute is over."""
        self._reserved[cluster] = (workers, self._clock() + RESERVATION_SECONDS)

    def cancel_reservation(self, cluster: str) -> None:
        """Keep none: it was not told."""
        self._reserved.pop(cluster, None)

    def allocate(self, cluster: str, wanted: int, workers: int) -> None:
        """Note that a cluster wanted so many workers, and was given so many."""
        self._allocated[cluster] = workers
        if wanted >= self._reserved.get(cluster, (0, 0.0))[0]:
            self.cancel_reservation(cluster)
        if wanted > workers:
            self._waiting[cluster] = wanted  # who waited before keeps the place in the row
        else:
            self._waiting.pop(cluster, None)

    def list_waiting(self) -> list[tuple[str, int]]:
        """The clusters that want more than they were given, and how many, the first first."""
        return list(self._waiting.items())

    def keep_only(self, clusters: Collection[str]) -> None:
        """Forget all clusters but these."""
        self._allocated = {name: n for name, n in self._allocated.items() if name in clusters}
        self._reserved = {name: n for name, n in self._reserved.items() if name in clusters}
        self._waiting = {name: n for name, n in self._waiting.items() if name in clusters}
