"""Teams from every provider's answer, and how long a membership holds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from jupyterhub import orm
from jupyterhub.user import User as HubUser
from jupyterhub.user import UserDict
from oauthenticator.oauth2 import OAuthenticator
from tornado import web
from traitlets.config import Config

from panneuro_hub.collaboration import Collaboration
from panneuro_hub.errors import PanNeuroError
from panneuro_hub.hub import authenticators
from panneuro_hub.hub.teams import TeamsMixin, at_work, whole_groups, write_group_properties
from panneuro_hub.wire.credential import format_time


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
    assert whole_groups(claim) == groups


PROVIDERS = [
    (
        authenticators.PanNeuroGitHubOAuthenticator,
        {
            "teams": [
                {"slug": "navigation", "organization": {"login": "u19-circuits"}},
                {"slug": "human", "organization": {"login": "another-org"}},
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


async def test_globus_puts_no_tokens_into_servers(config: Config) -> None:
    class Spawner:
        environment: dict[str, str] = {}

    globus = authenticators.PanNeuroGlobusOAuthenticator(config=config)
    await globus.pre_spawn_start(User(MINUTE), Spawner)
    assert Spawner.environment == {}


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
        return self.answer


class Teams(TeamsMixin, Provider):
    pass


class Db:
    def commit(self) -> None:
        pass


class User:
    name = "ada"
    admin = False
    orm_user = None

    def __init__(self, confirmed: timedelta | None) -> None:
        self.groups: list[str] = ["navigation-lab"]
        self.state: dict[str, Any] = {}
        self.db = Db()
        if confirmed is not None:
            self.state["panneuro"] = {"confirmed": format_time(datetime.now(UTC) - confirmed)}

    async def get_auth_state(self) -> dict[str, Any]:
        return self.state

    async def save_auth_state(self, state: dict[str, Any]) -> None:
        self.state = state

    def sync_groups(self, groups: list[str]) -> None:
        self.groups = groups


def model(*groups: str) -> dict[str, Any]:
    return {"name": "ada", "admin": None, "auth_state": {}, "groups": list(groups)}


MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


async def test_a_confirmed_membership_goes_on(config: Config) -> None:
    teams = Teams(config=config)
    teams.answer = model("navigation-lab")
    refreshed = await teams.refresh_user(User(DAY))
    assert refreshed["groups"] == ["navigation-lab"]
    assert refreshed["auth_state"]["panneuro"]["prefixes"][0] == {
        "team": "navigation-lab",
        "uri": "s3://learning-circuits/nhp-navigation/",
        "level": "manage",
        "project": "nhp-navigation",
        "requires": [],
    }


async def test_who_is_in_no_team_any_more_is_logged_out(config: Config) -> None:
    teams = Teams(config=config)
    teams.answer = model()
    user = User(MINUTE)
    assert await teams.refresh_user(user) is False
    assert user.groups == []


async def test_who_makes_no_request_is_asked_about_too(config: Config) -> None:
    teams = Teams(config=config)
    teams.answer = model("theory-lab")
    running, gone = User(MINUTE), User(MINUTE)
    await teams.confirm([running])
    assert running.groups == ["theory-lab"]
    assert running.state["panneuro"]["teams"] == ["theory-lab"]
    teams.answer = model()
    await teams.confirm([gone])
    assert gone.groups == []


def test_who_has_a_server_or_was_active_lately_is_at_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In a real database of the hub, whoever of them its process has at hand."""
    monkeypatch.setattr(HubUser, "active", property(lambda user: user.name == "running"))
    session = orm.new_session_factory("sqlite://")()
    now = datetime.now(UTC)
    times = {"lately": 59 * MINUTE, "long-ago": 61 * MINUTE, "never": None, "running": DAY}
    for name, ago in times.items():
        last = (now - ago).replace(tzinfo=None) if ago else None
        session.add(orm.User(name=name, last_activity=last))
    session.commit()
    users = UserDict(lambda: session, {})
    try:
        assert [user.name for user in at_work(users, now - 60 * MINUTE)] == ["lately"]
        assert users["running"].active
        names = [user.name for user in at_work(users, now - 60 * MINUTE)]
        assert names == ["running", "lately"], "each of them once"
        assert [user.name for user in at_work(users, now - 2 * DAY)] == [
            "running",
            "lately",
            "long-ago",
        ]
    finally:
        session.close()
        session.get_bind().dispose()


