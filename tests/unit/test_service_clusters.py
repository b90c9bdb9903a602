"""Sessions of clusters: their tickets, their keys, and what gateways ask about them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jupyterhub.services.auth import HubOAuth
from small_hub import TOKEN, SmallHub, member, small_hub, user
from small_service import SECRET, SmallService, small_service
from sqlalchemy import event
from testing.waiting import wait_until_async
from tornado.httpclient import AsyncHTTPClient, HTTPRequest
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port

from panneuro_hub.errors import (
    AccessDeniedError,
    InvalidChoiceError,
    ServiceUnavailableError,
    TicketRefusedError,
)
from panneuro_hub.service.app import HubConnection, make_app
from panneuro_hub.service.dask.gateway_handlers import read_cluster_reports, read_cluster_request
from panneuro_hub.service.db.session_store import SESSIONS_TABLE, SessionRecord
from panneuro_hub.wire import Ticket
from panneuro_hub.wire.api_token import hash_api_token

pytest_plugins = ["service_fixtures"]

GATEWAY = "dask-gateway"
GATEWAY_TOKEN = "token-of-the-gateway"
PREFIX = "/services/panneuro"
WISH = {
    "user": "ada",
    "project": "nhp-navigation",
    "profile": "standard",
    "image": "neuro",
}


@pytest.fixture
async def hub() -> AsyncIterator[SmallHub]:
    """Ada has no server: whatever started her clusters is gone."""
    async with small_hub(ada=member("ada", "navigation-lab")) as hub:
        hub.owners = {
            GATEWAY_TOKEN: {"kind": "service", "name": GATEWAY},
            "token-of-another": {"kind": "service", "name": "another"},
            "token-of-a-person": {"kind": "user", "name": GATEWAY},
        }
        yield hub


async def begin(service: SmallService, person: str = "ada") -> tuple[SessionRecord, Ticket]:
    return await service.register.begin_session(
        "cluster",
        person,
        "nhp-navigation",
        "standard",
        "neuro",
        account=f"account-of-{person}",
        gateway=GATEWAY,
    )


# --- keys


async def test_a_cluster_s_ticket_becomes_a_credential_and_a_row(service: SmallService) -> None:
    session, ticket = await begin(service)
    credential = await service.issuer.issue_credential(ticket.encode())
    assert await service.issuer.issue_credential(ticket.encode()) == credential
    [row] = await service.ledger.list_entries()
    assert (row.event, row.person, row.project) == ("issue", "ada", "nhp-navigation")
    assert row.session == session.id
    assert row.reason.startswith(f"cluster {session.id[:8]}… of nhp-navigation: you are in")
    assert ("write", "s3://learning-circuits/nhp-navigation/") in row.grants
    assert SECRET not in repr(row)
    view = await service.issuer.describe_session(ticket.encode())
    assert (view.user, view.project, view.level) == ("ada", "nhp-navigation", "manage")


async def test_two_sessions_of_a_person_share_no_key(service: SmallService) -> None:
    keys = {
        (await service.issuer.issue_credential((await begin(service))[1].encode())).access_key_id
        for _ in range(2)
    }
    assert len(keys) == 2


async def test_keys_end_with_the_person_s_access(service: SmallService) -> None:
    session, ticket = await begin(service)
    await service.issuer.issue_credential(ticket.encode())
    service.hub.users["ada"] = member("ada", "categorization-lab")
    for _ in range(3):
        with pytest.raises(AccessDeniedError, match="no access to nhp-navigation"):
            await service.issuer.issue_credential(ticket.encode())
    refusal, _ = await service.ledger.list_entries()
    assert (refusal.event, refusal.person, refusal.session) == ("refusal", "ada", session.id)
    assert refusal.reason.startswith(f"cluster {session.id[:8]}… of nhp-navigation: you have no")
    del service.hub.users["ada"]
    with pytest.raises(AccessDeniedError, match="knows nobody called ada"):
        await service.issuer.issue_credential(ticket.encode())


async def test_keys_end_with_the_cluster(service: SmallService) -> None:
    session, ticket = await begin(service)
    await service.issuer.issue_credential(ticket.encode())
    await service.register.end_session(session.id, GATEWAY)
    for ask in (service.issuer.issue_credential, service.issuer.describe_session):
        with pytest.raises(TicketRefusedError, match="has ended"):
            await ask(ticket.encode())
    row = (await service.ledger.list_entries())[0]
    assert (row.event, row.person) == ("refusal", "ada")


async def test_a_ticket_of_another_opens_nothing(service: SmallService) -> None:
    service.hub.users["eve"] = member("eve", "navigation-lab")
    session, ticket = await begin(service)
    for forged in (
        Ticket.new("ada", session.id, "register"),
        replace(ticket, user="eve"),
        replace(ticket, name="0" * 16),
        replace(ticket, kind="server"),
        replace(ticket, name="", kind="server"),
        Ticket("ada", session.id, session.ticket, "register"),
    ):
        with pytest.raises(TicketRefusedError) as refused:
            await service.issuer.issue_credential(forged.encode())
        assert ticket.secret not in str(refused.value)
    assert service.maker.made == 0
    assert {row.event for row in await service.ledger.list_entries()} == {"refusal"}
    assert "eve" not in {row.person for row in await service.ledger.list_entries()}


async def test_a_thousand_agents_are_one_question_and_one_key(
    hub: SmallHub, tmp_path: Path, example_file: Path
) -> None:
    async with small_service(hub, tmp_path, example_file, keep=10) as service:
        session, ticket = await begin(service)
        statements: list[str] = []
        event.listen(
            service.database._engine,
            "before_cursor_execute",
            lambda _connection, _cursor, statement, *_: statements.append(statement),
        )
        made = await asyncio.gather(
            *(service.issuer.issue_credential(ticket.encode()) for _ in range(1000))
        )
        assert len({credential.access_key_id for credential in made}) == 1
        assert service.maker.made == 1
        assert hub.names == ["ada"]
        reads = [each for each in statements if each.startswith("SELECT")]
        writes = [each for each in statements if each.startswith(("INSERT", "UPDATE"))]
        assert [SESSIONS_TABLE.name in each for each in reads] == [True]
        assert ["panneuro_ledger" in each for each in writes] == [True]
        assert [row.session for row in await service.ledger.list_entries()] == [session.id]


# --- what the hub is told


# --- made-up tickets


async def test_made_up_names_do_not_hold_up_good_sessions(service: SmallService) -> None:
    hub = service.hub
    _, ticket = await begin(service)
    await service.issuer.issue_credential(ticket.encode())
    made_up = [f"nobody-{number}" for number in range(300)]
    hub.slow = frozenset(made_up)
    asking = [
        asyncio.create_task(service.issuer.issue_credential(Ticket.new(name, "").encode()))
        for name in made_up
    ]
    done, _ = await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
    await wait_until_async(lambda: hub.waiting == 4)
    for _ in range(3):  # people are kept for no time here: each is a question to the hub
        assert (await service.issuer.issue_credential(ticket.encode())).access_key_id == "ASIA1"
    assert hub.waiting == 4, "so many at once, whoever asks"
    assert all(isinstance(task.exception(), ServiceUnavailableError) for task in done)
    hub.slow = frozenset()
    hub.may_answer.set()
    answers = await asyncio.gather(*asking, return_exceptions=True)
    assert {type(answer) for answer in answers} == {TicketRefusedError, ServiceUnavailableError}


async def test_made_up_session_ids_ask_the_hub_nothing(service: SmallService) -> None:
    for number in range(20):
        with pytest.raises(TicketRefusedError):
            await service.issuer.issue_credential(
                Ticket.new("ada", f"{number}", "register").encode()
            )
    assert service.hub.asked == 0
    assert [row.person for row in await service.ledger.list_entries()] == [""]


# --- what gateways ask

LOOKUP = {"user": "ada", "token": hash_api_token("server-token"), "may_start_servers": False}


@dataclass
class Answer:
    status: int
    json: Any
    headers: Any


@dataclass
class Api:
    """The service's API on a port."""

    url: str

    async def __call__(
        self,
        method: str,
        path: str = "/api/clusters",
        body: Any = None,
        authorization: str = f"token {GATEWAY_TOKEN}",
    ) -> Answer:
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        answer = await AsyncHTTPClient().fetch(
            HTTPRequest(
                self.url + path,
                method,
                headers={"Authorization": authorization} if authorization else {},
                body=text if method in ("POST", "PUT") else None,
                follow_redirects=False,
            ),
            raise_error=False,
        )
        assert answer.headers["Cache-Control"] == "no-store"
        body = json.loads(answer.body) if answer.body else None
        return Answer(answer.code, body, answer.headers)


