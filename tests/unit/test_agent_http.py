"""The whole agent, over real HTTP, against a small service over real HTTP."""

from __future__ import annotations

import http.client
import json
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from fake_service import FakeService, said
from session_views import view_of
from testing.stand_in_server import StandInResponse

from panneuro_hub.agent.credential_agent import AgentSettings, CredentialAgent
from panneuro_hub.agent.service_client import AgentSettingsError
from panneuro_hub.wire import Ticket

pytestmark = pytest.mark.slow

VIEW = view_of()

Get = Callable[..., tuple[int, Any]]


@pytest.fixture
def ticket_file(tmp_path: Path) -> Path:
    path = tmp_path / "ticket"
    path.write_text(Ticket.new("ada", "").encode())
    return path


@pytest.fixture
def service(ticket_file: Path) -> Iterator[FakeService]:
    with FakeService(ticket_file.read_text(), view=VIEW) as service:
        yield service


@contextmanager
def running(service: FakeService, ticket_file: Path, **settings: Any) -> Iterator[CredentialAgent]:
    agent = CredentialAgent(AgentSettings(service.url, ticket_file, **settings), chance=lambda: 0.0)
    agent.start()
    try:
        yield agent
    finally:
        service.open_gate.set()
        agent.stop()


def port_of(agent: CredentialAgent) -> int:
    return urlsplit(agent.environment()["AWS_CONTAINER_CREDENTIALS_FULL_URI"]).port or 0


def token_of(agent: CredentialAgent) -> str:
    return Path(agent.environment()["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"]).read_text()


def get(agent: CredentialAgent, path: str = "/credentials", **headers: str) -> tuple[int, Any]:
    headers = {"Authorization": token_of(agent)} | headers
    connection = http.client.HTTPConnection("127.0.0.1", port_of(agent), timeout=30)
    try:
        connection.request("GET", path, headers=headers)
        with connection.getresponse() as response:
            return response.status, json.loads(response.read())
    finally:
        connection.close()


def send(agent: CredentialAgent, raw: bytes) -> bytes:
    """What comes back for `raw`, until the agent closes the connection."""
    with socket.create_connection(("127.0.0.1", port_of(agent)), timeout=30) as client:
        client.sendall(raw)
        answer = b""
        try:
            while piece := client.recv(65536):
                answer += piece
        except ConnectionResetError:
            pass  # it closed while bytes of ours were still coming
        return answer


@pytest.fixture
def agent(service: FakeService, ticket_file: Path) -> Iterator[CredentialAgent]:
    with running(service, ticket_file) as agent:
        yield agent


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CredentialAgent]:
    """An agent with keys, for all tests that leave it as it is."""
    ticket_file = tmp_path_factory.mktemp("door") / "ticket"
    ticket_file.write_text(Ticket.new("ada", "").encode())
    with (
        FakeService(ticket_file.read_text(), view=VIEW) as service,
        running(service, ticket_file) as agent,
    ):
        yield agent


def test_gives_keys_in_the_form_of_the_protocol(
    agent: CredentialAgent, service: FakeService
) -> None:
    status, keys = get(agent)
    assert (status, keys) == (200, service.issued[0].to_json())
    assert {"AccessKeyId", "SecretAccessKey", "Token", "Expiration"} <= keys.keys()


def test_answers_thousands_from_memory(agent: CredentialAgent, service: FakeService) -> None:
    token = token_of(agent)
    connection = http.client.HTTPConnection("127.0.0.1", port_of(agent), timeout=30)
    for _ in range(2000):
        connection.request("GET", "/credentials", headers={"Authorization": token})
        with connection.getresponse() as response:
            assert response.status == 200
            response.read()
    connection.close()
    assert service.credential_asks == 1


def test_the_first_request_waits_for_the_fetch_under_way(
    service: FakeService, ticket_file: Path
) -> None:
    service.open_gate.clear()
    with running(service, ticket_file, first_wait=20.0) as agent:
        service.asked(1)
        status, health = get(agent, "/health")
        assert (status, health["status"]) == (503, "starting")
        got: list[int] = []
        waiting = threading.Thread(target=lambda: got.append(get(agent)[0]))
        waiting.start()
        service.open_gate.set()
        waiting.join(30)
        assert got == [200]


