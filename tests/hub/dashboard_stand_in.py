"""Stands in for clusters' dashboards: says on each page what came with the request.

``python dashboard_stand_in.py PORT``.
"""

from __future__ import annotations

import sys
from html import escape

from aiohttp import WSMsgType, web


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


def main() -> None:
    """Serve until the end."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", show)
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None)


if __name__ == "__main__":
    main()