@pytest.fixture
async def api(service: SmallService) -> AsyncIterator[Api]:
    hub = HubConnection(service.hub.url, TOKEN, f"{PREFIX}/", "http://127.0.0.1:0")
    server = HTTPServer(make_app(service.parts, hub, [GATEWAY]))
    socket, port = bind_unused_port()
    server.add_socket(socket)
    yield Api(f"http://127.0.0.1:{port}{PREFIX}")
    server.stop()
    await server.close_all_connections()


def running(session: str, **more: Any) -> dict[str, Any]:
    given = {"session": session, "name": "c1", "workers": 2, "cores": 4.0, "memory": 1 << 34}
    return given | more


async def test_a_cluster_from_its_beginning_to_its_end(service: SmallService, api: Api) -> None:
    begun = await api("POST", body=WISH)
    assert begun.status == 201
    session, ticket = begun.json["session"], Ticket.decode(begun.json["ticket"])
    assert (ticket.kind, ticket.user, ticket.name) == ("register", "ada", session)
    assert (await service.issuer.issue_credential(ticket.encode())).access_key_id == "ASIA1"
    told = await api("PUT", body={"clusters": [running(session)]})
    assert (told.status, told.json) == (200, {"stop": []})
    [known] = await service.register.list_running("nhp-navigation")
    assert (known.id, known.name, known.gateway, known.workers) == (session, "c1", GATEWAY, 2)
    assert (known.person, known.profile, known.image) == ("ada", "standard", "neuro")
    assert known.price_per_hour == 0.07
    for _ in range(2):
        ended = await api("DELETE", f"/api/clusters/{session}")
        assert (ended.status, ended.json) == (204, None)
    with pytest.raises(TicketRefusedError):
        await service.issuer.issue_credential(ticket.encode())
    told = await api("PUT", body={"clusters": [running(session)]})
    [stop] = told.json["stop"]
    assert (stop["session"], stop["reason"]) == (session, "its session has ended")
    assert [reason["code"] for reason in stop["reasons"]] == ["session-ended"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"user": "nobody"}, "knows nobody called nobody"),
        ({"project": "human-intracranial"}, "no access to human-intracranial: you are not in"),
        ({"project": "no-such"}, "there is no project 'no-such'"),
        ({"profile": "huge"}, "worker profile 'huge' may not be used in nhp-navigation"),
        ({"profile": "small"}, "offers only standard"),
        ({"image": "evil.example/image"}, "image 'evil.example/image' may not be used"),
    ],
)
async def test_what_a_person_may_not_have_is_refused(
    service: SmallService, api: Api, change: dict[str, str], words: str
) -> None:
    answer = await api("POST", body=WISH | change)
    assert answer.status == 403
    assert words in answer.json["message"]
    assert await service.register.list_running() == []
    rows = await service.ledger.list_entries()
    if "user" in change:
        assert rows == []
    else:
        assert [(row.event, row.person) for row in rows] == [("refusal", "ada")]
        assert rows[0].reason == f"cluster: {answer.json['message']}"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "must be JSON"),
        (b"[" * 100_000, "must be JSON"),
        (b"\xff", "must be JSON"),
        ([], "must be a JSON object"),
        ({}, "user must be a name"),
        (WISH | {"user": ""}, "user must be a name"),
        (WISH | {"user": 1}, "user must be a name"),
        (WISH | {"user": "a\0b"}, "user must be a name"),
        (WISH | {"project": "\ud800"}, "project must be a name"),
        (WISH | {"profile": "x" * 256}, "profile must be a name"),
        (WISH | {"image": ["neuro"]}, "image must be a name"),
        (WISH | {"image": None}, "choose an image; nhp-navigation offers neuro"),
    ],
)
async def test_a_wish_that_cannot_be_read(api: Api, body: Any, words: str) -> None:
    answer = await api("POST", body=body)
    assert answer.status == 400
    assert words in answer.json["message"]


