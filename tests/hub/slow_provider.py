"""An identity provider's answers about people, later than it gives them."""

from __future__ import annotations

import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PATIENCE = 30.0  # s


class SlowUserinfo(ThreadingHTTPServer):
    """Passes each request on to the provider's endpoint, after `delay` seconds."""

    daemon_threads = True

    def __init__(self, endpoint: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.endpoint = endpoint
        self.delay = 0.0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/userinfo"


class _Handler(BaseHTTPRequestHandler):
    server: SlowUserinfo

    def do_GET(self) -> None:
        time.sleep(self.server.delay)
        told = {"Authorization": self.headers["Authorization"]}
        request = urllib.request.Request(self.server.endpoint, headers=told)
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            body = answer.read()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Say nothing: the hub's log has what matters."""


@contextmanager
def slow_userinfo(endpoint: str) -> Iterator[SlowUserinfo]:
    """Serve until the end of the block."""
    with SlowUserinfo(endpoint) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
