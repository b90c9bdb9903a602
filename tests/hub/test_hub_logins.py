"""Who logs in is in the teams that the provider and the collaboration give together."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hubs import PATIENCE, Hub
from people import ask, at, watch

from panneuro_hub.access import list_team_prefixes
from panneuro_hub.current import load_collaboration
from panneuro_hub.devstack.hub_visitor import visit_hub

TEAMS = {
    "ada": ["navigation-lab"],
    "grace": ["human-lab", "human-subjects-trained"],
    "hugo": ["human-lab"],
    "tomas": ["theory-lab"],
    "mina": ["data-science-core", "human-subjects-trained"],
    "noor": ["navigation-lab"],  # her membership of categorization-lab has ended
    "pat": ["administrative-core"],
}


@pytest.mark.parametrize("name", TEAMS)
async def test_teams_become_groups(hub: Hub, name: str) -> None:
    async with at(hub, name):
        known = await watch(hub, f"/users/{name}")
    assert sorted(known["groups"]) == TEAMS[name]
    assert known["admin"] is (name == "pat")


async def test_an_admin_may_ask_who_is_where_and_ada_may_not(hub: Hub) -> None:
    async with at(hub, "ada") as ada, at(hub, "pat") as pat:
        told = await pat.api("GET", "/users/ada")
        assert told.json["groups"] == ["navigation-lab"]
        assert (await ada.api("GET", "/users/pat")).status in (403, 404)
        assert (await ada.api("GET", "/groups")).status == 403


async def test_the_hub_keeps_the_prefixes_of_a_person_s_teams(hub: Hub) -> None:
    async with at(hub, "ada"):
        kept = (await watch(hub, "/users/ada"))["auth_state"]["panneuro"]
    assert kept["teams"] == ["navigation-lab"]
    manages = {
        "team": "navigation-lab",
        "uri": "s3://learning-circuits/nhp-navigation/",
        "level": "manage",
        "project": "nhp-navigation",
        "requires": [],
    }
    assert manages in kept["prefixes"]
    assert {prefix["project"] for prefix in kept["prefixes"]} == {
        "nhp-navigation",
        "shared-stimuli",
    }


async def test_every_team_s_group_says_its_prefixes(hub: Hub) -> None:
    async with at(hub, "ada"):
        groups = {group["name"]: group for group in await watch(hub, "/groups")}
    human = groups["human-lab"]["properties"]["prefixes"]
    assert {
        "uri": "s3://learning-circuits/human-intracranial/",
        "level": "manage",
        "project": "human-intracranial",
        "requires": ["human-subjects-trained"],
    } in human
    collaboration = load_collaboration(hub.collaboration)
    for team in collaboration.teams:
        prefixes = list_team_prefixes(collaboration, team, datetime.now(UTC))
        assert [
            (prefix["uri"], prefix["level"], prefix["project"])
            for prefix in groups[team]["properties"]["prefixes"]
        ] == [(prefix.uri, prefix.level, prefix.project) for prefix in prefixes]


async def test_who_is_in_no_team_is_told_so(hub: Hub) -> None:
    async with visit_hub(hub.url, PATIENCE) as zoe:
        page = await zoe.try_log_in("zoe")
        assert page.status == 403
        assert (
            "You are logged in as zoe, and are in no team of "
            "Circuit mechanisms of rapid learning (U19) now. "
            "The identity provider says that you are in no group. "
            "Ask the person who runs your laboratory's group, then log in again." in page.text
        )
        assert (await zoe.open("/hub/spawn")).url.path != "/hub/spawn"
    users = {user["name"] for user in await watch(hub, "/users")}
    assert "zoe" not in users


async def test_an_ended_membership_is_answered_with_its_end(hub: Hub) -> None:
    async with at(hub, "noor") as noor:
        projects = await noor.access()
        page = await noor.visitor.open("/services/panneuro/")
    ended = "your membership of categorization-lab ended on 2025-06-30"
    assert projects["nhp-categorization"]["level"] is None
    assert ended in projects["nhp-categorization"]["reason"]
    assert projects["nhp-navigation"]["level"] == "manage"
    assert page.status == 200
    assert ended in page.text


async def test_what_one_may_do_is_for_oneself_to_see(hub: Hub) -> None:
    url = f"{hub.service_url}/api/access"
    for nobody in (None, "token no-such-token"):
        refused = await ask("GET", url, authorization=nobody)
        assert refused.status == 403
        assert "the hub does not know whose token this is" in refused.json["message"]
    async with at(hub, "ada") as ada:
        mine = await ask("GET", url, authorization=f"token {ada.token}")
        assert mine.json["user"] == "ada"
        await ada.visitor.open("/services/panneuro/")  # logs in to the service
        shown = (await ada.visitor.open("/services/panneuro/api/access")).body
        assert '"user": "ada"' in shown


async def test_a_service_is_nobody_even_with_a_person_s_name(hub: Hub) -> None:
    async with at(hub, hub.ground.register("watcher", "navigation")) as watcher:
        assert (await watcher.access())["nhp-navigation"]["level"] == "manage"
        for path in ("/api/access", "/"):
            answer = await ask(
                "GET", hub.service_url + path, authorization=f"token {hub.watcher_token}"
            )
            assert answer.status == 403
            assert "this token is a service" in answer.text
            assert "nhp-navigation" not in answer.text
