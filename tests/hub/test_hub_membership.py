"""What a person may do comes from what the provider said, whatever else says something else."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hubs import Ground, Hub
from people import ask, at, logged_in, show, watch
from scripted_provider import Faults, ScriptedProvider, scripted_provider
from testing.waiting import wait_until_async

from panneuro_hub.devstack.hub_visitor import visit_hub
from panneuro_hub.service.db.schema import open_database
from panneuro_hub.service.db.session_store import SessionStore

pytestmark = pytest.mark.asyncio(loop_scope="module")

# Every request asks the provider again, and the service does so once an hour.
OFTEN = """
c.Authenticator.auth_refresh_age = 1
c.TeamsMixin.membership_interval = 3600
c.TeamsMixin.membership_grace = 600
c.TeamsMixin.confirm_timeout = 3
"""


@pytest.fixture(scope="module", name="provider")
def the_provider() -> Iterator[ScriptedProvider]:
    with scripted_provider() as it:
        yield it


@pytest.fixture(scope="module", name="hub")
def the_hub(
    ground: Ground, provider: ScriptedProvider, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Hub]:
    own: Any = Ground(ground.store, provider)  # type: ignore[arg-type]
    with Hub(own, tmp_path_factory.mktemp("membership-hub") / "hub", OFTEN) as it:
        yield it
        assert it.child is not None
        assert it.child.exit_code is None, it.child.log_tail()


async def groups(hub: Hub, name: str) -> list[str]:
    return sorted((await watch(hub, f"/users/{name}"))["groups"])


# --- edits


async def test_what_the_provider_decides_cannot_be_edited(
    hub: Hub, provider: ScriptedProvider
) -> None:
    provider.says("pat", "admin")
    provider.says("ada", "navigation")
    async with logged_in(hub, "pat") as pat, logged_in(hub, "ada") as ada:
        for method, path, body, code in (
            ("POST", "/groups/human-lab/users", {"users": ["ada"]}, "membership"),
            ("DELETE", "/groups/navigation-lab/users", {"users": ["ada"]}, "membership"),
            ("POST", "/groups/theirs", {"users": ["ada"]}, "membership"),
            ("POST", "/groups", {"groups": ["one"], "users": ["ada"]}, "membership"),
            ("PATCH", "/users/ada", {"groups": ["human-lab"]}, "membership"),
            ("DELETE", "/groups/navigation-lab", None, "group-mirrors-team"),
            ("PUT", "/groups/navigation-lab/properties", {"prefixes": []}, "group-mirrors-team"),
            ("PATCH", "/users/ada", {"admin": True}, "admins"),
            ("PATCH", "/users/pat", {"admin": False}, "admins"),
            ("POST", "/users/new", {"admin": True}, "admins"),
            ("POST", "/users", {"usernames": ["new"], "admin": True}, "admins"),
            ("PATCH", "/users/ada", {"auth_state": {"access_token": "x"}}, "login"),
        ):
            refused = await pat.api(method, path, body)
            assert refused.status == 403, (method, path, refused)
            assert refused.json["error"].startswith(code), refused
            assert refused.message.endswith("."), refused
            # Whoever has no right to edit at all learns nothing more.
            assert (await ada.api(method, path, body)).status in (403, 404)
        assert await groups(hub, "ada") == ["navigation-lab"]
        levels = {name: it["level"] for name, it in (await ada.access()).items() if it["level"]}
        assert levels == {"nhp-navigation": "manage", "shared-stimuli": "read"}
        page = await pat.visitor.open("/hub/admin")
        assert "the hub refuses to change them here" in page.text
        # What is the admin's own stays theirs.
        assert (await pat.api("POST", "/groups/theirs", {})).status == 201
        kept = (await watch(hub, "/groups/navigation-lab"))["properties"]
        mine = {**kept, "colour": "red"}
        assert (await pat.api("PUT", "/groups/navigation-lab/properties", mine)).status == 200
        assert (await pat.api("DELETE", "/groups/theirs")).status == 204
        assert (await pat.api("PATCH", "/users/ada", {"admin": False})).status == 200
    assert "by pat is refused (membership-comes-from-provider)" in hub.log


async def test_only_the_service_reads_what_the_provider_said(
    hub: Hub, provider: ScriptedProvider
) -> None:
    provider.says("pat", "admin")
    async with logged_in(hub, "pat") as pat:
        assert (await pat.api("GET", "/panneuro/members/pat")).status == 403


# --- the file


async def test_a_renamed_team_keeps_its_keys(hub: Hub, provider: ScriptedProvider) -> None:
    """The provider is not asked: what it said before makes the new team too."""

    def rename(document: dict[str, Any]) -> None:
        document["teams"]["nav-lab"] = document["teams"].pop("navigation-lab")
        teams = document["projects"]["nhp-navigation"]["teams"]
        teams["nav-lab"] = teams.pop("navigation-lab")

    provider.says("rena", "navigation")
    async with at(hub, "rena") as rena:
        ticket = (await rena.start({"project": "nhp-navigation"})).ticket
        assert (await show(hub, ticket)).status == 200
        provider.faults["rena"] = Faults(userinfo=500)
        with hub.changed(rename):

            async def reason() -> bool:
                answer = await show(hub, ticket)
                assert answer.status == 200, answer
                return "nav-lab" in hub.ledger("rena")[-1]["reason"]

            await wait_until_async(reason, "keys of the new team")
        provider.faults["rena"] = Faults()

        async def back() -> bool:
            await rena.visitor.open("/hub/home")
            return await groups(hub, "rena") == ["navigation-lab"]

        await wait_until_async(back, "the old name, which the next tests expect")


async def test_health_counts_the_entries_that_end_nobody_s_membership(hub: Hub) -> None:
    """The demo's file ends memberships of two people who have no account at this hub."""

    async def warnings() -> list[str]:
        return list((await ask("GET", f"{hub.service_url}/health")).json["warnings"])

    (warning,) = await wait_until_async(warnings, "a look at the accounts")
    assert warning.startswith("2 of the entries of expires match no account of the hub")
    assert 'teams.categorization-lab.expires: "noor" matches no account' in hub.log


