"""Dask's real scheduler and workers with the session's agent in them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from distributed import Client
from fake_service import FakeService

from panneuro_hub.agent import dask_preload
from panneuro_hub.agent.credential_agent import AgentSettings, CredentialAgent
from panneuro_hub.agent.service_client import AgentSettingsError
from panneuro_hub.wire import Ticket

pytestmark = pytest.mark.slow

ROOT = Path(dask_preload.__file__).parents[2]
PRELOAD = ("--preload", "panneuro_hub.agent.dask_preload")
QUIET = ("--host", "127.0.0.1", "--dashboard-address", "127.0.0.1:0")
PATIENCE = 60.0


@pytest.fixture
def service(tmp_path: Path) -> Iterator[FakeService]:
    ticket_file = tmp_path / "ticket"
    ticket_file.write_text(Ticket.new("ada", "").encode())
    with FakeService(ticket_file.read_text()) as service:
        yield service


@pytest.fixture
def environment(service: FakeService, tmp_path: Path) -> dict[str, str]:
    (tmp_path / "temporary").mkdir()
    return {
        "PATH": os.defpath,
        "PYTHONPATH": str(ROOT),
        "HOME": str(tmp_path),
        "TMPDIR": str(tmp_path / "temporary"),
        "PANNEURO_SERVICE_URL": service.url,
        "PANNEURO_TICKET_FILE": str(tmp_path / "ticket"),
        # As where a session's own variables reach its cluster: none of them may be shared.
        "PANNEURO_TOKEN_FILE": str(tmp_path / "token"),
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:1/credentials",
        "AWS_ACCESS_KEY_ID": "platform",
        "AWS_SECRET_ACCESS_KEY": "platform-secret",
    }


def dask(environment: dict[str, str], *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "dask", *arguments, *QUIET],
        env=environment,
        cwd=environment["TMPDIR"],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@contextmanager
def running(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    """End a process as its gateway does, with SIGINT."""
    try:
        yield process
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
        process.communicate()


def address_of(scheduler: subprocess.Popen[str]) -> str:
    assert scheduler.stderr is not None
    for line in scheduler.stderr:
        if found := re.search(r"Scheduler at:\s+(tcp://\S+)", line):
            return found[1]
    raise AssertionError("the scheduler did not start")


@contextmanager
def cluster(environment: dict[str, str], *workers: str) -> Iterator[Client]:
    with ExitStack() as stack:
        scheduler = stack.enter_context(
            running(dask(environment, "scheduler", "--port", "0", *PRELOAD))
        )
        address = address_of(scheduler)
        stack.enter_context(running(dask(environment, "worker", address, *PRELOAD, *workers)))
        client = stack.enter_context(Client(address, set_as_default=False))
        yield client


def look() -> Any:
    """What a process of Dask has, and gets from its agent; made here so that it can be sent."""

    def seen() -> dict[str, Any]:
        import http.client
        import json
        import os
        from urllib.parse import urlsplit

        address = os.environ["AWS_CONTAINER_CREDENTIALS_FULL_URI"]
        answer = None
        token_file = os.environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE")
        if token_file is not None:
            with open(token_file) as file:
                token = file.read()
            connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=30)
            connection.request("GET", "/credentials", headers={"Authorization": token})
            with connection.getresponse() as response:
                answer = json.loads(response.read())
            connection.close()
        return {
            "address": address,
            "token_file": token_file,
            "key": answer and answer["AccessKeyId"],
            "foreign": os.environ.get("AWS_ACCESS_KEY_ID"),
            "pid": os.getpid(),
        }

    return seen


def token_files(environment: dict[str, str]) -> list[Path]:
    return list(Path(environment["TMPDIR"]).rglob("token"))


def test_every_worker_has_an_agent_of_its_own(
    environment: dict[str, str], service: FakeService, tmp_path: Path
) -> None:
    with cluster(environment, "--nworkers", "2", "--nthreads", "1") as client:
        client.wait_for_workers(2, timeout=PATIENCE)
        workers = list(client.run(look()).values())
        everybody = [*workers, client.run_on_scheduler(look())]
        assert len({seen["pid"] for seen in everybody}) == 3
        assert len({seen["address"] for seen in everybody}) == 3
        assert len({seen["token_file"] for seen in everybody}) == 3
        assert {seen["key"] for seen in everybody} == {one.access_key_id for one in service.issued}
        assert [seen["foreign"] for seen in everybody] == [None] * 3
        # The nanny computes nothing, and has no agent: what it was given stays as it was.
        nannies = list(client.run(look(), nanny=True).values())
        assert {seen["token_file"] for seen in nannies} == {None}
        assert {seen["foreign"] for seen in nannies} == {"platform"}

        before = {seen["token_file"] for seen in workers}
        client.restart(timeout=PATIENCE)
        again = list(client.run(look()).values())
        assert not before & {seen["token_file"] for seen in again}
        assert all(seen["key"] for seen in again)
        assert len(token_files(environment)) == 3
        assert not (tmp_path / "token").exists()
    assert token_files(environment) == []


def test_a_worker_without_a_nanny_has_one_as_well(
    environment: dict[str, str], service: FakeService
) -> None:
    with cluster(environment, "--no-nanny", "--nthreads", "1") as client:
        client.wait_for_workers(1, timeout=PATIENCE)
        computed = client.submit(look()).result(timeout=PATIENCE)
        assert computed["key"] in {one.access_key_id for one in service.issued}
        assert computed["foreign"] is None
    assert token_files(environment) == []


@pytest.mark.parametrize("kind", ["scheduler", "worker", "worker --no-nanny"])
@pytest.mark.parametrize("missing", ["PANNEURO_SERVICE_URL", "PANNEURO_TICKET_FILE"])
def test_nothing_runs_without_its_keys(
    environment: dict[str, str], kind: str, missing: str
) -> None:
    del environment[missing]
    with ExitStack() as stack:
        arguments = [*kind.split(), *PRELOAD]
        if kind == "scheduler":
            arguments += ["--port", "0"]
        else:
            scheduler = dask(environment, "scheduler", "--port", "0")
            arguments += [address_of(stack.enter_context(running(scheduler)))]
        process = dask(environment, *arguments)
        stack.callback(process.kill)
        _, log = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert f"does not start without its agent: {missing} is not set" in log


class Counted:
    """An agent that counts."""

    def __init__(self) -> None:
        self.started = self.stopped = 0

    def start(self) -> CredentialAgent:
        self.started += 1
        return self  # type: ignore[return-value]

    def stop(self) -> None:
        self.stopped += 1


def test_servers_of_one_process_share_the_agent() -> None:
    agent = Counted()
    shared = dask_preload.SharedAgent(agent.start)
    shared.acquire()
    shared.acquire()
    shared.release()
    assert (agent.started, agent.stopped) == (1, 0)
    shared.release()
    shared.release()
    assert (agent.started, agent.stopped) == (1, 1)
    shared.acquire()
    shared.stop_now()
    shared.release()
    assert (agent.started, agent.stopped) == (2, 2)


def test_a_start_that_failed_is_no_user() -> None:
    agent = Counted()

    def start() -> CredentialAgent:
        if agent.started == 0:
            agent.started = 1
            raise AgentSettingsError("no")
        return agent.start()

    shared = dask_preload.SharedAgent(start)
    with pytest.raises(AgentSettingsError):
        shared.acquire()
    shared.acquire()
    shared.release()
    assert agent.stopped == 1


def test_settings_of_the_surroundings_are_not_shared(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[AgentSettings] = []

    def start_agent(settings: AgentSettings, _environment: object) -> CredentialAgent:
        taken.append(settings)
        return Counted().start()

    monkeypatch.setattr(dask_preload, "start_agent", start_agent)
    monkeypatch.setattr(dask_preload, "set_up_logging", lambda: None)
    for name, value in {**environment, "PANNEURO_AGENT_PORT": "8317"}.items():
        if name.startswith("PANNEURO_"):
            monkeypatch.setenv(name, value)
    dask_preload._start_agent()
    assert taken[0].port == 0
    assert taken[0].token_file is None
