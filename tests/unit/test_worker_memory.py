"""The sentence about workers that are ended for their memory."""

from __future__ import annotations

from panneuro_hub.lab.cluster_notices import ClusterNotices
from panneuro_hub.lab.worker_memory import describe_memory

MESSAGE = {"worker": "tls://127.0.0.1:1", "pid": 7, "rss": 600 * 2**20}


def test_it_names_the_memory_of_the_worker_profile() -> None:
    notices = ClusterNotices(profile="standard", worker_memory="600M")
    assert describe_memory([(1.0, MESSAGE)], notices) == (
        "1 worker was killed for using more memory (600.00 MiB) than the 600M that a worker has "
        "in the worker profile standard; a task to which this happens 4 times fails with "
        "KilledWorker. Choose a larger worker profile, or smaller chunks"
    )


def test_a_gateway_that_says_nothing_leaves_that_out() -> None:
    words = describe_memory([(1.0, MESSAGE), (2.0, MESSAGE)], ClusterNotices())
    assert words.startswith("2 workers were killed for using more memory (600.00 MiB); a task")


def test_what_workers_write_into_a_message_breaks_nothing() -> None:
    for message in (None, "x", {"rss": "many"}, {"rss": None}, []):
        words = describe_memory([(1.0, message)], ClusterNotices())
        assert words.startswith("1 worker was killed for using more memory; a task")
