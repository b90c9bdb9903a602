"""Child processes: started in order, ready when they say so, always stopped in the end."""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from panneuro_hub.devstack.errors import DevstackError

_LAUNCHER = Path(__file__).with_name("process_launcher.py")
_PR_SET_CHILD_SUBREAPER = 36  # <linux/prctl.h>
_LOOK_AGAIN = 0.05  # seconds
_TAIL = 25  # lines of a log that an error shows

ReadyCheck = Callable[["ChildProcess"], bool]


def find_free_port(preferred: int | None = None, avoid: Sequence[int] = ()) -> int:
    """Return a TCP port of 127.0.0.1 on which no process listens.

    Parameters
    ----------
    preferred : int, optional
        Taken if it is free.
    avoid : sequence of int
        Ports that are spoken for already.
    """
    if preferred is not None and preferred not in avoid and _can_listen(preferred):
        return preferred
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        if port not in avoid:
            return port


@contextmanager
def claim_port(port: int) -> Iterator[bool]:
    """Claim `port` until the block ends; yield whether no other demo had claimed it.

    A port stays free for seconds after it was chosen, until the hub listens on it.
    """
    with socket.socket(socket.AF_UNIX) as claim:
        try:
            claim.bind(f"\0panneuro-hub-demo-{port}")  # a name, and no file
        except OSError:
            yield False
            return
        yield True


def _can_listen(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def log_contains(line: str) -> ReadyCheck:
    """Return a check that is true when `line` is in the log."""
    return lambda child: line in child.log_text()


def url_answers(url: str) -> ReadyCheck:
    """Return a check that is true when `url` answers without an error."""

    def ready(child: ChildProcess) -> bool:
        try:
            with urllib.request.urlopen(url, timeout=2):  # noqa: S310 - ours, on loopback
                return True
        except urllib.error.HTTPError as answer:  # a proxy whose hub is not there yet, say
            answer.close()
            return False
        except (urllib.error.URLError, OSError):
            return False

    return ready


class ChildProcess:
    """A program that runs as a child of this process, with a log file of its own.

    It runs in a session of its own, so that Ctrl-C reaches this process alone, which then
    stops its children in order. On Linux the child also ends when this process ends.

    Parameters
    ----------
    name : str
        For people, and the name of the log file.
    command : sequence of str
        Program and arguments.
    log : Path
        Where its output goes; written anew.
    environment : mapping of str to str
        All of its environment; nothing is inherited.
    folder : Path, optional
        Its working folder.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        environment: Mapping[str, str],
        folder: Path | None = None,
    ) -> None:
        self.name = name
        self.log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(  # noqa: S603 - our own programs
                [sys.executable, "-I", str(_LAUNCHER), str(os.getpid()), *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(environment),
                cwd=folder,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """What it ended with; `None` while it runs."""
        return self._process.poll()

    def log_text(self) -> str:
        """What it has written so far."""
        return self.log.read_text(errors="replace")

    def log_tail(self, lines: int = _TAIL) -> str:
        """The last lines of what it has written."""
        return format_tail(self.log_text(), lines)

    def wait_until_ready(self, ready: ReadyCheck, timeout: float) -> None:
        """Wait until it is ready.

        Parameters
        ----------
        ready : callable
            `log_contains` or `url_answers`, or anything that tells of a child whether it is ready.
        timeout : float
            Seconds.

        Raises
        ------
        DevstackError
            If it ends or is not ready in time, with the end of its log.
        """
        deadline = time.monotonic() + timeout
        while not ready(self):
            if self.exit_code is not None:
                raise DevstackError(
                    f"{self.name} ended at once with {self.exit_code}; its log {self.log} "
                    f"ends:\n{self.log_tail()}"
                )
            if time.monotonic() > deadline:
                raise DevstackError(
                    f"{self.name} was not ready after {timeout:.0f} s; its log {self.log} "
                    f"ends:\n{self.log_tail()}"
                )
            time.sleep(_LOOK_AGAIN)

    def stop(self, patience: float = 10) -> None:
        """End it: SIGINT, then SIGTERM, then SIGKILL, with `patience` seconds for each."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            if self.exit_code is not None:
                return
            self._process.send_signal(number)
            try:
                self._process.wait(patience)
            except subprocess.TimeoutExpired:
                continue


def format_tail(text: str, lines: int = _TAIL) -> str:
    """Return the last `lines` lines of `text`, indented."""
    return "\n".join("    " + line for line in text.splitlines()[-lines:])


class ProcessGroup:
    """Several child processes; leaving the block stops all of them, last first.

    On Linux, grandchildren whose parent dies without stopping them (a notebook server
    whose hub was killed) become children of this process while the block runs, and are
    ended with the rest: nothing is left running.
    """

    def __init__(self) -> None:
        self._children: list[ChildProcess] = []
        self._before: frozenset[int] = frozenset()

    def __enter__(self) -> Self:
        _adopt_orphans(True)
        self._before = frozenset(list_children(os.getpid()))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def children(self) -> tuple[ChildProcess, ...]:
        """In the order in which they started."""
        return tuple(self._children)

    def start(
        self,
        name: str,
        command: Sequence[str],
        *,
        log: Path,
        environment: Mapping[str, str],
        folder: Path | None = None,
    ) -> ChildProcess:
        """Start a program; `ChildProcess.wait_ready` waits for it. See `ChildProcess`."""
        child = ChildProcess(name, command, log, environment, folder)
        self._children.append(child)
        return child

    def ended(self) -> ChildProcess | None:
        """Return a child that has ended although nobody stopped it, or `None`."""
        return next((child for child in self._children if child.exit_code is not None), None)

    def stop(self, patience: float = 10) -> None:
        """Stop every child, last first, and whatever they left behind."""
        while self._children:
            self._children[-1].stop(patience)
            self._children.pop()
        self._end_orphans(patience)
        _adopt_orphans(False)

    def _end_orphans(self, patience: float) -> None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            deadline = time.monotonic() + patience
            for pid in self._orphans():
                _signal(pid, number)
            while self._orphans():
                if time.monotonic() > deadline:
                    break
                time.sleep(_LOOK_AGAIN)
            else:
                return

    def _orphans(self) -> list[int]:
        """Adopted processes that still run; those that have ended are reaped here."""
        adopted = set(list_children(os.getpid())) - self._before
        return sorted(pid for pid in adopted if not _reap(pid))


def list_children(pid: int) -> list[int]:
    """Return the process ids of the direct children of `pid`; none except on Linux.

    Source: proc_pid_stat(5): the parent is the second word after the name in parentheses.
    """
    found = []
    for listing in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = listing.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
            continue
        if int(words[1]) == pid:
            found.append(int(listing.parent.name))
    return found


def _adopt_orphans(adopt: bool) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, int(adopt))


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except OSError as problem:
        if problem.errno != errno.ESRCH:
            raise


def _reap(pid: int) -> bool:
    """Whether the child `pid` has ended."""
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return True
