"""Servers as simple local processes, for the demo, tests and trying things out.

All of them run as the hub's own user, so nothing keeps one person's server from
reading another's files: never use this for people who must not see each other's data.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from jupyterhub.spawner import SimpleLocalProcessSpawner
from traitlets import default

from panneuro_hub.hub.sessions import SessionMixin
from panneuro_hub.wire import Ticket


class PanNeuroLocalSpawner(SessionMixin, SimpleLocalProcessSpawner):
    """A local process whose agent is a thread of it; see `panneuro_hub.lab.singleuser`."""

    _folder: Path | None = None

    @default("cmd")
    def _cmd_default(self) -> list[str]:
        return [sys.executable, "-m", "panneuro_hub.lab.singleuser"]

    async def keep_ticket(self, ticket: Ticket) -> None:
        """Write the ticket into a private folder (0700), readable by this user only."""
        self._remove_folder()
        self._folder = Path(tempfile.mkdtemp(prefix="panneuro-"))
        path = self._folder / "ticket"
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(ticket.encode())

    def get_env(self) -> dict[str, Any]:
        """The environment of the server, which says where its ticket is."""
        env = super().get_env()
        if self._folder is not None:
            env["PANNEURO_TICKET_FILE"] = str(self._folder / "ticket")
        return env

    async def stop(self, now: bool = False) -> None:
        """Stop the process and remove its ticket."""
        await super().stop(now)
        self._remove_folder()

    def get_state(self) -> dict[str, Any]:
        """The state to keep, with where the ticket is."""
        state = super().get_state()
        if self._folder is not None:
            state["panneuro_folder"] = str(self._folder)
        return state

    def load_state(self, state: dict[str, Any]) -> None:
        """Take up a running process, and its ticket's folder."""
        super().load_state(state)
        if "panneuro_folder" in state:
            self._folder = Path(state["panneuro_folder"])

    def clear_state(self) -> None:
        """Forget the process, and remove its ticket if it ended by itself."""
        super().clear_state()
        self._remove_folder()

    def _remove_folder(self) -> None:
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None
