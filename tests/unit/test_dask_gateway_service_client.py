"""The gateway's client of the service: what it says, and what it makes of every answer."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port

from panneuro_hub.access import ClusterChoice
from panneuro_hub.dask.gateway_service_client import GatewayServiceClient
from panneuro_hub.errors import (
    AccessDeniedError,
    InvalidChoiceError,
    PanNeuroError,
    ServiceUnavailableError,
)
from panneuro_hub.wire import Reason, Ticket
from panneuro_hub.wire.api_token import hash_api_token
from panneuro_hub.wire.cluster_reports import ClusterReport, ClusterStop, GatewayUser

TOKEN = "the-gateways-own-token"
TICKET = Ticket.new("ada", "0123456789abcdef", "register")
CHOICE = ClusterChoice("nhp-navigation", "standard", "neuro")


class Answers:
    """A service that answers what it is told to."""

    def __init__(self) -> None:
        self.status = 201
        self.body: Any = {"session": TICKET.name, "ticket": TICKET.encode()}
        self.asked: list[tuple[str, str, Any, str]] = []

    async def answer(self, request: web.Request) -> web.Response:
        text = await request.text()
        body = json.loads(text) if text else None
        authorization = request.headers["Authorization"]
        self.asked.append((request.method, request.path, body, authorization))
        said = self.body if isinstance(self.body, str) else json.dumps(self.body)
        return web.Response(status=self.status, text=said)


@pytest.fixture
def answers() -> Answers:
    return Answers()


@pytest.fixture
async def service(answers: Answers) -> AsyncIterator[GatewayServiceClient]:
    app = web.Application()
    app.router.add_route("*", "/services/panneuro/{path:.*}", answers.answer)
    async with TestServer(app) as server:
        it = GatewayServiceClient(str(server.make_url("/services/panneuro/")), TOKEN)
        yield it
        await it.close()


async def test_a_session_begins_is_told_of_and_ends(
    service: GatewayServiceClient, answers: Answers
) -> None:
    assert await service.begin_session("ada", CHOICE) == (TICKET.name, TICKET)
    answers.status, answers.body = 200, {"stop": [{"session": "a", "reason": "why"}, 7]}
    running = ClusterReport("a", "c1", 3, 1.5, 1024)
    assert await service.report_clusters([running]) == [
        ClusterStop("a", (Reason("other", detail="why"),))
    ]
    answers.status, answers.body = 204, ""
    await service.end_session("a/b")
    begun, told, ended = answers.asked
    path = "/services/panneuro/api/clusters"
    assert begun[:3] == (
        "POST",
        path,
        {"user": "ada", "project": "nhp-navigation", "profile": "standard", "image": "neuro"},
    )
    cluster = {"session": "a", "name": "c1", "workers": 3, "cores": 1.5, "memory": 1024}
    assert told[:3] == ("PUT", path, {"clusters": [cluster]})
    assert ended[:2] == ("DELETE", f"{path}/a/b")
    assert {asked[3] for asked in answers.asked} == {f"token {TOKEN}"}


async def test_whose_token_it_is(service: GatewayServiceClient, answers: Answers) -> None:
    said = {"user": "ada", "teams": ["lab"], "project": "a", "image": None, "session": "s1"}
    answers.status, answers.body = 200, said
    requester = await service.find_requester("ada", "secret", may_start_servers=False)
    assert requester == GatewayUser("ada", ("lab",), "a", None, "s1")
    [(method, path, body, _)] = answers.asked
    assert (method, path) == ("POST", "/services/panneuro/api/clusters/requester")
    assert body == {
        "user": "ada",
        "token": hash_api_token("secret"),
        "may_start_servers": False,
    }
    # A service of another version that leaves something out must not widen what a token opens.
    for key in said:
        answers.body = {name: value for name, value in said.items() if name != key}
        with pytest.raises(ServiceUnavailableError, match="must have the same version"):
            await service.find_requester("ada", "secret", may_start_servers=False)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (403, AccessDeniedError),
        (401, AccessDeniedError),
        (400, InvalidChoiceError),
        (404, InvalidChoiceError),
        (500, ServiceUnavailableError),
        (503, ServiceUnavailableError),
        (302, ServiceUnavailableError),
    ],
)
async def test_refusals(
    service: GatewayServiceClient, answers: Answers, status: int, kind: type[PanNeuroError]
) -> None:
    answers.status, answers.body = status, {"message": "the service's own words"}
    with pytest.raises(kind, match="the service's own words"):
        await service.begin_session("ada", CHOICE)
    answers.body = "<html>"
    with pytest.raises(kind, match=str(status)):
        await service.report_clusters([])


NO_TICKET = [{}, [], "", "{", {"session": "a"}, {"session": "a", "ticket": 7}]


@pytest.mark.parametrize("body", [*NO_TICKET, {"session": 1, "ticket": "x"}])
async def test_no_ticket(service: GatewayServiceClient, answers: Answers, body: Any) -> None:
    answers.body = body
    with pytest.raises(ServiceUnavailableError, match="without a ticket"):
        await service.begin_session("ada", CHOICE)


async def test_nobody_there() -> None:
    service = GatewayServiceClient(f"http://127.0.0.1:{unused_port()}", TOKEN)
    with pytest.raises(ServiceUnavailableError, match="does not answer") as refused:
        await service.begin_session("ada", CHOICE)
    assert TOKEN not in repr(refused.getrepr())
    await service.close()