GOOD = running("0" * 16)


async def test_whose_token_it_is(service: SmallService, api: Api) -> None:
    service.hub.users["ada"] = user(Ticket.new("ada", ""), project="shared-stimuli")
    answer = await api("POST", "/api/clusters/requester", LOOKUP)
    assert (answer.status, answer.json) == (
        200,
        {
            "user": "ada",
            "teams": ["navigation-lab"],
            "project": "shared-stimuli",
            "image": "neuro",
            "session": "s1",
        },
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"user": None}, "user must be a name"),
        ({"token": "server-token"}, "token must be a SHA-256 digest"),
        ({"token": 7}, "token must be a SHA-256 digest"),
        ({"may_start_servers": None}, "may_start_servers must be true or false"),
        ({"may_start_servers": "yes"}, "may_start_servers must be true or false"),
    ],
)
async def test_a_lookup_that_cannot_be_read(api: Api, change: dict[str, Any], words: str) -> None:
    answer = await api("POST", "/api/clusters/requester", LOOKUP | change)
    assert (answer.status, words in answer.json["message"]) == (400, True)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "clusters must be a list"),
        ({"clusters": {}}, "clusters must be a list"),
        ({"clusters": [1]}, "each of clusters must be a JSON object"),
        ({"clusters": [GOOD, GOOD]}, "each session once"),
        ({"clusters": [GOOD | {"session": "x"}]}, "session of each of clusters"),
        ({"clusters": [GOOD | {"name": "a/b"}]}, "name of each of clusters"),
        ({"clusters": [GOOD | {"workers": -1}]}, "a whole number from 0 to 1e+06"),
        ({"clusters": [GOOD | {"workers": 1.5}]}, "a whole number"),
        ({"clusters": [GOOD | {"workers": True}]}, "a whole number"),
        ({"clusters": [GOOD | {"cores": float("nan")}]}, "cores of each of clusters must be"),
        ({"clusters": [GOOD | {"cores": float("inf")}]}, "cores of each of clusters must be"),
        ({"clusters": [GOOD | {"memory": 10**30}]}, "memory of each of clusters must be"),
    ],
)
async def test_a_report_that_cannot_be_read(
    service: SmallService, api: Api, body: Any, words: str
) -> None:
    session, _ = await begin(service)
    answer = await api("PUT", body=body)
    assert answer.status == 400
    assert words in answer.json["message"]
    assert [each.id for each in await service.register.list_running()] == [session.id]


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(
    st.fixed_dictionaries(
        {}, optional=dict.fromkeys(("session", "name", "workers", "cores", "memory"), JSON)
    )
    | JSON
)
def test_any_report_is_read_or_refused_in_words(cluster: Any) -> None:
    try:
        [read] = read_cluster_reports(json.dumps({"clusters": [cluster]}).encode())
    except InvalidChoiceError:
        return
    assert read.workers >= 0
    assert read.cores >= 0