def test_waits_over_a_first_outage_too(service: FakeService, ticket_file: Path) -> None:
    service.fault = said(503, "starting up")
    with running(service, ticket_file, first_wait=20.0) as agent:
        service.asked(1)
        got: list[int] = []
        waiting = threading.Thread(target=lambda: got.append(get(agent)[0]))
        waiting.start()
        service.fault = None
        waiting.join(30)
        assert got == [200]


def test_the_wait_for_the_first_keys_is_bounded(service: FakeService, ticket_file: Path) -> None:
    service.open_gate.clear()
    with running(service, ticket_file, first_wait=0.05) as agent:
        status, answer = get(agent)
        assert (status, answer["code"]) == (503, "Unavailable")
        assert "no keys yet" in answer["message"]


def test_renews_early_and_gives_the_new_keys(service: FakeService, ticket_file: Path) -> None:
    service.lifetime, service.renew_in = timedelta(seconds=60), timedelta(seconds=2)
    with running(service, ticket_file) as agent:
        service.asked(2)
        service.lifetime = service.renew_in = timedelta(hours=1)
        service.asked(3)
        assert get(agent)[1]["AccessKeyId"] in ("KEY2", "KEY3")
        assert service.issued[0].expires > datetime.now(UTC)


def test_an_outage_until_the_end_then_refusal_then_recovery(
    service: FakeService, ticket_file: Path
) -> None:
    service.lifetime, service.renew_in = timedelta(seconds=4), timedelta(seconds=2)
    with running(service, ticket_file) as agent:
        assert get(agent)[0] == 200
        service.fault = said(503, "the store's STS is down")
        service.asked(2)
        expires = service.issued[0].expires
        last_given = None
        # Old keys are given until their end, and not a moment longer.
        while True:
            before = datetime.now(UTC)
            status, answer = get(agent)
            after = datetime.now(UTC)
            if status != 200:
                break
            assert before < expires
            last_given = answer
        assert after >= expires
        assert last_given is not None
        assert (status, answer["code"]) == (503, "Unavailable")
        assert "the store's STS is down" in answer["message"]
        assert get(agent, "/health")[1]["status"] == "ended"
        asked = service.credential_asks
        service.fault = None
        service.lifetime = timedelta(hours=1)
        service.asked(asked + 1)
        status, answer = get(agent)
        while status != 200:  # the answer is on its way from the service
            status, answer = get(agent)
        assert answer["AccessKeyId"] != last_given["AccessKeyId"]


def test_a_refusal_is_passed_on_with_its_reason(service: FakeService, ticket_file: Path) -> None:
    service.fault = said(403, "your membership of navigation-lab ended")
    with running(service, ticket_file) as agent:
        status, answer = get(agent)
        assert (status, answer["code"]) == (403, "AccessDenied")
        assert answer["error"] == "access-denied"
        assert answer["message"] == "your membership of navigation-lab ended"
        status, health = get(agent, "/health")
        assert (status, health["status"]) == (503, "refused")
        assert get(agent, "/session")[0] == 403


def test_garbage_from_the_service_takes_nothing_away(
    service: FakeService, ticket_file: Path
) -> None:
    service.lifetime, service.renew_in = timedelta(minutes=10), timedelta(seconds=2)
    with running(service, ticket_file) as agent:
        assert get(agent)[0] == 200
        service.fault = StandInResponse(200, b'{"AccessKeyId": "EVIL"')
        service.asked(3)  # one more after the first garbage: the thread lives on
        status, answer = get(agent)
        assert (status, answer["AccessKeyId"]) == (200, "KEY1")
        assert get(agent, "/health")[1]["status"] == "late"


@pytest.mark.parametrize("token", ["", "wrong", "Bearer x", "x" * 4000, "\xff\xfe"], ids=repr)
@pytest.mark.parametrize("path", ["/credentials", "/session"])
def test_without_the_token_there_is_nothing(door: CredentialAgent, path: str, token: str) -> None:
    status, answer = get(door, path, Authorization=token)
    assert status == 401
    assert answer.keys() == {"code", "error", "message"}


