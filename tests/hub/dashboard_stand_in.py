"""The gate of a gateway, before one page that stands in for the dashboards of all clusters.

``python dashboard_stand_in.py PORT SERVICE_URL PREFIX``: the page says what came with the
request.
"""

from __future__ import annotations

import asyncio
import sys
from html import escape

from aiohttp import WSMsgType, web

from panneuro_hub.dask.dashboard_proxy import DashboardProxy

AGAIN = 0.3  # seconds


async def show(request: web.Request) -> web.StreamResponse:
    """A page, or an echo for a WebSocket."""
    if request.headers.get("Upgrade", "").lower() == "websocket":
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            if message.type == WSMsgType.TEXT:
                await socket.send_str(f"echo of {message.data}")
        return socket
    came = f"dashboard {request.path_qs} cookies={request.headers.get('Cookie', '')!r}"
    return web.Response(text=f"<h1 id=came>{escape(came)}</h1>", content_type="text/html")


async def serve(port: int, service: str, prefix: str) -> None:
    """Serve until the end."""
    dashboards = web.Application()
    dashboards.router.add_route("*", "/{path:.*}", show)
    behind = await _listening(dashboards, 0)
    before = web.Application()
    gate = DashboardProxy(
        service, prefix, lambda _: f"http://127.0.0.1:{behind}", recheck_seconds=AGAIN
    )
    before.add_routes([*gate.build_routes(), web.get("/", show)])
    await _listening(before, port)
    await asyncio.Event().wait()


async def _listening(app: web.Application, port: int) -> int:
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    return int(runner.addresses[0][1])


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), *sys.argv[2:4]))
