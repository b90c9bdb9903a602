"""Prometheus metrics of the collaboration file: whether it is valid, and what is in force."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from panneuro_hub.current import Current


class CollaborationCollector(Collector):
    """The state of a `Current`, as `prometheus_client` wants it.

    Parameters
    ----------
    current : Current
    """

    def __init__(self, current: Current) -> None:
        self._current = current

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics of now."""
        snapshot = self._current.look()
        problem = snapshot.problem
        yield _gauge(
            "panneuro_collaboration_valid",
            "1 if the collaboration file is valid, 0 if an older version is in force.",
            0 if problem else 1,
        )
        yield _gauge(
            "panneuro_collaboration_problems",
            "Problems in the collaboration file.",
            len(problem.problems) if problem else 0,
        )
        yield _gauge(
            "panneuro_collaboration_in_force_since_seconds",
            "When the version in force came into force, as a Unix time.",
            snapshot.version.since.timestamp(),
        )
        yield _gauge(
            "panneuro_collaboration_saved",
            "1 if a process that starts now would find the version in force.",
            0 if self._current.unsaved else 1,
        )


def _gauge(name: str, what: str, value: float) -> Metric:
    family = GaugeMetricFamily(name, f"{what} Of this process.")
    family.add_metric([], value)
    return family
