"""Who sends a request to the gateway: what the hub and the service say, and what follows."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port
from dask_gateway_server.models import Cluster, ClusterStatus
from dask_gateway_server.routes import default_routes

from panneuro_hub.dask.authenticator import HubAuthenticator, may_start_servers
from panneuro_hub.dask.backend_mixin import GrantedSize
from panneuro_hub.dask.cluster_config import CHOICE_KEY
from panneuro_hub.dask.gateway_routes import answer_errors_plainly
from panneuro_hub.dask.session_user import SessionUser
from panneuro_hub.errors import AccessDeniedError, ServiceUnavailableError
from panneuro_hub.wire.cluster_reports import GatewayUser

# dask-gateway keeps its parts under plain names.
pytestmark = pytest.mark.filterwarnings("ignore::aiohttp.web_exceptions.NotAppKeyWarning")
GATEWAY = "access:services!service=dask-gateway"


def cluster(name: str, project: str | None, person: str = "ada") -> Cluster:
    config = {CHOICE_KEY: {"project": project}} if project else {}
    return Cluster(name, person, "t", {}, config, ClusterStatus.RUNNING, tls_key=b"SECRET")


@dataclass
class Backend:
    """Three clusters of Ada's, one of Tomas's, and what the service says of a token."""

    answer: GatewayUser | Exception = field(default_factory=lambda: GatewayUser("ada", ()))
    asked: list[tuple[str, str, bool]] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        made = [cluster("one", "a"), cluster("two", "b"), cluster("old", None)]
        made += [cluster("his", "a", "tomas")]
        self.clusters = {each.name: each for each in made}

    async def find_requester(
        self, user: str, token: str, *, may_start_servers: bool
    ) -> GatewayUser:
        self.asked.append((user, token, may_start_servers))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def list_clusters(self, username: str, statuses: Any) -> list[Cluster]:
        return [each for each in self.clusters.values() if each.username == username]

    async def get_cluster(self, name: str, wait: bool = False) -> Cluster | None:
        return self.clusters.get(name)

    async def end_cluster(self, name: str, code: str) -> None:
        assert code == "stopped"
        self.stopped.append(name)

    async def scale_cluster(self, asked: Cluster, _count: int) -> GrantedSize:
        self.told.append(asked.name)
        return GrantedSize(1)

    async def adapt_cluster(self, asked: Cluster, _adapt: object) -> GrantedSize:
        self.told.append(asked.name)
        return GrantedSize(1)


@dataclass
class Desk:
    """A gateway's REST API with dask-gateway's own routes, and the hub behind it."""

    backend: Backend
    owner: dict[str, Any]
    url: str = ""
    hub_status: int = 200

    async def ask(self, method: str, path: str, body: Any = None) -> tuple[int, str]:
        async with (
            aiohttp.ClientSession() as session,
            session.request(
                method,
                f"{self.url}/api/v1/clusters/{path}",
                json=body,
                headers={"Authorization": "jupyterhub tok"},
            ) as answer,
        ):
            assert not answer.cookies, "another program of the person's could use it"
            return answer.status, await answer.text()


@pytest.fixture
async def desk(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Desk]:
    backend = Backend()
    desk = Desk(backend, {"kind": "user", "name": "ada", "scopes": [GATEWAY], "groups": ["x"]})

    async def owner(request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == "token tok"
        return web.json_response(desk.owner, status=desk.hub_status)

    hub = web.Application()
    hub.router.add_get("/hub/api/user", owner)
    async with TestServer(hub) as hub_server:
        authenticator = HubAuthenticator(
            jupyterhub_api_token="t",
            jupyterhub_api_url=str(hub_server.make_url("/hub/api")),
            jupyterhub_service_name="dask-gateway",
        )
        app = web.Application(middlewares=[answer_errors_plainly])
        await authenticator.setup(app)
        app.add_routes(default_routes)
        app["log"] = logging.getLogger("test")
        app["backend"] = backend
        app["authenticator"] = authenticator
        async with TestServer(app) as server:
            desk.url = str(server.make_url("")).rstrip("/")
            yield desk
        await authenticator.cleanup()


ROUTES = [
    ("GET", "two", None),
    ("GET", "two?wait=1", None),
    ("DELETE", "two", None),
    ("POST", "two/scale", {"count": 1}),
    ("POST", "two/adapt", {"minimum": 0, "maximum": 1}),
]


@pytest.mark.parametrize(("method", "path", "body"), ROUTES)
async def test_no_route_leads_a_session_to_a_cluster_of_another_project(
    desk: Desk, method: str, path: str, body: Any
) -> None:
    desk.backend.answer = GatewayUser("ada", (), "a")
    status, text = await desk.ask(method, path, body)
    assert status == 422
    assert "cluster 'two' belongs to b, and this session works in a; start a server in b" in text
    assert "SECRET" not in text
    status, text = await desk.ask(method, path.replace("two", "old"), body)
    assert (status, "belongs to no project" in text) == (422, True)
    status, text = await desk.ask(method, path.replace("two", "his"), body)
    assert status in (403, 404)
    assert (desk.backend.stopped, desk.backend.told) == ([], [])
    # Its own it may use, and a token of the person's own may use all of theirs.
    assert (await desk.ask(method, path.replace("two", "one"), body))[0] in (200, 204)
    desk.backend.answer = GatewayUser("ada", ())
    assert (await desk.ask(method, path, body))[0] in (200, 204)


async def test_a_session_sees_the_clusters_of_its_project_only(desk: Desk) -> None:
    for project, names in (
        ("a", ["one"]),
        ("b", ["two"]),
        ("c", []),
        (None, ["old", "one", "two"]),
    ):
        desk.backend.answer = GatewayUser("ada", (), project)
        for path in ("", "?status=running"):
            status, text = await desk.ask("GET", path)
            assert status == 200
            assert [name for name in ("old", "one", "two", "his") if f'"{name}"' in text] == names
    status, text = await desk.ask("GET", "?status=asleep")
    assert (status, "status must be one or more of pending, running" in text) == (422, True)


async def test_what_the_service_is_asked(desk: Desk) -> None:
    for scopes, may_start in (
        ([GATEWAY], False),
        ([GATEWAY, "access:servers!server=ada/", "users:activity!user=ada"], False),
        ([GATEWAY, "servers!user=tomas", "servers!server=ada/"], False),
        ([GATEWAY, "servers!user=ada"], True),
        (["access:services", "servers"], True),
    ):
        desk.owner["scopes"] = scopes
        assert (await desk.ask("GET", ""))[0] == 200
        assert desk.backend.asked[-1] == ("ada", "tok", may_start)


async def test_the_hub_does_not_say_who_is_in_which_team(desk: Desk) -> None:
    """Its groups can be edited; teams are what the service says."""
    user = SessionUser(GatewayUser("ada", ("lab",), "a", "neuro"))
    assert (user.groups, user.project, user.image, user.admin) == ({"lab"}, "a", "neuro", False)


@pytest.mark.parametrize(
    "owner",
    [
        {"kind": "service", "name": "ada", "scopes": [GATEWAY, "servers"]},
        {"name": "ada", "scopes": [GATEWAY]},
        {"kind": "user", "name": "ada", "scopes": []},
        {"kind": "user", "name": "ada"},
        {"kind": "user", "name": "ada", "scopes": ["access:services!service=dask-gateway2"]},
    ],
)
async def test_who_may_not_use_the_gateway(desk: Desk, owner: dict[str, Any]) -> None:
    desk.owner = owner
    assert (await desk.ask("GET", ""))[0] == 401
    assert desk.backend.asked == []


@pytest.mark.parametrize(
    ("status", "answer", "words"),
    [
        *((status, 422, "the hub does not accept this token") for status in (401, 403, 404)),
        *((status, 409, "the hub could not check this token") for status in (302, 429, 500, 503)),
    ],
)
async def test_a_hub_that_knows_no_such_token_or_says_nothing(
    desk: Desk, status: int, answer: int, words: str
) -> None:
    desk.hub_status = status
    said, text = await desk.ask("GET", "")
    assert (said, words in text) == (answer, True)


async def test_a_service_that_refuses_or_says_nothing(desk: Desk) -> None:
    desk.backend.answer = AccessDeniedError("this token belongs to no running session")
    status, text = await desk.ask("GET", "one")
    assert (status, json.loads(text)) == (
        422,
        {
            "error": "this token belongs to no running session",
            "message": "this token belongs to no running session",
            "code": "access-denied",
        },
    )
    desk.backend.answer = ServiceUnavailableError("later")
    status, text = await desk.ask("GET", "one")
    assert (status, json.loads(text)["error"]) == (409, "later")
    assert json.loads(text)["code"] == "service-unavailable"


async def test_no_hub() -> None:
    authenticator = HubAuthenticator(
        jupyterhub_api_token="t",
        jupyterhub_api_url=f"http://127.0.0.1:{unused_port()}",
        jupyterhub_service_name="dask-gateway",
    )
    await authenticator.setup(web.Application())
    app = web.Application()

    async def handler(request: web.Request) -> web.Response:
        raise AssertionError("the request handler was reached")

    async def guarded(request: web.Request) -> web.StreamResponse:
        return await authenticator.authenticate_and_handle(request, handler)

    app.router.add_get("/", guarded)
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        headers = {"Authorization": "jupyterhub tok"}
        async with session.get(server.make_url("/"), headers=headers) as answer:
            assert (answer.status, "could not check" in str(answer.reason)) == (409, True)
    await authenticator.cleanup()


def test_which_tokens_may_start_servers() -> None:
    assert may_start_servers(["servers!user=ada"], "ada")
    assert may_start_servers(["start:servers"], "ada")
    for scope in ("servers!user=adam", "servers!server=ada/", "servers!group=lab", "read:servers"):
        assert not may_start_servers([scope], "ada")
