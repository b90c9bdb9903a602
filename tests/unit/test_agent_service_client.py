from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_service import FakeService, said
from hypothesis import given
from hypothesis import strategies as st
from session_views import view_of
from testing.stand_in_server import StandInResponse

from panneuro_hub.agent.service_client import (
    AgentSettingsError,
    ServiceClient,
    ServiceUnreachableError,
    _read_response,
    open_service_connection,
    read_ticket_file,
    to_printable,
)
from panneuro_hub.errors import AccessDeniedError
from panneuro_hub.wire import Ticket

VIEW = view_of()


@pytest.fixture
def ticket_file(tmp_path: Path) -> Path:
    path = tmp_path / "ticket"
    path.write_text(Ticket.new("ada", "").encode() + "\n")
    return path


@pytest.fixture
def service(ticket_file: Path) -> Iterator[FakeService]:
    with FakeService(ticket_file.read_text().strip(), view=VIEW) as service:
        yield service


@pytest.fixture
def upstream(service: FakeService, ticket_file: Path) -> ServiceClient:
    return ServiceClient(service.url, ticket_file)


def test_gets_the_credential_and_the_session(upstream: ServiceClient, service: FakeService) -> None:
    assert upstream.fetch_credential() == service.issued[0]
    assert upstream.fetch_session() == VIEW


def test_a_slash_at_the_end_of_the_address_does_not_matter(
    service: FakeService, ticket_file: Path
) -> None:
    assert ServiceClient(service.url + "/", ticket_file).fetch_credential() == service.issued[0]


def test_the_ticket_is_read_at_each_request(
    upstream: ServiceClient, service: FakeService, ticket_file: Path
) -> None:
    service.ticket = Ticket.new("ada", "").encode()
    with pytest.raises(AccessDeniedError, match="this ticket is unknown"):
        upstream.fetch_credential()
    ticket_file.write_text(service.ticket)
    upstream.fetch_credential()


@pytest.mark.parametrize(
    "content", ["", "two\nlines", "a word", "pn1.x\x00", "ä", "x" * 5000], ids=repr
)
def test_what_is_no_ticket_is_not_sent(
    upstream: ServiceClient, service: FakeService, ticket_file: Path, content: str
) -> None:
    ticket_file.write_text(content)
    with pytest.raises(ServiceUnreachableError, match="holds no ticket") as raised:
        upstream.fetch_credential()
    assert service.credential_asks == 0
    assert not content or content not in str(raised.value)


def test_a_missing_ticket_may_come_later(tmp_path: Path) -> None:
    with pytest.raises(ServiceUnreachableError, match=r"nowhere cannot be read: No such file"):
        read_ticket_file(tmp_path / "nowhere")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_with_the_ticket(
    upstream: ServiceClient, service: FakeService, status: int
) -> None:
    service.fault = StandInResponse(status, b"", {"Location": service.url + "/stolen"})
    with pytest.raises(ServiceUnreachableError, match="PANNEURO_SERVICE_URL"):
        upstream.fetch_credential()
    assert service.elsewhere == []