@given(st.fixed_dictionaries({key: st.text() | JSON for key in WISH}) | JSON)
def test_any_wish_is_read_or_refused_in_words(wish: Any) -> None:
    try:
        read = read_cluster_request(json.dumps(wish).encode())
    except InvalidChoiceError:
        return
    assert read.user
    assert "\0" not in read.user + read.project


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "token ",
        "token x",
        f"Bearer {GATEWAY_TOKEN}",
        f"token {GATEWAY_TOKEN}x",
        f"token  {GATEWAY_TOKEN}",
        "token token-of-another",
        "token token-of-a-person",
        f"token {TOKEN}",
        f"token {'x' * 5000}",
    ],
)
async def test_only_gateways_are_answered(
    service: SmallService, api: Api, authorization: str
) -> None:
    session, _ = await begin(service)
    for method, path, body in (
        ("POST", "/api/clusters", WISH),
        ("POST", "/api/clusters/requester", LOOKUP),
        ("PUT", "/api/clusters", {"clusters": []}),
        ("DELETE", f"/api/clusters/{session.id}", None),
    ):
        answer = await api(method, path, body, authorization)
        assert answer.status == 403
        assert "this is for Dask gateways alone" in answer.json["message"]
        assert GATEWAY_TOKEN not in answer.json["message"]
    assert [each.id for each in await service.register.list_running()] == [session.id]


async def test_who_a_gateway_is_is_kept_for_a_while(service: SmallService, api: Api) -> None:
    for _ in range(3):
        assert (await api("PUT", body={"clusters": []})).status == 200
    assert service.hub.asked == 1


