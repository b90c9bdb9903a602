"""A hub's REST API for the service's few requests, over real HTTP; the test sets its answers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tornado import web
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port

from panneuro_hub.wire import Ticket
from panneuro_hub.wire.api_token import hash_api_token
from panneuro_hub.wire.hub_member import (
    MEMBERS_PATH,
    UNKNOWN_MEMBER,
    HubMember,
    MemberGroups,
    RunningSession,
    format_member_list,
)

TOKEN = "token-of-the-service"
# The provider's group that makes each team of the example collaboration.
GROUPS = {
    "navigation-lab": "u19-circuits:navigation",
    "categorization-lab": "u19-circuits:categorization",
    "human-lab": "u19-circuits:human",
    "theory-lab": "u19-circuits:theory",
    "data-science-core": "u19-circuits:data-science",
    "administrative-core": "u19-circuits:admin",
    "human-subjects-trained": "u19-circuits:irb-trained",
}


def user(
    ticket: Ticket, *teams: str, project: str = "nhp-navigation", api_token: str = "server-token"
) -> HubMember:
    """A person with a running server, as the hub describes them."""
    digest = hash_api_token(api_token)
    session = RunningSession("s1", project, ticket.name, ticket.digest, "neuro", digest)
    return member(ticket.user, *(teams or ("navigation-lab",)), sessions=(session,))


def member(name: str, *teams: str, sessions: tuple[RunningSession, ...] = ()) -> HubMember:
    """A person of some teams."""
    groups = frozenset(GROUPS[team] for team in teams)
    return HubMember(name, f"account-of-{name}", groups, datetime.now(UTC), sessions)


@dataclass
class SmallHub:
    """What a hub knows, and what it was asked.

    Parameters
    ----------
    users : dict
        By name, as the hub describes them.
    owners : dict
        Whose a token is, as ``GET /user`` says it.
    """

    users: dict[str, Any] = field(default_factory=dict)
    owners: dict[str, Any] = field(default_factory=dict)
    status: int = 200
    asked: int = 0
    names: list[str] = field(default_factory=list)
    announcement: str | None = None
    url: str = ""
    # Questions about these names wait until the test lets them.
    slow: frozenset[str] = frozenset()
    may_answer: asyncio.Event = field(default_factory=asyncio.Event)
    waiting: int = 0

    async def hold(self, name: str) -> None:
        """Wait, if questions about `name` do."""
        if "*" in self.slow or name in self.slow:
            self.waiting += 1
            await self.may_answer.wait()
            self.waiting -= 1

    def app(self) -> web.Application:
        """Its API."""
        given = {"hub": self}
        return web.Application(
            [
                (r"/users/(.+)/announcement", _Announcement, given),
                (MEMBERS_PATH, _Everybody, given),
                (rf"{MEMBERS_PATH}/(.+)", _Member, given),
                (r"/user", _Self, given),
            ],
            log_function=lambda _: None,
        )


class _Handler(web.RequestHandler):
    def initialize(self, hub: SmallHub) -> None:
        self.hub = hub

    def prepare(self) -> None:
        if self.hub.status != 200:
            raise web.HTTPError(self.hub.status)

    @property
    def token(self) -> str:
        return self.request.headers["Authorization"].removeprefix("token ")


class _Member(_Handler):
    async def get(self, name: str) -> None:
        self.hub.asked += 1
        self.hub.names.append(name)
        if self.token != TOKEN:
            raise web.HTTPError(403)
        await self.hub.hold(name)
        if name not in self.hub.users:
            self.set_status(404)
            self.finish({"error": UNKNOWN_MEMBER, "message": "no account"})
            return
        known = self.hub.users[name]
        self.finish(json.dumps(known.to_json() if isinstance(known, HubMember) else known))


class _Everybody(_Handler):
    async def get(self) -> None:
        if self.token != TOKEN:
            raise web.HTTPError(403)
        await self.hub.hold("everybody")
        listed = [MemberGroups(one.name, one.groups) for one in self.hub.users.values()]
        self.finish(format_member_list(listed))


class _Announcement(_Handler):
    async def get(self, name: str) -> None:
        if self.token != TOKEN:
            raise web.HTTPError(403)
        if self.hub.announcement is None:
            raise web.HTTPError(404)
        self.finish({"announcement": self.hub.announcement.replace("NAME", name)})


class _Self(_Handler):
    async def get(self) -> None:
        self.hub.asked += 1
        if self.token not in self.hub.owners:
            raise web.HTTPError(403)
        self.finish(self.hub.owners[self.token])


@asynccontextmanager
async def small_hub(**users: Any) -> AsyncIterator[SmallHub]:
    """A hub that knows some people."""
    hub = SmallHub(users)
    server = HTTPServer(hub.app())
    socket, port = bind_unused_port()
    server.add_socket(socket)
    hub.url = f"http://127.0.0.1:{port}"
    yield hub
    hub.may_answer.set()
    server.stop()
    await server.close_all_connections()
