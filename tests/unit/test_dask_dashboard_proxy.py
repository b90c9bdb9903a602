"""The gate before dashboards, between a real judge and a real dashboard, both of a few lines."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port
from yarl import URL

from panneuro_hub.dask.dashboard_proxy import DashboardProxy

PREFIX = "/services/dask-gateway"
PASS = "panneuro-dashboard=x"
SECRETS = {"Cookie": f"{PASS}; hub=y", "Authorization": "token z", "X-Other": "o"}


@dataclass
class Parts:
    """A gate, who judges, and what is behind it; and what both were asked."""

    judged: list[Any] = field(default_factory=list)
    shown: list[Any] = field(default_factory=list)
    answer: dict[str, Any] = field(default_factory=lambda: {"status": 204})
    dashboard: str | None = ""
    gate: str = ""

    came: asyncio.Event = field(default_factory=asyncio.Event)

    async def judge(self, request: web.Request) -> web.Response:
        self.judged.append(request)
        self.came.set()
        cluster = request.headers["X-Forwarded-Uri"].split("/")[4]
        return web.Response(**{"headers": {"X-PanNeuro-Cluster": cluster}, **self.answer})

    async def judged_anew(self, times: int) -> None:
        """Wait until the judge has been asked so many times more."""
        for _ in range(times):
            self.came.clear()
            await self.came.wait()

    async def show(self, request: web.Request) -> web.StreamResponse:
        self.shown.append(request)
        if request.path == "/ws":
            socket = web.WebSocketResponse(protocols=["bokeh"])
            await socket.prepare(request)
            async for message in socket:
                if message.type is aiohttp.WSMsgType.TEXT:
                    await socket.send_str(message.data[::-1])
                else:
                    await socket.send_bytes(message.data[::-1])
            return socket
        return web.Response(
            text=request.raw_path,
            headers={"Set-Cookie": "stolen=1", "X-Frame-Options": "DENY", "ETag": "e"},
        )


@pytest.fixture
async def parts() -> AsyncIterator[Parts]:
    it = Parts()
    judge, dashboard, outside = web.Application(), web.Application(), web.Application()
    judge.router.add_get("/services/panneuro/api/dashboard", it.judge)
    dashboard.router.add_get("/{path:.*}", it.show)
    async with TestServer(judge) as judges, TestServer(dashboard) as shows:
        service = str(judges.make_url("/services/panneuro"))
        gate = DashboardProxy(
            service, PREFIX, lambda _: it.dashboard, recheck_seconds=0.02, silence_seconds=0.2
        )
        outside.add_routes(gate.build_routes())
        async with TestServer(outside) as server:
            it.dashboard = str(shows.make_url("/")).rstrip("/")
            it.gate = str(server.make_url("/")).rstrip("/")
            yield it
            await gate.close()


async def get(parts: Parts, path: str, **headers: str) -> tuple[int, str, Any]:
    async with (
        aiohttp.ClientSession() as session,
        session.get(
            URL(parts.gate + path, encoded=True),
            allow_redirects=False,
            headers={name.replace("_", "-"): value for name, value in (headers or SECRETS).items()},
        ) as answer,
    ):
        return answer.status, await answer.text(), answer.headers


async def navigate(parts: Parts, path: str, cookie: str) -> tuple[int, str, Any]:
    return await get(parts, path, Cookie=cookie, Sec_Fetch_Mode="navigate")


async def enter(parts: Parts, path: str, cookie: str = PASS) -> str:
    """Ask for a page; the path to which its person is sent on."""
    status, _, headers = await navigate(parts, path, cookie)
    assert (status, headers["Cache-Control"]) == (302, "no-store")
    where = str(headers["Location"])
    assert where.startswith(f"{PREFIX}/clusters/")
    return where.removeprefix(PREFIX)


async def test_the_judge_is_told_what_the_dashboard_is_not(parts: Parts) -> None:
    path = "/clusters/ns.c1/info/worker/tls%3A%2F%2F10.0.0.1%3A1.html?a=%2F&b"
    status, text, headers = await get(parts, path)
    assert (status, text) == (200, "/info/worker/tls%3A%2F%2F10.0.0.1%3A1.html?a=%2F&b")
    (judged,), (shown,) = parts.judged, parts.shown
    assert judged.headers["X-Forwarded-Uri"] == PREFIX + path
    assert judged.headers["X-Forwarded-Method"] == "GET"
    assert judged.headers["Cookie"] == PASS
    assert "Authorization" not in judged.headers
    assert not {"Cookie", "Authorization", "X-Other"} & set(shown.headers)
    assert "Set-Cookie" not in headers
    assert "X-Frame-Options" not in headers
    assert headers["Content-Security-Policy"] == (
        "sandbox allow-scripts allow-popups allow-downloads; "
        "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; frame-ancestors 'self'"
    )
    assert headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize("status", [302, 401, 403, 404, 503, 200, 201])
async def test_nothing_passes_but_what_the_judge_lets_pass(parts: Parts, status: int) -> None:
    parts.answer = {
        "status": status,
        "text": "words",
        "headers": {"Location": "/services/panneuro/dashboards/c1", "Set-Cookie": "a=b"},
    }
    got, text, headers = await get(parts, "/clusters/c1/status")
    assert got == (status if status >= 300 else 403)
    assert (text, headers["Location"]) == ("words", "/services/panneuro/dashboards/c1")
    assert parts.shown == []


async def test_another_cluster_than_was_judged_is_not_shown(parts: Parts) -> None:
    parts.answer = {"status": 204, "headers": {"X-PanNeuro-Cluster": "c2"}}
    assert (await get(parts, "/clusters/c1/status"))[0] == 403
    assert parts.shown == []


async def test_a_yes_that_names_no_cluster_is_none(parts: Parts) -> None:
    parts.answer = {"status": 204, "headers": {}}
    assert (await get(parts, "/clusters/c1/status"))[0] == 403
    assert parts.shown == []


async def test_a_page_is_given_in_a_view_and_its_parts_need_no_cookies(parts: Parts) -> None:
    view = await enter(parts, "/clusters/c1/status?a=%2F")
    assert re.fullmatch(r"/clusters/c1/~[\w-]{43}/status\?a=%2F", view)
    assert parts.shown == []
    assert (await navigate(parts, view, PASS))[:2] == (200, "/status?a=%2F")
    part = view.replace("status?a=%2F", "static/bokeh.js")
    assert (await get(parts, part, Sec_Fetch_Mode="no-cors"))[:2] == (200, "/static/bokeh.js")
    judged = parts.judged[-1]
    assert judged.headers["Cookie"] == PASS
    assert judged.headers["X-Forwarded-Uri"] == f"{PREFIX}/clusters/c1/static/bokeh.js"
    # A part of a page is what a view is for, and its own person's alone.
    await get(parts, part, Cookie="panneuro-dashboard=tomas", Sec_Fetch_Mode="no-cors")
    assert parts.judged[-1].headers["Cookie"] == PASS


@pytest.mark.parametrize("cookie", ["panneuro-dashboard=tomas", "hub=y"])
async def test_no_page_is_given_for_a_view_alone(parts: Parts, cookie: str) -> None:
    view = await enter(parts, "/clusters/c1/status")
    where = await enter(parts, view, cookie)
    assert where != view
    assert where.endswith("/status")
    assert parts.judged[-1].headers.get("Cookie") == (cookie if "panneuro" in cookie else None)
    assert parts.judged[-1].headers["X-Forwarded-Uri"] == f"{PREFIX}/clusters/c1/status"
    parts.answer = {"status": 302, "headers": {"Location": "/login"}}
    assert (await navigate(parts, view, cookie))[2]["Location"] == "/login"
    assert parts.shown == []


async def test_a_view_is_of_one_cluster(parts: Parts) -> None:
    view = await enter(parts, "/clusters/c1/status")
    for other in (view.replace("c1", "c2"), "/clusters/c1/~" + "x" * 43 + "/status"):
        await get(parts, other, Sec_Fetch_Mode="cors")
        assert "Cookie" not in parts.judged[-1].headers


async def test_where_browsers_are_silent_a_page_is_known_by_what_it_accepts(parts: Parts) -> None:
    headers = {"Cookie": PASS, "Accept": "text/html,*/*"}
    assert (await get(parts, "/clusters/c1", **headers))[0] == 302
    assert parts.judged[-1].headers["X-Forwarded-Uri"] == f"{PREFIX}/clusters/c1"


@pytest.mark.parametrize("path", ["/clusters/%631/status", "/clusters/c1%2Fstatus"])
async def test_an_address_that_can_be_read_in_two_ways_is_none(parts: Parts, path: str) -> None:
    assert (await get(parts, path))[0] == 404
    assert parts.judged == []


@pytest.mark.parametrize(
    ("origin", "in_view", "open_"),
    [
        ("https://evil.example", False, False),
        ("https://evil.example", True, False),
        ("https://gate.example", False, True),
        ("https://GATE.example", True, True),
        ("https://gate.example.evil.example", True, False),
        ("https://gate.example:444", True, False),
        ("http://[", False, False),
        ("gate.example", False, False),
        ("null", True, True),
        ("null", False, False),
        (None, False, True),
    ],
)
async def test_no_other_site_s_page_opens_a_socket(
    parts: Parts, origin: str | None, in_view: bool, open_: bool
) -> None:
    path = "/clusters/c1/ws"
    if in_view:
        path = await enter(parts, path)
    headers = {"X-Forwarded-Host": "gate.example", **({"Origin": origin} if origin else {})}
    cookie = {} if in_view else {"Cookie": PASS}
    async with aiohttp.ClientSession() as session:
        opening = session.ws_connect(parts.gate + path, headers={**headers, **cookie})
        if open_:
            async with opening as socket:
                await socket.send_str("abc")
                assert await socket.receive_str() == "cba"
            assert parts.judged[-1].headers["Cookie"] == PASS
            return
        with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
            await opening
    assert parts.shown == []


async def test_a_judge_that_is_gone_lets_nobody_in(parts: Parts) -> None:
    parts.answer = {"status": 500}
    assert (await get(parts, "/clusters/c1/status"))[0] == 500
    gate = DashboardProxy(f"http://127.0.0.1:{unused_port()}/services/panneuro", "", lambda _: "")
    app = web.Application()
    app.add_routes(gate.build_routes())
    async with TestServer(app) as server:
        parts.gate = str(server.make_url("/")).rstrip("/")
        status, text, _ = await get(parts, "/clusters/c1/status")
        assert (status, "could not check who you are" in text) == (503, True)
        await gate.close()
    assert parts.shown == []


async def test_a_dashboard_that_is_not_there(parts: Parts) -> None:
    parts.dashboard = None
    assert (await get(parts, "/clusters/c1/status"))[0] == 404
    parts.dashboard = f"http://127.0.0.1:{unused_port()}"
    assert (await get(parts, "/clusters/c1/status"))[0] == 502


async def test_only_looking(parts: Parts) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{parts.gate}/clusters/c1/x") as answer,
    ):
        assert answer.status == 405
    assert parts.judged == parts.shown == []


async def test_sockets(parts: Parts) -> None:
    url = f"{parts.gate}/clusters/c1/ws"
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(url, protocols=["bokeh", "token"], headers=SECRETS) as socket,
    ):
        assert socket.protocol == "bokeh"
        await socket.send_str("abc")
        assert await socket.receive_str() == "cba"
        await socket.send_bytes(b"abc" * 100_000)
        assert await socket.receive_bytes() == b"cba" * 100_000
    assert parts.judged[0].headers["Upgrade"] == "websocket"
    assert not {"Cookie", "Authorization"} & set(parts.shown[0].headers)

    parts.answer = {"status": 401}
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await session.ws_connect(url)
    assert refused.value.status == 401
    assert len(parts.shown) == 1


@pytest.mark.parametrize(
    ("answer", "stays"),
    [
        ({"status": 204}, True),
        ({"status": 401}, False),
        ({"status": 403}, False),
        ({"status": 204, "headers": {"X-PanNeuro-Cluster": "another"}}, False),
        ({"status": 503}, False),
    ],
)
async def test_a_socket_ends_when_its_person_may_no_longer_look(
    parts: Parts, answer: dict[str, Any], stays: bool
) -> None:
    url = f"{parts.gate}/clusters/c1/ws"
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(url, headers=SECRETS) as socket,
    ):
        await socket.send_str("abc")
        assert await socket.receive_str() == "cba"
        parts.answer = answer
        if stays:
            await parts.judged_anew(3)
            await socket.send_str("abc")
            assert await socket.receive_str() == "cba"
        else:
            assert (await socket.receive(timeout=20)).type is aiohttp.WSMsgType.CLOSE
    assert parts.judged[-1].headers["Cookie"] == PASS


async def test_a_socket_outlives_a_service_that_is_restarted(parts: Parts) -> None:
    url = f"{parts.gate}/clusters/c1/ws"
    async with aiohttp.ClientSession() as session, session.ws_connect(url) as socket:
        for status in (503, 204, 503, 204):
            parts.answer = {"status": status}
            await parts.judged_anew(2)
            await socket.send_str("abc")
            assert await socket.receive_str() == "cba"


async def test_a_refusal_comes_as_the_service_says_it(parts: Parts) -> None:
    told = {"Content-Security-Policy": "default-src 'none'", "X-Content-Type-Options": "nosniff"}
    parts.answer = {"status": 403, "text": "words", "headers": told}
    _, _, headers = await get(parts, "/clusters/c1/status")
    assert {name: headers[name] for name in told} == told
