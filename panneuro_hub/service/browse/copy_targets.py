"""Where a person can open a copy of a notebook: in which server, or by starting which; pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from panneuro_hub.catalog.notebook_records import NotebookRecord
from panneuro_hub.wire.copy_links import build_copy_query
from panneuro_hub.wire.hub_member import HubMember, RunningSession

_NAME_LENGTH = 24


@dataclass(frozen=True)
class RunningServer:
    """A server of a person's that runs.

    Parameters
    ----------
    name : str
        ``""`` for the default one.
    project : str
    image : str or None
    url : str
        Where it opens the copy.
    """

    name: str
    project: str
    image: str | None
    url: str


@dataclass(frozen=True)
class CopyTargets:
    """How a person comes to a copy.

    Parameters
    ----------
    project_servers : tuple of RunningServer
        Their servers in the notebook's project.
    default : RunningServer or None
        Their default one where it works in another project, and so is in the way.
    start : str or None
        Where to start one; `None` where none can be started now.
    image : str
        The image that the notebook ran in; ``""`` where that is not known.
    """

    project_servers: tuple[RunningServer, ...]
    default: RunningServer | None
    start: str | None
    image: str

    @property
    def direct_url(self) -> str | None:
        """Where to go at once, if there is nothing to choose or to be told."""
        if len(self.project_servers) == 1 and self.has_image(self.project_servers[0]):
            return self.project_servers[0].url
        return self.start if not self.project_servers and self.default is None else None

    def has_image(self, server: RunningServer) -> bool:
        """Whether a server runs what the notebook ran in, as far as is known."""
        return not self.image or server.image in (None, self.image)


def find_copy_targets(member: HubMember, published: NotebookRecord, hub: str) -> CopyTargets:
    """How somebody comes to a copy of a notebook.

    Parameters
    ----------
    member : HubMember
        With the sessions that run now.
    hub : str
        Path of the hub, such as ``/hub/``.
    """
    servers = [_make_server(member, session, published, hub) for session in member.sessions]
    project_servers = tuple(server for server in servers if server.project == published.project)
    default = next((server for server in servers if not server.name), None)
    blocking_server = default if default is not None and default not in project_servers else None
    name: str | None = ""
    if default is not None:
        taken = {server.name for server in servers}
        name = _find_free_name(published.project, taken) if member.may_have_more else None
    start = None if name is None else _make_start_url(member, name, published, hub)
    return CopyTargets(project_servers, blocking_server, start, published.environment.image)


def _make_server(
    member: HubMember, session: RunningSession, published: NotebookRecord, hub: str
) -> RunningServer:
    url = _make_lab_url(member, session.server, hub, build_copy_query(published.label))
    return RunningServer(session.server, session.project, session.image, url)


def _make_start_url(member: HubMember, name: str, published: NotebookRecord, hub: str) -> str:
    # Beside `next`, each field of a query would start a server at once: a link must not do that.
    # So the form looks there for what to tick.
    on = _make_lab_url(
        member, name, hub, build_copy_query(published.label, published.environment.image)
    )
    return (
        f"{hub}spawn/{_make_server_path(member, name)}?{urlencode({'next': on}, quote_via=quote)}"
    )


def _make_lab_url(member: HubMember, name: str, hub: str, query: str) -> str:
    return f"{hub.removesuffix('hub/')}user/{_make_server_path(member, name)}/lab?{query}"


def _make_server_path(member: HubMember, name: str) -> str:
    person = quote(member.name, safe="@~")
    return f"{person}/{quote(name, safe='')}" if name else person


def _find_free_name(project: str, taken: set[str]) -> str:
    """A server's name that JupyterHub takes: up to 30 of ``[a-z0-9-]``, a letter first."""
    plain = re.sub("-+", "-", project)
    wanted = (plain if plain[0].isalpha() else f"p-{plain}")[:_NAME_LENGTH].strip("-")
    numbered = (f"{wanted}-{number}" for number in range(2, len(taken) + 3))
    return next(name for name in (wanted, *numbered) if name not in taken)
