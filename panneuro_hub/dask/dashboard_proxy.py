"""A proxy for the dashboards of clusters that lets the service decide about each request.

The proxy asks the service about every request. A WebSocket lives as long as its page, so the proxy
asks again at intervals while it is open. The scheduler behind the proxy runs people's own code: it
receives no cookie and no token of a viewer, and its pages cannot reach the hub, although the hub's
host serves them.
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

# The headers of a viewer's request that the service needs for its decision, with one cookie.
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
    # Scripts run as if their page had no origin, so they reach no cookie and no page of the hub.
    # Pages load nothing from other hosts: some of Dask's pages name one that would see each viewer.
    "Content-Security-Policy": "sandbox allow-scripts allow-popups allow-downloads; "
    "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; frame-ancestors 'self'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_TIMEOUT = aiohttp.ClientTimeout(total=60, sock_connect=10)
_LARGEST_MESSAGE = 64 << 20  # bytes
_RECHECK_SECONDS = 10.0  # seconds
_SILENCE_SECONDS = 60.0  # seconds without an answer, such as during a restart of the service


@dataclass(frozen=True)
class _DashboardRequest:
    """A request for a page or a WebSocket of a dashboard.

    Parameters
    ----------
    cluster : str
    subpath : str
        Path and query below the cluster's own path, as the browser sent them: a name in Dask's
        own addresses is itself an encoded address.
    cookie : str
        The cookie that identifies the viewer; ``""`` without one.
    has_token : bool
        Whether the address has a valid token for the cluster and the viewer.
    """

    cluster: str
    subpath: str
    cookie: str
    has_token: bool

    @property
    def path(self) -> str:
        """The path below the gateway's own path, without a token."""
        return f"/clusters/{self.cluster}{self.subpath}"


