"""A way to the cluster's API server that can be cut off."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from kube import Cluster

PATIENCE = 30.0  # s


class ApiProxy:
    """Passes connections on to an API server until it is cut off.

    Parameters
    ----------
    server : str
        The API server's URL.
    """

    def __init__(self, server: str) -> None:
        address = urlparse(server)
        self._target = (address.hostname, address.port or 443)
        self._open: set[asyncio.Task[None]] = set()
        self._listener: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self.port = self._run(self._listen(0))

    def cut(self) -> None:
        """Refuse connections from now on, and end those that there are."""
        self._run(self._close())

    def restore(self) -> None:
        """Take connections again, at the same port."""
        self._run(self._listen(self.port))

    def close(self) -> None:
        """Stop for good."""
        self.cut()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE)

    async def _listen(self, port: int) -> int:
        self._listener = await asyncio.start_server(self._serve, "127.0.0.1", port)
        return int(self._listener.sockets[0].getsockname()[1])

    async def _close(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            there_reader, there_writer = await asyncio.open_connection(*self._target)
            with contextlib.closing(there_writer):
                await asyncio.gather(_pump(reader, there_writer), _pump(there_reader, writer))
        except (asyncio.CancelledError, OSError):
            pass  # cut off, or one of the two has gone
        finally:
            self._open.discard(task)
            writer.close()


async def _pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    while data := await source.read(1 << 16):
        target.write(data)
        await target.drain()
    target.close()


@contextmanager
def api_proxy(cluster: Cluster) -> Iterator[ApiProxy]:
    """Serve until the end of the block."""
    proxy = ApiProxy(view_of(cluster)["clusters"][0]["cluster"]["server"])
    try:
        yield proxy
    finally:
        proxy.close()


def view_of(cluster: Cluster) -> dict[str, Any]:
    """The kubeconfig of the cluster, whole."""
    words = ("config", "view", "--raw", "--minify", "--flatten", "--output", "json")
    return dict(json.loads(cluster.kubectl(*words)))


def write_kubeconfig(
    cluster: Cluster, proxy: ApiProxy, path: Path, *, is_trusted: bool = True
) -> None:
    """Write a kubeconfig that leads through the proxy.

    Parameters
    ----------
    is_trusted : bool
        Whether what reads it trusts the API server's certificate.
    """
    view = view_of(cluster)
    there = view["clusters"][0]["cluster"]
    there["server"] = f"https://127.0.0.1:{proxy.port}"
    if not is_trusted:
        there.pop("certificate-authority-data", None)
        there.pop("insecure-skip-tls-verify", None)
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(view))
    path.chmod(0o600)
