"""The number of workers that a machine can run."""

from __future__ import annotations

import pytest

from panneuro_hub.devstack.worker_limit import compute_worker_limit

G = 2**30


@pytest.mark.parametrize(
    ("cores", "memory", "workers"),
    [(2, 24 * G, 4), (8, 16 * G, 16), (8, 6 * G, 6), (1, G // 2, 1), (16, 8 * G, 8)],
)
def test_cores_and_memory_bound_the_workers(cores: int, memory: int, workers: int) -> None:
    assert compute_worker_limit(cores, memory) == workers


def test_this_machine_can_run_some() -> None:
    assert 1 <= compute_worker_limit() <= 10_000
