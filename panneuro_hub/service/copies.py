"""Where a person can open a copy of a notebook: in which server, or by starting which; pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from panneuro_hub.catalog.published import Published
from panneuro_hub.wire.copies import copy_query
from panneuro_hub.wire.member import Member, RunningSession

_NAME_LENGTH = 24


@dataclass(frozen=True)
class Server:
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
class Ways:
    """How a person comes to a copy.

    Parameters
    ----------
    here : tuple of Server
        Their servers in the notebook's project.
    default : Server or None
        Their default one where it works in another project, and so is in the way.
    start : str or None
        Where to start one; `None` where none can be started now.
    image : str
        The image that the notebook ran in; ``""`` where that is not known.
    """

    here: tuple[Server, ...]
    default: Server | None
    start: str | None
    image: str

    @property
    def straight(self) -> str | None:
        """Where to go at once, if there is nothing to choose or to be told."""
        if len(self.here) == 1 and self.suits(self.here[0]):
            return self.here[0].url
        return self.start if not self.here and self.default is None else None

    def suits(self, server: Server) -> bool:
        """Whether a server runs what the notebook ran in, as far as is known."""
        return not self.image or server.image in (None, self.image)


def ways_to(member: Member, published: Published, hub: str) -> Ways:
    """How somebody comes to a copy of a notebook.

    Parameters
    ----------
    member : Member
        With the sessions that run now.
    hub : str
        Path of the hub, such as ``/hub/``.
    """
    servers = [_server(member, session, published, hub) for session in member.sessions]
    here = tuple(server for server in servers if server.project == published.project)
    default = next((server for server in servers if not server.name), None)
    in_the_way = default if default is not None and default not in here else None
    name: str | None = ""
    if default is not None:
        taken = {server.name for server in servers}
        name = _free_name(published.project, taken) if member.may_have_more else None
    start = None if name is None else _start(member, name, published, hub)
    return Ways(here, in_the_way, start, published.environment.image)


def _server(member: Member, session: RunningSession, published: Published, hub: str) -> Server:
    url = _lab(member, session.server, hub, copy_query(published.label))
    return Server(session.server, session.project, session.image, url)


def _start(member: Member, name: str, published: Published, hub: str) -> str:
    # Beside `next`, each field of a query would start a server at once: a link must not do that.
    # So the form looks there for what to tick.
    on = _lab(member, name, hub, copy_query(published.label, published.environment.image))
    return f"{hub}spawn/{_path(member, name)}?{urlencode({'next': on}, quote_via=quote)}"


def _lab(member: Member, name: str, hub: str, query: str) -> str:
    return f"{hub.removesuffix('hub/')}user/{_path(member, name)}/lab?{query}"


def _path(member: Member, name: str) -> str:
    person = quote(member.name, safe="@~")
    return f"{person}/{quote(name, safe='')}" if name else person


def _free_name(project: str, taken: set[str]) -> str:
    """A server's name that JupyterHub takes: up to 30 of ``[a-z0-9-]``, a letter first."""
    plain = re.sub("-+", "-", project)
    wanted = (plain if plain[0].isalpha() else f"p-{plain}")[:_NAME_LENGTH].strip("-")
    numbered = (f"{wanted}-{number}" for number in range(2, len(taken) + 3))
    return next(name for name in (wanted, *numbered) if name not in taken)
