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
from panneuro_hub.collaboration.quantities import format_memory
from panneuro_hub.names import short_names

MOST_WORKERS = 10_000
"""More than any one cluster is given, whatever the limits are."""

PROMISED_SECONDS = 60.0
_HOLDERS_NAMED = 3


@dataclass(frozen=True)
class Holding:
    """A cluster, and the workers that it holds.

    Parameters
    ----------
    cluster, person, project : str
    cores : float
        Of one worker.
    memory : int
        Of one worker, in bytes.
    workers : int
    most : int or None
        What the gateway's own configuration allows any one cluster.
    """

    cluster: str
    person: str
    project: str
    cores: float
    memory: int
    workers: int = 0
    most: int | None = None


@dataclass(frozen=True)
class Share:
    """What a cluster may have of what it asks for.

    Parameters
    ----------
    workers : int
    words : str or None
        Why it is less, for people; `None` where it is all of it.
    """

    workers: int
    words: str | None = None


def share(
    limits: DaskLimits,
    asker: Holding,
    wanted: int,
    holdings: Iterable[Holding],
    all_clusters: int = MOST_WORKERS,
) -> Share:
    """How many of the `wanted` workers a cluster may have in all.

    Parameters
    ----------
    limits : DaskLimits
        Of the asker's project.
    asker : Holding
        The cluster; what it holds already is part of what is wanted.
    holdings : iterable of Holding
        All clusters. The asker is passed over, and so are other projects' clusters for the limits
        of the project.
    all_clusters : int
        The workers that all clusters of the gateway may have together.
    """
    tightest = _tightest(limits, asker, holdings, all_clusters)
    workers = max(0, min(wanted, tightest.workers))
    return Share(workers, tightest.words(asker) if workers < wanted else None)


def most(limits: DaskLimits, asker: Holding, all_clusters: int = MOST_WORKERS) -> Share:
    """How many workers a cluster could have if no other held any."""
    alone = _tightest(limits, asker, (), all_clusters)
    return Share(alone.workers, alone.words(asker))


# One limit


