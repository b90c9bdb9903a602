"""A wire between a client and its store that counts, damages and loses what goes over it."""

from __future__ import annotations

import re
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

_HEAD_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)


@dataclass(frozen=True)
class Request:
    """A request as it went by; `size` is what its body should have."""

    method: str
    target: str
    size: int


class Wire:
    """Passes bytes on; the signature covers the address that the client was given.

    Attributes
    ----------
    sent : dict of str to int
        Bytes of bodies that clients sent, by target.
    requests : list of Request
    slowly : float or None
        Bytes a second.
    """

    def __init__(self, store_port: int) -> None:
        self.sent: dict[str, int] = {}
        self.requests: list[Request] = []
        self.damage_up: Callable[[Request], bool] = lambda _: False
        self.damage_down: Callable[[Request], bool] = lambda _: False
        self.slowly: float | None = None
        self.moved = threading.Condition()
        self._store = ("127.0.0.1", store_port)
        self._open: set[socket.socket] = set()
        self._lost = False
        self._pace = threading.Lock()

    def __enter__(self) -> Wire:
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.wire = self
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.lose()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def reset(self) -> None:
        """Forget what was counted."""
        with self.moved:
            self.sent.clear()
            self.requests.clear()

    def total(self, *, of: str = "") -> int:
        """Bytes sent in bodies to targets that have `of` in them."""
        with self.moved:
            return sum(size for target, size in self.sent.items() if of in target)

    def wait_for(self, reached: Callable[[], bool], patience: float = 60.0) -> bool:
        """Wait until `reached` is true of what went by."""
        with self.moved:
            return self.moved.wait_for(reached, patience)

    def lose(self) -> None:
        """Cut every connection, and take no new one."""
        with self.moved:
            self._lost = True
            cut = list(self._open)
        for end in cut:
            _shut(end)

    def mend(self) -> None:
        """Take connections again."""
        with self.moved:
            self._lost = False

    def connect(self, client: socket.socket) -> socket.socket | None:
        with self.moved:
            if self._lost:
                return None
            store = socket.create_connection(self._store)
            self._open |= {client, store}
            return store

    def linger(self, size: int) -> None:
        """Take the time that a wire of `slowly` bytes a second needs."""
        speed = self.slowly
        if speed:
            with self._pace:
                time.sleep(size / speed)

    def let_go(self, *ends: socket.socket) -> None:
        with self.moved:
            self._open -= set(ends)

    def note(self, request: Request) -> None:
        with self.moved:
            self.requests.append(request)
            self.moved.notify_all()

    def count(self, request: Request, size: int) -> None:
        with self.moved:
            self.sent[request.target] = self.sent.get(request.target, 0) + size
            self.moved.notify_all()


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 128
    wire: Wire

    def handle_error(self, request: object, client_address: object) -> None:
        """Connections that are cut are what this is for."""


class _Handler(socketserver.BaseRequestHandler):
    server: _Server
    request: socket.socket

    def handle(self) -> None:
        wire = self.server.wire
        store = wire.connect(self.request)
        if store is None:
            return
        with store:
            current: list[Request] = []
            back = threading.Thread(
                target=_pass_back, args=(wire, store, self.request, current), daemon=True
            )
            back.start()
            for request, piece in _requests(self.request, wire, current):
                if request is not None:
                    wire.linger(len(piece))
                    wire.count(request, len(piece))
                if not _send(store, piece):
                    break
            _shut(store, socket.SHUT_WR)
            back.join()
        wire.let_go(store, self.request)


def _requests(
    source: socket.socket, wire: Wire, current: list[Request]
) -> Iterator[tuple[Request | None, bytes]]:
    """Heads (with `None`) and pieces of bodies, damaged where wanted."""
    buffered = b""
    while True:
        while _HEAD_END not in buffered:
            piece = _receive(source)
            if not piece:
                return
            buffered += piece
        head, _, buffered = buffered.partition(_HEAD_END)
        method, target, _ = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ", 2)
        length = _LENGTH.search(head)
        left = int(length[1]) if length else 0
        request = Request(method, target, left)
        wire.note(request)
        current[:] = [request]
        damaged = not wire.damage_up(request)
        yield None, head + _HEAD_END
        while left:
            piece = buffered[:left] or _receive(source, min(left, 65536))
            if not piece:
                return
            buffered = buffered[len(piece) :] if buffered else b""
            left -= len(piece)
            yield request, piece if damaged else _flipped(piece)
            damaged = True


def _pass_back(
    wire: Wire, store: socket.socket, client: socket.socket, current: list[Request]
) -> None:
    damaged_for: Request | None = None
    while piece := _receive(store):
        request = current[0] if current else None
        wire.linger(len(piece))
        if request is not None and request is not damaged_for and wire.damage_down(request):
            head, end, body = piece.partition(_HEAD_END)
            if body:
                damaged_for = request
                piece = head + end + _flipped(body)
            elif not end:
                damaged_for = request
                piece = _flipped(piece)
        if not _send(client, piece):
            break
    _shut(client, socket.SHUT_WR)


def _flipped(piece: bytes) -> bytes:
    """One bit of it is other."""
    middle = len(piece) // 2
    return piece[:middle] + bytes([piece[middle] ^ 0x10]) + piece[middle + 1 :]


def _receive(source: socket.socket, most: int = 65536) -> bytes:
    try:
        return source.recv(most)
    except OSError:
        return b""  # closed by the other side: the end, as well


def _send(target: socket.socket, piece: bytes) -> bool:
    try:
        target.sendall(piece)
    except OSError:
        return False
    return True


def _shut(end: socket.socket, how: int = socket.SHUT_RDWR) -> None:
    try:
        end.shutdown(how)
    except OSError:
        return  # closed already
