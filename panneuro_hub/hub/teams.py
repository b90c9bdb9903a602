"""Teams: what the identity provider says about a person, in the collaboration's words.

`TeamsMixin` stands before an OAuthenticator class. JupyterHub groups become the
collaboration's teams; team admins become hub admins; a membership is confirmed at
every refresh and outlives a provider that is down by a bounded grace period only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from jupyterhub import orm, roles
from jupyterhub.user import User, UserDict
from jupyterhub.utils import maybe_future
from oauthenticator.oauth2 import OAuthenticator
from sqlalchemy.orm import lazyload
from tornado import web
from tornado.ioloop import PeriodicCallback
from traitlets import Integer, Unicode, default

from panneuro_hub.access import (
    Person,
    active_teams,
    is_hub_admin,
    team_prefixes,
    teams_from_groups,
)
from panneuro_hub.access.wording import shorten
from panneuro_hub.collaboration import Collaboration
from panneuro_hub.errors import AccessDenied, PanNeuroError
from panneuro_hub.hub import live
from panneuro_hub.hub.accounts import account_problem
from panneuro_hub.hub.beginning import begin_hub, hub_routes
from panneuro_hub.hub.start_refusal import refusal
from panneuro_hub.hub.start_requests import start_routes
from panneuro_hub.wire.credential import format_time, parse_time

AUTH_STATE_KEY = "panneuro"


def whole_groups(claim: Any) -> set[str]:
    """Read a groups claim; a lone string is one group, not its letters.

    What is not text in a list is passed over: it cannot be the name of a group.
    """
    if isinstance(claim, str):
        return {claim}
    if isinstance(claim, Mapping) or not isinstance(claim, Iterable):
        return set()
    return {group for group in claim if isinstance(group, str)}


def describe_teams(
    collaboration: Collaboration, teams: Iterable[str], now: datetime
) -> list[dict[str, Any]]:
    """The shared prefixes of some teams, for others to use: team, uri, level, project."""
    return [
        {"team": team, **prefix}
        for team in sorted(teams)
        for prefix in _prefixes(collaboration, team, now)
    ]


def write_group_properties(db: Any, collaboration: Collaboration, now: datetime) -> None:
    """Bring the properties of every team's JupyterHub group up to date.

    Only the key ``prefixes`` is ours; what else an admin put there stays.
    """
    # All at once, and without what belongs to them: each brings all that was shared with it.
    bare = db.query(orm.Group).options(lazyload("*"))
    named = bare.filter(orm.Group.name.in_(list(collaboration.teams)))
    groups = {group.name: group for group in named}
    for team in collaboration.teams:
        if team not in groups:
            groups[team] = orm.Group(name=team)
            db.add(groups[team])
        prefixes = _prefixes(collaboration, team, now)
        properties = dict(groups[team].properties or {})
        if properties.get("prefixes") != prefixes:
            groups[team].properties = {**properties, "prefixes": prefixes}
    db.commit()


def _prefixes(collaboration: Collaboration, team: str, now: datetime) -> list[dict[str, Any]]:
    return [
        {
            "uri": prefix.uri,
            "level": prefix.level,
            "project": prefix.project,
            # Teams that a person must be in besides, or this does not hold for them.
            "requires": list(prefix.requires),
        }
        for prefix in team_prefixes(collaboration, team, now)
    ]


def at_work(users: UserDict, since: datetime) -> list[User]:
    """Everybody who has a server running, or has been active since a time (aware)."""
    moment = since.astimezone(UTC).replace(tzinfo=None)  # as JupyterHub keeps it
    # Who has no server need not be among those whom the hub has at hand.
    lately = users.db.query(orm.User).filter(orm.User.last_activity >= moment).all()
    active = {user.id: user for user in users.values() if user.active}
    return list((active | {found.id: users[found] for found in lately}).values())


class TeamsMixin(OAuthenticator):
    """Makes an OAuthenticator class team-aware."""

    collaboration_file = Unicode(
        config=True, help="Path of the collaboration file; set by panneuro_hub.configure."
    )
    membership_grace = Integer(
        3600,
        min=0,
        config=True,
        help="""
        Seconds that a membership holds when the identity provider cannot confirm it
        (it is down, or its tokens have ended). After that the person is in no team
        until the next login.
        """,
    )
    membership_interval = Integer(
        300,
        min=1,
        config=True,
        help="""
        Seconds after which the identity provider is asked again about everybody who has a
        server running, or was active lately, whatever they do themselves.
        """,
    )
    membership_active = Integer(
        3600,
        min=1,
        config=True,
        help="""
        Seconds since their last activity in which somebody without a server counts as
        active. The service tells the hub of the activity of who has only a Dask cluster
        running, every five minutes at most, and whenever it gives out keys.
        """,
    )
    # Whether a refresh asks the provider; some only decode what the login brought.
    refresh_is_fresh = True

    @default("manage_groups")
    def _manage_groups_default(self) -> bool:
        return True

    @default("enable_auth_state")
    def _enable_auth_state_default(self) -> bool:
        return True

    @default("any_allow_config")
    def _any_allow_config_default(self) -> bool:
        # Being in a team is what lets a person in.
        return True

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not self.auth_refresh_age:
            raise PanNeuroError(
                "c.Authenticator.auth_refresh_age is 0: JupyterHub would never ask again who is in "
                "which team; leave it out, or set a number of seconds"
            )

    def get_handlers(self, app: Any) -> Any:
        """The login pages; JupyterHub asks once, when it starts, and so do we from then on."""
        # A person's own requests refresh them, and who wants to stay makes none.
        self._confirming = PeriodicCallback(
            lambda: self.confirm(self._at_work(app.users)), self.membership_interval * 1000
        )
        self._confirming.start()
        self._following = begin_hub(app, self.collaboration_file)
        return [
            *hub_routes(self.collaboration_file),
            *start_routes(),
            *super().get_handlers(app),
        ]

    async def pre_spawn_start(self, user: Any, spawner: Any) -> None:
        """Ask the provider about a person who starts a server, and refuse where it says no.

        JupyterHub's own setting for this, ``refresh_pre_spawn``, asks before the start
        counts as pending: a provider that takes its time then leaves a page that says "not
        running", and a second click begins a second start.
        """
        # Not the handler's own `refresh_auth`, which ends in an error for whoever it refuses on a
        # page, and which lets a token's request go on where the login has ended.
        answer = await self.refresh_user(user, spawner.handler)
        if not answer:
            raise refusal(
                AccessDenied(
                    "the identity provider does not confirm your login any more; log out, and "
                    "log in again"
                )
            )
        if isinstance(answer, dict):
            await spawner.handler.auth_to_user(answer, user)
        await maybe_future(super().pre_spawn_start(user, spawner))

    def _at_work(self, users: UserDict) -> list[User]:
        return at_work(users, datetime.now(UTC) - timedelta(seconds=self.membership_active))

    async def confirm(self, people: Iterable[User]) -> None:
        """Ask the provider about people, one after the other."""
        for user in people:
            answer = await self.refresh_user(user)
            if isinstance(answer, dict):
                self._keep(user, answer["groups"], answer.get("admin"))
                await user.save_auth_state(answer["auth_state"])

    def collaboration(self) -> Collaboration:
        """The collaboration as it is now."""
        return live.collaboration(self.collaboration_file)

    async def provider_groups(self, auth_state: Mapping[str, Any]) -> set[str]:
        """The provider's groups, whole, from what the login brought."""
        key = self.auth_state_groups_key
        if callable(key):
            return whole_groups(await super().get_user_groups(auth_state))
        claim: Any = auth_state
        for part in key.split(".") if key else ():
            claim = claim.get(part) if isinstance(claim, Mapping) else None
        return whole_groups(claim)

    async def get_user_groups(self, auth_state: dict[str, Any]) -> set[str]:
        """The teams that the provider's groups make; the one point all providers pass."""
        groups = await self.provider_groups(auth_state)
        return set(teams_from_groups(self.collaboration(), groups))

    async def authenticate(self, handler: Any, data: Any = None, **kwargs: Any) -> Any:
        """Log a person in, with their teams."""
        model = await super().authenticate(handler, data, **kwargs)
        if not model:
            return model
        problem = account_problem(self.normalize_username(model["name"]))
        if problem:
            raise web.HTTPError(
                403,
                f"The identity provider calls you {shorten(model['name'])}, which can be nobody's "
                f"name on this hub: {problem}. Ask the person who runs the hub.",
            )
        return self._with_teams(model)

    async def check_allowed(self, username: str, auth_model: dict[str, Any] | None) -> bool:
        """Let in who is in a team, and whom the admin's own settings let in."""
        if await super().check_allowed(username, auth_model):
            return True
        collaboration = self.collaboration()
        person = Person.of(username, (auth_model or {}).get("groups") or ())
        if active_teams(collaboration, person, datetime.now(UTC)):
            return True
        raise web.HTTPError(
            403,
            f"You are logged in as {username}, and are in no team of {collaboration.title} now. "
            "Ask the person who runs your laboratory's group, then log in again.",
        )

    async def refresh_user(self, user: Any, handler: Any = None, **kwargs: Any) -> Any:
        """Ask the provider again; who is in no team any more is logged out.

        Returns
        -------
        dict or bool
            The fresh auth model; `True` while the last answer still holds;
            `False` when the person must log in again.
        """
        answer: Any = False
        try:
            answer = await super().refresh_user(user, handler, **kwargs)
        except Exception as error:  # noqa: BLE001 - whatever it is, the grace period bounds it
            # Never the text: providers' errors have carried whole tokens.
            self.log.warning(
                "The identity provider did not confirm %s (%s)", user.name, type(error).__name__
            )
            return await self._unconfirmed(user, keep=True)
        if not isinstance(answer, dict):
            return answer or await self._unconfirmed(user, keep=False)
        if not self._confirms(answer) and await self._is_overdue(user):
            return self._end(user)
        model = self._with_teams(answer, None if self._confirms(answer) else await self._seen(user))
        try:
            allowed = await self.check_allowed(user.name, model)
        except web.HTTPError:
            allowed = False
        return model if allowed else self._end(user)

    def _confirms(self, model: dict[str, Any]) -> bool:
        return self.refresh_is_fresh and not self.userdata_from_id_token

    def _with_teams(self, model: dict[str, Any], seen: datetime | None = None) -> dict[str, Any]:
        now = datetime.now(UTC)
        collaboration = self.collaboration()
        person = Person.of(model["name"], model.get("groups") or ())
        # A group is there for others to use too, and they do not know when it ends.
        active = active_teams(collaboration, person, now)
        model["groups"] = sorted(active)
        # Said outright: of an admin of whom nothing is said, JupyterHub makes a lasting one.
        model["admin"] = bool(model.get("admin")) or is_hub_admin(collaboration, person, now)
        model["auth_state"][AUTH_STATE_KEY] = {
            "confirmed": format_time(seen or now),
            "teams": sorted(active),
            "prefixes": describe_teams(collaboration, active, now),
        }
        if self.parent is not None and getattr(self.parent, "db", None) is not None:
            write_group_properties(self.parent.db, collaboration, now)
        return model

    async def _seen(self, user: Any) -> datetime | None:
        """When the provider last confirmed the person's groups."""
        state = ((await user.get_auth_state()) or {}).get(AUTH_STATE_KEY) or {}
        return parse_time(state["confirmed"]) if "confirmed" in state else None

    async def _is_overdue(self, user: Any) -> bool:
        seen = await self._seen(user)
        return seen is None or datetime.now(UTC) - seen > timedelta(seconds=self.membership_grace)

    async def _unconfirmed(self, user: Any, *, keep: bool) -> bool:
        """Whether the last answer still holds; where it does not, the person is in no team."""
        if await self._is_overdue(user):
            return self._end(user)
        return keep

    def _end(self, user: Any) -> bool:
        self.log.warning("%s counts as in no team until the next login", user.name)
        self._keep(user, [], user.name in self.admin_users)
        return False

    def _keep(self, user: Any, groups: list[str], admin: bool | None) -> None:
        """Put into the hub's database what is known of a person now."""
        user.sync_groups(groups)
        if admin is not None and admin != user.admin:
            user.admin = admin
            roles.assign_default_roles(user.db, entity=user.orm_user)
        user.db.commit()