async def test_parts_that_are_out_of_reach(service: SmallService, api: Api) -> None:
    service.hub.status = 500
    for method, body in (("POST", WISH), ("PUT", {"clusters": []})):
        answer = await api(method, body=body)
        assert answer.status == 503
        assert "the hub did not say" in answer.json["message"]
        assert int(answer.headers["Retry-After"]) > 0
    service.hub.status = 200
    with service.database._engine.begin() as connection:
        connection.exec_driver_sql("drop table panneuro_register")
    for method, body in (("POST", WISH), ("PUT", {"clusters": []})):
        answer = await api(method, body=body)
        assert answer.status == 503
        assert "the ledger cannot be used now" in answer.json["message"]


async def test_clusters_of_who_lost_access_are_to_stop(service: SmallService, api: Api) -> None:
    service.hub.users["grace"] = member("grace", "navigation-lab")
    hers, _ = await begin(service, "grace")
    mine, _ = await begin(service)
    report = {"clusters": [running(hers.id), running(mine.id, name="c2")]}
    service.hub.users["grace"] = member("grace")
    answer = await api("PUT", body=report)
    [stop] = answer.json["stop"]
    assert stop["session"] == hers.id
    assert [reason["code"] for reason in stop["reasons"]] == ["access-ended", "in-no-team"]
    assert len(await service.register.list_running()) == 2, "the gateway stops it, and then says so"
    del service.hub.users["grace"]
    assert [stop["session"] for stop in (await api("PUT", body=report)).json["stop"]] == [hers.id]


async def test_a_silent_hub_stops_nothing(
    service: SmallService, api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    session, _ = await begin(service)
    assert (await api("PUT", body={"clusters": []})).status == 200  # who it is, is known now
    service.hub.status = 500
    answer = await api("PUT", body={"clusters": [running(session.id)]})
    assert (answer.status, answer.json) == (200, {"stop": []})
    assert "go on without a look" in caplog.text


async def test_paths_that_name_no_session(api: Api) -> None:
    for path in ("x", "%00", "..%2f..", "0" * 16, "0" * 5000):
        assert (await api("DELETE", f"/api/clusters/{path}")).status == 204
    assert (await api("GET", "/api/clusters")).status == 405


# --- people who ask


@pytest.fixture
def login(service: SmallService, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What JupyterHub tells a service about logins."""
    for name, value in {
        "JUPYTERHUB_API_TOKEN": TOKEN,
        "JUPYTERHUB_API_URL": service.hub.url,
        "JUPYTERHUB_CLIENT_ID": "service-panneuro",
        "JUPYTERHUB_SERVICE_PREFIX": f"{PREFIX}/",
        "JUPYTERHUB_OAUTH_ACCESS_SCOPES": '["access:services!service=panneuro"]',
    }.items():
        monkeypatch.setenv(name, value)
    HubOAuth.clear_instance()
    yield
    auth = HubOAuth.instance()
    auth._pool.shutdown()  # a thread with an event loop of its own, made where it is looked for
    auth._thread_loop.close()
    HubOAuth.clear_instance()


@pytest.mark.usefixtures("login")
async def test_the_access_of_who_is_known(service: SmallService, api: Api) -> None:
    scopes = ["access:services!service=panneuro"]
    service.hub.owners["token-of-ada"] = {"kind": "user", "name": "ada", "scopes": scopes}
    answer = await api("GET", "/api/access", authorization="token token-of-ada")
    assert (answer.status, answer.json["user"]) == (200, "ada")
    service.hub.owners["token-of-eve"] = {"kind": "user", "name": "ada", "scopes": []}
    for token in ("token token-of-eve", "token x", "Bearer made-up-token", ""):
        answer = await api("GET", "/api/access", authorization=token)
        assert answer.status == 403, token
        assert "the hub does not know whose token this is" in answer.json["message"]


@pytest.mark.usefixtures("login")
@pytest.mark.parametrize("status", [500, 503])
async def test_the_access_of_whom_the_hub_does_not_say(
    service: SmallService, api: Api, status: int
) -> None:
    service.hub.status = status
    answer = await api("GET", "/api/access", authorization="token token-of-ada")
    assert answer.status == 503
    assert "the hub did not say" in answer.json["message"]


async def test_probes_are_quiet_and_queries_are_not_told(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    assert (await api("GET", "/health?x")).status == 200
    assert (await api("GET", "/api/session?code=secret")).status == 403
    told = [record.getMessage() for record in caplog.records]
    assert [line for line in told if "/api/session" in line]
    assert not [line for line in told if "health" in line or "secret" in line]
