"""The service's answers to logins, over HTTP: what is given, and what is refused in words."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from session_views import view_of
from small_hub import TOKEN, SmallHub, member, small_hub
from small_service import SmallService, small_service
from tornado.httpclient import AsyncHTTPClient, HTTPRequest
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port

from panneuro_hub.client.connection import _LoginSession
from panneuro_hub.client.login import StoredLogin
from panneuro_hub.service.app import HubConnection, make_app
from panneuro_hub.service.device_login.login_store import DeviceLoginStore
from panneuro_hub.wire import SessionView

PREFIX = "/services/panneuro"


@dataclass
class Api:
    """The service, as a program asks it."""

    url: str
    service: SmallService
    logins: DeviceLoginStore

    async def __call__(
        self, method: str, path: str, body: Any = None, token: str | None = None
    ) -> tuple[int, Any]:
        text = body if isinstance(body, str) else json.dumps(body)
        answer = await AsyncHTTPClient().fetch(
            HTTPRequest(
                self.url + path,
                method=method,
                headers={"Authorization": f"panneuro-login {token}"} if token else {},
                body=text if method == "POST" else None,
                follow_redirects=False,
            ),
            raise_error=False,
        )
        assert answer.headers["Cache-Control"] == "no-store"
        return answer.code, json.loads(answer.body) if answer.body else None

    async def login(self, person: str = "ada") -> str:
        """A login, as it is allowed in a browser."""
        _, asked = await self("POST", "/api/login", {"host": "rig-3"})
        owner = await self.service.parts.accesses.find_account(person)
        begun = await self.logins.begin_confirmation(owner, asked["user_code"])
        confirmed = await self.logins.confirm_request(owner, begun.key)
        await self.logins.decide_request(owner, confirmed.key, allow=True)
        status, made = await self("POST", "/api/login/token", {"device_code": asked["device_code"]})
        assert (status, made["user"]) == (200, person)
        return str(made["token"])


@pytest.fixture
async def hub() -> AsyncIterator[SmallHub]:
    async with small_hub(
        ada=member("ada", "navigation-lab"), eve=member("eve", "navigation-lab")
    ) as hub:
        yield hub


@pytest.fixture
async def api(hub: SmallHub, tmp_path: Path, example_file: Path) -> AsyncIterator[Api]:
    async with small_service(hub, tmp_path, example_file) as service:
        logins = DeviceLoginStore(service.database)
        settings = HubConnection(hub.url, TOKEN, f"{PREFIX}/", "http://127.0.0.1:0")
        server = HTTPServer(make_app(service.parts, settings, logins=logins))
        socket, port = bind_unused_port()
        server.add_socket(socket)
        yield Api(f"http://127.0.0.1:{port}{PREFIX}", service, logins)
        server.stop()
        await server.close_all_connections()


async def test_a_login_begins_a_session_that_gets_keys(api: Api) -> None:
    token = await api.login()
    status, said = await api("GET", "/api/login", token=token)
    assert (status, said["user"]) == (200, "ada")
    assert said["projects"]["nhp-navigation"]["level"] == "manage"
    assert said["projects"]["human-intracranial"]["level"] is None
    status, begun = await api("POST", "/api/uploads", {"project": "nhp-navigation"}, token)
    assert status == 200
    assert SessionView.from_json(begun["view"]).project == "nhp-navigation"
    issuer = api.service.issuer
    assert (await issuer.issue_credential(begun["ticket"])).access_key_id == "ASIA1"
    [row] = await api.service.ledger.list_entries()
    assert row.reason.startswith("upload ")
    stranger = await api.login("eve")
    assert (await api("DELETE", f"/api/uploads/{begun['session']}", token=stranger))[0] == 204
    await issuer.issue_credential(begun["ticket"])
    assert (await api("DELETE", f"/api/uploads/{begun['session']}", token=token))[0] == 204
    with pytest.raises(Exception, match="has ended"):
        await issuer.issue_credential(begun["ticket"])


async def test_an_ended_login_begins_nothing(api: Api) -> None:
    token = await api.login()
    assert (await api("DELETE", "/api/login", token=token))[0] == 204
    for method, path, body in (
        ("GET", "/api/login", None),
        ("DELETE", "/api/login", None),
        ("POST", "/api/uploads", {"project": "nhp-navigation"}),
        ("DELETE", "/api/uploads/00", None),
    ):
        status, said = await api(method, path, body, token)
        assert (status, "log in again" in said["message"]) == (401, True), path
        assert said["error"] == "invalid-login", path
        status, said = await api(method, path, body)
        assert (status, "panneuro login" in said["message"]) == (401, True), path


@pytest.mark.parametrize(
    ("project", "status", "words"),
    [
        ("human-intracranial", 403, "no access to human-intracranial: you are not in"),
        ("no-such", 403, "there is no project no-such that is open to you"),
        ("../x", 400, "project is missing, or cannot be one"),
        (None, 400, "project is missing, or cannot be one"),
        (["a"], 400, "project is missing, or cannot be one"),
    ],
)
async def test_what_cannot_be_begun_is_refused(
    api: Api, project: Any, status: int, words: str
) -> None:
    got, said = await api("POST", "/api/uploads", {"project": project}, await api.login())
    assert (got, words in said["message"]) == (status, True), said


async def test_who_has_left_the_hub_begins_nothing(api: Api, hub: SmallHub) -> None:
    token = await api.login()
    del hub.users["ada"]
    status, said = await api("POST", "/api/uploads", {"project": "nhp-navigation"}, token)
    assert (status, said["message"]) == (403, "the hub knows nobody called ada")


@pytest.mark.parametrize("path", ["/api/login", "/api/login/token"])
@pytest.mark.parametrize(
    "body", ["", "[]", "{", '"x"', "[" * 5000, '{"host": "' + "x" * 5000 + '"}']
)
async def test_bad_input_is_refused_in_words(api: Api, path: str, body: str) -> None:
    status, said = await api("POST", path, body)
    assert (status, "short JSON object" in said["message"]) == (400, True)


@pytest.mark.parametrize("code", [None, 5, "", "x" * 3000, "\u0000"])
async def test_a_code_that_is_none_is_refused(api: Api, code: Any) -> None:
    status, said = await api("POST", "/api/login/token", {"device_code": code})
    assert status == (403 if isinstance(code, str) else 400)
    assert said["message"]


async def test_a_machine_that_hurries_is_told(api: Api) -> None:
    _, asked = await api("POST", "/api/login", {"host": 7})
    body = {"device_code": asked["device_code"]}
    assert (await api("POST", "/api/login/token", body))[0] == 202
    status, said = await api("POST", "/api/login/token", body)
    assert (status, said) == (429, {"error": "rate-limited", "message": "ask every 5 seconds"})


def test_a_long_transfer_begins_its_session_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    view = view_of("p")
    calls: list[str] = []

    class Counting(StoredLogin):
        def call(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
            calls.append(f"{method} {path}")
            number = len(calls)
            return {"session": str(number), "ticket": f"ticket-{number}", "view": view.to_json()}

    now = 0.0
    monkeypatch.setattr("panneuro_hub.client.connection.time.monotonic", lambda: now)
    begun = _LoginSession(Counting("https://h", "a", datetime.now(UTC), "t"), "p")
    now = 12 * 3600.0
    assert begun.read_ticket() == "ticket-1"
    now += 1
    assert begun.read_ticket() == "ticket-2"
    assert calls == ["POST /api/uploads", "POST /api/uploads", "DELETE /api/uploads/1"]
    begun.end()
    assert calls[-1] == "DELETE /api/uploads/2"
