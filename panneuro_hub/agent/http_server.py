"""The agent's HTTP server: loopback only, one thread for each connection, limits for everything."""

from __future__ import annotations

import http.client
import json
import logging
import socket
import socketserver
import sys
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from io import BufferedIOBase
from typing import Any

from panneuro_hub.agent.routes import AgentRequest, AgentResponse, make_refusal
from panneuro_hub.wire.refusal import Refusal

log = logging.getLogger("panneuro_hub.agent")

LOOPBACK = "127.0.0.1"
_IDLE_SECONDS = 30.0  # seconds without a byte, after which a connection is closed
_MAX_HEAD_SIZE = 16 * 1024  # bytes of request line and headers
_MAX_CONNECTIONS = 256


class LoopbackServer(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """An HTTP server that listens only on 127.0.0.1.

    Parameters
    ----------
    port : int
        The port to listen on, or 0 for any free port.
    handler : callable
        Returns the `AgentResponse` to an `AgentRequest`; its second argument is the port.

    Raises
    ------
    OSError
        If the port is taken.
    """

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, handler: Callable[[AgentRequest, int], AgentResponse]) -> None:
        self.handler = handler
        self._open: set[socket.socket] = set()
        self._open_lock = threading.Lock()
        super().__init__((LOOPBACK, port), _AgentHandler)

    @property
    def port(self) -> int:
        """The port on which the server listens."""
        return int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        """Start a thread for a connection, or close it if there are too many."""
        with self._open_lock:
            crowded = len(self._open) >= _MAX_CONNECTIONS
            if not crowded:
                self._open.add(request)
        if crowded:
            super().shutdown_request(request)
        else:
            super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection."""
        with self._open_lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log an error of a connection, but not a client that went away."""
        problem = sys.exception()
        if not isinstance(problem, (ConnectionError, TimeoutError)):
            log.error("the agent failed to answer a request", exc_info=problem)

    def close(self) -> None:
        """Stop serving, and close all open connections."""
        self.shutdown()
        self.server_close()
        with self._open_lock:
            still_open = tuple(self._open)
        for connection in still_open:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # its client has closed it already


class _BoundedHead:
    """Limit the head of one request while it is read from a connection."""

    def __init__(self, stream: BufferedIOBase) -> None:
        self._stream = stream
        self.left = _MAX_HEAD_SIZE

    def readline(self, size: int = -1) -> bytes:
        if self.left <= 0:
            raise http.client.LineTooLong("head of the request")
        line = self._stream.readline(self.left if size < 0 else min(size, self.left))
        self.left -= len(line)
        return line

    def close(self) -> None:
        self._stream.close()


class _AgentHandler(BaseHTTPRequestHandler):
    server: LoopbackServer
    protocol_version = "HTTP/1.1"
    server_version = "panneuro-agent"
    sys_version = ""
    timeout = _IDLE_SECONDS
    # Send head and body in one piece. Otherwise the client waits 40 ms for the body.
    wbufsize = -1
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        self._head = _BoundedHead(self.rfile)
        self.rfile = self._head  # type: ignore[assignment]

    def handle_one_request(self) -> None:
        self._head.left = _MAX_HEAD_SIZE
        super().handle_one_request()

    def do_GET(self) -> None:
        if self.headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in self.headers:
            # The server would read the body as the next request.
            self.send_error(
                HTTPStatus.BAD_REQUEST, "a request for a credential must not have a body"
            )
            return
        request = AgentRequest(
            path=self.path,
            hosts=self.headers.get_all("Host", []),
            tokens=self.headers.get_all("Authorization", []),
            from_page="Origin" in self.headers,
        )
        self._send(self.server.handler(request, self.server.port))

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuse a malformed request, and close the connection."""
        self.close_connection = True
        status = HTTPStatus(code)
        refusal = Refusal.from_status(status, message or status.phrase)
        self._send(make_refusal(refusal, status.phrase.replace(" ", "")))

    def _send(self, response: AgentResponse) -> None:
        body = json.dumps(response.body).encode()
        self.send_response(response.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        if response.status == HTTPStatus.SERVICE_UNAVAILABLE:
            self.send_header("Retry-After", "1")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name in http.server
        """Log nothing: requests are many, and a line could show what a client sent."""
