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

from panneuro_hub.dask.dashboard_tokens import DashboardTokens, add_token, split_token
from panneuro_hub.wire.dashboard_requests import (
    CLUSTER_HEADER,
    DASHBOARD_COOKIE,
    is_page_navigation,
)

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
_ISOLATION_HEADERS = {
    # Scripts run as if their page came from nowhere: no cookie and no page of the hub is theirs.
    # Nothing comes from elsewhere: some of Dask's pages name a host that would see each reader.
    "Content-Security-Policy": "sandbox allow-scripts allow-popups allow-downloads; "
    "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; frame-ancestors 'self'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_TIMEOUT = aiohttp.ClientTimeout(total=60, sock_connect=10)
_LARGEST_MESSAGE = 64 << 20  # bytes
_RECHECK_SECONDS = 10.0  # seconds
_SILENCE_SECONDS = 60.0  # seconds without anybody's word, such as while the service is restarted


@dataclass(frozen=True)
class _DashboardRequest:
    """What a request is for.

    Parameters
    ----------
    cluster : str
    below : str
        Path and query below the cluster's own path, as they were sent: a name in Dask's own
        addresses is itself an encoded address.
    cookie : str
        What says who is asking; ``""`` for nobody.
    has_token : bool
        Whether the address names an open view of the cluster, and of who asks.
    """

    cluster: str
    below: str
    cookie: str
    has_token: bool

    @property
    def path(self) -> str:
        """Below the gateway's own, without a view."""
        return f"/clusters/{self.cluster}{self.below}"


class DashboardProxy:
    """Shows dashboards to who may see them.

    Parameters
    ----------
    service_url : str
        The PanNeuro service.
    prefix : str
        Path below which a browser sees the gateway.
    dashboard : callable
        Gives the address of a cluster's dashboard, or `None`.
    recheck_seconds : float
        Seconds after which the service is asked anew about a WebSocket that is open.
    silence_seconds : float
        Seconds that one stays open while the service does not answer.
    """

    def __init__(
        self,
        service_url: str,
        prefix: str,
        dashboard: Callable[[str], str | None],
        recheck_seconds: float = _RECHECK_SECONDS,
        silence_seconds: float = _SILENCE_SECONDS,
    ) -> None:
        self._check_url = f"{service_url.rstrip('/')}/api/dashboard"
        self._prefix = prefix
        self._dashboard = dashboard
        self._tokens = DashboardTokens()
        self._recheck_seconds = recheck_seconds
        self._silence_seconds = silence_seconds
        self._client: aiohttp.ClientSession | None = None

    def build_routes(self) -> list[web.RouteDef]:
        """The routes to add to the gateway's application."""
        return [web.get("/clusters/{cluster_name}{path:(?:/.*)?}", self.forward_request)]

    async def close(self) -> None:
        """Let go of the connections."""
        if self._client is not None:
            await self._client.close()

    async def forward_request(self, request: web.Request) -> web.StreamResponse:
        """Answer with what the dashboard says, or with what the service says against it."""
        target_request = self._read_request(request)
        if target_request is None:
            return _make_text_response(404, "this is not the address of a dashboard")
        if "Upgrade" in request.headers and not _is_own_origin(request, target_request):
            return _make_text_response(403, "another site's page asks for this")
        refused = await self._find_refusal(request, target_request)
        if refused is not None:
            return refused
        if is_page_navigation(request.headers) and not target_request.has_token:
            return self._redirect_to_token(target_request)
        address = self._dashboard(target_request.cluster)
        if address is None:
            return _make_text_response(
                404, f"cluster {target_request.cluster} has no dashboard now"
            )
        target = URL(address + (target_request.below or "/"), encoded=True)
        try:
            if request.headers.get("Upgrade", "").lower() == "websocket":
                return await self._forward_socket(request, target_request, target)
            return await self._forward_page(request, target)
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            return _make_text_response(
                502, f"the dashboard does not answer ({type(error).__name__})"
            )

    def _read_request(self, request: web.Request) -> _DashboardRequest | None:
        """What is asked for, by whom; `None` where the address can be read in two ways."""
        cluster = request.match_info["cluster_name"]
        own = f"/clusters/{cluster}"
        if not request.raw_path.startswith(own):
            return None
        view, below = split_token(request.raw_path.removeprefix(own))
        held = self._tokens.find_cookie(cluster, view) if view else None
        cookie = _select_own_cookie(request.headers.get("Cookie", ""))
        if is_page_navigation(request.headers) or view is None:
            return _DashboardRequest(cluster, below, cookie, held == cookie)
        # Parts of a page that is kept apart come without cookies.
        return _DashboardRequest(cluster, below, held or "", held is not None)

    def _redirect_to_token(self, target_request: _DashboardRequest) -> web.Response:
        view = self._tokens.open_token(target_request.cluster, target_request.cookie)
        below = add_token(view, target_request.below)
        where = f"{self._prefix}/clusters/{target_request.cluster}{below}"
        return web.Response(status=302, headers={"Location": where, "Cache-Control": "no-store"})

    async def _find_refusal(
        self, request: web.Request, target_request: _DashboardRequest
    ) -> web.Response | None:
        """The service's answer, where that is not that the visitor may pass."""
        headers = {
            **_select_headers(request.headers, _FOR_THE_SERVICE),
            **({"Cookie": target_request.cookie} if target_request.cookie else {}),
            "X-Forwarded-Uri": self._prefix + target_request.path,
            "X-Forwarded-Method": request.method,
        }
        headers.setdefault("X-Forwarded-Host", request.host)
        try:
            async with self._get_client().get(
                self._check_url, headers=headers, allow_redirects=False
            ) as response:
                if (
                    response.status == 204
                    and response.headers.get(CLUSTER_HEADER) == target_request.cluster
                ):
                    return None
                status = response.status if response.status >= 300 else 403
                return web.Response(
                    status=status,
                    body=await response.read(),
                    headers=_select_headers(response.headers, _FROM_THE_SERVICE),
                )
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            return _make_text_response(
                503, f"nobody can say now who you are ({type(error).__name__})"
            )

    async def _forward_page(self, request: web.Request, target: URL) -> web.StreamResponse:
        async with self._get_client().get(
            target,
            headers=_select_headers(request.headers, _FOR_THE_DASHBOARD),
            allow_redirects=False,
        ) as response:
            shown = web.StreamResponse(
                status=response.status,
                headers={
                    **_select_headers(response.headers, _FROM_THE_DASHBOARD),
                    **_ISOLATION_HEADERS,
                },
            )
            await shown.prepare(request)
            async for part in response.content.iter_chunked(1 << 16):
                await shown.write(part)
            await shown.write_eof()
            return shown

    async def _forward_socket(
        self, request: web.Request, target_request: _DashboardRequest, target: URL
    ) -> web.StreamResponse:
        wanted = request.headers.get("Sec-WebSocket-Protocol", "")
        protocols = [word.strip() for word in wanted.split(",") if word.strip()]
        async with self._get_client().ws_connect(
            target, protocols=protocols, max_msg_size=_LARGEST_MESSAGE
        ) as inside:
            chosen = [inside.protocol] if inside.protocol else []
            outside = web.WebSocketResponse(protocols=chosen, max_msg_size=_LARGEST_MESSAGE)
            await outside.prepare(request)
            tasks = [
                asyncio.ensure_future(_copy_messages(inside, outside)),
                asyncio.ensure_future(_copy_messages(outside, inside)),
                asyncio.ensure_future(self._wait_for_refusal(request, target_request)),
            ]
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                await outside.close()
            return outside

    async def _wait_for_refusal(
        self, request: web.Request, target_request: _DashboardRequest
    ) -> None:
        """Return when the visitor may no longer look, or nobody can say so for too long."""
        allowed = time.monotonic()
        while True:
            await asyncio.sleep(self._recheck_seconds)
            refused = await self._find_refusal(request, target_request)
            if refused is None:
                allowed = time.monotonic()
            elif refused.status < 500 or time.monotonic() - allowed > self._silence_seconds:
                return

    def _get_client(self) -> aiohttp.ClientSession:
        if self._client is None:
            # Nobody's cookies are kept: one visitor's must not become another's.
            self._client = aiohttp.ClientSession(
                timeout=_TIMEOUT, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=True
            )
        return self._client


WebSocketEnd = aiohttp.ClientWebSocketResponse | web.WebSocketResponse


async def _copy_messages(source: WebSocketEnd, target: WebSocketEnd) -> None:
    async for message in source:
        if message.type is aiohttp.WSMsgType.TEXT:
            await target.send_str(message.data)
        elif message.type is aiohttp.WSMsgType.BINARY:
            await target.send_bytes(message.data)


def _is_own_origin(request: web.Request, target_request: _DashboardRequest) -> bool:
    """Whether the page that opens a WebSocket is of this host, or one in a view of it."""
    origin = request.headers.get("Origin")
    if origin is None or (origin == "null" and target_request.has_token):
        return True  # no browser's page, which always says whose it is; or one that was set apart
    hosts = (request.host, request.headers.get("X-Forwarded-Host"))
    # Not parsed: an origin is a scheme and a host, and whatever else it may be is not this host.
    return origin.partition("://")[2].lower() in {host.lower() for host in hosts if host}


def _select_own_cookie(cookies: str) -> str:
    """Of the header ``Cookie``, what the service reads."""
    parts = [part.strip() for part in cookies.split(";")]
    return "; ".join(part for part in parts if part.partition("=")[0].strip() == DASHBOARD_COOKIE)


def _select_headers(headers: Mapping[str, str], names: tuple[str, ...]) -> dict[str, str]:
    return {name: headers[name] for name in names if name in headers}


def _make_text_response(status: int, words: str) -> web.Response:
    return web.Response(status=status, text=words)
