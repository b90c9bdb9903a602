"""The gate before the dashboards of clusters: the service says who may pass.

Every request is shown to the service first; for a WebSocket, which lives as long as its
page, the service is asked again and again. The scheduler behind the gate runs people's own
code: it sees no cookie and no token of who looks at it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping

import aiohttp
from aiohttp import web
from yarl import URL

# Of what a visitor sends, what the service needs to decide.
_FOR_THE_SERVICE = (
    *("Accept", "Cookie", "Sec-Fetch-Dest", "Sec-Fetch-Mode", "Upgrade"),
    *("X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-For"),
)
_FROM_THE_SERVICE = (
    *("Location", "Set-Cookie", "Content-Type", "Cache-Control"),
    *("Content-Security-Policy", "X-Content-Type-Options"),
)
_FOR_THE_DASHBOARD = ("Accept", "Accept-Language", "If-Modified-Since", "If-None-Match")
_FROM_THE_DASHBOARD = ("Content-Type", "ETag", "Last-Modified", "Cache-Control", "Location")
_TIMEOUT = aiohttp.ClientTimeout(total=60, sock_connect=10)
_LARGEST_MESSAGE = 64 << 20  # bytes
_AGAIN = 10.0  # seconds
_PATIENCE = 60.0  # seconds without anybody's word, such as while the service is restarted


class Gate:
    """Shows dashboards to who may see them.

    Parameters
    ----------
    service_url : str
        The PanNeuro service.
    prefix : str
        Path below which a browser sees the gateway.
    dashboard : callable
        Gives the address of a cluster's dashboard, or `None`.
    again : float
        Seconds after which the service is asked anew about a WebSocket that is open.
    patience : float
        Seconds that one stays open while the service does not answer.
    """

    def __init__(
        self,
        service_url: str,
        prefix: str,
        dashboard: Callable[[str], str | None],
        again: float = _AGAIN,
        patience: float = _PATIENCE,
    ) -> None:
        self._judge = f"{service_url.rstrip('/')}/api/dashboard"
        self._prefix = prefix
        self._dashboard = dashboard
        self._again = again
        self._patience = patience
        self._client: aiohttp.ClientSession | None = None

    def routes(self) -> list[web.RouteDef]:
        """The routes to add to the gateway's application."""
        return [web.get("/clusters/{cluster_name}{path:(?:/.*)?}", self.pass_on)]

    async def close(self) -> None:
        """Let go of the connections."""
        if self._client is not None:
            await self._client.close()

    async def pass_on(self, request: web.Request) -> web.StreamResponse:
        """Answer with what the dashboard says, or with what the service says against it."""
        name = request.match_info["cluster_name"]
        refused = await self._refused(request, name)
        if refused is not None:
            return refused
        address = self._dashboard(name)
        if address is None:
            return _plain(404, f"cluster {name} has no dashboard now")
        # As it was sent: a name in Dask's own addresses is itself an encoded address.
        below = request.raw_path.removeprefix(f"/clusters/{name}") or "/"
        target = URL(address + below, encoded=True)
        try:
            if request.headers.get("Upgrade", "").lower() == "websocket":
                return await self._talk(request, name, target)
            return await self._page(request, target)
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            return _plain(502, f"the dashboard does not answer ({type(error).__name__})")

    async def _refused(self, request: web.Request, name: str) -> web.Response | None:
        """The service's answer, where that is not that the visitor may pass."""
        headers = {
            **_some(request.headers, _FOR_THE_SERVICE),
            "X-Forwarded-Uri": self._prefix + request.raw_path,
            "X-Forwarded-Method": request.method,
        }
        headers.setdefault("X-Forwarded-Host", request.host)
        try:
            async with self._http().get(
                self._judge, headers=headers, allow_redirects=False
            ) as answer:
                if answer.status == 204 and answer.headers.get("X-PanNeuro-Cluster", name) == name:
                    return None
                status = answer.status if answer.status >= 300 else 403
                return web.Response(
                    status=status,
                    body=await answer.read(),
                    headers=_some(answer.headers, _FROM_THE_SERVICE),
                )
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            return _plain(503, f"nobody can say now who you are ({type(error).__name__})")

    async def _page(self, request: web.Request, target: URL) -> web.StreamResponse:
        async with self._http().get(
            target,
            headers=_some(request.headers, _FOR_THE_DASHBOARD),
            allow_redirects=False,
        ) as answer:
            shown = web.StreamResponse(
                status=answer.status,
                headers={
                    **_some(answer.headers, _FROM_THE_DASHBOARD),
                    "Content-Security-Policy": "frame-ancestors 'self'",
                    "X-Content-Type-Options": "nosniff",
                },
            )
            await shown.prepare(request)
            async for part in answer.content.iter_chunked(1 << 16):
                await shown.write(part)
            await shown.write_eof()
            return shown

    async def _talk(self, request: web.Request, name: str, target: URL) -> web.StreamResponse:
        wanted = request.headers.get("Sec-WebSocket-Protocol", "")
        protocols = [word.strip() for word in wanted.split(",") if word.strip()]
        async with self._http().ws_connect(
            target, protocols=protocols, max_msg_size=_LARGEST_MESSAGE
        ) as inside:
            chosen = [inside.protocol] if inside.protocol else []
            outside = web.WebSocketResponse(protocols=chosen, max_msg_size=_LARGEST_MESSAGE)
            await outside.prepare(request)
            ways = [
                asyncio.ensure_future(_copy(inside, outside)),
                asyncio.ensure_future(_copy(outside, inside)),
                asyncio.ensure_future(self._until_refused(request, name)),
            ]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
                await outside.close()
            return outside

    async def _until_refused(self, request: web.Request, name: str) -> None:
        """Return when the visitor may no longer look, or nobody can say so for too long."""
        allowed = time.monotonic()
        while True:
            await asyncio.sleep(self._again)
            refused = await self._refused(request, name)
            if refused is None:
                allowed = time.monotonic()
            elif refused.status < 500 or time.monotonic() - allowed > self._patience:
                return

    def _http(self) -> aiohttp.ClientSession:
        if self._client is None:
            # Nobody's cookies are kept: one visitor's must not become another's.
            self._client = aiohttp.ClientSession(
                timeout=_TIMEOUT, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=True
            )
        return self._client


Socket = aiohttp.ClientWebSocketResponse | web.WebSocketResponse


async def _copy(source: Socket, target: Socket) -> None:
    async for message in source:
        if message.type is aiohttp.WSMsgType.TEXT:
            await target.send_str(message.data)
        elif message.type is aiohttp.WSMsgType.BINARY:
            await target.send_bytes(message.data)


def _some(headers: Mapping[str, str], names: tuple[str, ...]) -> dict[str, str]:
    return {name: headers[name] for name in names if name in headers}


def _plain(status: int, words: str) -> web.Response:
    return web.Response(status=status, text=words)
