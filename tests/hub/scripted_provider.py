"""An OpenID Connect provider that says of each person what a test wants, or fails as told."""

from __future__ import annotations

import asyncio
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlencode

from aiohttp import web

from panneuro_hub.devstack.processes import find_free_port

_LONG = 600.0  # s, for an answer that never comes
_FORM = "<form method=post><input name=sub></form>"


@dataclass
class Faults:
    """What goes wrong for one person.

    Parameters
    ----------
    userinfo, token : int or "hang" or None
        The status that this endpoint answers, or no answer. `token` concerns refreshes alone.
    expires_in : float
        Seconds that an access token is good for.
    refresh : bool
        Whether there are refresh tokens; each is good once.
    """

    userinfo: int | Literal["hang"] | None = None
    token: int | Literal["hang"] | None = None
    expires_in: float = 3600
    refresh: bool = False


@dataclass
class ScriptedProvider:
    """The provider; what it says may be changed at any time.

    Parameters
    ----------
    url : str
        Without a slash at the end.
    people : dict
        Claims by subject.
    faults : dict
        By subject.
    """

    url: str
    people: dict[str, dict[str, Any]] = field(default_factory=dict)
    faults: dict[str, Faults] = field(default_factory=dict)
    _codes: dict[str, str] = field(default_factory=dict)
    _access: dict[str, tuple[str, float]] = field(default_factory=dict)
    _refresh: dict[str, str] = field(default_factory=dict)

    def says(self, name: str, *groups: str, **claims: Any) -> str:
        """Say of a person that they are in some of the collaboration's groups."""
        named = [group if ":" in group else f"u19-circuits:{group}" for group in groups]
        self.people[name] = {"preferred_username": name, "groups": named, **claims}
        return name

    def app(self) -> web.Application:
        """Its endpoints."""
        app = web.Application()
        app.add_routes(
            [
                web.get("/oauth2/authorize", self._page),
                web.post("/oauth2/authorize", self._allow),
                web.post("/oauth2/token", self._token),
                web.get("/userinfo", self._userinfo),
            ]
        )
        return app

    def _faults_of(self, sub: str) -> Faults:
        return self.faults.get(sub, Faults())

    async def _page(self, _request: web.Request) -> web.Response:
        return web.Response(content_type="text/html", text=_FORM)

    async def _allow(self, request: web.Request) -> web.Response:
        code = secrets.token_hex(8)
        self._codes[code] = str((await request.post())["sub"])
        back = urlencode({"code": code, "state": request.query.get("state", "")})
        raise web.HTTPFound(f"{request.query['redirect_uri']}?{back}")

    async def _token(self, request: web.Request) -> web.Response:
        data = await request.post()
        if data.get("grant_type") == "refresh_token":
            sub = self._refresh.pop(str(data.get("refresh_token")), None)
            faults = self._faults_of(sub or "")
            if sub is not None and faults.token is not None:
                self._refresh[str(data["refresh_token"])] = sub
                return await _fail(faults.token)
        else:
            sub = self._codes.pop(str(data.get("code")), None)
        if sub is None:
            return web.json_response({"error": "invalid_grant"}, status=400)
        faults, token = self._faults_of(sub), secrets.token_hex(12)
        self._access[token] = (sub, time.monotonic() + faults.expires_in)
        answer = {"access_token": token, "token_type": "Bearer", "expires_in": faults.expires_in}
        if faults.refresh:
            answer["refresh_token"] = secrets.token_hex(12)
            self._refresh[str(answer["refresh_token"])] = sub
        return web.json_response(answer)

    async def _userinfo(self, request: web.Request) -> web.Response:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        sub, until = self._access.get(token, ("", 0.0))
        if time.monotonic() > until:
            return web.json_response({"error": "invalid_token"}, status=401)
        fault = self._faults_of(sub).userinfo
        if fault is not None:
            return await _fail(fault)
        return web.json_response({"sub": sub, **self.people.get(sub, {})})


async def _fail(fault: int | Literal["hang"]) -> web.Response:
    if fault == "hang":
        await asyncio.sleep(_LONG)
        return web.Response(status=503)
    return web.json_response({"error": "slow_down"}, status=fault)


@contextmanager
def scripted_provider() -> Iterator[ScriptedProvider]:
    """Serve in a thread of its own."""
    port = find_free_port()
    provider = ScriptedProvider(f"http://127.0.0.1:{port}")
    loop = asyncio.new_event_loop()
    runner = web.AppRunner(provider.app(), shutdown_timeout=0.1)

    async def start() -> None:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()

    loop.run_until_complete(start())
    thread = threading.Thread(target=loop.run_forever, name="scripted provider", daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(30)
        loop.close()
