"""The gate before dashboards, between a real judge and a real dashboard, both of a few lines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port
from yarl import URL

from panneuro_hub.dask.gate import Gate

PREFIX = "/services/dask-gateway"
SECRETS = {"Cookie": "panneuro-dashboard=x; hub=y", "Authorization": "token z", "X-Other": "o"}


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
        return web.Response(**self.answer)

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
        gate = Gate(service, PREFIX, lambda _: it.dashboard, again=0.02, patience=0.2)
        outside.add_routes(gate.routes())
        async with TestServer(outside) as server:
            it.dashboard = str(shows.make_url("/")).rstrip("/")
            it.gate = str(server.make_url("/")).rstrip("/")
            yield it
            await gate.close()


async def get(parts: Parts, path: str, **more: Any) -> tuple[int, str, Any]:
    async with (
        aiohttp.ClientSession() as session,
        session.get(
            URL(parts.gate + path, encoded=True), allow_redirects=False, headers=SECRETS, **more
        ) as answer,
    ):
        return answer.status, await answer.text(), answer.headers


async def test_the_judge_is_told_what_the_dashboard_is_not(parts: Parts) -> None:
    path = "/clusters/ns.c1/info/worker/tls%3A%2F%2F10.0.0.1%3A1.html?a=%2F&b"
    status, text, headers = await get(parts, path)
    assert (status, text) == (200, "/info/worker/tls%3A%2F%2F10.0.0.1%3A1.html?a=%2F&b")
    (judged,), (shown,) = parts.judged, parts.shown
    assert judged.headers["X-Forwarded-Uri"] == PREFIX + path
    assert judged.headers["X-Forwarded-Method"] == "GET"
    assert judged.headers["Cookie"] == SECRETS["Cookie"]
    assert "Authorization" not in judged.headers
    assert not {"Cookie", "Authorization", "X-Other"} & set(shown.headers)
    assert "Set-Cookie" not in headers
    assert "X-Frame-Options" not in headers
    assert headers["Content-Security-Policy"] == "frame-ancestors 'self'"


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


async def test_a_judge_that_is_gone_lets_nobody_in(parts: Parts) -> None:
    parts.answer = {"status": 500}
    assert (await get(parts, "/clusters/c1/status"))[0] == 500
    gate = Gate(f"http://127.0.0.1:{unused_port()}/services/panneuro", "", lambda _: "")
    app = web.Application()
    app.add_routes(gate.routes())
    async with TestServer(app) as server:
        parts.gate = str(server.make_url("/")).rstrip("/")
        status, text, _ = await get(parts, "/clusters/c1/status")
        assert (status, "nobody can say now who you are" in text) == (503, True)
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
    assert parts.judged[-1].headers["Cookie"] == SECRETS["Cookie"]


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
