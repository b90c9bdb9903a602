"""Teams from every provider's answer, and how long a membership holds."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from jupyterhub import orm, roles
from jupyterhub.crypto import CryptKeeper
from jupyterhub.user import User as HubUser
from jupyterhub.user import UserDict
from oauthenticator.oauth2 import OAuthenticator
from tornado import web
from traitlets.config import Config

from panneuro_hub.access.team_renames import rename_teams
from panneuro_hub.collaboration import Collaboration
from panneuro_hub.errors import PanNeuroError
from panneuro_hub.hub import authenticators
from panneuro_hub.hub.account_store import AccountStore
from panneuro_hub.hub.group_mirror import write_group_properties
from panneuro_hub.hub.teams_mixin import TeamsMixin, read_groups_claim
from panneuro_hub.wire.credential import format_time

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


@pytest.fixture
def config(example_file: Path) -> Config:
    c = Config()
    c.TeamsMixin.collaboration_file = str(example_file)
    return c


@pytest.mark.parametrize(
    ("claim", "groups"),
    [
        (["a", "b"], {"a", "b"}),
        ("navigation", {"navigation"}),
        (None, set()),
        (7, set()),
        ({"a": 1}, set()),
        (["a", None, 3, ["b"]], {"a"}),
    ],
)
def test_a_claim_is_read_whole(claim: Any, groups: set[str]) -> None:
    assert read_groups_claim(claim) == groups


PROVIDERS = [
    (
        authenticators.PanNeuroGitHubOAuthenticator,
        {
            "teams": [
                {"slug": "navigation", "organization": {"login": "u19-circuits"}},
                {"slug": "human", "organization": {"login": "another-org"}},
                {"slug": "human", "organization": None},
                {"slug": 7, "organization": {"login": "u19-circuits"}},
                "u19-circuits:human",
            ]
        },
        {"navigation-lab"},
    ),
    (
        authenticators.PanNeuroGenericOAuthenticator,
        {
            "oauth_user": {
                "groups": ["/u19/labs/navigation", "/other/labs/navigation", "navigation"]
            }
        },
        {"navigation-lab"},
    ),
    (
        authenticators.PanNeuroGenericOAuthenticator,
        {"oauth_user": {"groups": "u19-circuits:theory"}},
        {"theory-lab"},
    ),
    (authenticators.PanNeuroGenericOAuthenticator, {"oauth_user": {}}, set()),
    (
        authenticators.PanNeuroCILogonOAuthenticator,
        {"cilogon_user": {"isMemberOf": ["u19-circuits:human", "u19-circuits:irb-trained"]}},
        {"human-lab", "human-subjects-trained"},
    ),
    (
        authenticators.PanNeuroGlobusOAuthenticator,
        {"globus_groups": ["u19-circuits:theory"]},
        {"theory-lab"},
    ),
    (
        authenticators.PanNeuroAzureAdOAuthenticator,
        {"user": {"groups": ["u19-circuits:admin"]}},
        {"administrative-core"},
    ),
]


@pytest.mark.parametrize(("provider", "auth_state", "teams"), PROVIDERS)
async def test_every_provider_s_groups_become_teams(
    config: Config, provider: type[TeamsMixin], auth_state: dict[str, Any], teams: set[str]
) -> None:
    config.CILogonOAuthenticator.allowed_idps = {
        "https://github.com/login/oauth/authorize": {
            "username_derivation": {"username_claim": "email"}
        }
    }
    assert await provider(config=config).get_user_groups(auth_state) == teams


async def test_google_groups_keep_their_own_domain(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A group of students.uni.example is none of uni.example, whoever is in it."""
    asked = []

    async def fetch(self: OAuthenticator, url: str, **kwargs: Any) -> Any:
        asked.append(url)
        return {"groups": [{"email": "human@students.uni.example"}]} if len(asked) == 1 else {}

    monkeypatch.setattr(OAuthenticator, "httpfetch", fetch)
    google = authenticators.PanNeuroGoogleOAuthenticator(config=config)
    answer = await google.httpfetch("https://groups", label="fetching google groups")
    cut = [group["email"].split("@")[0] for group in answer["groups"]]  # as the base class does
    state = {"google_user": {"domain": "uni.example", "google_groups": cut}}
    assert await google.provider_groups(state) == {"human@students.uni.example"}


