"""The agent's HTTP server: loopback only, a thread a connection, everything bounded."""

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

log = logging.getLogger("panneuro_hub.agent")

LOOPBACK = "127.0.0.1"
_IDLE_SECONDS = 30.0  # seconds that a connection may be silent
_MAX_HEAD_SIZE = 16 * 1024  # bytes of request line and headers
_MAX_CONNECTIONS = 256


class LoopbackServer(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """Serves on 127.0.0.1 and nowhere else.

    Parameters
    ----------
    port : int
        0 for any free one.
    answer : callable
        Gives the `AgentResponse` to an `AgentRequest` that came in on a port.

    Raises
    ------
    OSError
        If the port is taken.
    """

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, answer: Callable[[AgentRequest, int], AgentResponse]) -> None:
        self.answer = answer
        self._open: set[socket.socket] = set()
        self._open_lock = threading.Lock()
        super().__init__((LOOPBACK, port), _AgentHandler)

    @property
    def port(self) -> int:
        """The port that is served."""
        return int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        """Give a connection to a thread, or close it where there are too many."""
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
        """Say what went wrong with a connection; a client that went away is no news."""
        problem = sys.exception()
        if not isinstance(problem, (ConnectionError, TimeoutError)):
            log.error("a request could not be answered", exc_info=problem)

    def close(self) -> None:
        """Stop serving, and close what is still open."""
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
    """Reads from a connection, not more than the head of one request may be long."""

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
    # Head and body leave in one piece, or the client waits 40 ms for the second one.
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
            # What follows would be read as the next request.
            self.send_error(HTTPStatus.BAD_REQUEST, "a request for keys has no body")
            return
        request = AgentRequest(
            path=self.path,
            hosts=self.headers.get_all("Host", []),
            tokens=self.headers.get_all("Authorization", []),
            from_page="Origin" in self.headers,
        )
        self._send(self.server.answer(request, self.server.port))

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer what is no proper request, and close the connection."""
        self.close_connection = True
        status = HTTPStatus(code)
        self._send(make_refusal(status, status.phrase.replace(" ", ""), message or status.phrase))

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
        """Say nothing: clients ask thousands of times, and a line could hold what they sent."""
