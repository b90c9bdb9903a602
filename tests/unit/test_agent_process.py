"""The agent as programs of its own: sidecar, probe, single-user server."""

from __future__ import annotations

import http.client
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fake_service import FakeService, said

from panneuro_hub.agent import credential_agent as agent_module
from panneuro_hub.agent.credential_agent import AgentSettings, CredentialAgent
from panneuro_hub.agent.in_process import use_agent
from panneuro_hub.agent.service_client import AgentSettingsError
from panneuro_hub.wire import Ticket
from panneuro_hub.wire.foreign_keys import FOREIGN_KEY_VARIABLES

pytestmark = pytest.mark.slow

ROOT = Path(agent_module.__file__).parents[2]


@pytest.fixture
def service(tmp_path: Path) -> Iterator[FakeService]:
    ticket_file = tmp_path / "ticket"
    ticket_file.write_text(Ticket.new("ada", "").encode())
    with FakeService(ticket_file.read_text()) as service:
        yield service


@pytest.fixture
def environment(service: FakeService, tmp_path: Path) -> dict[str, str]:
    return {
        "PATH": os.defpath,
        "PYTHONPATH": str(ROOT),
        "PANNEURO_SERVICE_URL": service.url,
        "PANNEURO_TICKET_FILE": str(tmp_path / "ticket"),
        "PANNEURO_TOKEN_FILE": str(tmp_path / "token"),
    }