# --- trouble at the provider


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("rate-limited", Faults(), Faults(userinfo=429)),
        ("timed-out", Faults(), Faults(userinfo=408)),
        ("token-429", Faults(refresh=True, expires_in=2), Faults(refresh=True, token=429)),
        ("token-503", Faults(refresh=True, expires_in=2), Faults(refresh=True, token=503)),
        ("token-hangs", Faults(refresh=True, expires_in=2), Faults(refresh=True, token="hang")),
        # The old refresh token is good no more when the second request fails.
        ("rotated", Faults(refresh=True, expires_in=2), Faults(refresh=True, userinfo=503)),
    ],
)
async def test_a_provider_that_cannot_be_asked_puts_nobody_out(
    hub: Hub, provider: ScriptedProvider, name: str, good: Faults, bad: Faults
) -> None:
    provider.says(name, "navigation")
    provider.faults[name] = good
    async with logged_in(hub, name) as person:
        await asyncio.sleep(2.5)  # the access token has ended, where it does
        provider.faults[name] = bad
        page = await person.visitor.open("/hub/home")
        assert page.url.path == "/hub/home"
        assert (await person.api("GET", "/user")).status == 200
        assert await groups(hub, name) == ["navigation-lab"]
        provider.faults[name] = Faults(refresh=True)
        assert (await person.visitor.open("/hub/home")).url.path == "/hub/home"


async def test_a_login_that_the_provider_has_ended_is_made_again(
    hub: Hub, provider: ScriptedProvider
) -> None:
    provider.says("ended", "navigation")
    provider.faults["ended"] = Faults(expires_in=2)
    async with logged_in(hub, "ended") as person:
        await asyncio.sleep(2.5)
        assert (await person.visitor.open("/hub/home")).url.path == "/hub/login"


async def test_a_login_that_cannot_be_asked_about_is_refused_in_a_sentence(
    hub: Hub, provider: ScriptedProvider
) -> None:
    provider.faults[provider.says("newcomer", "navigation")] = Faults(userinfo=503)
    async with visit_hub(hub.url, 60) as visitor:
        page = await visitor.try_log_in("newcomer")
    assert page.status == 503
    assert "The identity provider does not answer now." in page.text


# --- who comes


@pytest.mark.parametrize(
    "claims",
    [
        {"preferred_username": 4711},
        {},
        {"preferred_username": None},
        {"preferred_username": ["ada"]},
        {"preferred_username": ""},
        {"preferred_username": ".."},
        {"preferred_username": "a/b"},
    ],
    ids=["number", "missing", "null", "list", "empty", "dots", "slash"],
)
async def test_a_name_that_is_none_is_refused_in_a_sentence(
    hub: Hub, provider: ScriptedProvider, claims: dict[str, Any]
) -> None:
    provider.people["odd"] = {"groups": ["u19-circuits:navigation"], **claims}
    async with visit_hub(hub.url, 60) as visitor:
        page = await visitor.try_log_in("odd")
    assert page.status == 403
    assert "Ask the person who runs the hub." in page.text


