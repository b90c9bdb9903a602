"""The gate before the dashboards of clusters: the service says who may pass.

Every request is shown to the service first; for a WebSocket, which lives as long as its
page, the service is asked again and again. The scheduler behind the gate runs people's own
code: it sees no cookie and no token of who looks at it, and its pages reach nothing of the
hub on whose host they are shown.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import aiohttp
from aiohttp import web
from yarl import URL

from panneuro_hub.dask.views import Views, named, parted
from panneuro_hub.wire.dashboards import CLUSTER_HEADER, COOKIE, is_navigation

# Of what a visitor sends, what the service needs to decide, beside one cookie.
_FOR_THE_SERVICE = (
    *("Accept", "Sec-Fetch-Dest", "Sec-Fetch-Mode", "Upgrade"),
    *("X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-For"),
)
_FROM_THE_SERVICE = (
    *("Location", "Set-Cookie", "Content-Type", "Cache-Control"),
    *("Content-Security-Policy", "X-Content-Type-Options"),
)
_FOR_THE_DASHBOARD = ("Accept", "Accept-Language", "If-Modified-Since", "If-None-Match")
_FROM_THE_DASHBOARD = ("Content-Type", "ETag", "Last-Modified", "Cache-Control", "Location")
_APART = {
    # Scripts run as if their page came from nowhere: no cookie and no page of the hub is theirs.
    # Nothing comes from elsewhere: some of Dask's pages name a host that would see each reader.
    "Content-Security-Policy": "sandbox allow-scripts allow-popups allow-downloads; "
    "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; frame-ancestors 'self'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_TIMEOUT = aiohttp.ClientTimeout(total=60, sock_connect=10)
_LARGEST_MESSAGE = 64 << 20  # bytes
_AGAIN = 10.0  # seconds
_PATIENCE = 60.0  # seconds without anybody's word, such as while the service is restarted


@dataclass(frozen=True)
class _Asked:
    """What a request is for.

    Parameters
    ----------
    cluster : str
    below : str
        Path and query below the cluster's own path, as they were sent: a name in Dask's own
        addresses is itself an encoded address.
    cookie : str
        What says who is asking; ``""`` for nobody.
    in_view : bool
        Whether the address names an open view of the cluster, and of who asks.
    """

    cluster: str
    below: str
    cookie: str
    in_view: bool

    @property
    def path(self) -> str:
        """Below the gateway's own, without a view."""
        return f"/clusters/{self.cluster}{self.below}"


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
        self._views = Views()
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
        asked = self._read(request)
        if asked is None:
            return _plain(404, "this is not the address of a dashboard")
        if "Upgrade" in request.headers and not _is_of_this_host(request, asked):
            return _plain(403, "another site's page asks for this")
        refused = await self._refused(request, asked)
        if refused is not None:
            return refused
        if is_navigation(request.headers) and not asked.in_view:
            return self._into_view(asked)
        address = self._dashboard(asked.cluster)
        if address is None:
            return _plain(404, f"cluster {asked.cluster} has no dashboard now")
        target = URL(address + (asked.below or "/"), encoded=True)
        try:
            if request.headers.get("Upgrade", "").lower() == "websocket":
                return await self._talk(request, asked, target)
            return await self._page(request, target)
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            return _plain(502, f"the dashboard does not answer ({type(error).__name__})")

    def _read(self, request: web.Request) -> _Asked | None:
        """What is asked for, by whom; `None` where the address can be read in two ways."""
        cluster = request.match_info["cluster_name"]
        own = f"/clusters/{cluster}"
        if not request.raw_path.startswith(own):
            return None
        view, below = parted(request.raw_path.removeprefix(own))
        held = self._views.cookie(cluster, view) if view else None
        cookie = _ours(request.headers.get("Cookie", ""))
        if is_navigation(request.headers) or view is None:
            return _Asked(cluster, below, cookie, held == cookie)
        # Parts of a page that is kept apart come without cookies.
        return _Asked(cluster, below, held or "", held is not None)

    def _into_view(self, asked: _Asked) -> web.Response:
        view = self._views.enter(asked.cluster, asked.cookie)
        where = f"{self._prefix}/clusters/{asked.cluster}{named(view, asked.below)}"
        return web.Response(status=302, headers={"Location": where, "Cache-Control": "no-store"})

    async def _refused(self, request: web.Request, asked: _Asked) -> web.Response | None:
        """The service's answer, where that is not that the visitor may pass."""
        headers = {
            **_some(request.headers, _FOR_THE_SERVICE),
            **({"Cookie": asked.cookie} if asked.cookie else {}),
            "X-Forwarded-Uri": self._prefix + asked.path,
            "X-Forwarded-Method": request.method,
        }
        headers.setdefault("X-Forwarded-Host", request.host)
        try:
            async with self._http().get(
                self._judge, headers=headers, allow_redirects=False
            ) as answer:
                if answer.status == 204 and answer.headers.get(CLUSTER_HEADER) == asked.cluster:
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
                headers={**_some(answer.headers, _FROM_THE_DASHBOARD), **_APART},
            )
            await shown.prepare(request)
            async for part in answer.content.iter_chunked(1 << 16):
                await shown.write(part)
            await shown.write_eof()
            return shown

    async def _talk(self, request: web.Request, asked: _Asked, target: URL) -> web.StreamResponse:
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
                asyncio.ensure_future(self._until_refused(request, asked)),
            ]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
                await outside.close()
            return outside

    async def _until_refused(self, request: web.Request, asked: _Asked) -> None:
        """Return when the visitor may no longer look, or nobody can say so for too long."""
        allowed = time.monotonic()
        while True:
            await asyncio.sleep(self._again)
            refused = await self._refused(request, asked)
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


def _is_of_this_host(request: web.Request, asked: _Asked) -> bool:
    """Whether the page that opens a WebSocket is of this host, or one in a view of it."""
    origin = request.headers.get("Origin")
    if origin is None or (origin == "null" and asked.in_view):
        return True  # no browser's page, which always says whose it is; or one that was set apart
    hosts = (request.host, request.headers.get("X-Forwarded-Host"))
    # Not parsed: an origin is a scheme and a host, and whatever else it may be is not this host.
    return origin.partition("://")[2].lower() in {host.lower() for host in hosts if host}


def _ours(cookies: str) -> str:
    """Of the header ``Cookie``, what the service reads."""
    parts = [part.strip() for part in cookies.split(";")]
    return "; ".join(part for part in parts if part.partition("=")[0].strip() == COOKIE)


def _some(headers: Mapping[str, str], names: tuple[str, ...]) -> dict[str, str]:
    return {name: headers[name] for name in names if name in headers}


def _plain(status: int, words: str) -> web.Response:
    return web.Response(status=status, text=words)
