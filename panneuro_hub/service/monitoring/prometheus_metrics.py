"""Prometheus metrics: what clusters use, what is issued and refused, and how stores answer.

What is in the database is read when it is asked for, so that all replicas say the same.
Labels are names of the collaboration, which an admin has written; whatever belongs to no
project of it has the empty label.
"""

from __future__ import annotations

import time
from collections import Counter as Tally
from collections.abc import Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from panneuro_hub.current import Current
from panneuro_hub.current_metrics import CollaborationCollector
from panneuro_hub.service.db.ledger import Ledger, LedgerCounts
from panneuro_hub.service.db.session_store import ProjectTotals, SessionRecord, SessionStore
from panneuro_hub.vending.credential_makers import build_default_makers
from panneuro_hub.vending.types import CredentialMaker, CredentialRequest
from panneuro_hub.wire import Credential

_SAME = "The same in every replica."
_OWN = "Of this process."
_HOUR = 3600  # seconds


class StoreCallMetrics:
    """Counts and times the credentials that this process asks stores for."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._calls = Counter(
            "panneuro_sts_calls",
            f"Credentials that stores' STS were asked for; asking again is not counted. {_OWN}",
            ["outcome"],
            registry=self.registry,
        )
        self._seconds = Histogram(
            "panneuro_sts_seconds",
            f"How long a store's STS took for a credential, with asking again. {_OWN}",
            registry=self.registry,
        )
        for outcome in ("made", "failed"):
            self._calls.labels(outcome)

    def build_makers(self) -> dict[str, CredentialMaker]:
        """The makers of every type of store, counted and timed here."""
        return {kind: MeasuredMaker(maker, self) for kind, maker in build_default_makers().items()}

    def count_call(self, outcome: str, seconds: float) -> None:
        """Count one credential: ``made`` or ``failed``."""
        self._calls.labels(outcome).inc()
        self._seconds.observe(seconds)


class MeasuredMaker:
    """A maker of credentials that is counted and timed."""

    def __init__(self, maker: CredentialMaker, calls: StoreCallMetrics) -> None:
        self._maker = maker
        self._calls = calls

    def rights(self, request: CredentialRequest) -> str:
        """The grants in the store's own language."""
        return self._maker.rights(request)

    async def make(self, request: CredentialRequest, rights: str) -> Credential:
        """Make keys that can do what `rights` says and nothing else."""
        began = time.perf_counter()
        outcome = "failed"
        try:
            credential = await self._maker.make(request, rights)
            outcome = "made"
        finally:
            self._calls.count_call(outcome, time.perf_counter() - began)
        return credential

    async def close(self) -> None:
        """Let go of connections."""
        await self._maker.close()


class ServiceMetrics:
    """What Prometheus is told.

    Parameters
    ----------
    current : Current
    sessions : SessionStore
    ledger : Ledger
    calls : StoreCallMetrics
    """

    def __init__(
        self, current: Current, sessions: SessionStore, ledger: Ledger, calls: StoreCallMetrics
    ) -> None:
        self._current = current
        self._sessions = sessions
        self._ledger = ledger
        self._calls = calls
        self._counted = LedgerCounts()

    async def render_text(self) -> bytes:
        """All metrics as they are now, in Prometheus' text format.

        Raises
        ------
        ServiceUnavailable
            If the database does not answer.
        """
        running = await self._sessions.list_running()
        totals = await self._sessions.sum_usage()
        self._counted = await self._ledger.count_entries(self._counted)
        projects = self._current.collaboration.projects
        registry = CollectorRegistry()
        registry.register(CollaborationCollector(self._current))
        registry.register(
            _SnapshotCollector(build_metric_families(projects, running, totals, self._counted.rows))
        )
        return generate_latest(registry) + generate_latest(self._calls.registry)


class _SnapshotCollector(Collector):
    """A moment's metrics, as `CollectorRegistry` wants them."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = list(metrics)

    def collect(self) -> Iterator[Metric]:
        yield from self._metrics


def build_metric_families(
    projects: Iterable[str],
    running: Iterable[SessionRecord],
    totals: Mapping[str, ProjectTotals],
    rows: Mapping[tuple[str, str], int],
) -> Iterator[Metric]:
    """The metrics of what the database says; every project has all of them.

    Parameters
    ----------
    projects : iterable of str
        Those of the collaboration.
    running : iterable of SessionRecord
        The clusters that run.
    totals : mapping of str to ProjectTotals
        What the clusters ever used, by project.
    rows : mapping of (str, str) to int
        Rows of the ledger, by project and event.
    """
    names = list(projects)
    running = list(running)

    def gauge(name: str, what: str, values: Iterable[tuple[str, float]]) -> Metric:
        family = GaugeMetricFamily(name, f"{what} {_SAME}", labels=["project"])
        return _fill_family(family, names, values)

    def counter(name: str, what: str, values: Iterable[tuple[str, float]]) -> Metric:
        family = CounterMetricFamily(name, f"{what} {_SAME}", labels=["project"])
        return _fill_family(family, names, values)

    yield gauge(
        "panneuro_clusters",
        "Dask clusters that run.",
        [(session.project, 1) for session in running],
    )
    yield gauge(
        "panneuro_cluster_workers",
        "Workers of running clusters, as last reported.",
        [(session.project, session.workers) for session in running],
    )
    yield gauge(
        "panneuro_cluster_cores",
        "Cores of these workers.",
        [(session.project, session.workers * session.cores) for session in running],
    )
    yield counter(
        "panneuro_core_hours",
        "Core hours of all workers ever.",
        [(project, total.core_seconds / _HOUR) for project, total in totals.items()],
    )
    yield counter(
        "panneuro_cost_usd",
        "Price of all workers ever, in US dollars.",
        [(project, total.cost_usd) for project, total in totals.items()],
    )
    for name, event, what in (
        ("panneuro_credentials_issued", "issue", "Credentials in the ledger."),
        ("panneuro_refusals", "refusal", "Refusals in the ledger, where repeated ones are one."),
    ):
        yield counter(
            name, what, [(project, number) for (project, of), number in rows.items() if of == event]
        )


def _fill_family(
    family: GaugeMetricFamily | CounterMetricFamily,
    projects: list[str],
    values: Iterable[tuple[str, float]],
) -> Metric:
    sums: Tally[str] = Tally()
    for project, value in values:
        sums[project if project in projects else ""] += value  # type: ignore[assignment]
    for project in [*projects, *([""] if sums[""] else [])]:
        family.add_metric([project], sums[project])
    return family