async def test_a_hub_admin_is_one_no_longer_than_the_team_says(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[User] = []
    monkeypatch.setattr(
        "jupyterhub.roles.assign_default_roles", lambda db, entity: given.append(entity)
    )
    teams = Teams(config=config)
    pat = User(MINUTE)
    teams.answer = model("administrative-core")
    await teams.confirm([pat])
    assert pat.admin
    unflagged = teams.collaboration()
    core = unflagged.teams["administrative-core"].model_copy(update={"hub_admin": False})
    changed = unflagged.model_copy(
        update={"teams": {**unflagged.teams, "administrative-core": core}}
    )
    monkeypatch.setattr(Teams, "collaboration", lambda self: changed)
    teams.answer = model("administrative-core")
    await teams.confirm([pat])
    assert not pat.admin
    assert len(given) == 2


async def test_who_the_admin_lets_in_stays(config: Config) -> None:
    config.Authenticator.allowed_users = {"ada"}
    teams = Teams(config=config)
    teams.answer = model()
    assert (await teams.refresh_user(User(MINUTE)))["groups"] == []


@pytest.mark.parametrize(
    "fault", [OSError("down"), web.HTTPError(500, "token eyJhbGciOi.secret"), ValueError("x")]
)
async def test_a_provider_that_is_down_leaves_a_bounded_grace(
    config: Config, fault: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    teams = Teams(config=config, membership_grace=3600)
    teams.answer = fault
    recent, old, never = User(MINUTE), User(DAY), User(None)
    assert await teams.refresh_user(recent) is True
    assert recent.groups == ["navigation-lab"]
    for user in (old, never):
        assert await teams.refresh_user(user) is False
        assert user.groups == []
    assert "eyJ" not in caplog.text


async def test_a_login_that_has_ended_holds_the_groups_for_the_grace_only(config: Config) -> None:
    teams = Teams(config=config)
    teams.answer = False
    recent, old = User(MINUTE), User(DAY)
    assert await teams.refresh_user(recent) is False
    assert recent.groups == ["navigation-lab"]
    assert await teams.refresh_user(old) is False
    assert old.groups == []


async def test_a_refresh_that_asks_nobody_confirms_nothing(config: Config) -> None:
    class Decoding(Teams):
        refresh_is_fresh = False

    teams = Decoding(config=config)
    teams.answer = model("navigation-lab")
    seen = (await teams.refresh_user(User(MINUTE)))["auth_state"]["panneuro"]["confirmed"]
    assert seen < format_time(datetime.now(UTC) - timedelta(seconds=50))
    user = User(DAY)
    assert await teams.refresh_user(user) is False
    assert user.groups == []


@pytest.mark.parametrize(
    ("groups", "admin"), [(["administrative-core"], True), (["navigation-lab"], False)]
)
async def test_hub_admins_are_those_of_the_flagged_teams(
    config: Config, groups: list[str], admin: bool
) -> None:
    teams = Teams(config=config)
    assert teams._with_teams(model(*groups))["admin"] is admin


async def test_an_ended_membership_is_no_group(config: Config) -> None:
    ended = model("navigation-lab", "theory-lab") | {"name": "Rotating.Student@uni.example"}
    teams = Teams(config=config)
    collaboration = teams.collaboration()
    day = collaboration.teams["navigation-lab"].expires["rotating.student@uni.example"]
    assert teams._with_teams(dict(ended), None)["groups"] == (
        ["theory-lab"] if day <= datetime.now(UTC).date() else ["navigation-lab", "theory-lab"]
    )


async def test_nobody_gets_in_without_a_team(config: Config) -> None:
    teams = Teams(config=config)
    assert await teams.check_allowed("ada", model("navigation-lab"))
    with pytest.raises(web.HTTPError) as refused:
        await teams.check_allowed("zoe", model("no-such-team"))
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
