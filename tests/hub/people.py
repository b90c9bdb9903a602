"""People at a hub: in a browser's place, and with a token of theirs."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import aiohttp
from hubs import PATIENCE, Hub
from testing.waiting import wait_until_async

from panneuro_hub.devstack.html_forms import HtmlForm, find_forms
from panneuro_hub.devstack.hub_visitor import HubVisitor, VisitedPage, visit_hub

T = TypeVar("T")
_NOTHING = object()


@dataclass(frozen=True)
class Answer:
    """What an API answered."""

    status: int
    text: str
    headers: Mapping[str, str] = field(repr=False)

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def message(self) -> str:
        return str(self.json["message"])


async def ask(
    method: str,
    url: str,
    body: Any = _NOTHING,
    *,
    authorization: str | None = None,
    cookie: str | None = None,
) -> Answer:
    """Ask an API, as a program does: no cookies of its own, no redirects."""
    said = {"Authorization": authorization, "Cookie": cookie}
    headers = {name: value for name, value in said.items() if value is not None}
    data = None if body is _NOTHING else json.dumps(body)
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PATIENCE)) as session,
        session.request(method, url, data=data, headers=headers, allow_redirects=False) as answer,
    ):
        return Answer(answer.status, await answer.text(), answer.headers)


@dataclass(frozen=True)
class Running:
    """A running session, as the hub's database and this account's files tell of it."""

    id: str
    project: str
    digest: str
    folder: Path
    pid: int

    @property
    def ticket(self) -> str:
        return (self.folder / "ticket").read_text()

    def environment(self) -> dict[str, str]:
        """What the server was started with."""
        text = Path(f"/proc/{self.pid}/environ").read_text()
        return dict(line.split("=", 1) for line in text.split("\0") if line)


@dataclass(frozen=True)
class Person:
    """Somebody who has logged in, and has made a token for their own programs."""

    hub: Hub
    visitor: HubVisitor
    token: str

    @property
    def name(self) -> str:
        return self.visitor.name

    async def api(self, method: str, path: str, body: Any = _NOTHING) -> Answer:
        """Ask the hub's REST API with the token."""
        url = f"{self.hub.url}/hub/api{path}"
        return await ask(method, url, body, authorization=f"token {self.token}")

    async def request_start(self, options: Any = _NOTHING) -> Answer:
        """Ask for the start of the server by REST."""
        return await self.api("POST", f"/users/{quote(self.name)}/server", options)

    async def start(self, options: Any = _NOTHING) -> Running:
        """Start the server by REST and wait until it is ready."""
        answer = await self.request_start(options)
        assert answer.status in (201, 202), answer
        await self.ready()
        return await self.running()

    async def ready(self) -> list[str]:
        """Wait until the server is ready; gives what the start's progress said."""
        events = [event async for event in self.visitor.progress()]
        assert events[-1].get("ready"), events[-1]
        return [str(event.get("message", "")) for event in events]

    async def running(self) -> Running:
        """The running session."""
        state = (await watch(self.hub, f"/users/{quote(self.name)}"))["servers"][""]["state"]
        session = state["panneuro"]
        return Running(
            session["id"],
            session["project"],
            session["ticket"],
            Path(state["panneuro_folder"]),
            state["pid"],
        )

    async def ask_agent(self) -> Answer:
        """Ask the session's agent for keys, as an SDK in a kernel does."""
        # In whichever project's home the newest server is.
        own = Path(self.hub.settings.homes) / self.name
        told = max(own.rglob("agent.json"), key=lambda path: path.stat().st_mtime)
        url, token = _agent(told.parent)
        return await ask("GET", url, authorization=token)

    async def stop(self) -> None:
        await self.visitor.stop()

    async def access(self) -> dict[str, Any]:
        """What the service says of every project."""
        answer = await ask(
            "GET", f"{self.hub.service_url}/api/access", authorization=f"token {self.token}"
        )
        assert answer.status == 200, answer
        return dict(answer.json["projects"])

    async def post_form(self, fields: Any, path: str = "/hub/spawn") -> VisitedPage:
        """Send a form of one's own making to the start page."""
        visitor = self.visitor
        target = visitor.url(path)
        target = target.update_query({"_xsrf": visitor.xsrf(target)})
        return await visitor.request_page("POST", target, fields)


def _agent(home: Path) -> tuple[str, str]:
    """Where the agent of a server with this home is, and the token that opens it."""
    variables = json.loads((home / "agent.json").read_text())
    token = Path(variables["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"]).read_text()
    return variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"], token


async def show(hub: Hub, ticket: str | None, path: str = "/api/credentials") -> Answer:
    """Show a ticket to the service, as an agent does."""
    authorization = None if ticket is None else f"panneuro-ticket {ticket}"
    return await ask("GET", hub.service_url + path, authorization=authorization)


def start_form(page: VisitedPage) -> HtmlForm:
    """The form of the start page."""
    return next(form for form in find_forms(page.body) if "project" in form.fields)


async def watch(hub: Hub, path: str) -> Any:
    """What the hub tells somebody who may look at everything."""
    answer = await ask(
        "GET", f"{hub.url}/hub/api{path}", authorization=f"token {hub.watcher_token}"
    )
    assert answer.status == 200, answer
    return answer.json


@asynccontextmanager
async def logged_in(hub: Hub, name: str) -> AsyncIterator[Person]:
    """Somebody who logs in at a hub."""
    async with visit_hub(hub.url, PATIENCE) as visitor:
        await visitor.log_in(name)
        made = await visitor.call("POST", f"/hub/api/users/{quote(visitor.name)}/tokens", {})
        yield Person(hub, visitor, made["token"])


@asynccontextmanager
async def at(hub: Hub, name: str) -> AsyncIterator[Person]:
    """Somebody who logs in at a hub; their server is stopped when they go."""
    async with logged_in(hub, name) as person:
        try:
            yield person
        finally:
            await ensure_stopped(person)


async def ensure_stopped(person: Person) -> None:
    """Stop the person's server if it runs or starts."""

    async def is_gone() -> bool:
        known = await watch(person.hub, f"/users/{quote(person.name)}")
        servers = known["servers"]
        if servers and servers[""]["pending"] != "stop":
            path = f"{person.hub.url}/hub/api/users/{quote(person.name)}/server"
            await ask("DELETE", path, authorization=f"token {person.hub.watcher_token}")
        return not servers

    await wait_until_async(is_gone, f"the end of {person.name}'s server")
