"""Run the agent of a Dask scheduler or worker as threads of its process.

``dask worker --preload panneuro_hub.agent.dask_preload`` (or ``dask scheduler`` with the same
option) starts the session's agent before the process does any work, and sets the variables
through which every S3 client in the process finds the agent. Use it for Dask servers that are
plain processes; in Kubernetes, the agent is a sidecar.

The preload runs in the worker's own process, not in its nanny. Each worker therefore has its own
agent, port and token file, also after the nanny has restarted it. Servers that share a process
share the agent.
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
    """One agent for all users in a process: the first one starts it, the last one stops it.

    Parameters
    ----------
    start : callable
        Starts the agent and returns it.
    """

    def __init__(self, start: Callable[[], CredentialAgent]) -> None:
        self._start = start
        self._lock = threading.Lock()
        self._agent: CredentialAgent | None = None
        self._users = 0

    def acquire(self) -> None:
        """Register a user, and start the agent for the first one.

        Raises
        ------
        AgentSettingsError
            If the agent does not start.
        """
        with self._lock:
            if self._agent is None:
                self._agent = self._start()
            self._users += 1

    def release(self) -> None:
        """Release the agent, and stop it when nobody else uses it."""
        with self._lock:
            self._users = max(self._users - 1, 0)
            if self._users == 0:
                self._stop()

    def stop_now(self) -> None:
        """Stop the agent, even if somebody uses it."""
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
    # Several processes of one machine have the same environment. Each needs its own port and its
    # own token file.
    return start_agent(replace(settings, port=0, token_file=None), os.environ)


_shared_agent = SharedAgent(_start_agent)
# A worker without a nanny ends at a signal, and Dask does not call `dask_teardown`.
atexit.register(_shared_agent.stop_now)


def dask_setup(server: Any) -> None:
    """Start the agent; Dask calls this in the process of `server`, before its first task.

    Raises
    ------
    SystemExit
        If the agent does not start. Dask ignores every other exception, and the process
        would compute without a credential, or with one that it found elsewhere.
    """
    try:
        _shared_agent.acquire()
    except AgentSettingsError as problem:
        log.error("%s does not start without its agent: %s", type(server).__name__, problem)
        sys.exit(1)


def dask_teardown(server: Any) -> None:
    """Stop the agent, after the last server of this process has closed."""
    _shared_agent.release()