def test_a_token_with_more_around_it_is_wrong(door: CredentialAgent) -> None:
    token = token_of(door)
    assert get(door, Authorization=f"Bearer {token}")[0] == 401
    assert get(door, Authorization=token[:-1])[0] == 401
    assert get(door, Authorization=token.swapcase())[0] == 401


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:PORT",
        "127.0.0.1.evil.example",
        "127.0.0.1@evil.example",
        "127.0.0.1:1",
        "localhost.:PORT",
        "127.1:PORT",
        "0.0.0.0:PORT",
        "[::1]:PORT",
        "",
    ],
)
def test_a_name_that_only_points_here_is_refused(door: CredentialAgent, host: str) -> None:
    status, answer = get(door, Host=host.replace("PORT", str(port_of(door))))
    assert (status, answer["code"], answer["error"]) == (403, "WrongHost", "wrong-host")
    assert get(door, "/health", Host=host.replace("PORT", str(port_of(door))))[0] == 403


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.0.0.1:PORT", "LOCALHOST:PORT"])
def test_its_own_names_are_accepted(door: CredentialAgent, host: str) -> None:
    assert get(door, Host=host.replace("PORT", str(port_of(door))))[0] == 200


def test_scripts_of_web_pages_are_refused(door: CredentialAgent) -> None:
    origin = f"http://127.0.0.1:{port_of(door)}"
    assert get(door, Origin=origin)[0] == 403


def test_a_second_host_is_refused(door: CredentialAgent) -> None:
    raw = (
        f"GET /health HTTP/1.1\r\nHost: 127.0.0.1:{port_of(door)}\r\nHost: evil.example\r\n"
        "Connection: close\r\n\r\n"
    )
    assert send(door, raw.encode()).startswith(b"HTTP/1.1 403 ")


@pytest.mark.parametrize("path", ["/", "/credentials/", "/credentials?x=1"])
def test_there_is_nothing_else(door: CredentialAgent, path: str) -> None:
    assert get(door, path)[0] == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "HEAD", "TRACE"])
def test_there_is_nothing_to_do_but_get(door: CredentialAgent, method: str) -> None:
    raw = (
        f"{method} /credentials HTTP/1.1\r\nHost: 127.0.0.1:{port_of(door)}\r\n"
        f"Authorization: {token_of(door)}\r\n\r\n"
    )
    answer = send(door, raw.encode())
    assert answer.startswith(b"HTTP/1.1 501 ")
    assert b"SecretAccessKey" not in answer


@pytest.mark.parametrize(
    "head",
    [
        b"GET /credentials HTTP/1.1\r\nX: " + b"y" * 1_000_000 + b"\r\n\r\n",
        b"GET /credentials HTTP/1.1\r\n" + b"X: y\r\n" * 100_000 + b"\r\n",
        b"GET /" + b"y" * 1_000_000 + b" HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01" * 10_000,
    ],
    ids=["long header", "many headers", "long path", "no HTTP"],
)
def test_a_huge_head_is_not_read_to_its_end(door: CredentialAgent, head: bytes) -> None:
    answer = send(door, head)
    assert b"SecretAccessKey" not in answer
    assert b" 200 OK" not in answer
    assert get(door)[0] == 200


@pytest.mark.parametrize("extra", ["Content-Length: 40", "Transfer-Encoding: chunked"])
def test_a_body_cannot_pose_as_the_next_request(door: CredentialAgent, extra: str) -> None:
    hidden = "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
    raw = f"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n{extra}\r\n\r\n{hidden}"
    answer = send(door, raw.encode())
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1 ") == 1


def test_answers_are_not_to_be_kept_by_others(door: CredentialAgent) -> None:
    raw = (
        f"GET /credentials HTTP/1.1\r\nHost: localhost\r\nAuthorization: {token_of(door)}\r\n"
        "Connection: close\r\n\r\n"
    )
    assert b"\r\nCache-Control: no-store\r\n" in send(door, raw.encode())


