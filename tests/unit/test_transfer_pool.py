"""Threads, their memory and their patience."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from panneuro_hub.client.transfer.part_plan import MIB
from panneuro_hub.client.transfer.pool import MemoryBudget, RetryPolicy, TransferPool, retry_delay
from panneuro_hub.client.transfer_errors import (
    ErrorKind,
    LocalFileError,
    StoreError,
    TransferStoppedError,
)
from panneuro_hub.errors import AccessDeniedError


class Sleepless(threading.Event):
    """An event whose waiting takes no time, and is noted."""

    def __init__(self) -> None:
        super().__init__()
        self.waited: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waited.append(timeout or 0.0)
        return self.is_set()


def failing(times: int, kind: ErrorKind) -> list[str]:
    """What happens to a request that fails so often."""
    stop, left = Sleepless(), [times]

    def request() -> str:
        if left[0]:
            left[0] -= 1
            raise StoreError(kind, "no")
        return "done"

    retry_policy = RetryPolicy(stop, seconds=300)
    try:
        return [retry_policy.call_with_retries(request), *("again" for _ in stop.waited)]
    except StoreError:
        return ["failed", *("again" for _ in stop.waited)]


@pytest.mark.parametrize(
    ("kind", "times", "outcome"),
    [
        ("again", 20, "done"),
        ("keys", 7, "done"),
        ("keys", 8, "failed"),
        ("damaged", 3, "done"),
        ("damaged", 4, "failed"),
        ("denied", 1, "failed"),
        ("exists", 1, "failed"),
        ("missing", 1, "failed"),
        ("clock", 1, "failed"),
        ("other", 1, "failed"),
    ],
)
def test_only_what_can_help_is_tried_again(kind: ErrorKind, times: int, outcome: str) -> None:
    assert failing(times, kind)[0] == outcome


def test_patience_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter(range(0, 100_000, 100))
    monkeypatch.setattr("panneuro_hub.client.transfer.pool.time.monotonic", lambda: next(now))
    with pytest.raises(StoreError, match="no network"):
        RetryPolicy(Sleepless(), seconds=300).call_with_retries(lambda: fail("again", "no network"))


def fail(kind: ErrorKind, message: str) -> None:
    raise StoreError(kind, message)


def test_pauses_grow_and_are_bounded() -> None:
    pauses = [retry_delay(failures) for failures in range(1, 40)]
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1]) == (0.5, 30.0)


def test_a_transfer_that_ended_waits_for_nothing() -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(TransferStoppedError):
        RetryPolicy(stop).call_with_retries(lambda: fail("again", "no"))


@given(st.lists(st.integers(0, 400 * MIB), min_size=1, max_size=30))
def test_no_more_is_taken_than_there_is(sizes: list[int]) -> None:
    budget = MemoryBudget(256 * MIB)
    held: list[int] = []
    for size in sizes:
        wanted = max(size, MIB)
        while held and sum(held) + wanted > 256 * MIB:
            budget.release(held.pop())
        held.append(budget.reserve(size))  # would wait for ever, if it were too much
        assert len(held) == 1 or sum(held) <= 256 * MIB


def test_who_wants_more_waits_until_it_is_there() -> None:
    budget = MemoryBudget(10 * MIB)
    first = budget.reserve(8 * MIB)
    came = threading.Event()

    def second() -> None:
        budget.reserve(4 * MIB)
        came.set()

    thread = threading.Thread(target=second)
    thread.start()
    assert not came.wait(0.1)
    budget.release(first)
    assert came.wait(10)
    thread.join()


def test_a_file_s_problem_ends_nothing_and_another_ends_all() -> None:
    pool, done = TransferPool(threading.Event()), []
    with pool.wait_for_jobs():
        pool.small(1, lambda: raise_(LocalFileError("a: gone")))
        pool.small(1, lambda: done.append(1))
    assert [str(problem) for problem in pool.problems] == ["a: gone"]
    assert done == [1]
    pool = TransferPool(threading.Event())
    with pytest.raises(AccessDeniedError, match="no more"), pool.wait_for_jobs():
        pool.large(lambda: raise_(AccessDeniedError("no more")))
    assert pool.stop.is_set()


def test_many_small_files_do_not_all_wait_in_memory() -> None:
    pool, go = TransferPool(threading.Event()), threading.Event()
    begun: list[int] = []

    def job() -> None:
        begun.append(1)
        go.wait(10)

    def submit() -> None:
        for _ in range(1000):
            pool.small(0, job)

    with pool.wait_for_jobs():
        thread = threading.Thread(target=submit)
        thread.start()
        thread.join(0.3)
        assert thread.is_alive()  # 256 wait, and no more
        go.set()
        thread.join()
    assert len(begun) == 1000


def raise_(problem: Exception) -> None:
    raise problem
