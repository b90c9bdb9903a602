"""The collaboration in force: it follows changes of its file, and outlasts an invalid file."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from panneuro_hub import collaboration as room
from panneuro_hub.collaboration import Collaboration
from panneuro_hub.errors import CollaborationError, PanNeuroError
from panneuro_hub.policy import review_policy_sizes
from panneuro_hub.wire.credential import format_time

CHECK_INTERVAL_SECONDS = 1.0  # seconds
_NAME_LENGTH = 12  # hexadecimal digits, enough to tell one file's versions apart


def load_collaboration(path: str | os.PathLike[str]) -> Collaboration:
    """Read a collaboration file, with every check that there is.

    Raises
    ------
    CollaborationError
        With every problem found.
    """
    return read_collaboration(path)[1]


def read_collaboration(path: str | os.PathLike[str]) -> tuple[str, Collaboration]:
    """Return the text of a file and its collaboration; raises as `load_collaboration`."""
    text = room.read_yaml_text(path)
    return text, _checked(text, os.fspath(path))


@dataclass(frozen=True)
class CollaborationVersion:
    """One valid text of the collaboration file.

    Parameters
    ----------
    text : str
        The whole file.
    since : datetime
        Aware; when it came into force.
    """

    text: str = field(repr=False)
    since: datetime

    @property
    def name(self) -> str:
        """Twelve hexadecimal digits of the text's SHA-256, as ``sha256sum`` prints them."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:_NAME_LENGTH]

    def __str__(self) -> str:
        return f"version {self.name} of {self.since.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


@dataclass(frozen=True)
class CollaborationSnapshot:
    """The version in force at one moment, and the problem of the file at that moment.

    Parameters
    ----------
    collaboration : Collaboration
        The last valid one.
    version : CollaborationVersion
        Its text.
    problem : CollaborationError or None
        What is wrong with the file.
    broken_since : datetime or None
        Aware; when the file was first seen broken, or `None` while it is valid.
    """

    collaboration: Collaboration
    version: CollaborationVersion
    problem: CollaborationError | None = None
    broken_since: datetime | None = None


@dataclass(frozen=True)
class _FilePrint:
    """Properties that distinguish the states of a file without reading it."""

    modified: int
    size: int
    inode: int
    device: int

    @classmethod
    def of(cls, path: Path) -> _FilePrint | None:
        """Return the print of the file that `path` leads to; `None` if there is none.

        A ConfigMap changes by moving a link to another folder, so the links are followed.
        """
        try:
            found = path.stat()
        except (OSError, ValueError):
            return None  # reading the file says what is wrong with it
        return cls(found.st_mtime_ns, found.st_size, found.st_ino, found.st_dev)


@dataclass(frozen=True)
class _FileState:
    """The whole state of `Current`, replaced as one object so that no reader sees half of it.

    `settled` is `False` until the file was read again a look after it changed: a
    second write within one tick of the file system's clock leaves no other mark.
    """

    snapshot: CollaborationSnapshot
    print: _FilePrint | None
    settled: bool
    looked: float