def test_a_proxy_of_the_environment_is_not_used(
    upstream: ServiceClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    upstream.fetch_credential()


def test_a_definite_refusal_is_one(upstream: ServiceClient, service: FakeService) -> None:
    service.fault = said(403, "your membership\nended")
    with pytest.raises(AccessDeniedError, match="your membership ended"):
        upstream.fetch_credential()
    service.fault = StandInResponse(403, b"<html>forbidden</html>")
    with pytest.raises(AccessDeniedError, match="gives no reason"):
        upstream.fetch_credential()


def test_a_pause_that_the_service_asks_for_is_kept(
    upstream: ServiceClient, service: FakeService
) -> None:
    service.fault = said(503, "STS is busy", Retry_After="17")
    with pytest.raises(ServiceUnreachableError, match="STS is busy") as raised:
        upstream.fetch_credential()
    assert raised.value.retry_after == 17


def good() -> dict[str, Any]:
    return {
        "AccessKeyId": "KEY",
        "SecretAccessKey": "hidden-1",
        "Token": "hidden-2",
        "Expiration": "2030-01-01T00:00:00Z",
    }


MALFORMED = [
    b"",
    b"<html>hub</html>",
    b"[]",
    b"null",
    b"17",
    b"\xff\xfe",
    b"[" * 100_000,
    b'{"x": "' + b"y" * (1 << 20) + b'"}',
    *(json.dumps({**good(), key: None}).encode() for key in good()),
    *(json.dumps({k: v for k, v in good().items() if k != key}).encode() for key in good()),
    json.dumps({**good(), "Expiration": "soon"}).encode(),
    json.dumps({**good(), "Expiration": "2030-01-01T00:00:00"}).encode(),
    json.dumps({**good(), "RenewAfter": 12}).encode(),
    json.dumps({**good(), "Token": ["hidden-2"]}).encode(),
]


@pytest.mark.parametrize("body", MALFORMED, ids=lambda body: repr(body[:60]))
def test_a_malformed_answer_is_an_outage(
    upstream: ServiceClient, service: FakeService, body: bytes
) -> None:
    service.fault = StandInResponse(200, body)
    with pytest.raises(ServiceUnreachableError, match="answer is") as raised:
        upstream.fetch_credential()
    assert "hidden" not in str(raised.value)


@pytest.mark.parametrize(
    "body",
    [b"{}", b'{"user": "ada"}', json.dumps({**VIEW.to_json(), "grants": 3}).encode()],
)
def test_a_malformed_session_is_an_outage(
    upstream: ServiceClient, service: FakeService, body: bytes
) -> None:
    service.fault = StandInResponse(200, body)
    with pytest.raises(ServiceUnreachableError, match="describes no session"):
        upstream.fetch_session()


def test_a_service_that_is_not_there_is_an_outage(ticket_file: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(ServiceUnreachableError, match="cannot be reached"):
        ServiceClient(f"http://127.0.0.1:{port}", ticket_file).fetch_credential()


def test_a_silent_service_is_an_outage(ticket_file: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(ServiceUnreachableError, match="timed out"):
            ServiceClient(address, ticket_file, timeout=0.2).fetch_credential()


def test_tls_is_verified() -> None:
    context = open_service_connection("https://hub.example", 1)._context  # type: ignore[attr-defined]
    assert context.check_hostname
    assert context.verify_mode.name == "CERT_REQUIRED"


@pytest.mark.parametrize(
    "address",
    [
        "",
        "hub:8081",
        "file:///etc/passwd",
        "ftp://hub/",
        "http://",
        "http://hub:99999/",
        "http://hub:x/",
        "http://me:gurke@hub/",
        "http://hub/?a=b",
        "http://hub/#a",
        "http://hub/a b",
        "http://hub/\r\nX: y",
        "http://hüb/",
        "http://[::1/",
    ],
)
def test_an_address_that_is_none_is_refused(address: str, tmp_path: Path) -> None:
    with pytest.raises(AgentSettingsError, match="PANNEURO_SERVICE_URL") as raised:
        ServiceClient(address, tmp_path / "ticket")
    assert "gurke" not in str(raised.value)


@given(status=st.integers(200, 599), retry=st.none() | st.text(), body=st.binary())
def test_any_answer_is_an_object_or_one_of_our_errors(
    status: int, retry: str | None, body: bytes
) -> None:
    try:
        assert isinstance(_read_response(status, retry, body), dict)
    except AccessDeniedError:
        assert status == 403
    except ServiceUnreachableError:
        assert status != 403


@given(st.text())
def test_text_from_outside_is_one_short_line(text: str) -> None:
    line = to_printable(text)
    assert line.isprintable()
    assert len(line) <= 501
