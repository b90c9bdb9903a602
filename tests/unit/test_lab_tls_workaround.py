"""What OpenSSL says of one connection is no news of another."""

from __future__ import annotations

import _ssl
import asyncio
import ctypes
import errno
import inspect
import socket
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from tornado.iostream import SSLIOStream, StreamClosedError

from panneuro_hub.lab import tls_workaround

_SYSTEM = 2  # OpenSSL's number of the library whose errors are the system's


@pytest.fixture
def leave_an_error() -> Callable[[], None]:
    """Leaves in OpenSSL's queue what a peer that has gone leaves there."""
    library = ctypes.CDLL(_ssl.__file__)
    if not hasattr(library, "ERR_set_error"):
        pytest.skip("this Python has an OpenSSL that cannot be reached, or is older than 3")

    def leave() -> None:
        library.ERR_new()
        library.ERR_set_error(_SYSTEM, errno.EPIPE, None)

    return leave


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and its own certificate, in one file."""
    folder = tmp_path_factory.mktemp("certificate")
    made = subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-subj", "/CN=localhost", "-days", "2", "-keyout", "key", "-out", "cert"),
        ],
        cwd=folder,
        capture_output=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    both = folder / "both.pem"
    both.write_text((folder / "key").read_text() + (folder / "cert").read_text())
    return both


@pytest.fixture
async def pair(certificate: Path) -> AsyncIterator[tuple[SSLIOStream, SSLIOStream]]:
    """Two ends of a TLS connection, in one thread."""
    at_server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    at_server.load_cert_chain(certificate)
    at_client = ssl.create_default_context(cafile=str(certificate))
    one, other = socket.socketpair()
    server = SSLIOStream(at_server.wrap_socket(one, True, do_handshake_on_connect=False))
    client = SSLIOStream(
        at_client.wrap_socket(other, server_hostname="localhost", do_handshake_on_connect=False)
    )
    await asyncio.gather(server.wait_for_handshake(), client.wait_for_handshake())
    await client.write(b"hello")
    assert await server.read_bytes(5) == b"hello"
    yield server, client
    client.close()
    server.close()


@pytest.fixture(autouse=True)
def not_kept_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """As Tornado has it, whatever other tests have started in this process."""
    for name in ("read_from_fd", "write_to_fd"):
        monkeypatch.setattr(SSLIOStream, name, inspect.unwrap(getattr(SSLIOStream, name)))


@pytest.fixture
def kept_apart(not_kept_apart: None) -> None:
    """As in Dask's servers, for this test alone."""
    tls_workaround.isolate_connections()
    tls_workaround.isolate_connections()


async def test_without_it_a_healthy_connection_is_closed(
    pair: tuple[SSLIOStream, SSLIOStream], leave_an_error: Callable[[], None]
) -> None:
    server, _ = pair
    leave_an_error()
    with pytest.raises(OSError, match=r"SYS|Broken pipe|closed"):
        await asyncio.wait_for(server.read_bytes(1), 20)


@pytest.mark.usefixtures("kept_apart")
async def test_a_connection_outlives_what_is_said_of_another(
    pair: tuple[SSLIOStream, SSLIOStream], leave_an_error: Callable[[], None]
) -> None:
    server, client = pair
    for _ in range(3):
        leave_an_error()
        reading = asyncio.ensure_future(server.read_bytes(100_000))
        await asyncio.sleep(0)  # it reads before there is anything
        leave_an_error()
        await client.write(b"x" * 100_000)
        assert await asyncio.wait_for(reading, 20) == b"x" * 100_000


@pytest.mark.usefixtures("kept_apart")
async def test_a_peer_that_goes_is_still_noticed(pair: tuple[SSLIOStream, SSLIOStream]) -> None:
    server, client = pair
    client.close()
    with pytest.raises(StreamClosedError):
        await asyncio.wait_for(server.read_bytes(1), 20)


def test_dask_s_own_processes_keep_connections_apart() -> None:
    said = subprocess.run(
        [
            sys.executable,
            "-c",
            "from panneuro_hub.lab import tls_workaround; from tornado.iostream import "
            "SSLIOStream\n"
            "tls_workaround.dask_setup(None); tls_workaround.dask_setup(None)\n"
            "print(hasattr(SSLIOStream.read_from_fd, '__wrapped__'),"
            " hasattr(SSLIOStream.read_from_fd.__wrapped__, '__wrapped__'))",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.split() == ["True", "False"]
