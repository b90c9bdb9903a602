"""A person's visit without a browser: what goes wrong, in plain words.

That it goes right is for the live test, with a real hub.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from panneuro_hub.devstack.errors import DevstackError
from panneuro_hub.devstack.hub_visitor import HubVisitor, visit_hub

LOGIN_FORM = '<form method="post" action="/provider"><input name="sub"></form>'
START_FORM = (
    '<form method="post" action="/hub/spawn?_xsrf=t"><input type="radio" name="project" '
    'value="one" checked></form>'
)


@dataclass
class BadHub:
    """A hub and a provider at two ports, that fail where a test wants them to.

    Parameters
    ----------
    open_spawn_page : callable
        Answers ``GET /hub/spawn``.
    events : list of dict
        Of the start's progress.
    """

    open_spawn_page: Callable[[], web.Response] = lambda: page(START_FORM)
    after_start: str = "/hub/spawn-pending/ada"
    events: list[dict[str, object]] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    left: int = 3  # how often the server is still there when asked

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/hub/oauth_login", self.at_provider),
            web.get("/login", showing(LOGIN_FORM)),
            web.post("/provider", self.logged_in),
            web.get("/hub/home", showing("home")),
            web.get("/hub/api/user", self.user),
            web.get("/hub/spawn", self.spawn),
            web.post("/hub/spawn", self.start),
            web.get("/hub/spawn-pending/ada", showing("starting")),
            web.get("/hub/spawn/ada", showing("Error: no profile may be used")),
            web.get("/hub/api/users/ada/server/progress", self.progress),
            web.delete("/hub/api/users/ada/server", self.stop),
            web.get("/hub/api/users/ada", self.model),
        ]

    async def at_provider(self, request: web.Request) -> web.Response:
        # The provider is at another origin, as everywhere.
        raise web.HTTPFound(f"http://localhost:{request.url.port}/login")

    async def logged_in(self, request: web.Request) -> web.Response:
        if (await request.post())["sub"] != "ada":
            return page("<style>p {}</style><p>You are in no team.</p>", 403)
        raise web.HTTPFound(f"http://127.0.0.1:{request.url.port}/hub/home")

    async def user(self, request: web.Request) -> web.Response:
        return web.json_response({"name": "ada"})

    async def spawn(self, request: web.Request) -> web.Response:
        answer = self.open_spawn_page()
        answer.set_cookie("_xsrf", "the-token", path="/hub/")
        return answer

    async def start(self, request: web.Request) -> web.Response:
        raise web.HTTPFound(self.after_start)

    async def progress(self, request: web.Request) -> web.Response:
        self.tokens.append(request.query["_xsrf"])
        body = "".join(f"data: {json.dumps(event)}\n\n" for event in self.events)
        return web.Response(text=f"\n\n{body}", content_type="text/event-stream")

    async def stop(self, request: web.Request) -> web.Response:
        self.tokens.append(request.headers["X-XSRFToken"])
        return web.Response(status=202)

    async def model(self, request: web.Request) -> web.Response:
        self.left -= 1
        return web.json_response({"servers": {"": {}} if self.left else {}})


def page(body: str, status: int = 200) -> web.Response:
    return web.Response(text=body, content_type="text/html", status=status)


def showing(body: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def show(request: web.Request) -> web.Response:
        return page(body)

    return show


@asynccontextmanager
async def visiting(hub: BadHub) -> AsyncIterator[HubVisitor]:
    app = web.Application()
    app.add_routes(hub.routes())
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        port = runner.addresses[0][1]
        async with visit_hub(f"http://127.0.0.1:{port}", patience=10) as visitor:
            yield visitor
    finally:
        await runner.cleanup()


async def test_who_is_turned_away_reads_why() -> None:
    async with visiting(BadHub()) as visitor:
        answer = await visitor.try_log_in("zoe")
        assert (answer.status, answer.text) == (403, "You are in no team.")

        with pytest.raises(DevstackError, match=r"log in as zoe: .* 403: You are in no team"):
            await visitor.log_in("zoe")


async def test_progress_is_told_in_its_order_until_ready() -> None:
    hub = BadHub(events=[{"message": "one"}, {"message": "two", "ready": True}, {"message": "x"}])
    async with visiting(hub) as visitor:
        await visitor.log_in("ada")

        assert await visitor.start({"project": "one"}) == ["one", "two"]
        assert hub.tokens == ["the-token"]


async def test_a_start_that_fails_says_why() -> None:
    failed = {"failed": True, "message": "Spawn failed: no room"}
    async with visiting(BadHub(events=[failed])) as visitor:
        await visitor.log_in("ada")

        with pytest.raises(DevstackError, match="did not start: Spawn failed: no room"):
            await visitor.start({"project": "one"})


async def test_a_start_that_the_form_page_refuses_says_why() -> None:
    async with visiting(BadHub(after_start="/hub/spawn/ada")) as visitor:
        await visitor.log_in("ada")

        with pytest.raises(
            DevstackError, match="did not start the server: Error: no profile may be"
        ):
            await visitor.start({"project": "one"})


async def test_a_choice_that_is_not_offered_is_not_sent() -> None:
    async with visiting(BadHub()) as visitor:
        await visitor.log_in("ada")

        with pytest.raises(DevstackError, match="does not offer 'two' for 'project': one"):
            await visitor.start({"project": "two"})


async def test_progress_that_ends_early_is_no_ready_server() -> None:
    async with visiting(BadHub(events=[{"message": "one"}])) as visitor:
        await visitor.log_in("ada")

        with pytest.raises(DevstackError, match="ended before the server was ready"):
            await visitor.start({"project": "one"})


async def test_stopping_waits_until_the_server_is_gone() -> None:
    hub = BadHub()
    async with visiting(hub) as visitor:
        await visitor.log_in("ada")
        await visitor.open_spawn_page()  # brings the token

        await visitor.stop()

        assert hub.left == 0
        assert hub.tokens == ["the-token"]


async def test_a_hub_out_of_reach_is_a_plain_error() -> None:
    with pytest.raises(DevstackError, match="lost the connection to http"):
        async with visit_hub("http://127.0.0.1:1") as visitor:
            await visitor.open("/hub/home")
