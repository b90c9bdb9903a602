"""A small HTTP server in the place of a real one, for answers that the real one does not give."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


@dataclass(frozen=True)
class StandInRequest:
    """A request as it arrived.

    Parameters
    ----------
    method : str
    path : str
        With the query, as it is in the request line.
    headers : mapping of str to str
        Names in lower case.
    body : bytes
    """

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True)
class StandInResponse:
    """What the server answers.

    Parameters
    ----------
    status : int
    body : bytes
    headers : mapping of str to str
    """

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_json(cls, document: object, status: int = 200, **headers: str) -> StandInResponse:
        """Make a response of a JSON document; underscores in names of headers are hyphens."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return cls(
            status, json.dumps(document).encode(), {"Content-Type": "application/json", **named}
        )


Respond = Callable[[StandInRequest], StandInResponse]


class StandInServer:
    """A server that answers with what a function returns, as a context manager.

    Each request has a thread of its own, so a function may wait. Leaving the block waits for the
    answers that are under way.

    Parameters
    ----------
    respond : callable
        Returns a `StandInResponse` for a `StandInRequest`.
    address : str
        The IP address of this machine that it listens on, at a free port.

    Attributes
    ----------
    requests : list of StandInRequest
        All that arrived, in their order.
    """

    def __init__(self, respond: Respond, address: str = "127.0.0.1") -> None:
        self.requests: list[StandInRequest] = []
        self._respond = respond
        self._server = _Server((address, 0), _Handler)
        self._server.stand_in = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        """Where it answers, without a slash at the end."""
        address, port = self._server.server_address[:2]
        return f"http://{address!s}:{port}"

    def answer(self, request: StandInRequest) -> StandInResponse:
        """Note a request, and return the answer to it."""
        self.requests.append(request)
        return self._respond(request)


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    request_queue_size = 128
    stand_in: StandInServer


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def _answer(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(headers.get("content-length", 0)))
        response = self.server.stand_in.answer(
            StandInRequest(self.command, self.path, headers, body)
        )
        self.send_response(response.status)
        for name, value in response.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(response.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(response.body)

    # The names that http.server looks for.
    do_DELETE = do_GET = do_HEAD = do_PATCH = do_POST = do_PUT = _answer  # noqa: N815

    def log_message(self, *_: Any) -> None:
        """Write nothing: the test shows what matters."""
