"""Why clusters ended and workers failed: the reasons, and their sentences."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from panneuro_hub.dask.cluster_ends import ClusterEnd, ClusterEnds, describe_end
from panneuro_hub.dask.worker_failures import (
    WorkerFailure,
    describe_failures,
    find_pod_failure,
)
from panneuro_hub.wire import Reason


@pytest.mark.parametrize(
    ("end", "sentence"),
    [
        (
            ClusterEnd("idle", idle_timeout=timedelta(minutes=30)),
            "cluster x was stopped because nobody used it for 30 minutes; "
            "lab.cluster() starts another one",
        ),
        (
            ClusterEnd("idle", idle_timeout=timedelta(seconds=1)),
            "cluster x was stopped because nobody used it for 1 second; "
            "lab.cluster() starts another one",
        ),
        (
            ClusterEnd("idle", idle_timeout=timedelta(hours=2)),
            "cluster x was stopped because nobody used it for 2 hours; "
            "lab.cluster() starts another one",
        ),
        (
            ClusterEnd("stopped"),
            "cluster x was stopped by its owner; lab.cluster() starts another one",
        ),
        (
            ClusterEnd("server-stopped"),
            "cluster x was stopped together with the server that started it",
        ),
        (
            ClusterEnd("refused", (Reason("access-ended", "a", detail="ada"),)),
            "cluster x was stopped: ada has no access to a any more",
        ),
        (
            ClusterEnd("failed"),
            "cluster x failed: its scheduler or its workers did not start, or died; the gateway's "
            "log says why",
        ),
        (None, "cluster x no longer runs; lab.cluster() starts another one"),
    ],
)
def test_each_end_has_one_sentence(end: ClusterEnd | None, sentence: str) -> None:
    assert describe_end("x", end) == sentence


def test_the_first_reason_is_the_one_that_is_kept() -> None:
    ends = ClusterEnds()
    ends.record_end("x", ClusterEnd("idle"))
    ends.record_end("x", ClusterEnd("stopped"))
    assert ends.find_end("x") == ClusterEnd("idle")
    assert ends.find_end("y") is None


def test_no_number_of_clusters_fills_the_gateways_memory() -> None:
    ends = ClusterEnds()
    for number in range(5000):
        ends.record_end(str(number), ClusterEnd("idle"))
    assert ends.find_end("4999") is not None
    assert ends.find_end("0") is None


def pod(**container: Any) -> dict[str, Any]:
    return {"status": {"containerStatuses": [{"name": "dask-worker", **container}]}}


@pytest.mark.parametrize(
    ("shown", "failure"),
    [
        ({}, None),
        ({"status": {}}, None),
        (pod(state={"running": {}}), None),
        (pod(state={"waiting": {"reason": "ContainerCreating"}}), None),
        (pod(state={"terminated": {"exitCode": 0, "reason": "Completed"}}), None),
        (
            pod(image="a/b:1", state={"waiting": {"reason": "ImagePullBackOff"}}),
            WorkerFailure("image", "a/b:1"),
        ),
        (
            pod(state={"waiting": {"reason": "CreateContainerConfigError"}}),
            WorkerFailure("config", "CreateContainerConfigError"),
        ),
        (
            pod(state={"terminated": {"exitCode": 137, "reason": "OOMKilled"}}),
            WorkerFailure("memory"),
        ),
        (
            pod(state={"running": {}}, lastState={"terminated": {"reason": "OOMKilled"}}),
            WorkerFailure("memory"),
        ),
        (
            pod(state={"terminated": {"exitCode": 2, "reason": "Error"}}),
            WorkerFailure("exit", "exit code 2"),
        ),
        (
            {"status": {"conditions": [{"reason": "Unschedulable", "message": "0/3 nodes"}]}},
            WorkerFailure("no-room", "0/3 nodes"),
        ),
    ],
)
def test_a_pod_shows_how_its_worker_failed(
    shown: dict[str, Any], failure: WorkerFailure | None
) -> None:
    assert find_pod_failure(shown) == failure


def test_equal_failures_are_one_sentence() -> None:
    failures = [WorkerFailure("memory"), WorkerFailure("exit"), WorkerFailure("memory")]
    assert describe_failures(failures, "16G") == [
        "2 workers ended: it used more memory than the 16G of the worker profile; choose a larger "
        "worker profile, or smaller chunks",
        "1 worker ended unexpectedly; the gateway's log says more",
    ]
    words = describe_failures(
        [WorkerFailure("image", "a/b:1"), WorkerFailure("no-room", "0/3"), WorkerFailure("config")],
        "1G",
    )
    assert words[0] == "1 worker cannot start: the image a/b:1 cannot be pulled"
    assert words[1] == "1 worker cannot start yet: no node has room (0/3)"
