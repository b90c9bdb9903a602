"""A wire between S3 clients and their store that notes which keys sign which requests."""

from __future__ import annotations

import re
import socket
import socketserver
import threading
from collections import defaultdict
from collections.abc import Callable

_SIGNED = re.compile(rb"(?:GET|HEAD) /[^/]+/([^ ?]+)[ ?].*?Credential=(\w+)/", re.DOTALL)


class KeyTap:
    """Passes bytes to a store as they are; `keys` has the keys seen, by the object's folder.

    `requests` and `received` count what was asked of the store, and the bytes that came back.

    The signature covers the address that the client was given, so the store takes it.
    """

    def __init__(self, store_port: int, depth: int) -> None:
        self.keys: defaultdict[str, list[str]] = defaultdict(list)
        self.requests = 0
        self.received = 0
        self._store = ("127.0.0.1", store_port)
        self._depth = depth
        self._lock = threading.Lock()

    def __enter__(self) -> KeyTap:
        self._server = _Server(("127.0.0.1", 0), _Wire)
        self._server.tap = self
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def connect(self) -> socket.socket:
        return socket.create_connection(self._store)

    def count(self, received: int) -> None:
        with self._lock:
            self.received += received

    def note(self, head: bytes) -> None:
        with self._lock:
            self.requests += 1
        signed = _SIGNED.search(head)
        if signed is None:
            return
        folder = "/".join(signed[1].decode().split("/")[: self._depth])
        with self._lock:
            seen = self.keys[folder]
            key = signed[2].decode()
            if key not in seen:
                seen.append(key)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 128
    tap: KeyTap


class _Wire(socketserver.BaseRequestHandler):
    server: _Server
    request: socket.socket

    def handle(self) -> None:
        with self.server.tap.connect() as store:
            tap = self.server.tap
            back = threading.Thread(
                target=_pass_on, args=(store, self.request, tap.count), daemon=True
            )
            back.start()
            head = b""
            while piece := _receive(self.request):
                *heads, head = (head + piece).split(b"\r\n\r\n")
                for whole in heads:
                    self.server.tap.note(whole)
                _send(store, piece)
            _finish(store)
            back.join()


def _pass_on(source: socket.socket, target: socket.socket, count: Callable[[int], None]) -> None:
    while piece := _receive(source):
        count(len(piece))
        _send(target, piece)
    _finish(target)


def _receive(source: socket.socket) -> bytes:
    try:
        return source.recv(65536)
    except OSError:
        return b""  # closed by the other side: the end, as well


def _send(target: socket.socket, piece: bytes) -> None:
    try:
        target.sendall(piece)
    except OSError:
        return  # its reader has gone; what comes next ends this wire


def _finish(target: socket.socket) -> None:
    try:
        target.shutdown(socket.SHUT_WR)
    except OSError:
        return  # closed already