class DashboardProxy:
    """A proxy that forwards requests for dashboards if the service allows them.

    Parameters
    ----------
    service_url : str
        The address of the PanNeuro service.
    prefix : str
        Path below which a browser sees the gateway.
    find_dashboard : callable
        Returns the address of a cluster's dashboard, or `None`.
    recheck_seconds : float
        The interval at which the proxy asks the service about an open WebSocket, in seconds.
    silence_seconds : float
        The time that a WebSocket stays open while the service does not answer, in seconds.
    """

    def __init__(
        self,
        service_url: str,
        prefix: str,
        find_dashboard: Callable[[str], str | None],
        recheck_seconds: float = _RECHECK_SECONDS,
        silence_seconds: float = _SILENCE_SECONDS,
    ) -> None:
        self._check_url = f"{service_url.rstrip('/')}/api/dashboard"
        self._prefix = prefix
        self._find_dashboard = find_dashboard
        self._tokens = DashboardTokens()
        self._recheck_seconds = recheck_seconds
        self._silence_seconds = silence_seconds
        self._client: aiohttp.ClientSession | None = None

    def build_routes(self) -> list[web.RouteDef]:
        """Return the routes of the proxy for the gateway's application."""
        return [web.get("/clusters/{cluster_name}{path:(?:/.*)?}", self.forward_request)]

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.close()

    async def forward_request(self, request: web.Request) -> web.StreamResponse:
        """Answer a request with the dashboard's response or with the service's refusal."""
        target_request = self._read_request(request)
        if target_request is None:
            return _make_text_response(404, "this is not the address of a dashboard")
        if "Upgrade" in request.headers and not _is_own_origin(request, target_request):
            return _make_text_response(403, "a page of another site sent this request")
        refusal = await self._find_refusal(request, target_request)
        if refusal is not None:
            return refusal
        if is_page_navigation(request.headers) and not target_request.has_token:
            return self._redirect_to_token(target_request)
        address = self._find_dashboard(target_request.cluster)
        if address is None:
            return _make_text_response(
                404, f"cluster {target_request.cluster} has no dashboard now"
            )
        target = URL(address + (target_request.subpath or "/"), encoded=True)
        try:
            if request.headers.get("Upgrade", "").lower() == "websocket":
                return await self._forward_socket(request, target_request, target)
            return await self._forward_page(request, target)
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            return _make_text_response(
                502, f"the dashboard does not answer ({type(error).__name__})"
            )

    def _read_request(self, request: web.Request) -> _DashboardRequest | None:
        """Return the cluster, path and cookie of a request; `None` if its address is ambiguous."""
        cluster = request.match_info["cluster_name"]
        cluster_path = f"/clusters/{cluster}"
        if not request.raw_path.startswith(cluster_path):
            return None
        token, subpath = split_token(request.raw_path.removeprefix(cluster_path))
        token_cookie = self._tokens.find_cookie(cluster, token) if token else None
        cookie = _select_own_cookie(request.headers.get("Cookie", ""))
        if is_page_navigation(request.headers) or token is None:
            return _DashboardRequest(cluster, subpath, cookie, token_cookie == cookie)
        # An isolated page requests its parts without cookies.
        return _DashboardRequest(cluster, subpath, token_cookie or "", token_cookie is not None)

    def _redirect_to_token(self, target_request: _DashboardRequest) -> web.Response:
        token = self._tokens.open_token(target_request.cluster, target_request.cookie)
        subpath = add_token(token, target_request.subpath)
        location = f"{self._prefix}/clusters/{target_request.cluster}{subpath}"
        return web.Response(status=302, headers={"Location": location, "Cache-Control": "no-store"})

    async def _find_refusal(
        self, request: web.Request, target_request: _DashboardRequest
    ) -> web.Response | None:
        """Return the service's refusal of a request, or `None` if the service allows it."""
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
                503, f"the PanNeuro service could not check who you are ({type(error).__name__})"
            )

    async def _forward_page(self, request: web.Request, target: URL) -> web.StreamResponse:
        async with self._get_client().get(
            target,
            headers=_select_headers(request.headers, _FOR_THE_DASHBOARD),
            allow_redirects=False,
        ) as response:
            forwarded = web.StreamResponse(
                status=response.status,
                headers={
                    **_select_headers(response.headers, _FROM_THE_DASHBOARD),
                    **_ISOLATION_HEADERS,
                },
            )
            await forwarded.prepare(request)
            async for part in response.content.iter_chunked(1 << 16):
                await forwarded.write(part)
            await forwarded.write_eof()
            return forwarded

    async def _forward_socket(
        self, request: web.Request, target_request: _DashboardRequest, target: URL
    ) -> web.StreamResponse:
        offered = request.headers.get("Sec-WebSocket-Protocol", "")
        protocols = [word.strip() for word in offered.split(",") if word.strip()]
        async with self._get_client().ws_connect(
            target, protocols=protocols, max_msg_size=_LARGEST_MESSAGE
        ) as dashboard:
            chosen = [dashboard.protocol] if dashboard.protocol else []
            browser = web.WebSocketResponse(protocols=chosen, max_msg_size=_LARGEST_MESSAGE)
            await browser.prepare(request)
            tasks = [
                asyncio.ensure_future(_copy_messages(dashboard, browser)),
                asyncio.ensure_future(_copy_messages(browser, dashboard)),
                asyncio.ensure_future(self._wait_for_refusal(request, target_request)),
            ]
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                await browser.close()
            return browser

    async def _wait_for_refusal(
        self, request: web.Request, target_request: _DashboardRequest
    ) -> None:
        """Return when the viewer loses access, or when the service is silent for too long."""
        last_allowed = time.monotonic()
        while True:
            await asyncio.sleep(self._recheck_seconds)
            refusal = await self._find_refusal(request, target_request)
            if refusal is None:
                last_allowed = time.monotonic()
            elif refusal.status < 500 or time.monotonic() - last_allowed > self._silence_seconds:
                return

    def _get_client(self) -> aiohttp.ClientSession:
        if self._client is None:
            # It stores no cookies: one viewer must not receive the cookies of another.
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
    """Return whether this host, or an isolated dashboard on it, opens the WebSocket."""
    origin = request.headers.get("Origin")
    if origin is None or (origin == "null" and target_request.has_token):
        return True  # a program, because browsers always send an origin; or an isolated page
    hosts = (request.host, request.headers.get("X-Forwarded-Host"))
    # Not parsed: an origin is a scheme and a host, and anything else does not match this host.
    return origin.partition("://")[2].lower() in {host.lower() for host in hosts if host}


def _select_own_cookie(cookies: str) -> str:
    """Return the part of the header ``Cookie`` that the service reads."""
    parts = [part.strip() for part in cookies.split(";")]
    return "; ".join(part for part in parts if part.partition("=")[0].strip() == DASHBOARD_COOKIE)


def _select_headers(headers: Mapping[str, str], names: tuple[str, ...]) -> dict[str, str]:
    return {name: headers[name] for name in names if name in headers}


def _make_text_response(status: int, message: str) -> web.Response:
    return web.Response(status=status, text=message)
