"""What the store gives to who has no keys, on each of its ports."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

import pytest
from attacker import send, signed
from world import World, assert_refused, unchanged


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "/"),
        ("GET", "/lab"),
        ("GET", "/lab?list-type=2&prefix=teamA%2F"),
        ("GET", "/lab/teamA/open.txt"),
        ("HEAD", "/lab/teamA/open.txt"),
        ("PUT", "/lab/teamA/open.txt"),
        ("DELETE", "/lab/teamA/open.txt"),
        ("POST", "/lab?delete="),
        ("PUT", "/evil"),
        ("DELETE", "/lab"),
    ],
)
def test_without_keys_s3_gives_nothing(world: World, method: str, target: str) -> None:
    with unchanged(world):
        assert_refused(world.raw(None, method, target))


@pytest.mark.parametrize(
    ("server", "method", "target"),
    [
        ("filer", "GET", "/buckets/lab/teamB/secret.txt"),
        ("filer", "GET", "/buckets/lab/teamB/?pretty=y"),
        ("filer", "GET", "/etc/iam/"),
        ("filer", "PUT", "/buckets/lab/teamB/new"),
        ("filer", "POST", "/buckets/lab/teamB/"),
        ("filer", "DELETE", "/buckets/lab/teamB/secret.txt"),
        ("filer", "DELETE", "/buckets/lab?recursive=true"),
        ("filer", "POST", "/.tus/buckets/lab/teamB/new"),
        ("volume", "GET", "/1,01637037d6"),
        ("volume", "PUT", "/1,01637037d6"),
        ("volume", "DELETE", "/1,01637037d6"),
        ("volume", "GET", "/ui/index.html"),
        ("master", "GET", "/dir/assign"),
        ("master", "GET", "/dir/lookup?volumeId=1"),
        ("master", "GET", "/dir/lookup?fileId=1,01637037d6&read=yes"),
        ("master", "GET", "/dir/status"),
        ("master", "GET", "/col/delete?collection=lab"),
        ("master", "POST", "/col/delete?collection=lab"),
        ("master", "GET", "/vol/status"),
        ("master", "POST", "/submit"),
        ("master", "GET", "/1,01637037d6"),
    ],
)
@pytest.mark.parametrize("who", [None, "writer"], ids=["nobody", "session"])
def test_the_servers_behind_s3_give_nothing(
    world: World, server: str, method: str, target: str, who: str | None
) -> None:
    ports = world.seaweedfs.ports
    assert ports is not None
    url = f"http://127.0.0.1:{getattr(ports, server)}"
    with unchanged(world):
        if who is None:
            answer = send(url, method, target)
        else:
            answer = signed(world.keys[who], url, method, target)
    assert answer.status in (401, 404), answer.body
    assert b"SECRET" not in answer.body
    assert "Authorization" not in answer.headers


@pytest.mark.parametrize("server", ["s3", "filer", "volume", "master", "admin"])
def test_inner_grpc_talks_to_nobody_without_its_certificate(world: World, server: str) -> None:
    ports = world.seaweedfs.ports
    assert ports is not None
    port = getattr(ports, server) + 10_000
    hello = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
    with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
        plain.sendall(hello)
        assert plain.recv(100) == b""
    stranger = ssl.create_default_context(cafile=world.seaweedfs.folder / "authority.pem")
    stranger.set_alpn_protocols(["h2"])
    with (
        socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
        stranger.wrap_socket(plain, server_hostname="127.0.0.1") as connection,
    ):
        connection.sendall(hello)
        with pytest.raises(ssl.SSLError, match="certificate required"):
            connection.recv(100)


def test_its_secrets_are_for_its_own_account_only(world: World) -> None:
    folder: Path = world.seaweedfs.folder
    assert folder.stat().st_mode & 0o077 == 0
    for name in ("security.toml", "s3.json", "iam.json", "store.key"):
        assert (folder / name).stat().st_mode & 0o077 == 0, name
