"""A hub's REST API for the service's few requests, over real HTTP; the test sets its answers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from tornado import web
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port

from panneuro_hub.wire import Ticket
from panneuro_hub.wire.state import Session

TOKEN = "token-of-the-service"


def user(
    ticket: Ticket, *groups: str, project: str = "nhp-navigation", api_token: str = "server-token"
) -> dict[str, Any]:
    """A person with a running server, as the hub tells of them."""
    session = Session("s1", project, "small", "neuro", ticket.digest)
    state = session.with_api_token(api_token).to_state()
    return {
        "kind": "user",
        "name": ticket.user,
        "groups": list(groups or ("navigation-lab",)),
        "servers": {ticket.name: {"state": {"panneuro": state}, "stopped": False}},
    }


def member(name: str, *groups: str) -> dict[str, Any]:
    """A person without a server."""
    return {"kind": "user", "name": name, "groups": list(groups), "servers": {}}


@dataclass
class SmallHub:
    """What a hub knows, and what it was asked.

    Parameters
    ----------
    users : dict
        By name, as the hub tells of them.
    owners : dict
        Whose a token is, as ``GET /user`` says it.
    """

    users: dict[str, Any] = field(default_factory=dict)
    owners: dict[str, Any] = field(default_factory=dict)
    status: int = 200
    asked: int = 0
    names: list[str] = field(default_factory=list)
    active: list[tuple[str, str]] = field(default_factory=list)
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
                (r"/users/(.+)/activity", _Activity, given),
                (r"/users/(.+)/announcement", _Announcement, given),
                (r"/users/(.+)", _User, given),
                (r"/groups/(.+)", _Group, given),
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


class _User(_Handler):
    async def get(self, name: str) -> None:
        self.hub.asked += 1
        self.hub.names.append(name)
        if self.token != TOKEN:
            raise web.HTTPError(403)
        await self.hub.hold(name)
        if name not in self.hub.users:
            raise web.HTTPError(404)
        self.finish(json.dumps(self.hub.users[name]))


class _Group(_Handler):
    async def get(self, name: str) -> None:
        if self.token != TOKEN:
            raise web.HTTPError(403)
        await self.hub.hold(f"group {name}")
        users = [one["name"] for one in self.hub.users.values() if name in one["groups"]]
        self.finish({"kind": "group", "name": name, "users": users})


class _Activity(_Handler):
    async def post(self, name: str) -> None:
        if self.token != TOKEN:
            raise web.HTTPError(403)
        await self.hub.hold("activity")
        self.hub.active.append((name, json.loads(self.request.body)["last_activity"]))


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
