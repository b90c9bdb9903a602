"""When a membership ends at the provider, keys end within the bound that is stated.

The bound: nothing is issued later than ten seconds after the hub has heard of it, and what
was issued until then lives as long as the store's `credential_lifetime` says.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from hubs import Hub
from people import Answer, Person, at, show, watch
from testing.waiting import wait_until_async

from panneuro_hub.current import load_collaboration

KEPT = timedelta(seconds=10)
ANSWERING = timedelta(seconds=5)  # what a busy machine may take from a decision to its record


async def hear(person: Person, *groups: str) -> None:
    """Let the hub hear at the provider what the person is in now, as any page of it does."""

    async def heard() -> bool:
        await person.visitor.open("/hub/home")
        known = await watch(person.hub, f"/users/{person.name}")
        return sorted(known["groups"]) == sorted(groups)

    await wait_until_async(heard, f"the groups {groups}")


async def test_a_membership_that_ends_ends_the_keys(changing_hub: Hub) -> None:
    hub = changing_hub
    async with at(hub, hub.ground.register("lena", "navigation")) as lena:
        session = await lena.start({"project": "nhp-navigation"})
        assert (await lena.ask_agent()).status == 200

        hub.ground.register("lena")  # the provider says no group any more
        await hear(lena)
        heard = datetime.now(UTC)

        async def refusal() -> Answer | None:
            answer = await show(hub, session.ticket)
            return None if answer.status == 200 else answer

        async def agent_refuses() -> Answer | None:
            answer = await lena.ask_agent()
            return None if answer.status == 200 else answer

        refused = await wait_until_async(refusal, "a refusal")
        assert refused.status == 403
        assert refused.message.startswith(
            "you have no access to nhp-navigation: you are in no team of"
        )
        said = await wait_until_async(agent_refuses, "the agent's refusal")
        assert "you are in no team of" in said.text

        rows = hub.ledger("lena")
        assert (rows[-1]["event"], rows[-1]["session"]) == ("refusal", session.id)
        assert rows[-1]["reason"] == refused.message
        issued = [row for row in rows if row["event"] == "issue"]
        assert issued
        keep = KEPT + ANSWERING
        lifetime = load_collaboration(hub.collaboration).stores["main"].credential_lifetime
        assert max(_time(row["at"]) for row in issued) <= heard + keep
        assert max(_time(row["expires"]) for row in issued) <= heard + keep + lifetime

        assert (await lena.request_start({"project": "nhp-navigation"})).status == 403
        page = await lena.visitor.open("/hub/spawn")
        assert page.url.path == "/hub/login"


async def test_who_makes_no_request_is_out_all_the_same(make_hub: Callable[..., Hub]) -> None:
    """Nobody asks for the person: the hub asks by itself, and the keys stop."""
    interval = 2  # s
    with make_hub(f"c.TeamsMixin.membership_interval = {interval}") as hub:
        async with at(hub, hub.ground.register("lia", "navigation")) as lia:
            session = await lia.start({"project": "nhp-navigation"})
            assert (await show(hub, session.ticket)).status == 200
            hub.ground.register("lia")
            ended = datetime.now(UTC)

            async def refusal() -> bool:
                return (await show(hub, session.ticket)).status == 403

            await wait_until_async(refusal, "a refusal")
            issued = [row for row in hub.ledger("lia") if row["event"] == "issue"]
            bound = timedelta(seconds=interval) + KEPT + ANSWERING
            assert max(_time(row["at"]) for row in issued) <= ended + bound


async def test_another_team_is_another_access(changing_hub: Hub) -> None:
    hub = changing_hub
    async with at(hub, hub.ground.register("lars", "navigation", "theory")) as lars:
        session = await lars.start({"project": "nhp-navigation"})
        assert (await show(hub, session.ticket, "/api/session")).json["level"] == "manage"
        hub.ground.register("lars", "theory")
        await hear(lars, "theory-lab")

        async def level() -> bool:
            view = (await show(hub, session.ticket, "/api/session")).json
            return bool(view["level"] == "read")

        await wait_until_async(level, "the lower level")
        assert (await show(hub, session.ticket)).status == 200
        grants = hub.ledger("lars")[-1]["grants"]
        assert '["read", "s3://learning-circuits/nhp-navigation/"]' in grants
        assert '["write", "s3://learning-circuits/nhp-navigation/"]' not in grants


async def test_what_the_provider_cannot_confirm_starts_nothing_after_a_while(
    changing_hub: Hub,
) -> None:
    hub = changing_hub
    async with at(hub, hub.ground.register("lotte", "navigation")) as lotte:
        hub.ground.forget_tokens("lotte")
        assert (await lotte.visitor.open("/hub/home")).status == 200  # the last answer holds

        async def is_out() -> bool:
            await lotte.visitor.open("/hub/home")
            return not (await watch(hub, "/users/lotte"))["groups"]

        await wait_until_async(is_out, "the end of the grace period")
        assert (await lotte.request_start({"project": "nhp-navigation"})).status == 403


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
