"""The session core that every spawner shares: form, check, ticket, state, progress.

`SessionMixin` stands before a spawner class. It takes no single-slot hook from the
admin: what JupyterHub offers as a hook stays free, and runs after ours.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from jupyterhub import orm, scopes
from jupyterhub.spawner import Spawner
from traitlets import Enum, Unicode, default

from panneuro_hub.access import Access, Person, decide_all_accesses, map_groups_to_teams
from panneuro_hub.collaboration import Collaboration, S3Store
from panneuro_hub.errors import AccessDeniedError, InvalidChoiceError
from panneuro_hub.hub import current_collaboration
from panneuro_hub.hub.session_clusters import stop_session_clusters
from panneuro_hub.hub.session_messages import describe_decisions
from panneuro_hub.hub.start_choice import (
    StartChoice,
    check_start_choice,
    read_copy_choice,
    read_start_form,
)
from panneuro_hub.hub.start_errors import build_start_error
from panneuro_hub.hub.start_form import render_start_form
from panneuro_hub.hub.token_scopes import find_escape_scopes
from panneuro_hub.hub.trusted_groups import get_account_id, get_trusted_groups
from panneuro_hub.pod.home_volumes import HOME_SCOPES, SHARED_FOLDERS, HomePlan
from panneuro_hub.pod.session_environment import (
    build_choice_environment,
    build_data_environment,
    build_gateway_environment,
)
from panneuro_hub.wire import Ticket
from panneuro_hub.wire.foreign_keys import FOREIGN_KEY_VARIABLES
from panneuro_hub.wire.service_urls import GATEWAY_NAME, SERVICE_NAME, build_service_url
from panneuro_hub.wire.session import STATE_KEY, Session


async def make_start_form(spawner: SessionMixin) -> str:
    """The start form of the spawner's person; see `panneuro_hub.hub.start_form`."""
    collaboration = current_collaboration.get_collaboration(spawner.collaboration_file)
    # JupyterHub puts the request there for the form to look at.
    handler = getattr(spawner, "handler", None)
    wanted = read_copy_choice(handler.get_argument("next", "")) if handler is not None else {}
    accesses = spawner.accesses(collaboration)
    return render_start_form(
        collaboration, accesses, spawner.user_options, wanted, spawner.home_plan.describe()
    )


