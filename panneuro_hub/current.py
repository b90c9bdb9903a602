"""The collaboration as it is now: read again when its file changes, kept when that is broken."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from panneuro_hub import collaboration as room
from panneuro_hub.collaboration import Collaboration
from panneuro_hub.errors import CollaborationError
from panneuro_hub.policy import review

LOOK_EVERY = 1.0  # seconds


def load(path: str | os.PathLike[str]) -> Collaboration:
    """Read a collaboration file, with every check that there is.

    Raises
    ------
    CollaborationError
        With every problem found.
    """
    return room.load(path, checks=[review])


@dataclass(frozen=True)
class _Print:
    """What tells one state of a file from another, without reading it."""

    modified: int
    size: int
    inode: int
    device: int

    @classmethod
    def of(cls, path: Path) -> _Print | None:
        """Of the file that `path` leads to in the end; `None` where it leads nowhere.

        A ConfigMap changes by moving a link to another folder, so the links are followed.
        """
        try:
            found = path.stat()
        except (OSError, ValueError):
            return None  # reading the file says what is wrong with it
        return cls(found.st_mtime_ns, found.st_size, found.st_ino, found.st_dev)


@dataclass(frozen=True)
class _State:
    """All that `Current` knows, replaced as a whole so that no reader sees half of it.

    `settled` is `False` until the file was read again a look after it changed: a
    second write within one tick of the file system's clock leaves no other mark.
    """

    collaboration: Collaboration
    problem: CollaborationError | None
    print: _Print | None
    settled: bool
    looked: float


class Current:
    """The collaboration of a file, followed as the file changes; safe to use from any thread.

    A broken file keeps the collaboration that was read before, and is told once in
    the log, with every problem.

    Parameters
    ----------
    path : str or path-like
        The collaboration file.
    log : logging.Logger, optional
        Where changes are told; by default the logger of this module.
    clock : callable
        Seconds that only grow, as `time.monotonic`.

    Raises
    ------
    CollaborationError
        If the file is broken from the first.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        log: logging.Logger | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = Path(path)
        self._log = log or logging.getLogger(__name__)
        self._clock = clock
        self._reading = threading.Lock()
        found = _Print.of(self._path)
        self._state = _State(load(self._path), None, found, settled=False, looked=clock())

    @property
    def collaboration(self) -> Collaboration:
        """The last good one; at most a second, and the reading, older than the file."""
        return self._look().collaboration

    @property
    def problem(self) -> CollaborationError | None:
        """What is wrong with the file now, or `None`."""
        return self._look().problem

    def _look(self) -> _State:
        # Who comes while another thread reads takes what there is and does not wait.
        if self._due() and self._reading.acquire(blocking=False):
            try:
                if self._due():
                    self._state = self._next(self._state)
            finally:
                self._reading.release()
        return self._state

    def _due(self) -> bool:
        return self._clock() - self._state.looked >= LOOK_EVERY

    def _next(self, state: _State) -> _State:
        found = _Print.of(self._path)
        looked = self._clock()
        if found == state.print and state.settled:
            return replace(state, looked=looked)
        collaboration, problem = state.collaboration, None
        try:
            collaboration = load(self._path)
        except CollaborationError as error:
            problem = error
        if _Print.of(self._path) != found:
            # It changed while it was read, perhaps half written: read it at the next look.
            return replace(state, looked=looked, settled=False)
        self._tell(state, collaboration, problem)
        if collaboration == state.collaboration:
            collaboration = state.collaboration  # what others keep for this object stays good
        return _State(collaboration, problem, found, settled=found == state.print, looked=looked)

    def _tell(
        self, state: _State, collaboration: Collaboration, problem: CollaborationError | None
    ) -> None:
        if problem is not None:
            if str(problem) != str(state.problem):
                self._log.error(
                    "the collaboration file is broken; what was read before stays in force:\n%s",
                    problem,
                )
        elif state.problem is not None:
            self._log.info("%s: the collaboration file is good again, and in force", self._path)
        elif collaboration != state.collaboration:
            self._log.info("%s: the collaboration has changed, and is in force", self._path)