@dataclass(frozen=True)
class _Bound:
    """One limit, and what it leaves for a cluster.

    Parameters
    ----------
    kind : str
        ``workers``, ``cores`` or ``memory``.
    whose : {"project", "person", "cluster", "gateway"}
    limit, left, each : Fraction
        All of it, what no other cluster holds, and what one worker takes.
    holders : tuple of (Holding, Fraction)
        The others, and how much each holds; the greatest first.
    """

    kind: str
    whose: Literal["project", "person", "cluster", "gateway"]
    limit: Fraction
    left: Fraction
    each: Fraction
    holders: tuple[tuple[Holding, Fraction], ...]

    @property
    def workers(self) -> int:
        return int(self.left // self.each)

    def words(self, asker: Holding) -> str:
        """Say what is left, and who holds the rest."""
        return f"{self._left(asker)}{self._enough()}{self._own(asker)}{self._held(asker)}"

    def _left(self, asker: Holding) -> str:
        limit = _amount(self.kind, self.limit)
        what = "of memory" if self.kind == "memory" else self.kind
        if self.whose == "gateway":
            free = (
                "" if self.left == self.limit else f", and {_amount(self.kind, self.left)} are free"
            )
            return f"all clusters of this hub together may have {limit} {what} at once{free}"
        if not self.holders:
            who = {
                "project": asker.project,
                "person": f"each person in {asker.project}",
                "cluster": "a cluster",
            }[self.whose]
            return f"{who} may have {limit} {what} at once"
        left = _amount(self.kind, self.left)
        if self.whose == "person":
            return f"you have {left} of your {limit} {what} in {asker.project} free"
        return f"{asker.project} has {left} of its {limit} {what} free"

    def _enough(self) -> str:
        if self.kind == "workers":
            return ""
        plural = "" if self.workers == 1 else "s"
        return f", enough for {self.workers} worker{plural} of {_amount(self.kind, self.each)}"

    def _own(self, asker: Holding) -> str:
        if not asker.workers or not self.holders:
            return ""
        return f", with the {_amount(self.kind, self.each * asker.workers)} that this cluster has"

    def _held(self, asker: Holding) -> str:
        names = short_names([asker.cluster, *(holder.cluster for holder, _ in self.holders)])
        said = [
            f"{_whose(holder, asker)} cluster {names[holder.cluster]} holds "
            f"{_amount(self.kind, held)}"
            for holder, held in self.holders[:_HOLDERS_NAMED]
        ]
        rest = self.holders[_HOLDERS_NAMED:]
        if rest:
            total = _amount(self.kind, sum((held for _, held in rest), Fraction(0)))
            plural = "cluster holds" if len(rest) == 1 else "clusters hold"
            said.append(f"{len(rest)} more {plural} {total}")
        return f"; {', '.join(said)}" if said else ""


def _whose(holder: Holding, asker: Holding) -> str:
    return "your" if holder.person == asker.person else f"{holder.person}'s"


def _tightest(
    limits: DaskLimits, asker: Holding, holdings: Iterable[Holding], all_clusters: int
) -> _Bound:
    everywhere = [other for other in holdings if other.cluster != asker.cluster]
    others = [other for other in everywhere if other.project == asker.project]
    own = [other for other in others if other.person == asker.person]
    bounds = [
        *_bounds(limits.pooled, asker, others, "project"),
        *_bounds(limits.per_person, asker, own, "person"),
        _of_any_cluster(asker),
        _of_all_clusters(all_clusters, everywhere),
    ]
    return min(bounds, key=lambda bound: bound.workers)


def _bounds(
    limits: WorkerLimits,
    asker: Holding,
    others: Sequence[Holding],
    whose: Literal["project", "person"],
) -> Iterator[_Bound]:
    for kind, limit in (
        ("workers", limits.max_workers),
        ("cores", limits.max_cores),
        ("memory", limits.max_memory),
    ):
        if limit is None:
            continue
        held = [(other, _each(kind, other) * other.workers) for other in others if other.workers]
        left = max(Fraction(0), _exact(limit) - sum((amount for _, amount in held), Fraction(0)))
        greatest_first = sorted(held, key=lambda entry: (-entry[1], entry[0].cluster))
        yield _Bound(kind, whose, _exact(limit), left, _each(kind, asker), tuple(greatest_first))


def _of_any_cluster(asker: Holding) -> _Bound:
    most = Fraction(MOST_WORKERS if asker.most is None else min(asker.most, MOST_WORKERS))
    return _Bound("workers", "cluster", most, most, Fraction(1), ())


def _of_all_clusters(limit: int, others: Sequence[Holding]) -> _Bound:
    """Bound what the gateway gives in all; it names no holders, who may be of other projects."""
    left = Fraction(max(0, limit - sum(other.workers for other in others)))
    return _Bound("workers", "gateway", Fraction(limit), left, Fraction(1), ())


def _each(kind: str, holding: Holding) -> Fraction:
    sizes = {"workers": 1, "cores": holding.cores, "memory": holding.memory}
    return _exact(sizes[kind])


def _exact(number: float) -> Fraction:
    return Fraction(str(number))


def _amount(kind: str, amount: Fraction) -> str:
    return format_memory(int(amount)) if kind == "memory" else f"{float(amount):g}"


# What is held


class Book:
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
        self._given: dict[str, int] = {}
        self._promised: dict[str, tuple[int, float]] = {}
        self._waiting: dict[str, int] = {}

    def held(self, cluster: str, kept: int, live: int) -> int:
        """How many workers count as a cluster's.

        Parameters
        ----------
        kept : int
            What its record says that it was given, which counts after a restart.
        live : int
            How many of its workers there are; those that are on their way out count.
        """
        promised, until = self._promised.get(cluster, (0, 0.0))
        if until <= self._clock():
            promised = 0
        return max(self._given.get(cluster, kept), promised, live)

    def promise(self, cluster: str, workers: int) -> None:
        """Keep workers for a cluster until it asks for them, or a minute is over."""
        self._promised[cluster] = (workers, self._clock() + PROMISED_SECONDS)

    def break_promise(self, cluster: str) -> None:
        """Keep none: it was not told."""
        self._promised.pop(cluster, None)

    def give(self, cluster: str, wanted: int, workers: int) -> None:
        """Note that a cluster wanted so many workers, and was given so many."""
        self._given[cluster] = workers
        if wanted >= self._promised.get(cluster, (0, 0.0))[0]:
            self.break_promise(cluster)
        if wanted > workers:
            self._waiting[cluster] = wanted  # who waited before keeps the place in the row
        else:
            self._waiting.pop(cluster, None)

    def waiting(self) -> list[tuple[str, int]]:
        """The clusters that want more than they were given, and how many, the first first."""
        return list(self._waiting.items())

    def keep_only(self, clusters: Collection[str]) -> None:
        """Forget all clusters but these."""
        self._given = {name: n for name, n in self._given.items() if name in clusters}
        self._promised = {name: n for name, n in self._promised.items() if name in clusters}
        self._waiting = {name: n for name, n in self._waiting.items() if name in clusters}
