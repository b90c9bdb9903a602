"""Which session an API token belongs to, as the service tells a gateway."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from small_hub import SmallHub, member, small_hub, user
from small_service import SmallService, cluster_sessions, small_service

from panneuro_hub.errors import AccessDeniedError, ServiceUnavailableError
from panneuro_hub.service.dask.cluster_sessions import TokenLookup
from panneuro_hub.wire import Ticket
from panneuro_hub.wire.api_token import hash_api_token
from panneuro_hub.wire.cluster_reports import GatewayUser
from panneuro_hub.wire.session import Session

pytest_plugins = ["service_fixtures"]

NAVIGATION = GatewayUser("ada", ("navigation-lab",), "nhp-navigation", "neuro", "s1")
HERSELF = GatewayUser("ada", ("navigation-lab",))


@pytest.fixture
async def hub() -> AsyncIterator[SmallHub]:
    """Ada has a server in nhp-navigation, and Tomas has none."""
    async with small_hub(
        ada=user(Ticket.new("ada", "")), tomas=member("tomas", "theory-lab")
    ) as hub:
        yield hub


def lookup(user: str, token: str, *, may_start: bool = False) -> TokenLookup:
    return TokenLookup(user, hash_api_token(token), may_start)


async def test_a_servers_token_is_good_for_its_sessions_project(service: SmallService) -> None:
    clusters = cluster_sessions(service)
    assert await clusters.find_user(lookup("ada", "server-token")) == NAVIGATION
    # An admin may have given servers more rights: they are still of one project.
    assert await clusters.find_user(lookup("ada", "server-token", may_start=True)) == NAVIGATION
    assert await clusters.find_user(lookup("ada", "her-own", may_start=True)) == HERSELF


async def test_a_token_of_no_session_gets_nothing(service: SmallService) -> None:
    clusters = cluster_sessions(service)
    for name, token in (("ada", "another"), ("ada", ""), ("tomas", "server-token")):
        with pytest.raises(AccessDeniedError, match="this token belongs to no running session"):
            await clusters.find_user(lookup(name, token))
    for may_start in (True, False):
        with pytest.raises(AccessDeniedError, match="knows nobody called eve"):
            await clusters.find_user(lookup("eve", "server-token", may_start=may_start))


async def test_a_session_from_before_its_token_was_kept_gets_nothing(
    service: SmallService,
) -> None:
    ada = service.hub.users["ada"]
    (session,) = ada.sessions
    service.hub.users["ada"] = replace(ada, sessions=(replace(session, api_token=""),))
    for token in ("server-token", ""):
        with pytest.raises(AccessDeniedError, match="restart your server"):
            await cluster_sessions(service).find_user(lookup("ada", token))
    before = Session("s1", "nhp-navigation", "small", None).to_state()
    del before["api_token"]
    assert not Session.from_state(before).api_token


async def test_each_of_several_servers_has_its_own_project(service: SmallService) -> None:
    ada = service.hub.users["ada"]
    more = user(Ticket.new("ada", "more"), project="shared-stimuli", api_token="token-of-more")
    service.hub.users["ada"] = replace(ada, sessions=ada.sessions + more.sessions)
    clusters = cluster_sessions(service)
    assert await clusters.find_user(lookup("ada", "server-token")) == NAVIGATION
    assert (await clusters.find_user(lookup("ada", "token-of-more"))).project == "shared-stimuli"


async def test_a_server_that_restarts_in_another_project_is_not_taken_for_the_old_one(
    hub: SmallHub, tmp_path: Path, example_file: Path
) -> None:
    async with small_service(hub, tmp_path, example_file, keep=60) as service:
        clusters = cluster_sessions(service)
        assert await clusters.find_user(lookup("ada", "server-token")) == NAVIGATION
        hub.users["ada"] = user(
            Ticket.new("ada", ""), project="shared-stimuli", api_token="new-token"
        )
        # What was read of her is still kept; the new token is in none of it.
        again = await clusters.find_user(lookup("ada", "new-token"))
        assert again.project == "shared-stimuli"


async def test_a_hub_that_is_silent(service: SmallService) -> None:
    service.hub.status = 500
    for may_start in (True, False):
        with pytest.raises(ServiceUnavailableError):
            await cluster_sessions(service).find_user(
                lookup("ada", "server-token", may_start=may_start)
            )


async def test_many_questions_about_one_person_are_few_for_the_hub(
    hub: SmallHub, tmp_path: Path, example_file: Path
) -> None:
    async with small_service(hub, tmp_path, example_file, keep=60) as service:
        clusters = cluster_sessions(service)
        await asyncio.gather(
            *(clusters.find_user(lookup("ada", "server-token")) for _ in range(100))
        )
        assert hub.names == ["ada"]
