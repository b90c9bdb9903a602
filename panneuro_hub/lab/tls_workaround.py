"""Keeps Dask's connections apart: one that breaks must not take others with it.

What OpenSSL has to say of a connection waits in a queue of the thread, and Python's `ssl`
does not empty that before it reads or writes: the news of a peer that has gone is then
taken for news of the connection that comes next, and that one is closed (CPython issue
148594). Since OpenSSL 3.4 a worker that has just said hello is enough for it: a client
loses its scheduler so, and a scheduler its workers.

``dask scheduler --preload panneuro_hub.lab.tls_workaround`` (``dask worker`` alike, with
``--preload-nanny`` too) has the queue emptied before every read and write of Tornado's TLS
streams, which are what Dask speaks through.
"""

from __future__ import annotations

import functools
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from tornado.iostream import SSLIOStream


class _EmptyHandshake(threading.local):
    """A handshake with nobody, one in each thread: every step of it begins with an empty queue."""

    def __init__(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False  # of nobody
        self._handshake = context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO())

    def empty_queue(self) -> None:
        with suppress(ssl.SSLWantReadError):
            self._handshake.do_handshake()


_handshake = _EmptyHandshake()


def isolate_connections() -> None:
    """Have Tornado's TLS streams of this process begin with an empty queue; once is enough."""
    for name in ("read_from_fd", "write_to_fd"):
        method = getattr(SSLIOStream, name)
        if not hasattr(method, "__wrapped__"):
            setattr(SSLIOStream, name, _with_empty_queue(method))


def _with_empty_queue(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def begun(stream: SSLIOStream, data: Any) -> Any:
        _handshake.empty_queue()
        return method(stream, data)

    return begun


def dask_setup(server: Any) -> None:
    """Keep the connections of a Dask server apart; Dask calls this before it listens."""
    isolate_connections()
