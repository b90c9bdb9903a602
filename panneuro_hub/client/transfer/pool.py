"""Threads that transfer, the memory that they may use together, and their patience."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from panneuro_hub.client.transfer.part_plan import MIB
from panneuro_hub.client.transfer_errors import (
    ErrorKind,
    FileConflictError,
    LocalFileError,
    StoreError,
    TransferStoppedError,
)
from panneuro_hub.errors import PanNeuroError

T = TypeVar("T")

MAX_REQUESTS = 32
"""Requests at a time: a store takes some 40 ms for a small object, however fast the wire is."""

MAX_LARGE_FILES = 2
"""Large files at a time; each is read from its beginning to its end once."""

MAX_MEMORY = 256 * MIB
"""What all content on its way may take; a single part that is larger goes alone."""

# Even an empty file takes a place, or a million of them would wait in memory.
_SMALLEST_RESERVATION = MIB
_RETRY_SECONDS = 300.0
_LONGEST_PAUSE = 30.0  # seconds
_MAX_ATTEMPTS: dict[ErrorKind, int] = {"keys": 8, "damaged": 4}


class MemoryBudget:
    """Bytes that may be in use at the same time; who comes first is served first.

    Parameters
    ----------
    total : int
    """

    def __init__(self, total: int = MAX_MEMORY) -> None:
        self._total = total
        self._used = 0
        self._freed = threading.Condition()
        self._turn = threading.Lock()

    def reserve(self, size: int) -> int:
        """Wait for `size` bytes; gives what has to be given back."""
        wanted = max(size, _SMALLEST_RESERVATION)
        with self._turn, self._freed:
            while self._used and self._used + wanted > self._total:
                self._freed.wait()
            self._used += wanted
        return wanted

    def release(self, taken: int) -> None:
        """Give back what `reserve` gave."""
        with self._freed:
            self._used -= taken
            self._freed.notify_all()

    def release_all(self) -> None:
        """Let everybody through who waits: the transfer is over."""
        with self._freed:
            self._used = -(1 << 62)
            self._freed.notify_all()


@dataclass(frozen=True)
class RetryPolicy:
    """The time for which failed requests are retried, and an event that ends the retries.

    Parameters
    ----------
    stop : threading.Event
    seconds : float
        From the first failure on.
    note : callable
        Called with the reason of each wait.
    """

    stop: threading.Event = field(default_factory=threading.Event)
    seconds: float = _RETRY_SECONDS
    note: Callable[[str], None] = lambda _: None

    def call_with_retries(self, request: Callable[[], T]) -> T:
        """Return the result of `request`, retrying it after retryable errors.

        Raises
        ------
        StoreError
            The last one, where it cannot help or has been tried for long enough.
        TransferStoppedError
            If the transfer has ended meanwhile.
        """
        failures = 0
        began = 0.0
        while True:
            self.check()
            try:
                return request()
            except StoreError as failure:
                failures += 1
                began = began or time.monotonic()
                if not self._may_help(failure, failures, time.monotonic() - began):
                    raise
                self.note(str(failure))
            self.stop.wait(retry_delay(failures))

    def check(self) -> None:
        """Go on, or not.

        Raises
        ------
        TransferStoppedError
            If the transfer has ended meanwhile.
        """
        if self.stop.is_set():
            raise TransferStoppedError("the transfer was stopped")

    def _may_help(self, failure: StoreError, failures: int, passed: float) -> bool:
        if failure.kind == "again":
            return passed < self.seconds
        return failures < _MAX_ATTEMPTS.get(failure.kind, 0)


def retry_delay(failures: int) -> float:
    """Seconds to wait after so many failures in a row."""
    return min(0.25 * 2.0 ** min(failures, 10), _LONGEST_PAUSE)


class TransferPool:
    """Runs jobs in threads; what goes wrong with one file ends nothing, all else ends all.

    Parameters
    ----------
    stop : threading.Event
        Set where a job fails in a way that concerns all of them.
    """

    def __init__(self, stop: threading.Event) -> None:
        self.stop = stop
        self.budget = MemoryBudget()
        self.problems: list[PanNeuroError] = []
        self._fatal: BaseException | None = None
        self._lock = threading.Lock()
        self._requests = ThreadPoolExecutor(MAX_REQUESTS, "panneuro-request")
        self._files = ThreadPoolExecutor(MAX_LARGE_FILES, "panneuro-file")

    def small(self, size: int, job: Callable[[], None]) -> None:
        """Do `job`, which needs `size` bytes, as soon as there is room; waits for the room."""
        if self.stop.is_set():
            return
        taken = self.budget.reserve(size)

        def work() -> None:
            try:
                self._guarded(job)
            finally:
                self.budget.release(taken)

        self._requests.submit(work)

    def large(self, job: Callable[[], None]) -> None:
        """Do `job`, which reads one large file, and asks for room itself."""
        self._files.submit(self._guarded, job)

    @contextmanager
    def reserve_memory(self, size: int) -> Iterator[None]:
        """Have `size` bytes to work with."""
        taken = self.budget.reserve(size)
        try:
            yield
        finally:
            self.budget.release(taken)

    def send(self, taken: int, job: Callable[[], None]) -> Future[None]:
        """Do `job` in another thread, and give back what it had `taken` of the budget."""
        future = self._requests.submit(job)
        future.add_done_callback(lambda _: self.budget.release(taken))
        return future

    def ask(self, job: Callable[[], T]) -> Future[T]:
        """Do `job` in another thread, for what it gives."""
        return self._requests.submit(job)

    def abort_jobs(self, problem: PanNeuroError) -> None:
        """End all jobs, for this reason."""
        with self._lock:
            self._fatal = self._fatal or problem
        self._end()

    @contextmanager
    def wait_for_jobs(self) -> Iterator[TransferPool]:
        """Wait for all jobs at the end of the block, or for those under way if it fails.

        Raises
        ------
        Exception
            The first that concerns all jobs.
        """
        try:
            yield self
            self._files.shutdown()
            self._requests.shutdown()
        except BaseException:
            self._end()
            self._files.shutdown(wait=False, cancel_futures=True)
            self._requests.shutdown(wait=False, cancel_futures=True)
            raise
        if self._fatal is not None:
            raise self._fatal

    def _guarded(self, job: Callable[[], None]) -> None:
        if self.stop.is_set():
            return
        try:
            job()
        except (LocalFileError, FileConflictError) as problem:
            with self._lock:
                self.problems.append(problem)
        except TransferStoppedError:
            return
        except BaseException as fatal:  # noqa: BLE001 - it is raised again, by who waits
            with self._lock:
                self._fatal = self._fatal or fatal
            self._end()

    def _end(self) -> None:
        self.stop.set()
        self.budget.release_all()
