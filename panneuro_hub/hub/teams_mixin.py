"""Teams: what the identity provider says about a person, in the collaboration's words.

`TeamsMixin` stands before an OAuthenticator class. It stores the provider's groups where
only it writes (`panneuro_hub.hub.account_store`), and everything of ours decides by them.
JupyterHub's groups mirror the teams for other tools; team admins become hub admins. A
membership is confirmed at every refresh, and whenever the service needs a person whose
confirmation is old; it outlives a provider that is down by a bounded grace period only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from typing import Any

from jupyterhub import orm, roles
from jupyterhub.user import User, UserDict
from jupyterhub.utils import maybe_future
from tornado import web
from tornado.httpclient import AsyncHTTPClient
from tornado.ioloop import PeriodicCallback
from traitlets import Integer, Unicode, default

from panneuro_hub.access import (
    Person,
    find_active_teams,
    is_hub_admin,
    map_groups_to_teams,
)
from panneuro_hub.collaboration import Collaboration
from panneuro_hub.errors import AccessDeniedError, PanNeuroError
from panneuro_hub.hub import current_collaboration
from panneuro_hub.hub.account_deletion import AccountDeletionMixin
from panneuro_hub.hub.account_names import find_account_name_problem
from panneuro_hub.hub.account_store import AccountStore
from panneuro_hub.hub.fresh_login import ReauthenticationMixin
from panneuro_hub.hub.group_mirror import describe_teams, write_group_properties
from panneuro_hub.hub.hub_start import build_hub_routes, start_hub
from panneuro_hub.hub.member_handlers import build_member_routes, list_running_sessions
from panneuro_hub.hub.no_team_diagnosis import diagnose_no_team, format_for_admin, format_for_person
from panneuro_hub.hub.provider_answers import (
    ProviderAnswer,
    ProviderQueries,
    ProviderRequests,
    ProviderUnreachableError,
    is_unreachable,
)
from panneuro_hub.hub.refused_edits import build_edit_routes
from panneuro_hub.hub.request_guard import build_guarded_handlers
from panneuro_hub.hub.start_errors import build_start_error
from panneuro_hub.hub.start_requests import build_start_routes
from panneuro_hub.names import fold_text
from panneuro_hub.phrases import shorten, visible
from panneuro_hub.wire.credential import format_time
from panneuro_hub.wire.hub_member import HubMember, MemberGroups

AUTH_STATE_KEY = "panneuro"

# The service waits for the hub a little longer than this; a provider that is slower has
# answered when the service asks again.
_ANSWER_SECONDS = 5.0
_MOST_REQUESTS = 200
_ROUND_AT_ONCE = 25

# Of the refresh that runs in this task.
_requests: ContextVar[ProviderRequests | None] = ContextVar("provider_requests", default=None)


def read_groups_claim(claim: Any) -> set[str]:
    """Read a groups claim; a lone string is one group, not its letters.

    What is not text in a list is passed over: it cannot be the name of a group.
    """
    if isinstance(claim, str):
        return {claim}
    if isinstance(claim, Mapping) or not isinstance(claim, Iterable):
        return set()
    return {group for group in claim if isinstance(group, str)}


class TeamsMixin(AccountDeletionMixin, ReauthenticationMixin):
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
        Seconds after which the identity provider is asked again about a person: when the
        service needs to know what they may do (for a server, a Dask cluster or a login of
        another machine), and for everybody who has a server running.
        """,
    )
    confirm_timeout = Integer(
        20,
        min=1,
        config=True,
        help="""
        Seconds that the identity provider has to confirm one person; after that the last
        answer holds for membership_grace.
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
        self._queries = ProviderQueries(self._ask_provider, self.membership_interval)
        self._confirming: set[asyncio.Task[None]] = set()
        if not self.auth_refresh_age:
            raise PanNeuroError(
                "c.Authenticator.auth_refresh_age is 0: JupyterHub would never ask again who is in "
                "which team; leave it out, or set a number of seconds"
            )

    @default("http_client")
    def _http_client_default(self) -> AsyncHTTPClient:
        # Not the one that all the hub shares: a provider that hangs must not fill that.
        settings = {
            "request_timeout": self.confirm_timeout,
            "connect_timeout": self.confirm_timeout,
        }
        return AsyncHTTPClient(
            force_instance=True,
            max_clients=_MOST_REQUESTS,
            defaults={**settings, "validate_cert": self.validate_server_cert},
        )

    def get_handlers(self, app: Any) -> Any:
        """Return the login pages, and what stands before the hub's own REST API."""
        # JupyterHub asks once, when it starts.
        AccountStore(app.db).create()
        self._round = PeriodicCallback(
            lambda: self.confirm_running_users(app.users), self.membership_interval * 1000
        )
        self._round.start()
        self._following = start_hub(app, self.collaboration_file)
        first = [
            *build_hub_routes(self.collaboration_file),
            *build_start_routes(),
            *build_member_routes(),
            *build_edit_routes(),
            *super().get_handlers(app),
        ]
        return build_guarded_handlers(app, first)

    async def pre_spawn_start(self, user: Any, spawner: Any) -> None:
        """Confirm a person who starts a server, and do what the base class does then."""
        await self.confirm_starting_user(user, spawner)
        await maybe_future(super().pre_spawn_start(user, spawner))

    async def confirm_starting_user(self, user: Any, spawner: Any) -> None:
        """Ask the provider about a person who starts a server, and refuse where it says no.

        JupyterHub's own setting for this, ``refresh_pre_spawn``, asks before the start
        counts as pending: a provider that takes its time then leaves a page that says "not
        running", and a second click begins a second start.
        """
        # Not the handler's own `refresh_auth`, which ends in an error for whoever it refuses on a
        # page, and which lets a token's request go on where the login has ended.
        answer = await self.refresh_user(user, spawner.handler)
        if not answer:
            raise build_start_error(
                AccessDeniedError(
                    "the identity provider does not confirm your login any more; log out, and "
                    "log in again"
                )
            )
        if isinstance(answer, dict):
            await spawner.handler.auth_to_user(answer, user)

    def collaboration(self) -> Collaboration:
        """The collaboration as it is now."""
        return current_collaboration.get_collaboration(self.collaboration_file)

    async def provider_groups(self, auth_state: Mapping[str, Any]) -> set[str]:
        """The provider's groups, whole, from what the login brought."""
        key = self.auth_state_groups_key
        if callable(key):
            return read_groups_claim(await super().get_user_groups(auth_state))
        claim: Any = auth_state
        for part in key.split(".") if key else ():
            claim = claim.get(part) if isinstance(claim, Mapping) else None
        return read_groups_claim(claim)

    async def get_user_groups(self, auth_state: dict[str, Any]) -> set[str]:
        """The teams that the provider's groups make; the one point all providers pass."""
        groups = await self.provider_groups(auth_state)
        return set(map_groups_to_teams(self.collaboration(), groups))

    # -- what counts ----------------------------------------------------------------------

    def account_of(self, user: Any) -> str:
        """Return what identifies the account, and no later one of the same name."""
        return AccountStore(user.db).find(user).account

    def trusted_groups(self, user: Any) -> frozenset[str]:
        """Return the provider's groups that count for a user now; decide by nothing else."""
        if self._is_blocked(user.name):
            return frozenset()
        return AccountStore(user.db).find(user).current_groups(self._longest, datetime.now(UTC))

    @property
    def _longest(self) -> timedelta:
        """The time for which an answer counts, unless a failed request ends it sooner."""
        return timedelta(seconds=max(self.membership_grace, self.membership_interval))

    async def describe_member(self, user: Any) -> HubMember:
        """Return what the service needs to know of a user, confirmed within the interval.

        The provider has a few seconds to answer. While it cannot be asked, its last answer
        holds for `membership_grace`.
        """
        record = AccountStore(user.db).find(user)
        if record.is_older_than(timedelta(seconds=self.membership_interval), datetime.now(UTC)):
            confirming = asyncio.create_task(self.confirm(user))
            self._confirming.add(confirming)
            confirming.add_done_callback(self._confirming.discard)
            await asyncio.wait([confirming], timeout=_ANSWER_SECONDS)
        record, groups = AccountStore(user.db).find(user), self.trusted_groups(user)
        # The file may have changed since the provider was asked, or the grace be over.
        user.sync_groups(sorted(self._active_teams(user.name, groups)))
        return HubMember(
            name=user.name,
            account=record.account,
            groups=groups,
            confirmed=record.confirmed,
            sessions=list_running_sessions(user),
            may_have_more=bool(user.allow_named_servers),
        )

    def check_blocked_users(self, username: str, authentication: Any = None) -> Any:
        """Shut out who is blocked, however the setting writes their name."""
        if self._is_blocked(username):
            return False
        return super().check_blocked_users(username, authentication)

    def _is_blocked(self, name: str) -> bool:
        wanted = fold_text(name)
        return any(fold_text(blocked) == wanted for blocked in self.blocked_users)

    def _active_teams(self, name: str, groups: Iterable[str]) -> frozenset[str]:
        """Return the teams that the provider's groups make, where they have not ended."""
        collaboration = self.collaboration()
        person = Person.of(name, map_groups_to_teams(collaboration, groups))
        return find_active_teams(collaboration, person, datetime.now(UTC))

    def list_members(self, db: Any) -> list[MemberGroups]:
        """Return everybody whom the hub knows, with the groups that count now."""
        now = datetime.now(UTC)
        return [
            MemberGroups(
                name,
                frozenset()
                if record is None or self._is_blocked(name)
                else record.current_groups(self._longest, now),
            )
            for name, record in AccountStore(db).everybody()
        ]

    # -- login ----------------------------------------------------------------------------

    def name_claims(self, user_info: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the claims of the provider's answer that make a person's name."""
        return () if callable(self.username_claim) else (self.username_claim,)

    def user_info_to_username(self, user_info: Any) -> str:
        """Make a name of the provider's answer.

        Raises
        ------
        tornado.web.HTTPError
            403, with a sentence, if it says none.
        """
        claims = self.name_claims(user_info) if isinstance(user_info, Mapping) else ("",)
        wrong = [
            f"the claim {claim} is {'not text' if user_info.get(claim) else 'missing'}"
            for claim in claims
            if claim and not isinstance(user_info.get(claim) or None, str)
        ]
        name: Any = None
        if isinstance(user_info, Mapping) and not wrong:
            try:
                name = super().user_info_to_username(user_info)
            except Exception as error:
                if isinstance(error, web.HTTPError) and error.status_code == 403:
                    raise
        if isinstance(name, str):
            return name
        why = wrong[0] if wrong else "its answer has no name in it"
        named = sorted(user_info, key=str)[:50] if isinstance(user_info, Mapping) else []
        sent = ", ".join(visible(str(claim)) for claim in named)
        self.log.error("The identity provider gives no name: %s; its claims: %s", why, sent)
        raise web.HTTPError(
            403,
            f"The identity provider does not say who you are: {why}. Ask the person who runs "
            "the hub.",
        )

    async def authenticate(self, handler: Any, data: Any = None, **kwargs: Any) -> Any:
        """Log a person in, with their teams."""
        try:
            model = await super().authenticate(handler, data, **kwargs)
        except ProviderUnreachableError as error:
            raise web.HTTPError(
                503, "The identity provider does not answer now. Log in again in a minute."
            ) from error
        if not model:
            return model
        problem = find_account_name_problem(self.normalize_username(model["name"]))
        if problem:
            raise web.HTTPError(
                403,
                f"The identity provider calls you {shorten(model['name'])}, which can be nobody's "
                f"name on this hub: {problem}. Ask the person who runs the hub.",
            )
        return self._with_teams(model, await self.provider_groups(model["auth_state"]))

    async def run_post_auth_hook(self, handler: Any, auth_model: dict[str, Any]) -> Any:
        """Run the admin's hook, and store what the provider said of who is let in."""
        said = dict(auth_model["auth_state"][AUTH_STATE_KEY])
        model = await super().run_post_auth_hook(handler, auth_model)
        if model:
            user = handler.find_user(model["name"])
            if user is None:
                # As JupyterHub does next.
                user = handler.user_from_username(model["name"])
                await maybe_future(self.add_user(user))
            AccountStore(user.db).confirm(user, said["name"], said["groups"], datetime.now(UTC))
            self._queries.forget(user)
        return model

    async def check_allowed(self, username: str, auth_model: dict[str, Any] | None) -> bool:
        """Let in who is in a team, and whom the admin's own settings let in."""
        if await super().check_allowed(username, auth_model):
            return True
        said = ((auth_model or {}).get("auth_state") or {}).get(AUTH_STATE_KEY) or {}
        groups, now, collaboration = said.get("groups", ()), datetime.now(UTC), self.collaboration()
        person = Person.of(username, map_groups_to_teams(collaboration, groups))
        if find_active_teams(collaboration, person, now):
            return True
        found = diagnose_no_team(collaboration, username, groups, now)
        self.log.warning(format_for_admin(found))
        raise web.HTTPError(403, format_for_person(found))

    # -- confirming -----------------------------------------------------------------------

    async def refresh_user(self, user: Any, handler: Any = None, **kwargs: Any) -> Any:
        """Ask the provider again; who is in no team any more is logged out.

        Returns
        -------
        dict or bool
            The fresh auth model; `True` while the last answer still holds;
            `False` when the person must log in again.
        """
        answer = await self._queries.ask(user, handler)
        if answer.model is not None:
            return dict(answer.model)
        if self._has_ended(user, answer):
            return self._end(user)
        return answer.kind == "unreachable"

    async def confirm(self, user: User) -> None:
        """Ask the provider about a user, and bring what JupyterHub knows of them up to date."""
        answer = await self._queries.ask(user)
        if answer.model is not None:
            model = dict(answer.model)
            self._mirror(user, model["groups"], model["admin"])
            if self.reconcile_auth_state_hook:
                before = await user.get_auth_state()
                model["auth_state"] = await maybe_future(
                    self.reconcile_auth_state_hook(self, model, before)
                )
            await user.save_auth_state(model["auth_state"])
        elif self._has_ended(user, answer):
            self._end(user)

    async def confirm_running_users(self, users: UserDict) -> None:
        """Confirm everybody who has a server running, independently of each other."""
        places = asyncio.Semaphore(_ROUND_AT_ONCE)

        async def confirm(user: User) -> None:
            async with places:
                try:
                    await self.confirm(user)
                except Exception as error:  # noqa: BLE001 - nobody else's trouble
                    # Never the text: providers' errors have carried whole tokens.
                    self.log.error(
                        "The membership of %s was not confirmed (%s)",
                        user.name,
                        type(error).__name__,
                    )

        await asyncio.gather(*(confirm(user) for user in users.values() if self._is_due(user)))

    def _is_due(self, user: User) -> bool:
        """Return `True` for a running user whom nobody has asked about in half an interval."""
        if not user.active:
            return False
        record = AccountStore(user.db).find(user)
        return record.is_older_than(
            timedelta(seconds=self.membership_interval / 2), datetime.now(UTC)
        )

    def _has_ended(self, user: Any, answer: ProviderAnswer) -> bool:
        """Return `True` if an answer without a model ends the membership; forget groups then."""
        if answer.kind == "refused":
            return True
        store, grace = AccountStore(user.db), timedelta(seconds=self.membership_grace)
        if not store.find(user).is_older_than(grace, datetime.now(UTC)):
            return False
        store.withdraw(user)
        return True

    async def _ask_provider(self, user: Any, handler: Any) -> ProviderAnswer:
        """Ask about one user, in a bounded time, and store what the provider says."""
        if self._is_blocked(user.name):
            return ProviderAnswer("refused")
        requests = ProviderRequests()
        token = _requests.set(requests)
        answer: Any = None
        try:
            async with asyncio.timeout(self.confirm_timeout):
                answer = await super().refresh_user(user, handler)
        except Exception as error:  # noqa: BLE001 - whatever it is, the grace period bounds it
            requests.failed = True
            # Never the text: providers' errors have carried whole tokens.
            self.log.warning(
                "The identity provider did not confirm %s (%s)", user.name, type(error).__name__
            )
        finally:
            _requests.reset(token)
            if not isinstance(answer, dict) and requests.tokens:
                await self._save_tokens(user, requests.tokens)
        if isinstance(answer, dict):
            return await self._accept(user, answer)
        # An answer of `True` comes from a hook of the admin's that has asked nobody.
        unknown = requests.failed or answer
        return ProviderAnswer("unreachable" if unknown else "login-ended")

    async def _accept(self, user: Any, model: dict[str, Any]) -> ProviderAnswer:
        """Store the groups of an answer, if it is about this user and they may be here."""
        store, now = AccountStore(user.db), datetime.now(UTC)
        known = orm.User.find(user.db, user.name)
        if known is None or known.id != user.id:
            return ProviderAnswer("refused")  # deleted while the provider was asked
        record = store.find(user)
        expected = record.provider_name or user.name
        if model["name"] != expected:
            # Somebody else's tokens: an admin can write them into auth_state, and can rename.
            self.log.warning(
                "The login of %s is one of %s at the identity provider, and does not count",
                user.name, shorten(str(model["name"])),
            )  # fmt: skip
            store.withdraw(user)
            return ProviderAnswer("refused")
        groups: Iterable[str] = record.groups
        if self._confirms(model):
            groups = await self.provider_groups(model["auth_state"])
        elif record.is_older_than(timedelta(seconds=self.membership_grace), now):
            return ProviderAnswer("refused")
        model = self._with_teams({**model, "name": user.name}, groups, record.confirmed)
        if await self._is_shut_out(user.name, model):
            store.withdraw(user)
            return ProviderAnswer("refused")
        if self._confirms(model):
            store.confirm(user, expected, groups, now)
        try:
            allowed = await self.check_allowed(user.name, model)
        except web.HTTPError:
            allowed = False
        return ProviderAnswer("confirmed", model) if allowed else ProviderAnswer("refused")

    async def _is_shut_out(self, name: str, model: dict[str, Any]) -> bool:
        """Return `True` for somebody whom a setting shuts out, whatever their teams."""
        try:
            passes = await maybe_future(self.check_blocked_users(name, model))
            await super().check_allowed(name, model)
        except web.HTTPError:
            return True
        return not passes

    def _confirms(self, model: dict[str, Any]) -> bool:
        return self.refresh_is_fresh and not self.userdata_from_id_token

    def _with_teams(
        self, model: dict[str, Any], groups: Iterable[str], seen: datetime | None = None
    ) -> dict[str, Any]:
        now = datetime.now(UTC)
        collaboration = self.collaboration()
        person = Person.of(model["name"], map_groups_to_teams(collaboration, groups))
        # A group is there for others to use too, and they do not know when it ends.
        active = find_active_teams(collaboration, person, now)
        model["groups"] = sorted(active)
        # Said outright: of an admin of whom nothing is said, JupyterHub makes a lasting one.
        model["admin"] = bool(model.get("admin")) or is_hub_admin(collaboration, person, now)
        model["auth_state"][AUTH_STATE_KEY] = {
            "name": model["name"],
            "groups": sorted(groups),
            "confirmed": format_time(seen or now),
            "teams": sorted(active),
            "prefixes": describe_teams(collaboration, active, now),
        }
        if self.parent is not None and getattr(self.parent, "db", None) is not None:
            write_group_properties(self.parent.db, collaboration, now)
        return model

    # -- the requests of a refresh --------------------------------------------------------

    async def fetch(
        self, req: Any, label: str = "fetching", parse_json: bool = True, **kwargs: Any
    ) -> Any:
        """Fetch as the base class does; an answer that did not come is an error of its own."""
        try:
            return await super().fetch(req, label, parse_json, **kwargs)
        except Exception as error:
            if not is_unreachable(error):
                raise
            requests = _requests.get()
            if requests is not None:
                requests.failed = True
            # The base class takes every error with a status below 500 for the end of a login.
            raise ProviderUnreachableError("the identity provider could not be asked") from error

    async def get_token_info(self, handler: Any, params: dict[str, Any]) -> Any:
        """Ask the token endpoint, and remember what it gave."""
        tokens = await super().get_token_info(handler, params)
        requests = _requests.get()
        if requests is not None:
            requests.tokens = tokens
        return tokens

    async def _save_tokens(self, user: Any, tokens: dict[str, Any]) -> None:
        """Store new tokens of a refresh that failed later: the old ones may be good no more."""
        state = await user.get_auth_state() or {}
        tokens = {"refresh_token": state.get("refresh_token"), **tokens}
        new = {name: tokens[name] for name in ("access_token", "refresh_token")}
        await user.save_auth_state({**state, **new, "token_response": tokens})

    # -- what JupyterHub knows ------------------------------------------------------------

    def _end(self, user: Any) -> bool:
        self.log.warning("%s counts as in no team until the next login", user.name)
        self._mirror(user, [], user.name in self.admin_users)
        return False

    def _mirror(self, user: Any, groups: list[str], admin: bool) -> None:
        """Put into the hub's database what other tools know of a person."""
        user.sync_groups(groups)
        if admin != user.admin:
            user.admin = admin
            roles.assign_default_roles(user.db, entity=user.orm_user)
        user.db.commit()
