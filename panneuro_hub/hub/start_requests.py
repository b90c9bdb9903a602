"""Requests for a start of a server that runs, starts or stops already.

JupyterHub answers such a request with the running server, whatever project it works in, or
with an error. `StartPageHandler` takes its place: the routes of an authenticator come first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from jupyterhub.handlers.pages import SpawnHandler
from jupyterhub.scopes import needs_scope
from jupyterhub.utils import url_escape_path, url_path_join
from tornado import web

from panneuro_hub.hub.start_choice import read_copy_choice, read_start_form
from panneuro_hub.pages import load_templates

_OPTION = "opt-"  # before the name of an option in a link, such as opt-project
_templates = load_templates("panneuro_hub.hub")


class StartOutcome(Enum):
    """The effect of a request for a start."""

    START = "start"  # as JupyterHub does it
    PROGRESS = "progress"  # of the start, or the stop, that is under way
    SERVER = "server"  # the running one
    ELSEWHERE = "elsewhere"  # a sentence: the server works in another project


@dataclass(frozen=True)
class ServerState:
    """A server at the moment of a request.

    Parameters
    ----------
    is_ready : bool
    pending : str or None
        What is under way, in JupyterHub's words: ``spawn``, ``stop``, ``check``.
    project : str or None
        Where it works, or will; `None` where that is not known yet.
    """

    is_ready: bool
    pending: str | None
    project: str | None


def decide_start_outcome(server: ServerState, wanted: str | None) -> StartOutcome:
    """Return what a request leads to.

    Parameters
    ----------
    server : ServerState
    wanted : str or None
        The project that the request names.
    """
    if not (server.is_ready or server.pending):
        return StartOutcome.START
    if server.pending == "stop":
        return StartOutcome.PROGRESS
    if wanted and server.project and wanted != server.project:
        return StartOutcome.ELSEWHERE
    return StartOutcome.SERVER if server.is_ready else StartOutcome.PROGRESS


def read_requested_project(
    query: Mapping[str, Sequence[str]], form: Mapping[str, Sequence[str]]
) -> str:
    """Return the project that a link or a submitted form names, or ``""``.

    Parameters
    ----------
    query, form : mapping of str to sequence of str
        Untrusted: what is returned is only compared and shown.
    """
    options = {name.removeprefix(_OPTION): values for name, values in query.items()}
    for fields in (form, options):
        project = read_start_form(fields).get("project")
        if isinstance(project, str) and project:
            return project
    return read_copy_choice(query.get("next", [""])[0]).get("project", "")


def explain_other_project(server: ServerState, name: str, wanted: str) -> str:
    """Return the sentence for a request that names another project than the server's."""
    which = f"Your server {name}" if name else "Your server"
    does = "works" if server.is_ready else "is starting"
    return (
        f"{which} {does} in the project {server.project}, and you asked for {wanted}. A server "
        "works in one project only."
    )


class StartPageHandler(SpawnHandler):
    """The start page, which says what runs already."""

    def get(self, user_name: str | None = None, server_name: str = "") -> Any:
        """Show the form, start what the link names, or say what runs already."""
        return self._answer(super().get, user_name, server_name)

    def post(self, user_name: str | None = None, server_name: str = "") -> Any:
        """Start what the form says, or show what is under way already."""
        return self._answer(super().post, user_name, server_name)

    def _answer(self, go_on: Callable[..., Any], user_name: str | None, server_name: str) -> Any:
        if self.current_user is None:
            return go_on(user_name, server_name)  # to the login
        return self._answer_for(user_name or self.current_user.name, server_name or "", go_on)

    @needs_scope("servers")  # type: ignore[untyped-decorator]
    async def _answer_for(self, user_name: str, server_name: str, go_on: Callable[..., Any]) -> Any:
        user = self.find_user(user_name)
        state = self._state(user, server_name)
        wanted = read_requested_project(self._texts("query"), self._texts("body"))
        outcome = decide_start_outcome(state, wanted)
        if outcome is StartOutcome.PROGRESS:
            self.redirect(self._get_pending_url(user, server_name))
        elif outcome is StartOutcome.SERVER:
            self.redirect(self.get_next_url(user, default=user.server_url(server_name)))
        elif outcome is StartOutcome.ELSEWHERE:
            self._refuse(user, server_name, state, wanted)
        else:
            await go_on(user_name, server_name)

    async def spawn_single_user(
        self, user: Any, server_name: str = "", display_name: str = "", options: Any = None
    ) -> None:
        """Start a server; a second request at the same moment waits for the first one's start."""
        state = self._state(user, server_name)
        project = (options or {}).get("project", "") if isinstance(options, dict) else ""
        outcome = decide_start_outcome(state, project if isinstance(project, str) else "")
        if outcome is StartOutcome.ELSEWHERE:
            self._refuse(user, server_name, state, project)
        if outcome is StartOutcome.START:
            await super().spawn_single_user(user, server_name, display_name, options=options)

    def _state(self, user: Any, server_name: str) -> ServerState:
        spawner = user.spawners.get(server_name) if user is not None else None
        if spawner is None or not spawner.active:
            return ServerState(False, None, None)
        # An admin's own spawner class knows no projects.
        project = getattr(spawner, "project", None)
        return ServerState(spawner.ready, spawner.pending, project)

    def _texts(self, where: str) -> dict[str, list[str]]:
        given = getattr(self.request, f"{where}_arguments")
        return {
            name: [value.decode("utf-8", "replace") for value in values]
            for name, values in given.items()
        }

    def _refuse(self, user: Any, server_name: str, state: ServerState, wanted: str) -> None:
        base = self.hub.base_url
        spawn = url_path_join(base, "spawn-pending", user.escaped_name, "")
        self.extra_error_html = _templates.get_template("elsewhere.html").render(
            project=state.project,
            wanted=wanted,
            is_ready=state.is_ready,
            server=url_path_join(spawn, url_escape_path(server_name)),
            home=url_path_join(base, "home"),
        )
        raise web.HTTPError(409, explain_other_project(state, server_name, wanted))


def build_start_routes() -> list[tuple[str, type[StartPageHandler]]]:
    """Return the routes of the start page."""
    return [
        (r"/spawn", StartPageHandler),
        (r"/spawn/([^/]+)", StartPageHandler),
        (r"/spawn/([^/]+)/([^/]+)", StartPageHandler),
    ]