@contextmanager
def sidecar(environment: dict[str, str]) -> Iterator[tuple[subprocess.Popen[str], int]]:
    process = subprocess.Popen(
        # -S: nothing is there but Python itself and this package, as in the sidecar's image.
        [sys.executable, "-S", "-m", "panneuro_hub.agent.credential_agent"],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        said_first = process.stderr.readline()
        match = re.search(r"serves on 127\.0\.0\.1:(\d+)$", said_first.strip())
        assert match, said_first
        yield process, int(match[1])
    finally:
        process.kill()
        process.communicate()


def test_needs_nothing_but_python() -> None:
    script = (
        "import sys, panneuro_hub.lab, panneuro_hub.agent.credential_agent\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}"
        " - set(sys.stdlib_module_names)))"
    )
    ran = subprocess.run(
        [sys.executable, "-S", "-c", script],
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.split() == ["__main__", "panneuro_hub"] or ran.stdout.split() == [
        "panneuro_hub"
    ]


def test_the_agent_knows_only_the_leaves() -> None:
    script = (
        "import sys, panneuro_hub.agent.credential_agent\n"
        "print(*sorted({'.'.join(name.split('.')[:2]) for name in sys.modules"
        " if name.startswith('panneuro_hub.')}))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    )
    leaves = {"agent", "errors", "names", "wire"}
    assert {name.partition(".")[2] for name in ran.stdout.split()} <= leaves


def test_a_sidecar_serves_until_it_is_told_to_stop(
    environment: dict[str, str], service: FakeService, tmp_path: Path
) -> None:
    with sidecar(environment) as (process, port):
        token = (tmp_path / "token").read_text()
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("GET", "/credentials", headers={"Authorization": token})
        with connection.getresponse() as response:
            assert response.status == 200
            response.read()
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=30)
        connection.close()
        # Not 0, with which Kubernetes would not start it again beside its notebook.
        assert process.returncode == 128 + signal.SIGTERM
    assert "the agent uses the keys KEY1" in log
    assert "has stopped" in log
    assert "secret-1" not in log
    assert token not in log
    assert not (tmp_path / "token").exists()


def test_the_probe_says_whether_there_are_keys(
    environment: dict[str, str], service: FakeService
) -> None:
    def probe(port: int) -> int:
        return subprocess.run(
            [sys.executable, "-S", "-m", "panneuro_hub.agent.credential_agent", "--health"],
            env=environment | {"PANNEURO_AGENT_PORT": str(port)},
            capture_output=True,
        ).returncode

    service.fault = said(403, "not for you")
    with sidecar(environment) as (_, port):
        service.asked(1)
        assert probe(port) == 1
    service.fault = None
    with sidecar(environment) as (_, port):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        token = Path(environment["PANNEURO_TOKEN_FILE"]).read_text()
        connection.request("GET", "/credentials", headers={"Authorization": token})
        connection.getresponse().close()
        connection.close()
        assert probe(port) == 0
    assert probe(port) == 1
    assert probe(0) == 1


@pytest.mark.parametrize("module", ["credential_agent", "singleuser_server"])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PANNEURO_SERVICE_URL", None),
        ("PANNEURO_TICKET_FILE", None),
        ("PANNEURO_SERVICE_URL", "hub"),
        ("PANNEURO_AGENT_PORT", "eighty"),
        ("PANNEURO_AGENT_PORT", "70000"),
        ("PANNEURO_AGENT_PORT", "-1"),
        ("PANNEURO_TOKEN_MODE", "666"),
        ("PANNEURO_TOKEN_MODE", "rw"),
    ],
)
def test_a_bad_setting_is_named(
    environment: dict[str, str], module: str, name: str, value: str | None
) -> None:
    changed = {**environment, name: value}
    ran = subprocess.run(
        [sys.executable, "-m", f"panneuro_hub.agent.{module}"],
        env={key: text for key, text in changed.items() if text is not None},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 1
    assert name in ran.stderr
    assert "Traceback" not in ran.stderr


def test_no_other_keys_come_before_the_agent(
    environment: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    agent = CredentialAgent(AgentSettings.from_environment(environment))
    inherited = dict.fromkeys(FOREIGN_KEY_VARIABLES, "gurke") | {
        "JUPYTERHUB_API_TOKEN": "kept",
        "HOME": "/",
    }
    agent.start()
    try:
        use_agent(agent, inherited)
        assert inherited == agent.environment() | {"JUPYTERHUB_API_TOKEN": "kept", "HOME": "/"}
    finally:
        agent.stop()
    assert "AWS_ACCESS_KEY_ID" in caplog.text
    assert "gurke" not in caplog.text


def test_a_server_starts_with_the_agents_variables(
    environment: dict[str, str], tmp_path: Path
) -> None:
    # Jupyter's own settings file runs in the server: it sees what kernels will inherit.
    config = tmp_path / "jupyter_server_config.py"
    config.write_text(
        "import os, sys\n"
        "print('seen', os.environ['AWS_CONTAINER_CREDENTIALS_FULL_URI'])\n"
        "print('file', os.path.exists(os.environ['AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE']))\n"
        "sys.stdout.flush()\n"
        "os._exit(7)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-m", "panneuro_hub.agent.singleuser_server", f"--config={config}"],
        env=environment | {"HOME": str(tmp_path), "JUPYTERHUB_API_TOKEN": "x"},
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=120,
    )
    assert "seen http://127.0.0.1:" in ran.stdout, ran.stderr
    assert "file True" in ran.stdout


def test_settings_come_from_the_environment(environment: dict[str, str]) -> None:
    settings = AgentSettings.from_environment(environment | {"PANNEURO_AGENT_PORT": "8123"})
    assert settings.port == 8123
    assert settings.service_url == environment["PANNEURO_SERVICE_URL"]
    assert str(settings.ticket_file) == environment["PANNEURO_TICKET_FILE"]
    assert str(settings.token_file) == environment["PANNEURO_TOKEN_FILE"]
    assert settings.token_mode == 0o600
    shared = environment | {"PANNEURO_TOKEN_MODE": "0644"}
    assert AgentSettings.from_environment(shared).token_mode == 0o644
    del environment["PANNEURO_TOKEN_FILE"]
    assert AgentSettings.from_environment(environment).token_file is None
    with pytest.raises(AgentSettingsError, match="PANNEURO_SERVICE_URL is not set"):
        AgentSettings.from_environment({})