class Current:
    """The collaboration of a file, followed as the file changes; safe to use from any thread.

    If the file is invalid, the last valid version stays in force, and the log gets every
    problem once.

    Parameters
    ----------
    path : str or path-like
        The collaboration file. Its links are followed at every look.
    log : logging.Logger, optional
        Where changes are told; by default the logger of this module.
    clock : callable
        Seconds that only grow, as `time.monotonic`.
    stored : CollaborationVersion, optional
        The last valid version of an earlier process. It is in force if the file is broken
        from the first, after every check that a file has to pass.
    now : callable
        Gives the time, aware.

    Raises
    ------
    CollaborationError
        If the file is broken from the first, and no valid version is stored.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        log: logging.Logger | None = None,
        clock: Callable[[], float] = time.monotonic,
        *,
        stored: CollaborationVersion | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._path = Path(path)
        self._log = log or logging.getLogger(__name__)
        self._clock = clock
        self._now = now
        self._reading = threading.Lock()
        found = _FilePrint.of(self._path)
        self._saved = stored.name if stored is not None else None
        self._state = _FileState(self._first(stored), found, settled=False, looked=clock())

    @property
    def collaboration(self) -> Collaboration:
        """The last good one; at most a second, and the reading, older than the file."""
        return self.look().collaboration

    @property
    def problem(self) -> CollaborationError | None:
        """The problem of the file now, or `None`."""
        return self.look().problem

    @property
    def unsaved(self) -> CollaborationVersion | None:
        """The version in force, if it is not yet where the next process finds it."""
        version = self._state.snapshot.version
        return None if version.name == self._saved else version

    def report_saved(self, version: CollaborationVersion) -> None:
        """Take note that a version is where the next process finds it."""
        self._saved = version.name

    def look(self) -> CollaborationSnapshot:
        """Return what is in force now, after a look at the file if the last one is old."""
        # If another thread reads the file, this one uses the current state and does not wait.
        if self._due() and self._reading.acquire(blocking=False):
            try:
                if self._due():
                    self._state = self._next(self._state)
            finally:
                self._reading.release()
        return self._state.snapshot

    def _first(self, stored: CollaborationVersion | None) -> CollaborationSnapshot:
        try:
            text, collaboration = read_collaboration(self._path)
        except CollaborationError as problem:
            return self._restored(stored, problem)
        version = CollaborationVersion(text, self._now())
        if stored is not None and stored.name == version.name:
            version = stored
        self._log.info("%s: %s is in force", self._path, version)
        return CollaborationSnapshot(collaboration, version)

    def _restored(
        self, stored: CollaborationVersion | None, problem: CollaborationError
    ) -> CollaborationSnapshot:
        """Return what an earlier process had in force: rights may be in it that are gone since."""
        if stored is None:
            raise problem
        try:
            collaboration = _checked(stored.text, "the last valid version")
        except CollaborationError as error:
            raise CollaborationError((*problem.problems, *error.problems)) from error
        self._log_broken(stored, problem)
        return CollaborationSnapshot(collaboration, stored, problem, self._now())

    def _due(self) -> bool:
        return self._clock() - self._state.looked >= CHECK_INTERVAL_SECONDS

    def _next(self, state: _FileState) -> _FileState:
        found = _FilePrint.of(self._path)
        looked = self._clock()
        if found == state.print and state.settled:
            return replace(state, looked=looked)
        snapshot = self._read_after(state.snapshot)
        if _FilePrint.of(self._path) != found:
            # It changed while it was read, perhaps half written: read it at the next look.
            return replace(state, looked=looked, settled=False)
        self._log_change(state.snapshot, snapshot)
        return _FileState(snapshot, found, settled=found == state.print, looked=looked)

    def _read_after(self, before: CollaborationSnapshot) -> CollaborationSnapshot:
        try:
            text, collaboration = read_collaboration(self._path)
        except CollaborationError as problem:
            return replace(before, problem=problem, broken_since=before.broken_since or self._now())
        version = before.version
        if text != version.text:
            version = CollaborationVersion(text, self._now())
        if collaboration == before.collaboration:
            collaboration = before.collaboration  # what others keep for this object stays good
        return CollaborationSnapshot(collaboration, version)

    def _log_change(self, before: CollaborationSnapshot, after: CollaborationSnapshot) -> None:
        if after.problem is not None:
            if str(after.problem) != str(before.problem):
                self._log_broken(after.version, after.problem)
        elif before.problem is not None:
            self._log.info(
                "%s: the collaboration file is good again; %s is in force",
                self._path,
                after.version,
            )
        elif after.collaboration != before.collaboration:
            self._log.info(
                "%s: the collaboration has changed; %s is in force", self._path, after.version
            )

    def _log_broken(self, version: CollaborationVersion, problem: CollaborationError) -> None:
        self._log.error(
            "the collaboration file is broken; %s stays in force:\n%s", version, problem
        )


async def follow_collaboration(
    current: Current,
    save: Callable[[CollaborationVersion], Awaitable[None]] | None = None,
    log: logging.Logger | None = None,
) -> None:
    """Look at the file every second until cancelled, whether or not anybody needs it.

    Parameters
    ----------
    current : Current
    save : callable, optional
        Puts a version where the next process finds it, or raises a PanNeuroError; it is then
        called again later.
    log : logging.Logger, optional
        Where failures are told, each once; by default the logger of this module.
    """
    log = log or logging.getLogger(__name__)
    told = ""
    while True:
        failure = ""
        try:
            await asyncio.to_thread(current.look)  # a large file takes seconds to read
            await _save(current, save)
        except PanNeuroError as error:
            failure = f"the valid version could not be kept for the next start: {error}"
        except Exception as error:
            failure = f"the look at the collaboration file failed ({type(error).__name__})"
            log.exception(failure)  # and look again: the next one may find what this did not
        if failure and failure != told:
            log.warning(failure)
        told = failure
        await asyncio.sleep(CHECK_INTERVAL_SECONDS)


async def _save(
    current: Current, save: Callable[[CollaborationVersion], Awaitable[None]] | None
) -> None:
    version = current.unsaved
    if save is not None and version is not None:
        await save(version)
        current.report_saved(version)


def build_health_report(snapshot: CollaborationSnapshot) -> dict[str, Any]:
    """Return what a health page says of the collaboration, as JSON; it names no problem.

    Health pages are public, and a problem can name teams and people.
    """
    broken = snapshot.broken_since
    return {
        "status": "ok" if snapshot.problem is None else "the collaboration file is broken",
        "collaboration": snapshot.collaboration.name,
        "version": snapshot.version.name,
        "in_force_since": format_time(snapshot.version.since),
        "problems": len(snapshot.problem.problems) if snapshot.problem else 0,
        "broken_since": format_time(broken) if broken else None,
    }


def _checked(text: str, file: str) -> Collaboration:
    return room.load_text_with_checks(text, file, checks=[review_policy_sizes])