class SessionMixin(Spawner):
    """Makes every server of a spawner a session in exactly one project."""

    collaboration_file = Unicode(
        config=True, help="Path of the collaboration file; set by panneuro_hub.configure."
    )
    service_address = Unicode(
        config=True,
        help="""
        Where the PanNeuro service listens, such as http://panneuro:10143, as a session's
        agent reaches it. The hub adds the path of the service, below its own base URL.
        """,
    )
    gateway_address = Unicode(
        config=True,
        help="""
        Where the Dask gateway listens, such as http://dask-proxy:8000, as sessions reach it;
        without one there are no clusters. The hub adds the path, as for service_address.
        """,
    )
    gateway_proxy_address = Unicode(
        config=True,
        help="""
        Where sessions' connections to schedulers go, such as gateway://host:8786; by
        default the host and port of gateway_address.
        """,
    )
    gateway_public_url = Unicode(
        config=True,
        help="""
        URL or path of the Dask gateway, as browsers reach it; by default its path as a
        service of this hub, dask-gateway, on the hub's own host.
        """,
    )

    home_scope = Enum(
        HOME_SCOPES,
        default_value="project",
        config=True,
        help="""
        "project": each project has a home folder of its own. "person": all projects of a
        person have one home, and what a session of one project leaves there, startup files
        and packages too, is run by sessions of the others.
        """,
    )
    shared_folder = Enum(
        SHARED_FOLDERS,
        default_value="read-only",
        config=True,
        help="""
        How sessions see the folder "shared" of their home, which is the same in all projects
        of a person: "read-only", "read-write", or "none" for no such folder. "read-write"
        carries files, and so perhaps code, from a session of one project into others.
        """,
    )

    session: Session | None = None
    ticket: Ticket | None = None

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._decisions: tuple[str, ...] = ()
        self._decided = asyncio.Event()
        # What the database had when this wrapper was made: the last good choice.
        self._last_options: dict[str, Any] = dict(self.user_options or {})

    @default("options_form")
    def _options_form_default(self) -> Any:
        return make_start_form

    @default("options_from_form")
    def _options_from_form_default(self) -> Any:
        return read_start_form

    @property
    def project(self) -> str | None:
        """The project of the server; while a start is being decided, the one it asks for."""
        if self.session is not None:
            return self.session.project
        asked = (self.user_options or {}).get("project")
        return asked if isinstance(asked, str) else None

    @property
    def home_plan(self) -> HomePlan:
        """The administrator's settings for homes."""
        return HomePlan(self.home_scope, self.shared_folder)

    @property
    def account(self) -> str:
        """Identifier of the account, which no later account of the same name has."""
        return get_account_id(self.authenticator, self.user)

    def person(self, collaboration: Collaboration) -> Person:
        """Return whose server this is, with the teams that the provider's groups make now."""
        groups = get_trusted_groups(self.authenticator, self.user)
        return Person.of(self.user.name, map_groups_to_teams(collaboration, groups))

    def accesses(self, collaboration: Collaboration) -> dict[str, Access]:
        """The person's access in every project, now."""
        return decide_all_accesses(collaboration, self.person(collaboration), datetime.now(UTC))

    async def _run_apply_user_options(self, user_options: dict[str, Any]) -> None:
        # The one moment after the options are known and before any hook of the
        # admin's may build on them. It is private to JupyterHub: should it ever
        # not be called, `start` refuses, since no session has begun.
        collaboration = current_collaboration.get_collaboration(self.collaboration_file)
        accesses = self.accesses(collaboration)
        admins_own = bool(self.apply_user_options)
        try:
            choice = check_start_choice(user_options, accesses, others_allowed=admins_own)
        except (AccessDeniedError, InvalidChoiceError) as error:
            self._remember(self._last_options)
            self.log.warning("Not starting %s: %s", self._log_name, error)
            raise build_start_error(error) from error
        self._begin(collaboration, accesses[choice.project], choice)
        if admins_own:
            try:
                await super()._run_apply_user_options(user_options)
            except Exception:
                self._remember(self._last_options)
                raise
        # JupyterHub has stored the options before anybody checked them: what was checked is
        # for the next start without options. `start` stores it, with what is written then.
        self._last_options = {**(user_options if admins_own else {}), **choice.to_user_options()}
        self.user_options = self._last_options

    def _remember(self, options: dict[str, Any]) -> None:
        self._last_options = options
        self.user_options = options
        if self.orm_spawner:
            self.orm_spawner.user_options = options

    def _begin(self, collaboration: Collaboration, access: Access, choice: StartChoice) -> None:
        self.session = Session.begin(choice.project, choice.profile, choice.image)
        self._decisions = tuple(describe_decisions(collaboration, access, choice))
        self._decided.set()
        self.apply_choice(collaboration, choice)

    def apply_choice(self, collaboration: Collaboration, choice: StartChoice) -> None:
        """Set what the profile says; spawners that know more extend this."""
        profile = collaboration.profiles[choice.profile]
        self.cpu_limit = profile.cpu
        self.cpu_guarantee = profile.cpu_guarantee or profile.cpu / 2
        self.mem_limit = profile.memory
        self.mem_guarantee = profile.memory

    async def start(self) -> Any:
        """Start the server, with a ticket of its own."""
        if self.session is None:
            raise build_start_error(
                AccessDeniedError(
                    "no project was decided for this server; start it from the hub again"
                )
            )
        self._require_narrow_token()
        self.ticket = Ticket.new(self.user.name, self.name)
        self.session = self.session.with_ticket(self.ticket).with_api_token(self.api_token)
        try:
            await self.store_ticket(self.ticket)
            address = await super().start()
            self._remember(self._last_options)
            return address
        finally:
            # Only the session itself knows its ticket from here on.
            self.ticket = None

    def token_scopes(self) -> set[str]:
        """Return what code in the session could do at the hub, expanded.

        That is what the server's own API token may do, and what the tokens of people who open the
        server may do: the server gets one when somebody logs in to it.
        """
        database = self.user.db
        token = orm.APIToken.find(database, self.api_token)
        held = set() if token is None else set(scopes.get_scopes_for(token))
        client = (
            database.query(orm.OAuthClient).filter_by(identifier=self.oauth_client_id).one_or_none()
        )
        if client is None:
            return held
        owner = self.user.orm_user
        return held | set(
            scopes.expand_scopes(client.allowed_scopes or (), owner=owner, oauth_client=client)
        )

    def _require_narrow_token(self) -> None:
        server = f"{self.user.name}/{self.name}"
        escapes = find_escape_scopes(self.token_scopes(), server)
        if escapes:
            raise build_start_error(
                AccessDeniedError(
                    f"this server's token could leave the project: it has {', '.join(escapes)}. "
                    "An admin must take these scopes out of c.Spawner.server_token_scopes, "
                    "c.Spawner.oauth_client_allowed_scopes and the role 'server'"
                )
            )

    async def store_ticket(self, ticket: Ticket) -> None:
        """Put the ticket where only the session's agent finds it."""
        raise NotImplementedError

    async def poll(self) -> int | None:
        """Return the server's exit status; JupyterHub requires every subclass to define this."""
        status: int | None = await super().poll()
        return status

    async def stop(self, now: bool = False) -> None:
        """Stop the server, and the Dask clusters that it started; its ticket dies with it."""
        session, token = self.session, self.api_token
        await super().stop(now)
        # Only now: until its end, the server's code could start another cluster. The token is
        # good until this method returns.
        if session is not None and self.gateway_address:
            # A spawner may forget both as soon as the process ends, and the gateway asks for them.
            self.session = session
            url = self._url_of(self.gateway_address, GATEWAY_NAME)
            await stop_session_clusters(url, token, self._log_name)
        self.session = None

    def store(self) -> S3Store:
        """The store that the session's project lies in."""
        collaboration = current_collaboration.get_collaboration(self.collaboration_file)
        if self.session is None:
            raise AccessDeniedError("there is no session, and so no store")
        return collaboration.stores[collaboration.projects[self.session.project].store]

    @property
    def service_url(self) -> str:
        """URL of the PanNeuro service, as a session's agent reaches it."""
        return self._url_of(self.service_address, SERVICE_NAME)

    def _url_of(self, address: str, service: str) -> str:
        # Asked for at each start: a configuration may set the base URL after `configure`.
        return build_service_url(address, self.hub.base_url.removesuffix("hub/"), service)

    def get_env(self) -> dict[str, Any]:
        """The server's environment: ours comes last, and no keys of anybody's are in it."""
        env: dict[str, Any] = super().get_env()
        for name in FOREIGN_KEY_VARIABLES:
            if env.pop(name, None) is not None:
                self.log.warning("%s is not passed to %s", name, self._log_name)
        if self.session is not None:
            env |= build_data_environment(self.store(), self.session.project, self.service_url)
            env |= build_choice_environment(self.session.profile, self.session.image)
            if self.gateway_address:
                env |= self._gateway_environment(env["JUPYTERHUB_BASE_URL"])
        return env

    def _gateway_environment(self, base_url: str) -> dict[str, str]:
        # The gateway is at the hub's own host. Where servers have domains of their own, a path
        # would lead a browser to the server's host instead.
        host = self.hub.public_host if urlsplit(self.user.url).netloc else ""
        return build_gateway_environment(
            self._url_of(self.gateway_address, GATEWAY_NAME),
            self.gateway_public_url or build_service_url(host, base_url, GATEWAY_NAME),
            self.gateway_proxy_address or None,
        )

    async def progress(self) -> AsyncIterator[dict[str, Any]]:
        """Yield the decisions, line by line, and then the spawner's own events."""
        if not self._decided.is_set():
            yield {"progress": 1, "message": "Asking the identity provider which teams you are in"}
            await self._decided.wait()
        for count, line in enumerate(self._decisions):
            yield {"progress": min(2 + count, 20), "message": line}
        async for event in super().progress():
            yield event

    def get_state(self) -> dict[str, Any]:
        """The state to keep over a restart of the hub, with the session in it."""
        state: dict[str, Any] = super().get_state()
        if self.session is not None:
            state[STATE_KEY] = self.session.to_state()
        return state

    def load_state(self, state: dict[str, Any]) -> None:
        """Take up a server that was running when the hub stopped."""
        super().load_state(state)
        if STATE_KEY in state:
            self.session = Session.from_state(state[STATE_KEY])

    def clear_state(self) -> None:
        """Forget the server, and so its ticket."""
        super().clear_state()
        self.session = None
        self._decisions = ()
        self._decided.clear()
