"""A Dask scheduler's or worker's agent, as threads of its process.

``dask worker --preload panneuro_hub.agent.dask_preload`` (``dask scheduler`` alike) starts the
session's agent before the process does any work, and sets the variables by which every
S3 client in it finds the agent. It is for Dask's servers that are simple processes; in
Kubernetes the agent is a sidecar.

A worker's nanny only starts the worker: the preload runs in the worker's own process, so
each one has an agent, a port and a token file of its own, also after the nanny has
started it again. Servers that share a process share the agent.
"""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from panneuro_hub.agent.credential_agent import AgentSettings, CredentialAgent, set_up_logging
from panneuro_hub.agent.in_process import start_agent
from panneuro_hub.agent.service_client import AgentSettingsError

log = logging.getLogger("panneuro_hub.agent")


class SharedAgent:
    """One agent for all users of a process: started for the first, stopped after the last.

    Parameters
    ----------
    start : callable
        Starts the agent.
    """

    def __init__(self, start: Callable[[], CredentialAgent]) -> None:
        self._start = start
        self._lock = threading.Lock()
        self._agent: CredentialAgent | None = None
        self._users = 0

    def acquire(self) -> None:
        """Become a user; the first one starts the agent.

        Raises
        ------
        AgentSettingsError
            If it cannot be started.
        """
        with self._lock:
            if self._agent is None:
                self._agent = self._start()
            self._users += 1

    def release(self) -> None:
        """Be a user no more; the last one stops the agent."""
        with self._lock:
            self._users = max(self._users - 1, 0)
            if self._users == 0:
                self._stop()

    def stop_now(self) -> None:
        """Stop the agent, whoever uses it."""
        with self._lock:
            self._users = 0
            self._stop()

    def _stop(self) -> None:
        if self._agent is not None:
            self._agent.stop()
            self._agent = None


def _start_agent() -> CredentialAgent:
    if not log.handlers:
        set_up_logging()
    settings = AgentSettings.from_environment(os.environ)
    # Several processes of one machine have the same environment: none may take another's port,
    # or write another's token file.
    return start_agent(replace(settings, port=0, token_file=None), os.environ)


_shared_agent = SharedAgent(_start_agent)
# A worker without a nanny ends at a signal without its teardown.
atexit.register(_shared_agent.stop_now)


def dask_setup(server: Any) -> None:
    """Start the agent; Dask calls this in the process of `server`, before its first task.

    Raises
    ------
    SystemExit
        If it cannot be started. Dask passes over every other exception, and the process
        would compute without keys, or with keys that it found elsewhere.
    """
    try:
        _shared_agent.acquire()
    except AgentSettingsError as problem:
        log.error("%s does not start without its agent: %s", type(server).__name__, problem)
        sys.exit(1)


def dask_teardown(server: Any) -> None:
    """Stop the agent, after the last server of this process has closed."""
    _shared_agent.release()