async def test_globus_puts_no_tokens_into_servers(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Spawner:
        environment: dict[str, str] = {}

    confirmed = []

    async def confirm(self: TeamsMixin, user: Any, spawner: Any) -> None:
        confirmed.append(user)

    monkeypatch.setattr(TeamsMixin, "confirm_starting_user", confirm)
    globus = authenticators.PanNeuroGlobusOAuthenticator(config=config)
    await globus.pre_spawn_start("ada", Spawner)
    assert Spawner.environment == {}
    assert confirmed == ["ada"]


def test_memberships_that_nobody_would_read_again_are_refused(config: Config) -> None:
    config.Authenticator.auth_refresh_age = 0
    with pytest.raises(PanNeuroError, match="auth_refresh_age is 0"):
        Teams(config=config)


async def test_what_each_provider_needs_is_asked_for(config: Config) -> None:
    github = authenticators.PanNeuroGitHubOAuthenticator(config=config)
    assert github.populate_teams_in_auth_state
    assert "read:org" in github.scope
    globus = authenticators.PanNeuroGlobusOAuthenticator(config=config)
    assert any(scope.endswith("view_my_groups_and_memberships") for scope in globus.scope)
    for one in (github, globus):
        assert one.manage_groups
        assert one.enable_auth_state


class Provider(OAuthenticator):
    """A provider whose next answer the test gives."""

    answer: Any = True

    async def refresh_user(self, user: Any, handler: Any = None, **kwargs: Any) -> Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        return deepcopy(self.answer)

    async def authenticate(self, handler: Any, data: Any = None, **kwargs: Any) -> Any:
        return deepcopy(self.answer)


class Teams(TeamsMixin, Provider):
    pass


def model(*groups: str, name: str = "ada") -> dict[str, Any]:
    """An authentication model as the base class makes it, of the provider's groups."""
    said = {"oauth_user": {"groups": [f"u19-circuits:{group}" for group in groups]}}
    return {"name": name, "admin": None, "auth_state": said, "groups": []}


class Accounts:
    """A hub's database with the people who have logged in, and their authenticator.

    It stands for the request's handler, too, which finds and makes users.
    """

    def __init__(self, teams: TeamsMixin) -> None:
        self.teams = teams
        self.db = orm.new_session_factory("sqlite://")()
        for role in roles.get_default_roles():
            roles.create_role(self.db, role)
        self.users = UserDict(lambda: self.db, {"authenticator": teams})
        self.store = AccountStore(self.db)
        self.store.create()

    def find_user(self, name: str) -> HubUser | None:
        found = orm.User.find(self.db, name)
        return None if found is None else self.users[found]

    def user_from_username(self, name: str) -> HubUser:
        self.db.add(orm.User(name=name))
        self.db.commit()
        found = self.find_user(name)
        assert found is not None
        return found

    async def log_in(self, *groups: str, name: str = "ada", ago: timedelta = MINUTE) -> HubUser:
        """Let the provider say some groups of a person who logs in."""
        self.teams.answer = model(*groups, name=name)  # type: ignore[attr-defined]
        said = await self.teams.authenticate(self)
        said = await self.teams.run_post_auth_hook(self, said)
        user = self.find_user(name)
        assert user is not None
        self.store.confirm(user, name, self.store.find(user).groups, datetime.now(UTC) - ago)
        user.sync_groups(said["groups"])
        await user.save_auth_state(said["auth_state"])
        return user


def groups_of(user: HubUser) -> list[str]:
    """JupyterHub's groups of a user."""
    return sorted(group.name for group in user.groups)


@pytest.fixture
def teams(config: Config) -> Teams:
    config.OAuthenticator.auth_state_groups_key = "oauth_user.groups"
    return Teams(config=config)


@pytest.fixture
def accounts(teams: Teams) -> Iterator[Accounts]:
    CryptKeeper.clear_instance()
    CryptKeeper.instance(keys=[b"k" * 32])
    made = Accounts(teams)
    yield made
    made.db.close()
    made.db.get_bind().dispose()
    CryptKeeper.instance().executor.shutdown()
    CryptKeeper.clear_instance()


async def test_a_confirmed_membership_goes_on(teams: Teams, accounts: Accounts) -> None:
    user = await accounts.log_in("navigation", ago=DAY)
    assert teams.trusted_groups(user) == frozenset(), "the grace is over"
    refreshed = await teams.refresh_user(user)
    assert refreshed["groups"] == ["navigation-lab"]
    assert teams.trusted_groups(user) == {"u19-circuits:navigation"}
    assert refreshed["auth_state"]["panneuro"]["prefixes"][0] == {
        "team": "navigation-lab",
        "uri": "s3://learning-circuits/nhp-navigation/",
        "level": "manage",
        "project": "nhp-navigation",
        "requires": [],
    }


async def test_who_is_in_no_team_any_more_is_logged_out(teams: Teams, accounts: Accounts) -> None:
    user = await accounts.log_in("navigation")
    teams.answer = model()
    assert await teams.refresh_user(user) is False
    assert groups_of(user) == []
    assert teams.trusted_groups(user) == frozenset()


async def test_what_others_write_gives_no_rights(teams: Teams, accounts: Accounts) -> None:
    user = await accounts.log_in("navigation")
    user.sync_groups(["human-lab"])
    await user.save_auth_state({"panneuro": {"groups": ["u19-circuits:human"]}})
    assert (await teams.describe_member(user)).groups == {"u19-circuits:navigation"}


async def test_the_tokens_of_another_confirm_nothing(teams: Teams, accounts: Accounts) -> None:
    user = await accounts.log_in("navigation")
    teams.answer = model("human", name="grace")
    assert await teams.refresh_user(user) is False
    assert teams.trusted_groups(user) == frozenset()


async def test_an_account_is_one_person_s_and_ends_with_it(
    teams: Teams, accounts: Accounts
) -> None:
    user = await accounts.log_in("navigation")
    first = (await teams.describe_member(user)).account
    assert (await teams.describe_member(await accounts.log_in("navigation"))).account == first
    accounts.users.delete(user)
    again = await accounts.log_in("navigation")
    assert again.id == user.id, "the database gives the number again"
    second = (await teams.describe_member(again)).account
    again.orm_user.name = "grace"
    accounts.db.commit()
    renamed = accounts.store.find(again)
    assert len({first, second, renamed.account}) == 3
    assert renamed.groups == frozenset()


async def test_who_the_service_needs_is_confirmed_then_and_there(
    teams: Teams, accounts: Accounts
) -> None:
    user = await accounts.log_in("navigation", ago=MINUTE)
    teams.answer = model("theory")
    assert (await teams.describe_member(user)).groups == {"u19-circuits:navigation"}
    accounts.store.confirm(user, "ada", ["u19-circuits:navigation"], datetime.now(UTC) - 6 * MINUTE)
    told = await teams.describe_member(user)
    assert told.groups == {"u19-circuits:theory"}
    assert groups_of(user) == ["theory-lab"]
    assert (await user.get_auth_state())["panneuro"]["teams"] == ["theory-lab"]


async def test_the_groups_of_the_hub_follow_the_file(
    teams: Teams, accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = await accounts.log_in("navigation")
    names = {"navigation-lab": "nav-lab"}
    renamed = rename_teams(teams.collaboration(), names)
    monkeypatch.setattr(Teams, "collaboration", lambda self: renamed)
    await teams.describe_member(user)
    assert groups_of(user) == ["nav-lab"]


async def test_one_person_s_trouble_is_nobody_else_s(
    teams: Teams, accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of three people with servers, one hangs and one breaks; the third is confirmed."""
    monkeypatch.setattr(HubUser, "active", property(lambda user: True))
    teams.confirm_timeout = 1
    names = ("hangs", "breaks", "is-out")
    people = {name: await accounts.log_in("navigation", name=name, ago=DAY / 48) for name in names}

    async def refresh(self: Provider, user: Any, handler: Any = None) -> Any:
        if user.name == "hangs":
            await asyncio.Event().wait()
        if user.name == "breaks":
            return model("navigation", name="breaks") | {"auth_state": None}
        return model(name=user.name)

    monkeypatch.setattr(Provider, "refresh_user", refresh)
    await teams.confirm_running_users(accounts.users)
    assert groups_of(people["is-out"]) == []
    assert groups_of(people["hangs"]) == groups_of(people["breaks"]) == ["navigation-lab"]
    accounts.store.confirm(people["hangs"], "hangs", ["g"], datetime.now(UTC) - DAY)
    assert teams.trusted_groups(people["hangs"]) == frozenset(), "the grace is over"


async def test_a_provider_that_hangs_holds_up_no_round_for_long(
    teams: Teams, accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sixty people whose answers never come take a few times-out, and not sixty."""
    monkeypatch.setattr(HubUser, "active", property(lambda user: True))
    teams.confirm_timeout = 1
    for number in range(60):
        await accounts.log_in("navigation", name=f"person-{number}", ago=DAY / 48)

    async def hang(self: Provider, user: Any, handler: Any = None) -> Any:
        await asyncio.Event().wait()

    monkeypatch.setattr(Provider, "refresh_user", hang)
    async with asyncio.timeout(30):
        await teams.confirm_running_users(accounts.users)
    groups = {one.groups for one in teams.list_members(accounts.db)}
    assert groups == {frozenset({"u19-circuits:navigation"})}, "the grace holds"


async def test_many_ask_once(
    teams: Teams, accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = await accounts.log_in("navigation")
    asked = []

    async def refresh(self: Provider, user: Any, handler: Any = None) -> Any:
        asked.append(user.name)
        await asyncio.sleep(0)
        raise OSError

    monkeypatch.setattr(Provider, "refresh_user", refresh)
    assert await asyncio.gather(*(teams.refresh_user(user) for _ in range(5))) == [True] * 5
    assert await teams.refresh_user(user) is True
    assert asked == ["ada"], "and not again at once where it failed"


async def test_a_hub_admin_is_one_no_longer_than_the_team_says(
    teams: Teams, accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    pat = await accounts.log_in("admin")
    await teams.confirm(pat)
    assert pat.admin
    unflagged = teams.collaboration()
    core = unflagged.teams["administrative-core"].model_copy(update={"hub_admin": False})
    changed = unflagged.model_copy(
        update={"teams": {**unflagged.teams, "administrative-core": core}}
    )
    monkeypatch.setattr(Teams, "collaboration", lambda self: changed)
    await teams.confirm(pat)
    assert not pat.admin
    assert [role.name for role in pat.roles] == ["user"]


@pytest.mark.parametrize("written", ["ada", "Ada", "\uff41da"])
async def test_who_is_blocked_stays_out(teams: Teams, accounts: Accounts, written: str) -> None:
    user = await accounts.log_in("navigation")
    teams.blocked_users = {written}
    assert teams.trusted_groups(user) == frozenset()
    assert await teams.refresh_user(user) is False
    assert groups_of(user) == []
    assert not teams.check_blocked_users("ada")
    assert (await teams.describe_member(user)).groups == frozenset()
    assert [one.groups for one in teams.list_members(accounts.db)] == [frozenset()]
    assert teams.check_blocked_users("adam")


async def test_who_a_setting_of_the_provider_s_class_refuses_is_out(
    teams: Teams, accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Google's class does for a domain that is not the hub's, whatever the groups."""
    user = await accounts.log_in("navigation")

    async def refuse(self: Provider, username: str, auth_model: Any) -> bool:
        raise web.HTTPError(403, "not of this domain")

    monkeypatch.setattr(Provider, "check_allowed", refuse, raising=False)
    teams.answer = model("navigation")
    assert await teams.refresh_user(user) is False
    assert teams.trusted_groups(user) == frozenset()


async def test_who_the_admin_lets_in_stays(teams: Teams, accounts: Accounts) -> None:
    teams.allowed_users = {"ada"}
    assert (await teams.refresh_user(await accounts.log_in()))["groups"] == []


@pytest.mark.parametrize(
    "fault", [OSError("down"), web.HTTPError(500, "token eyJhbGciOi.secret"), ValueError("x"), True]
)
async def test_a_provider_that_is_down_leaves_a_bounded_grace(
    teams: Teams, accounts: Accounts, fault: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """And so does a hook of the admin's that asks nobody and says that all is well."""
    recent = await accounts.log_in("navigation", name="recent")
    old = await accounts.log_in("navigation", name="old", ago=DAY)
    never = accounts.user_from_username("never")
    teams.answer = fault
    assert await teams.refresh_user(recent) is True
    assert groups_of(recent) == ["navigation-lab"]
    for user in (old, never):
        assert await teams.refresh_user(user) is False
        assert groups_of(user) == []
        assert teams.trusted_groups(user) == frozenset()
    assert "eyJ" not in caplog.text


async def test_a_grace_shorter_than_the_interval_counts_from_a_failure_only(
    teams: Teams, accounts: Accounts
) -> None:
    """As long as the provider answers when it is asked, nobody is out between two questions."""
    teams.membership_grace = 5
    user = await accounts.log_in("navigation", ago=MINUTE)
    assert (await teams.describe_member(user)).groups == {"u19-circuits:navigation"}
    teams.answer = OSError("down")
    await teams.confirm(user)
    assert teams.trusted_groups(user) == frozenset()


async def test_a_login_that_has_ended_holds_the_groups_for_the_grace_only(
    teams: Teams, accounts: Accounts
) -> None:
    recent = await accounts.log_in("navigation", name="recent")
    old = await accounts.log_in("navigation", name="old", ago=DAY)
    teams.answer = False
    assert await teams.refresh_user(recent) is False
    assert groups_of(recent) == ["navigation-lab"]
    assert await teams.refresh_user(old) is False
    assert groups_of(old) == []


async def test_a_refresh_that_asks_nobody_confirms_nothing(
    teams: Teams, accounts: Accounts
) -> None:
    """It only decodes what the login brought, and an admin can write that."""
    teams.refresh_is_fresh = False
    user = await accounts.log_in("navigation")
    teams.answer = model("navigation", "human")
    refreshed = await teams.refresh_user(user)
    assert refreshed["groups"] == ["navigation-lab"]
    seen = refreshed["auth_state"]["panneuro"]["confirmed"]
    assert seen < format_time(datetime.now(UTC) - timedelta(seconds=50))
    accounts.store.confirm(user, "ada", ["u19-circuits:navigation"], datetime.now(UTC) - DAY)
    assert await teams.refresh_user(user) is False
    assert groups_of(user) == []


@pytest.mark.parametrize(("group", "admin"), [("admin", True), ("navigation", False)])
async def test_hub_admins_are_those_of_the_flagged_teams(
    teams: Teams, accounts: Accounts, group: str, admin: bool
) -> None:
    user = await accounts.log_in(group)
    assert (await teams.refresh_user(user))["admin"] is admin


async def test_an_ended_membership_is_no_group(teams: Teams) -> None:
    name = "Rotating.Student@uni.example"
    teams.answer = model("navigation", "theory", name=name)
    day = teams.collaboration().teams["navigation-lab"].expires[name.lower()]
    assert (await teams.authenticate(None))["groups"] == (
        ["theory-lab"] if day <= datetime.now(UTC).date() else ["navigation-lab", "theory-lab"]
    )


async def test_nobody_gets_in_without_a_team(teams: Teams) -> None:
    teams.answer = model("navigation")
    assert await teams.check_allowed("ada", await teams.authenticate(None))
    teams.answer = model("no-such-team", name="zoe")
    said = await teams.authenticate(None)
    with pytest.raises(web.HTTPError) as refused:
        # JupyterHub's groups may say what they like.
        await teams.check_allowed("zoe", {**said, "groups": ["navigation-lab"]})
    assert refused.value.status_code == 403
    assert "in no team of Circuit mechanisms" in (refused.value.log_message or "")


def test_group_properties_keep_what_is_not_ours(example: Collaboration) -> None:
    db = orm.new_session_factory("sqlite:///:memory:")()
    group = orm.Group(name="human-lab")
    group.properties = {"theirs": 1, "prefixes": "stale"}
    db.add(group)
    for _ in range(2):
        write_group_properties(db, example, datetime(2026, 11, 22, tzinfo=UTC))
    properties = orm.Group.find(db, "human-lab").properties
    assert properties["theirs"] == 1
    assert properties["prefixes"][0] == {
        "uri": "s3://learning-circuits/human-intracranial/",
        "level": "manage",
        "project": "human-intracranial",
        "requires": ["human-subjects-trained"],
    }
    assert {group.name for group in db.query(orm.Group)} == set(example.teams)
    db.close()
    db.get_bind().dispose()