def test_health_tells_times_and_no_secret(agent: CredentialAgent, service: FakeService) -> None:
    get(agent)
    status, health = get(agent, "/health", Authorization="")
    assert status == 200
    assert health.keys() == {"status", "expires", "renewed", "problem"}
    assert health["status"] == "ready"
    assert health["expires"] == service.issued[0].to_json()["Expiration"]
    assert "secret" not in json.dumps(health)


def test_the_session_is_kept_and_outlives_an_outage(
    agent: CredentialAgent, service: FakeService
) -> None:
    assert get(agent, "/session") == (200, json.loads(json.dumps(VIEW.to_json())))
    service.fault = said(503, "down")
    for _ in range(20):
        assert get(agent, "/session")[0] == 200
    assert service.session_asks == 1


def test_a_session_that_was_never_known_is_an_outage(
    service: FakeService, ticket_file: Path
) -> None:
    service.fault = said(503, "down for a moment")
    with running(service, ticket_file) as agent:
        status, answer = get(agent, "/session")
        assert (status, answer["message"]) == (503, "down for a moment")


def test_tokens_rotate_without_a_gap_under_load(service: FakeService, ticket_file: Path) -> None:
    with running(service, ticket_file, rotate_every=0.25) as agent:
        first = token_of(agent)
        assert get(agent)[0] == 200
        statuses: set[int] = set()
        tokens: set[str] = set()
        done = threading.Event()
        enough = threading.Event()

        def client() -> None:
            while not done.is_set():
                tokens.add(token_of(agent))
                statuses.add(get(agent)[0])
                if len(tokens) > 4:
                    enough.set()

        clients = [threading.Thread(target=client) for _ in range(8)]
        for thread in clients:
            thread.start()
        rotated = enough.wait(30)
        done.set()
        for thread in clients:
            thread.join()
        assert rotated
        assert statuses == {200}
        assert get(agent, Authorization=first)[0] == 401


def test_listens_on_loopback_only(door: CredentialAgent) -> None:
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.2", port_of(door)), timeout=5)


def test_a_taken_port_is_said_plainly(service: FakeService, ticket_file: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        agent = CredentialAgent(AgentSettings(service.url, ticket_file, port=port))
        with pytest.raises(AgentSettingsError, match=rf"PANNEURO_AGENT_PORT.*{port}.*in use"):
            agent.start()


def test_a_folder_that_cannot_be_written_is_said_plainly(
    service: FakeService, ticket_file: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    agent = CredentialAgent(
        AgentSettings(service.url, ticket_file, token_file=tmp_path / "file" / "token")
    )
    with pytest.raises(AgentSettingsError, match="PANNEURO_TOKEN_FILE"):
        agent.start()


def test_stops_whole(service: FakeService, ticket_file: Path) -> None:
    agent = CredentialAgent(AgentSettings(service.url, ticket_file))
    agent.start()
    port, token = port_of(agent), token_of(agent)
    token_file = Path(agent.environment()["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/credentials", headers={"Authorization": token})
    with connection.getresponse() as response:
        assert response.status == 200
        response.read()
    agent.stop()
    assert connection.sock.recv(1) == b""  # closed by the agent
    connection.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)
    assert not token_file.parent.exists()
    with pytest.raises(RuntimeError):
        agent.environment()
    agent.stop()


def test_more_connections_than_it_takes_are_closed_and_it_goes_on(agent: CredentialAgent) -> None:
    assert get(agent)[0] == 200
    crowd = [
        socket.create_connection(("127.0.0.1", port_of(agent)), timeout=30) for _ in range(256)
    ]
    with socket.create_connection(("127.0.0.1", port_of(agent)), timeout=30) as one_more:
        assert one_more.recv(1) == b""
    for connection in crowd:
        connection.close()
    status = 0
    while status != 200:
        try:
            status = get(agent)[0]
        except (OSError, http.client.HTTPException):
            continue  # the agent has not seen all the others leave yet


def test_nothing_secret_is_logged(
    service: FakeService, ticket_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with running(service, ticket_file) as agent:
        get(agent)
        get(agent, Authorization="gurke")
        token = token_of(agent)
    secret = [token, service.ticket, "secret-1", "token-1", "gurke"]
    assert "KEY1" in caplog.text
    assert [word for word in secret if word in caplog.text] == []