async def test_who_is_in_no_team_reads_what_the_provider_sent(
    hub: Hub, provider: ScriptedProvider
) -> None:
    odd = "u19-circuits:navigation\u00a0"
    provider.says("zoe", odd, "u19-circuits:visi<b>tors")
    async with visit_hub(hub.url, 60) as visitor:
        page = await visitor.try_log_in("zoe")
    assert page.status == 403
    assert "in no team of Circuit mechanisms" in page.text
    assert 'u19-circuits:navigation<U+00A0>"' in page.text
    assert "<b>" not in page.body
    line = next(line for line in hub.log.splitlines() if '"zoe" is in no team' in line)
    assert '"u19-circuits:navigation<U+00A0>" is "u19-circuits:navigation" in groups' in line
    assert "navigation-lab" in line


# --- the bound


async def _begin_upload(hub: Hub, person: str) -> str:
    """The ticket of a session that a login of another machine has begun."""
    with closing(sqlite3.connect(f"{hub.folder}/hub/jupyterhub.sqlite")) as accounts:
        query = "select account from panneuro_accounts where name = ?"
        (account,) = accounts.execute(query, (person,)).fetchone()
    url = f"sqlite:///{hub.folder}/hub/ledger.sqlite"
    with closing(open_database(url)) as database:
        expires = datetime.now(UTC) + timedelta(hours=1)
        _, ticket = await SessionStore(database).begin_session(
            "upload", person, "nhp-navigation", "", account=account, expires=expires
        )
    return ticket.encode()


ENDING = """
c.TeamsMixin.membership_interval = 2
c.TeamsMixin.membership_grace = 6
c.OAuthenticator.refresh_user_hook = lambda a, user, s: True if user.name == "hooked" else None
"""


async def test_a_membership_ends_for_every_way_in(
    ground: Ground, provider: ScriptedProvider, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """With a server, without one, and where a hook says that all is well; and nobody comes back."""
    own: Any = Ground(ground.store, provider)  # type: ignore[arg-type]
    folder = tmp_path_factory.mktemp("ending-hub") / "hub"
    with Hub(own, folder, ENDING) as hub:
        for name in ("idle", "hooked", "blocked"):
            provider.says(name, "navigation")
        async with (
            logged_in(hub, "idle"),
            at(hub, "hooked") as hooked,
            logged_in(hub, "blocked") as blocked,
        ):
            ticket = await _begin_upload(hub, "idle")
            server = (await hooked.start({"project": "nhp-navigation"})).ticket
            theirs = await _begin_upload(hub, "blocked")
            for each in (ticket, server, theirs):
                assert (await show(hub, each)).status == 200
            provider.says("idle")
            provider.says("hooked")
            ended = datetime.now(UTC)

            async def refused(shown: str) -> bool:
                return (await show(hub, shown)).status == 403

            await wait_until_async(lambda: refused(ticket), "the end without a server")
            await wait_until_async(lambda: refused(server), "the end where a hook says yes")
            kept = timedelta(seconds=10 + 5)
            for name, bound in (("idle", 2), ("hooked", 6)):
                issued = [row for row in hub.ledger(name) if row["event"] == "issue"]
                last = max(datetime.fromisoformat(row["at"]) for row in issued)
                assert last.replace(tzinfo=UTC) <= ended + timedelta(seconds=bound) + kept
            await hooked.stop()

            hub.stop()
            hub.add_config("c.Authenticator.blocked_users = {'Blocked'}")
            hub.start()
            assert (await show(hub, theirs)).status == 403
            assert (await blocked.request_start({"project": "nhp-navigation"})).status == 403
            assert (await blocked.visitor.open("/hub/home")).url.path == "/hub/login"
            assert await groups(hub, "blocked") == []


async def test_a_setting_that_makes_memberships_endless_is_refused(
    ground: Ground, tmp_path_factory: pytest.TempPathFactory
) -> None:
    line = "c.PanNeuroGenericOAuthenticator.enable_auth_state = False"
    hub = Hub(ground, tmp_path_factory.mktemp("endless-hub") / "hub", line)
    with hub.launched() as child:
        await wait_until_async(lambda: child.exit_code is not None, "the hub's end")
    assert "c.Authenticator.enable_auth_state is False" in hub.log
