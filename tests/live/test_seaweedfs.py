"""The S3 server of demo and tests: starts, stops, keeps its data and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
from attacker import Keys, client, send, signed
from botocore.exceptions import ClientError
from testing.waiting import wait_until
from world import secret, vend

from panneuro_hub.devstack.seaweedfs import SeaweedFS, StoreStartError


def runs(pid: int) -> bool:
    """Whether the process is there and has not ended."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in ("Z", "X")


def status(store: SeaweedFS, keys: Keys, method: str, target: str, body: bytes = b"") -> int:
    return signed(keys, store.endpoint_url, method, target, body=body).status


def test_objects_stay_and_every_key_of_the_last_start_is_gone(tmp_path: Path) -> None:
    store = SeaweedFS(tmp_path / "store", bucket="lab")
    with store:
        old = {
            "admin": Keys(*store.admin),
            "vendor": Keys(*store.vendor),
            "session": Keys.of(vend(store, [("a/", "write")], "ann")),
        }
        assert status(store, old["session"], "PUT", "/lab/a/kept", b"kept") == 200
        pid, sockets = store.pid, store.ports.sockets if store.ports else ()
        assert all(path.exists() for path in sockets)
    assert pid is not None
    assert not runs(pid)
    assert not any(path.exists() for path in sockets)
    with store:
        for keys in old.values():
            assert status(store, keys, "GET", "/lab/a/kept") == 403
        new = Keys.of(vend(store, [("a/", "read")], "ann"))
        assert signed(new, store.endpoint_url, "GET", "/lab/a/kept").body == b"kept"


def test_two_share_nothing_and_take_nothing_from_the_environment(
    seaweedfs: SeaweedFS, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreign = Keys("AKFROMTHEENVIRONMENT", "secret-from-the-environment")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", foreign.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", foreign.secret_key)
    with SeaweedFS(tmp_path, bucket="lab") as other:
        assert other.ports is not None
        assert seaweedfs.ports is not None
        mine, theirs = asdict(other.ports).values(), asdict(seaweedfs.ports).values()
        assert not set(mine) & set(theirs)
        assert status(other, Keys(*other.admin), "PUT", "/lab/beside", b"x") == 200
        assert status(other, foreign, "GET", "/lab/beside") == 403
        assert status(other, Keys(*seaweedfs.admin), "GET", "/lab/beside") == 403
        assert status(seaweedfs, Keys(*seaweedfs.admin), "GET", "/lab/beside") == 404


def test_it_ends_with_who_started_it(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib\n"
        "from panneuro_hub.devstack.seaweedfs import SeaweedFS\n"
        "store = SeaweedFS(pathlib.Path(sys.argv[1]), 'lab')\n"
        "store.start()\n"
        "print(store.pid, flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert runs(pid)
        os.kill(parent.pid, signal.SIGKILL)
    wait_until(lambda: not runs(pid), "the end of the server")


def test_an_early_end_is_told_with_its_log_and_leaves_nothing(tmp_path: Path) -> None:
    store = SeaweedFS(tmp_path, bucket="lab")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "filerldb2").write_text("no folder")
    with pytest.raises(StoreStartError, match=r"ended early.*seaweedfs\.log") as caught:
        store.start()
    assert store.pid is None
    assert store.admin.secret_key not in str(caught.value)


def test_no_answer_in_time_is_told_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weed = tmp_path / "bin" / "weed"
    weed.parent.mkdir()
    weed.write_text("#!/bin/sh\nexec sleep 600\n")
    weed.chmod(0o700)
    monkeypatch.setattr("sysconfig.get_path", lambda _: str(weed.parent))
    store = SeaweedFS(tmp_path / "store", bucket="lab", patience=0.3)
    with pytest.raises(StoreStartError, match=r"no answer in 0\.3 s"):
        store.start()
    assert store.pid is None


def test_started_twice_is_refused(seaweedfs: SeaweedFS) -> None:
    with pytest.raises(StoreStartError, match="running already"):
        seaweedfs.start()


def test_no_address_before_the_start(tmp_path: Path) -> None:
    with pytest.raises(StoreStartError, match="before it is started"):
        _ = SeaweedFS(tmp_path, bucket="lab").endpoint_url


def test_nothing_secret_is_printed(tmp_path: Path) -> None:
    store = SeaweedFS(tmp_path, bucket="lab")
    printed = f"{store!r} {store.admin!r} {store.vendor!r} {store.signing_key!r}"
    for hidden in (store.admin.secret_key, store.vendor.secret_key, store.signing_key.base64):
        assert hidden not in printed
    assert repr(store.signing_key.secret) not in printed


def test_versions_are_for_who_may_write(tmp_path: Path) -> None:
    """In a store of its own: versions are a setting of the bucket."""
    with SeaweedFS(tmp_path, bucket="lab") as store:
        url = store.endpoint_url
        grants = [("a/", "write"), ("a/frozen/", "read")]
        sessions = {
            "writer": Keys.of(vend(store, grants, "ann")),  # type: ignore[arg-type]
            "reader": Keys.of(vend(store, [("a/", "read")], "bob")),
        }
        with client(Keys(*store.admin), url) as admin:
            admin.put_bucket_versioning(Bucket="lab", VersioningConfiguration={"Status": "Enabled"})
            first = {
                key: admin.put_object(Bucket="lab", Key=key, Body=secret(key))["VersionId"]
                for key in ("a/x", "a/frozen/x", "b/x")
            }
            for key in first:
                admin.put_object(Bucket="lab", Key=key, Body=b"newer")

            with client(sessions["writer"], url) as writer:
                old = writer.get_object(Bucket="lab", Key="a/x", VersionId=first["a/x"])
                assert old["Body"].read() == secret("a/x")
                listed = writer.list_object_versions(Bucket="lab", Prefix="a/")["Versions"]
                assert {one["Key"] for one in listed} == {"a/x", "a/frozen/x"}
                # Old versions are what brings data back: nobody's keys erase them.
                with pytest.raises(ClientError, match="AccessDenied"):
                    writer.delete_object(Bucket="lab", Key="a/x", VersionId=first["a/x"])

            def refused(who: str, method: str, key: str) -> bool:
                target = f"/lab/{key}?versionId={first[key]}"
                return signed(sessions[who], url, method, target).status == 403

            assert refused("writer", "GET", "b/x")
            assert refused("writer", "DELETE", "b/x")
            assert refused("writer", "DELETE", "a/frozen/x")
            assert refused("reader", "GET", "a/frozen/x")
            assert refused("reader", "DELETE", "a/frozen/x")
            kept = admin.list_object_versions(Bucket="lab")["Versions"]
            assert {one["VersionId"] for one in kept} >= set(first.values())
        assert send(url, "GET", f"/lab/b/x?versionId={first['b/x']}").status == 403


def test_another_address_is_listened_on_when_it_is_named(tmp_path: Path) -> None:
    with SeaweedFS(tmp_path, bucket="lab", address="127.0.0.2") as store:
        assert store.endpoint_url.startswith("http://127.0.0.2:")
        keys = Keys.of(vend(store, [("a/", "write")], "ann"))
        assert status(store, keys, "PUT", "/lab/a/kept", b"kept") == 200
        assert status(store, keys, "GET", "/lab/b/other") == 403
