"""Every S3 client that we know of keeps reading while its session's keys end under it."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import pytest
import xarray
import zarr
from botocore.exceptions import ClientError
from client_programs import CLIENTS, CONTENT, NUMBERS
from key_tap import KeyTap
from session_views import because, view_of
from short_service import ShortService
from short_sessions import lab_store
from stored_datasets import open_admin_store
from zarr.storage import ObjectStore

import panneuro_hub.lab as lab
from panneuro_hub.agent.credential_agent import AgentSettings, CredentialAgent
from panneuro_hub.devstack.seaweedfs import SeaweedFS
from panneuro_hub.errors import AccessDeniedError
from panneuro_hub.pod.session_environment import build_data_environment
from panneuro_hub.vending import CredentialRequest
from panneuro_hub.wire import Denial, Grant, Ticket

LIFETIME = timedelta(seconds=12)
PATIENCE = 85.0  # seconds
PROGRAMS = Path(__file__).with_name("client_programs.py")
OUR_GRANTS = (
    Grant("s3://lab/nav/", "read", because("you are in navigation-lab"), "nav"),
    Grant("s3://lab/scratch/nav/ada/", "write", because("your own scratch in nav"), "nav"),
)


@dataclass(frozen=True)
class Session:
    """A session with short keys, as its processes find it."""

    environment: dict[str, str]
    service: ShortService
    tap: KeyTap


@pytest.fixture(scope="module")
def data(seaweedfs: SeaweedFS) -> None:
    for name in CLIENTS:
        if "zarr" in name:
            store = ObjectStore(open_admin_store(seaweedfs, f"nav/{name}"))
            group = zarr.create_group(store)
            numbers = group.create_array(
                "numbers", shape=NUMBERS, chunks=6, dtype="i4", dimension_names=("n",)
            )
            numbers[:] = np.arange(NUMBERS)
        else:
            open_admin_store(seaweedfs, "nav").put(f"{name}/data.bin", CONTENT)
    open_admin_store(seaweedfs, "human").put("secret.zarr/zarr.json", b"{}")
    open_admin_store(seaweedfs, "nav").put("empty/readme.txt", b"no data yet")


@pytest.fixture(scope="module")
def session(
    seaweedfs: SeaweedFS, data: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Session]:
    folder = tmp_path_factory.mktemp("session")
    ticket = Ticket.new("ada", "").encode()
    (folder / "ticket").write_text(ticket)
    request = CredentialRequest("ada/", "ada", "nav", lab_store(seaweedfs), OUR_GRANTS)
    with ExitStack() as stack:
        assert seaweedfs.ports is not None
        tap = stack.enter_context(KeyTap(seaweedfs.ports.s3, depth=2))
        endpoint = f"http://127.0.0.1:{tap.port}"
        view = view_of(
            scratch="s3://lab/scratch/nav/ada/",
            endpoint_url=endpoint,
            region=seaweedfs.region,
            # As after a change of the collaboration, of which the store's keys know sooner.
            prefixes={"nav": "s3://lab/nav/", "human": "s3://lab/human/"},
            grants=(
                *OUR_GRANTS,
                Grant("s3://lab/human/", "read", because("until a moment ago"), "human"),
            ),
            denied=(Denial("write", "prefix", "s3://lab/nav/", "nav", because("not in the core")),),
        )
        service = stack.enter_context(ShortService(seaweedfs, request, view, ticket, LIFETIME))
        agent = CredentialAgent(AgentSettings(service.url, folder / "ticket"))
        agent.start()
        stack.callback(agent.stop)
        store = lab_store(seaweedfs).model_copy(update={"endpoint_url": endpoint})
        variables = {**build_data_environment(store, "nav", service.url), **agent.environment()}
        yield Session(variables, service, tap)


class Reader:
    """A client's process, and when it last read."""

    def __init__(self, name: str, environment: dict[str, str], moved: threading.Condition) -> None:
        self.name = name
        self.reads = 0
        self.last_read: datetime | None = None
        self.ended = False
        self._moved = moved
        self.process = subprocess.Popen(
            [sys.executable, str(PROGRAMS), name],
            env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.output: list[str] = []
        self._listener = threading.Thread(target=self._listen)
        self._listener.start()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._moved:
                if line == "read\n":
                    self.reads += 1
                    self.last_read = datetime.now(UTC)
                else:
                    self.output.append(line)
                self._moved.notify_all()
        with self._moved:
            self.ended = True
            self._moved.notify_all()

    def outlived_two(self, session: Session) -> bool:
        """Whether it has read with new keys, after the first two that it used were dead."""
        used = session.tap.keys[f"nav/{self.name}"]
        if len(used) < 3 or self.last_read is None:
            return False
        return self.last_read > session.service.ends[used[1]] + timedelta(seconds=1)

    def stop(self) -> int:
        """Tell it to end; gives its exit status."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            status = self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait()
        self._listener.join()
        assert self.process.stdout is not None
        self.process.stdout.close()
        return status


def test_every_client_reads_on_after_two_renewals(session: Session) -> None:
    moved = threading.Condition()
    readers = [Reader(name, session.environment, moved) for name in CLIENTS]
    deadline = time.monotonic() + PATIENCE
    with moved:
        while not all(reader.outlived_two(session) for reader in readers):
            if any(reader.ended for reader in readers) or time.monotonic() > deadline:
                break
            moved.wait(1)
        done = {reader.name: reader.outlived_two(session) for reader in readers}
    statuses = {reader.name: reader.stop() for reader in readers}
    told = "\n".join(f"{r.name}: {r.reads} reads\n{''.join(r.output)}" for r in readers)
    assert done == dict.fromkeys(CLIENTS, True), told
    assert statuses == dict.fromkeys(CLIENTS, 0), told


def refused_at(client: Any) -> datetime | None:
    """When the store refused a read with 403, or `None` where it did not."""
    try:
        client.get_object(Bucket="lab", Key="nav/boto3/data.bin")["Body"].read()
    except ClientError as refused:
        if refused.response["ResponseMetadata"]["HTTPStatusCode"] == 403:
            return datetime.now(UTC)
        raise
    return None


def test_keys_that_ended_are_dead_at_the_store(session: Session) -> None:
    first = session.service.issued[0]
    client = boto3.client(
        "s3",
        endpoint_url=session.environment["AWS_ENDPOINT_URL"],
        region_name="us-east-1",
        aws_access_key_id=first.access_key_id,
        aws_secret_access_key=first.secret_access_key,
        aws_session_token=first.session_token,
    )
    deadline = time.monotonic() + 30
    refused = refused_at(client)
    while refused is None and time.monotonic() < deadline:
        refused = refused_at(client)
    client.close()
    assert refused is not None
    assert refused >= first.expires


@pytest.fixture
def here(session: Session, monkeypatch: pytest.MonkeyPatch) -> Session:
    for name, value in session.environment.items():
        monkeypatch.setenv(name, value)
    return session


def test_the_researcher_sees_the_session(here: Session) -> None:
    seen = lab.session()
    assert seen.grants == here.service.view.grants
    assert seen.keys_until is not None
    assert "you are in navigation-lab" in repr(seen)


def test_a_dataset_is_opened_lazily(here: Session) -> None:
    dataset = lab.open_zarr("nav/lab-zarr", chunks=None)
    assert isinstance(dataset, xarray.Dataset)
    assert dataset["numbers"].sum().item() == NUMBERS * (NUMBERS - 1) // 2


@pytest.mark.parametrize("path", ["nav/nowhere.zarr", "nav/empty", "nav/boto3/data.bin"])
def test_a_dataset_that_is_not_there_is_said_plainly(here: Session, path: str) -> None:
    with pytest.raises(
        lab.PathNotFoundError, match=rf"no Zarr group at '{path}' \(s3://lab/{path}\)"
    ):
        lab.open_zarr(path, chunks=None)


def test_what_the_store_refuses_is_said_plainly(here: Session) -> None:
    with pytest.raises(AccessDeniedError, match=r"the store refuses 'human/secret.zarr'.*of nav"):
        lab.open_zarr("human/secret.zarr", chunks=None)


def test_a_store_begins_at_its_place(here: Session) -> None:
    assert bytes(lab.store().get("boto3/data.bin").bytes()) == CONTENT
    assert bytes(lab.store("nav/boto3").get("data.bin").bytes()) == CONTENT
    scratch = lab.store("scratch")
    scratch.put("notes.txt", b"mine")
    assert [entry["path"] for entry in scratch.list().collect()] == ["notes.txt"]
    scratch.delete("notes.txt")


def test_a_store_takes_no_keys_along(here: Session) -> None:
    store = lab.store("nav/boto3")
    sent = pickle.dumps(store)
    for credential in here.service.issued:
        assert credential.secret_access_key.encode() not in sent
    assert here.environment["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"].encode() not in sent
    assert bytes(pickle.loads(sent).get("data.bin").bytes()) == CONTENT


def test_the_file_system_lists_reads_and_writes(here: Session) -> None:
    files = lab.filesystem()
    assert files.ls(lab.resolve("nav/empty"), detail=False) == ["lab/nav/empty/readme.txt"]
    notes = lab.resolve("scratch/notes.txt")
    with files.open(notes, "wb") as file:
        file.write(b"mine")
    assert files.cat_file(notes) == b"mine"
    files.rm_file(notes)
    assert not files.exists(notes)


def rclone(session: Session, *arguments: object) -> subprocess.CompletedProcess[str]:
    """rclone with what a session sets, and no configuration of the person's own."""
    return subprocess.run(
        [Path(sys.executable).with_name("rclone"), *map(str, arguments)],
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", **session.environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_rclone_has_a_remote_of_the_session_s_store(session: Session, tmp_path: Path) -> None:
    assert rclone(session, "listremotes").stdout == "store:\n"
    source, copy = tmp_path / "source", tmp_path / "copy"
    source.mkdir()
    (source / "small.txt").write_text("mine")
    (source / "large.bin").write_bytes(os.urandom(6 << 20))
    mine = "store:lab/scratch/nav/ada/rclone"
    for arguments in (
        ("copy", source, mine),
        ("copy", "--s3-upload-cutoff=5M", "--s3-chunk-size=5M", source, f"{mine}-in-parts"),
        ("check", source, mine),
        ("check", source, f"{mine}-in-parts"),
        ("copy", mine, copy),
    ):
        done = rclone(session, *arguments)
        assert done.returncode == 0, done.stderr
    assert (copy / "large.bin").read_bytes() == (source / "large.bin").read_bytes()
    refused = rclone(session, "lsf", "store:lab/human/")
    assert refused.returncode != 0
    assert "AccessDenied" in refused.stderr
    assert rclone(session, "purge", mine).returncode == 0
    assert rclone(session, "purge", f"{mine}-in-parts").returncode == 0
