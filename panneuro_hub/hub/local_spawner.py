"""Servers as simple local processes, for the demo, tests and trying things out.

All of them run as the hub's own user, so nothing keeps one person's server from
reading another's files: never use this for people who must not see each other's data.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from jupyterhub.spawner import SimpleLocalProcessSpawner
from traitlets import default

from panneuro_hub.collaboration import Collaboration
from panneuro_hub.errors import PanNeuroError
from panneuro_hub.hub.session_mixin import SessionMixin
from panneuro_hub.hub.start_choice import StartChoice
from panneuro_hub.pod.home_volumes import SHARED_NAME, make_home_path, make_shared_path
from panneuro_hub.wire import Ticket


def make_private_folder(base: Path, folder: Path) -> None:
    """Make a folder below `base`, and each on the way to it.

    Raises
    ------
    PanNeuroError
        If something else is there, such as a link that leads elsewhere.
    """
    base.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = base
    for part in folder.relative_to(base).parts:
        path = path / part
        with contextlib.suppress(FileExistsError):
            path.mkdir(mode=0o755)
        if path.is_symlink() or not path.is_dir():
            raise PanNeuroError(f"{path} is not a folder; move it away, and start again")


class PanNeuroLocalSpawner(SessionMixin, SimpleLocalProcessSpawner):
    """A local process whose agent is a thread of it; see `panneuro_hub.agent.singleuser_server`."""

    home_dir: Any  # SimpleLocalProcessSpawner's trait, which has no type of its own
    _folder: Path | None = None

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._own_folder = Path(self.home_dir)

    @default("cmd")
    def _cmd_default(self) -> list[str]:
        return [sys.executable, "-m", "panneuro_hub.agent.singleuser_server"]

    def apply_choice(self, collaboration: Collaboration, choice: StartChoice) -> None:
        """Set the home of the project that was chosen, and make it."""
        super().apply_choice(collaboration, choice)
        home = self._own_folder
        if self.home_plan.scope == "project":
            home = Path(make_home_path(self._own_folder, choice.project))
            make_private_folder(self._own_folder, home)
            if self.home_plan.has_shared_folder:
                self._share(home)
        self.home_dir = str(home)

    def _share(self, home: Path) -> None:
        shared = Path(make_shared_path(self._own_folder))
        make_private_folder(self._own_folder, shared)
        # A reminder, no protection: all servers run as one account of this machine.
        shared.chmod(0o555 if self.home_plan.shared == "read-only" else 0o755)
        link = home / SHARED_NAME
        if not link.is_symlink() and not link.exists():
            link.symlink_to(os.path.relpath(shared, home), target_is_directory=True)

    async def store_ticket(self, ticket: Ticket) -> None:
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
