"""Sessions that are no server: a Dask gateway begins them, and the hub keeps an eye on them."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from hubs import Ground, Hub
from people import Answer, Person, at, logged_in, show, watch
from people import ask as ask_api
from testing.stand_in_server import StandInResponse, StandInServer
from testing.waiting import wait_until_async

from panneuro_hub.dask.authenticator import HubAuthenticator
from panneuro_hub.dask.gateway_service_client import GatewayServiceClient
from panneuro_hub.wire import Ticket

pytestmark = pytest.mark.asyncio(loop_scope="module")

GATEWAY = "dask-gateway"
INTERVAL = 2  # s, after which the hub asks the provider again
KEPT = timedelta(seconds=10)
ANSWERING = timedelta(seconds=5)  # what a busy machine may take from a decision to its record
CONFIG = f"""
c.TeamsMixin.membership_interval = {INTERVAL}
# An admin's own setting, for one person's server.
wide = {{"wilma": ["users:activity!user", "access:servers!server", "servers!user"]}}
c.Spawner.server_token_scopes = lambda spawner: wide.get(spawner.user.name, [])
"""


@dataclass(frozen=True)
class Desk:
    """A hub with a gateway, in whose place the test asks the service."""

    hub: Hub
    gateway_url: str
    token: str

    async def ask(
        self, method: str, path: str = "", body: Any = None, token: str | None = None
    ) -> Answer:
        given = {} if body is None else {"body": body}
        url = f"{self.hub.service_url}/api/clusters{path}"
        authorization = f"token {token or self.token}"
        return await ask_api(method, url, authorization=authorization, **given)

    async def begin(self, person: Person) -> Ticket:
        wish = {"user": person.name, "project": "nhp-navigation", "profile": "standard"}
        answer = await self.ask("POST", body={**wish, "image": "neuro"})
        assert answer.status == 201, answer
        return Ticket.decode(answer.json["ticket"])


@pytest.fixture(scope="module")
def desk(ground: Ground, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    token = secrets.token_hex(16)
    # The hub does not wait for a gateway that answers when it starts.
    with StandInServer(lambda _: StandInResponse(404)) as answering:
        url = answering.url
        service = {"name": GATEWAY, "url": url, "api_token": token}
        config = f"{CONFIG}\nc.JupyterHub.services.append({service!r})"
        with Hub(ground, tmp_path_factory.mktemp("desk") / "hub", config) as hub:
            yield Desk(hub, f"http://127.0.0.1:{hub.settings.gateway_port}", token)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway_auth(desk: Desk) -> AsyncIterator[HubAuthenticator]:
    """How a real gateway finds out who asks it."""
    auth = HubAuthenticator(
        jupyterhub_api_token=desk.token,
        jupyterhub_api_url=f"http://127.0.0.1:{desk.hub.settings.hub_port}/hub/api",
        jupyterhub_service_name=GATEWAY,
    )
    await auth.setup(None)
    yield auth
    await auth.cleanup()


@dataclass(frozen=True)
class Asked:
    """A request to the gateway, as far as its authenticator looks at it."""

    headers: dict[str, str]
    app: dict[str, GatewayServiceClient]


async def test_a_server_s_token_opens_the_gateway_for_its_session_s_project(
    desk: Desk, gateway_auth: HubAuthenticator
) -> None:
    hub = desk.hub
    async with at(hub, hub.ground.register("dora", "navigation", "theory")) as dora:
        session = await dora.start({"project": "nhp-navigation"})
        variables = session.environment()
        token = variables["JUPYTERHUB_API_TOKEN"]
        known = await ask_api("GET", f"{hub.url}/hub/api/user", authorization=f"token {token}")
        assert known.json["kind"] == "user"
        assert sorted(known.json["groups"]) == ["navigation-lab", "theory-lab"]
        assert set(known.json["scopes"]) == {
            f"access:services!service={GATEWAY}",
            "access:servers!server=dora/",
            "users:activity!user=dora",
            "read:users:activity!user=dora",
            "read:users:name!user=dora",
            "read:users:groups!user=dora",
        }
        service = GatewayServiceClient(hub.service_url, desk.token)
        asked = Asked({"Authorization": f"jupyterhub {token}"}, {"backend": service})
        user = await gateway_auth.authenticate(asked)
        await service.close()
        assert (user.name, user.groups) == ("dora", {"navigation-lab", "theory-lab"})
        assert (user.project, user.image) == ("nhp-navigation", "neuro")

        assert variables["DASK_GATEWAY__ADDRESS"] == f"{desk.gateway_url}/services/{GATEWAY}"
        assert variables["DASK_GATEWAY__AUTH__TYPE"] == "jupyterhub"
        assert variables["DASK_GATEWAY__PUBLIC_ADDRESS"] == f"/services/{GATEWAY}"
        assert "DASK_GATEWAY__PROXY_ADDRESS" not in variables
        assert (variables["PANNEURO_PROFILE"], variables["PANNEURO_IMAGE"]) == ("small", "neuro")
        assert desk.token not in "".join(variables.values())


async def test_a_server_whose_token_could_leave_the_project_does_not_start(desk: Desk) -> None:
    async with at(desk.hub, desk.hub.ground.register("wilma", "navigation")) as wilma:
        answer = await wilma.request_start({"project": "nhp-navigation"})
        assert answer.status == 403, answer
        assert "this server's token could leave the project" in answer.message
        assert "servers!user=wilma" in answer.message
        known = await watch(desk.hub, "/users/wilma")
        assert known["servers"] == {}


async def test_a_cluster_s_session_from_its_beginning_to_its_end(desk: Desk) -> None:
    hub = desk.hub
    async with logged_in(hub, hub.ground.register("dina", "navigation")) as dina:
        ticket = await desk.begin(dina)
        assert (await show(hub, ticket.encode())).status == 200
        view = (await show(hub, ticket.encode(), "/api/session")).json
        assert (view["user"], view["project"]) == ("dina", "nhp-navigation")
        [row] = hub.ledger("dina")
        assert (row["event"], row["session"]) == ("issue", ticket.name)
        assert row["reason"].startswith(f"cluster {ticket.name[:8]}… of nhp-navigation: ")
        assert (await desk.ask("DELETE", f"/{ticket.name}")).status == 204
        ended = await show(hub, ticket.encode())
        assert (ended.status, ended.message) == (
            403,
            "the session of this ticket has ended; begin a new one",
        )
        assert ticket.secret not in hub.log
        assert desk.token not in hub.log


async def test_only_the_gateway_begins_sessions(desk: Desk) -> None:
    hub = desk.hub
    async with at(hub, hub.ground.register("dana", "navigation")) as dana:
        session = await dana.start({"project": "nhp-navigation"})
        servers = session.environment()["JUPYTERHUB_API_TOKEN"]
        ticket = await desk.begin(dana)
        wish = {"user": "dana", "project": "nhp-navigation", "profile": "standard"}
        for token in (dana.token, servers, hub.watcher_token, ticket.encode(), "x" * 32):
            answer = await desk.ask("POST", body={**wish, "image": "neuro"}, token=token)
            assert answer.status == 403
            assert "this is for Dask gateways alone" in answer.message
            assert token not in answer.text
            assert (await desk.ask("DELETE", f"/{ticket.name}", token=token)).status == 403
        denied = await desk.ask("POST", body={**wish, "project": "human-intracranial"})
        assert denied.status == 403
        assert "no access to human-intracranial" in denied.message
        assert (await show(hub, ticket.encode())).status == 200


async def test_who_has_only_a_cluster_loses_its_keys_with_the_membership(desk: Desk) -> None:
    """No server, no request of theirs: the hub asks the provider when the service needs them."""
    hub = desk.hub
    async with logged_in(hub, hub.ground.register("dove", "navigation")) as dove:
        ticket = await desk.begin(dove)
        assert (await show(hub, ticket.encode())).status == 200
        hub.ground.register("dove")
        ended = datetime.now(UTC)

        async def refusal() -> Answer | None:
            answer = await show(hub, ticket.encode())
            return None if answer.status == 200 else answer

        refused = await wait_until_async(refusal, "a refusal")
        assert refused.status == 403
        assert "you are in no team of" in refused.message
        issued = [row for row in hub.ledger("dove") if row["event"] == "issue"]
        assert {row["session"] for row in issued} == {ticket.name}
        bound = timedelta(seconds=INTERVAL) + KEPT + ANSWERING
        last = max(datetime.fromisoformat(row["at"]).replace(tzinfo=UTC) for row in issued)
        assert last <= ended + bound
        told = await desk.ask(
            "PUT",
            body={
                "clusters": [
                    {
                        "session": ticket.name,
                        "name": "c1",
                        "workers": 1,
                        "cores": 1,
                        "memory": 1 << 30,
                    }
                ]
            },
        )
        [stop] = told.json["stop"]
        assert stop["session"] == ticket.name
        assert "dove has no access to nhp-navigation any more" in stop["reason"]


async def test_a_token_that_is_nobody_s_and_probes(desk: Desk) -> None:
    hub = desk.hub
    url = f"{hub.service_url}/api/access"
    for authorization in (None, "token made-up-token"):
        answer = await ask_api("GET", url, authorization=authorization)
        assert answer.status == 403
        assert "the hub does not know whose token this is" in answer.message
    assert (await ask_api("GET", f"{hub.service_url}/health")).status == 200
    assert "/health" not in hub.log
