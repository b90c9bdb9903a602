"""Logging in from a person's own machine, and the sessions that such a login begins."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from jupyterhub.utils import get_browser_protocol
from tornado import web

from panneuro_hub.access import build_session_view
from panneuro_hub.errors import AccessDeniedError, InvalidChoiceError
from panneuro_hub.names import is_name
from panneuro_hub.service.accounts.access_lookup import AccessLookup
from panneuro_hub.service.accounts.hub_account import HubAccount
from panneuro_hub.service.accounts.hub_users import HubUsers
from panneuro_hub.service.db.ledger import LedgerSession
from panneuro_hub.service.db.session_store import SessionStore
from panneuro_hub.service.device_login.login_pages import (
    AllLoginsView,
    LoginPageView,
    render_all_logins,
    render_decision,
    render_login,
)
from panneuro_hub.service.device_login.login_store import (
    DeviceLogin,
    DeviceLoginStore,
    InvalidLoginError,
    LoginNotFoundError,
    RateLimitError,
)
from panneuro_hub.service.refusal_recorder import RefusalRecorder
from panneuro_hub.service.web.base_handlers import (
    ApiHandler,
    BaseHandler,
    PersonHandler,
    WebPageHandler,
    answer_errors,
)
from panneuro_hub.wire import account_end
from panneuro_hub.wire.account_end import AccountEnd
from panneuro_hub.wire.browser_requests import is_cross_origin_return, is_same_origin_form
from panneuro_hub.wire.credential import format_time
from panneuro_hub.wire.reauthentication import REAUTHENTICATION_PATH, ReauthenticationProof
from panneuro_hub.wording import no_access, reasons_document

_log = logging.getLogger("panneuro.service")

_SCHEME = "panneuro-login "
_LONGEST_BODY = 4096  # bytes
_FORM = "panneuro-login-form"  # what a signed value is for
TRANSFER_SESSION_LIFETIME = timedelta(hours=24)
"""A session that a login began ends after so long; who is still at work begins another."""


PROOF_LIFETIME = timedelta(minutes=2)
"""How long the hub's word for a fresh login is good; the browser brings it at once."""


class LoginBaseHandler(BaseHandler):
    """Has what logins need."""

    def initialize(self, accesses: AccessLookup, logins: DeviceLoginStore) -> None:
        """Take what the application was made with."""
        self.accesses = accesses
        self.logins = logins


class LoginApiHandler(LoginBaseHandler, ApiHandler):
    """What programs on people's machines ask."""

    def read_body(self) -> dict[str, Any]:
        """The JSON object that came.

        Raises
        ------
        InvalidChoiceError
            If there is none.
        """
        try:
            document = json.loads(self.request.body) if self._is_short() else None
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict):
            raise InvalidChoiceError(
                "send a short JSON object, with Content-Type: application/json"
            )
        return document

    async def require_login(self) -> DeviceLogin:
        """The login of who asks.

        Raises
        ------
        InvalidLoginError
            If there is none, or its account has ended.
        AccessDeniedError
            If the hub does not know the person any more.
        """
        headers = self.request.headers.get_list("Authorization")
        if len(headers) != 1 or not headers[0].startswith(_SCHEME):
            raise InvalidLoginError("this needs a login of this service: panneuro login")
        login = await self.logins.find_login(headers[0].removeprefix(_SCHEME))
        if login.owner != await self.accesses.find_account(login.person):
            # Another account of the same name, or a row that does not say whose it is.
            await self.logins.end_login(login.id)
            raise InvalidLoginError("the account of this login has ended; log in again")
        return login

    def _is_short(self) -> bool:
        return len(self.request.body) <= _LONGEST_BODY


class DeviceLoginHandler(LoginApiHandler):
    """``/api/login``: ask for a login, say what it is good for, end it."""

    @answer_errors
    async def post(self) -> None:
        """Begin: a machine wants a login."""
        host = self.read_body().get("host")
        authorization = await self.logins.begin_request(host if isinstance(host, str) else "")
        origin = f"{get_browser_protocol(self.request)}://{self.request.host}"
        page = self.request.path.removesuffix("/api/login") + "/login"
        self.finish(
            {
                "device_code": authorization.device_code,
                "user_code": authorization.user_code,
                # Without the code: a person types it, and no page brings it along.
                "url": f"{origin}{page}",
                "interval": authorization.interval,
                "expires_in": authorization.expires_in,
            }
        )

    @answer_errors
    async def get(self) -> None:
        """Say whose login it is, and what they may do in which project."""
        login = await self.require_login()
        collaboration, accesses = await self.accesses.decide_accesses(login.person)
        self.finish(
            {
                "user": login.person,
                "expires": format_time(login.ends),
                "projects": {
                    name: {
                        "title": collaboration.projects[name].title,
                        "level": access.level,
                        **reasons_document(access.reasons),
                    }
                    for name, access in accesses.items()
                },
            }
        )

    @answer_errors
    async def delete(self) -> None:
        """End the login."""
        login = await self.require_login()
        await self.logins.end_login(login.id)
        self.set_status(204)


class DeviceTokenHandler(LoginApiHandler):
    """``POST /api/login/token``: what a machine asks while it waits."""

    @answer_errors
    async def post(self) -> None:
        """Give the token, once; 202 while nobody has decided."""
        code = self.read_body().get("device_code")
        if not isinstance(code, str):
            raise InvalidChoiceError("device_code is missing")
        made = await self.logins.take_token(code)
        if made is None:
            self.set_status(202)
            self.finish({"message": "nobody has allowed it yet"})
            return
        token, login = made
        self.finish({"token": token, "user": login.person, "expires": format_time(login.ends)})


class TransferSessionsHandler(LoginApiHandler):
    """``POST /api/uploads``: begin a session in a project."""

    def initialize(  # type: ignore[override]
        self,
        accesses: AccessLookup,
        logins: DeviceLoginStore,
        sessions: SessionStore,
        refusals: RefusalRecorder,
    ) -> None:
        """Take what the application was made with."""
        super().initialize(accesses, logins)
        self.sessions = sessions
        self.refusals = refusals

    @answer_errors
    async def post(self) -> None:
        """Give a session, its ticket, and what it may do."""
        login = await self.require_login()
        project = self.read_body().get("project")
        if not isinstance(project, str) or not is_name(project):
            raise InvalidChoiceError("project is missing, or cannot be one")
        collaboration, accesses = await self.accesses.decide_accesses(login.person)
        if project not in accesses:
            raise AccessDeniedError(f"there is no project {project} that is open to you")
        access = accesses[project]
        if not access.grants:
            refusal = no_access(project, access.reasons)
            await self.refusals.record_refusal(
                login.person, LedgerSession("", project, "upload"), refusal
            )
            raise refusal
        owner = await self.accesses.find_account(login.person)
        session, ticket = await self.sessions.begin_session(
            "upload",
            owner.name,
            project,
            "",
            account=owner.account,
            login=login.id,
            expires=min(datetime.now(UTC) + TRANSFER_SESSION_LIFETIME, login.ends),
        )
        try:
            await self.require_login()
        except (InvalidLoginError, AccessDeniedError):
            # It was ended meanwhile, before there was a session to end with it.
            await self.sessions.end_session(session.id)
            raise
        view = build_session_view(collaboration, access, accesses)
        self.finish({"session": session.id, "ticket": ticket.encode(), "view": view.to_json()})


class TransferSessionHandler(LoginApiHandler):
    """``DELETE /api/uploads/…``: end a session."""

    def initialize(  # type: ignore[override]
        self, accesses: AccessLookup, logins: DeviceLoginStore, sessions: SessionStore
    ) -> None:
        """Take what the application was made with."""
        super().initialize(accesses, logins)
        self.sessions = sessions

    @answer_errors
    async def delete(self, session_id: str) -> None:
        """End it, if it is one of this person's."""
        login = await self.require_login()
        found = await self.sessions.find_session(session_id)
        if found is not None and found.kind == "upload" and found.account == login.account:
            await self.sessions.end_session(session_id)
        self.set_status(204)


class LoginFormHandler(PersonHandler, LoginBaseHandler, WebPageHandler):
    """What both pages of logins have in common."""

    policy = (
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'"
    )
    problem = "Logins cannot be shown now"

    def require_person(self) -> str:
        """The name of who looks; a browser's login alone counts, and no token.

        Raises
        ------
        AccessDeniedError
            As for everybody, or if a token was sent.
        """
        # A token of a server must not become a login of 30 days.
        if getattr(self, "_token_authenticated", False):
            raise AccessDeniedError("open this page in a browser; it takes no tokens")
        return super().require_person()

    @property
    def page(self) -> str:
        """The path of the page where codes are typed."""
        return f"{self.hub_auth.base_url}login"

    @property
    def xsrf_token(self) -> bytes:
        """The token of the forms, good for one person.

        Tornado's own compares a field with a cookie, and a script of a server can set both.
        """
        return self.create_signed_value(_FORM, self.require_person())

    def check_xsrf_cookie(self) -> None:
        """Make sure that a form has the token of a page of ours; JupyterHub's class asks, too."""
        self._read_form_person()

    def _read_form_person(self) -> str:
        secret, sent = self.settings["cookie_secret"], self.get_body_argument("_xsrf", "")
        person = web.decode_signed_value(secret, _FORM, sent, max_age_days=1)
        if person is None:
            raise web.HTTPError(403, "The form is too old, or not ours; open the page again.")
        return person.decode()

    def require_form(self) -> None:
        """Make sure that a form of a page of ours was sent.

        Raises
        ------
        AccessDeniedError, tornado.web.HTTPError
            If it was not, or the browser does not say so.
        """
        # A form of another site does not know the token. A script of a server's page may, so
        # the browser must say that this is a form, and what decides needs a key as well.
        if self._read_form_person() != self.require_person():
            raise AccessDeniedError("this form was somebody else's; open the page again")
        if not is_same_origin_form(self.request.headers):
            raise AccessDeniedError(
                "your browser does not say that this comes from the form on this page; use the "
                "hub's https:// address and a browser of 2023 or newer"
            )

    async def find_account(self) -> HubAccount:
        """The account of who looks.

        Raises
        ------
        AccessDeniedError
            As for `require_person`.
        """
        return await self.accesses.find_account(self.require_person())

    async def show_page(self, owner: HubAccount, problem: str | None = None, **step: Any) -> None:
        """Finish with the page, at one step of a login or at none."""
        self.finish(
            render_login(
                LoginPageView(
                    person=owner.name,
                    logins=await self.logins.list_logins(owner),
                    xsrf=self.xsrf_token.decode("ascii"),
                    page=self.page,
                    is_admin=await self.accesses.is_admin(owner.name),
                    problem=problem,
                    **step,
                ),
                self.page_context,
            )
        )


class LoginPageHandler(LoginFormHandler):
    """``/login``: type a computer's code, decide about it, and end logins."""

    @web.authenticated
    @answer_errors
    async def get(self) -> None:
        """Show where to type a code, and all logins."""
        await self.show_page(await self.find_account())

    @web.authenticated
    @answer_errors
    async def post(self) -> None:
        """Take a code, allow or deny a request, or end a login."""
        self.require_form()
        owner, what = await self.find_account(), self.get_body_argument("do", "")
        if what in ("allow", "deny"):
            await self._decide_request(owner, allow=what == "allow")
        elif what == "end":
            await self.logins.end_login(self.get_body_argument("login", ""), owner)
            self.redirect(self.page)
        elif what == "code":
            await self._accept_code(owner)
        else:
            raise InvalidChoiceError("the form said nothing that can be done; open the page again")

    async def _accept_code(self, owner: HubAccount) -> None:
        try:
            begun = await self.logins.begin_confirmation(owner, self.get_body_argument("code", ""))
        except (AccessDeniedError, RateLimitError) as error:
            self.set_status(429 if isinstance(error, RateLimitError) else 404)
            await self.show_page(owner, str(error))
            return
        # A link, since browsers follow no redirect from a form to the provider.
        again = (
            f"{self.page_context.hub}{REAUTHENTICATION_PATH}?{urlencode({'request': begun.key})}"
        )
        await self.show_page(owner, request=begun.request, again=again)

    async def _decide_request(self, owner: HubAccount, *, allow: bool) -> None:
        await self.logins.decide_request(owner, self.get_body_argument("key", ""), allow=allow)
        self.finish(render_decision(self.page_context, allowed=allow))


class ConfirmationPageHandler(LoginFormHandler):
    """``/login/confirm``: decide about a computer, after a fresh login at the provider."""

    @web.authenticated
    @answer_errors
    async def get(self) -> None:
        """Show what is to be decided, with the key that decides; just once."""
        # The key is for this tab. A script could not read it in a tab that the provider led
        # here, and so it is shown in no other.
        if not is_cross_origin_return(self.request.headers):
            raise AccessDeniedError("this page opens only from a login at the identity provider")
        proof = ReauthenticationProof.read(
            self.get_query_argument("proof", ""), self.hub_auth.api_token
        )
        owner = await self.find_account()
        if proof.user != owner.name:
            raise AccessDeniedError(
                f"you logged in again as somebody else; log out, and log in as {owner.name}"
            )
        if datetime.now(UTC) - proof.at > PROOF_LIFETIME:
            raise AccessDeniedError(
                "the login at the identity provider was too long ago; begin again"
            )
        confirmed = await self.logins.confirm_request(owner, proof.request)
        await self.show_page(owner, request=confirmed.request, key=confirmed.key)


class AllLoginsPageHandler(LoginFormHandler):
    """``/logins``: everybody's logins, for hub admins to see and to end."""

    @web.authenticated
    @answer_errors
    async def get(self) -> None:
        """Show all logins, or those of one name."""
        name = await self._require_admin()
        person = self.get_query_argument("person", "")
        self.finish(
            render_all_logins(
                AllLoginsView(
                    admin=name,
                    person=person,
                    logins=await self.logins.list_all_logins(person),
                    xsrf=self.xsrf_token.decode("ascii"),
                    page=self.request.path,
                ),
                self.page_context,
            )
        )

    @web.authenticated
    @answer_errors
    async def post(self) -> None:
        """End one login of anybody."""
        self.require_form()
        admin, login = await self._require_admin(), self.get_body_argument("login", "")
        if await self.logins.end_login(login):
            _log.info("The login %s was ended by %r", login, admin)
        self.redirect(self.request.path)

    async def _require_admin(self) -> str:
        return await require_hub_admin(self.accesses, self.require_person())


class AllLoginsApiHandler(PersonHandler, LoginBaseHandler, ApiHandler):
    """``GET /api/logins``: one's own logins; for hub admins those of everybody."""

    @answer_errors
    async def get(self) -> None:
        """List them; ``require_person`` chooses a name."""
        name, authorization = self.require_person(), self.get_query_argument("person", "")
        if authorization in ("", name) and not await self.accesses.is_admin(name):
            logins = await self.logins.list_logins(await self.accesses.find_account(name))
        else:
            await require_hub_admin(self.accesses, name)
            logins = await self.logins.list_all_logins(authorization)
        self.finish({"logins": [format_login(login) for login in logins]})


class SingleLoginApiHandler(PersonHandler, LoginBaseHandler, ApiHandler):
    """``DELETE /api/logins/ID``: end a login of one's own; for hub admins anybody's."""

    @answer_errors
    async def delete(self, login_id: str) -> None:
        """End it, and the sessions that it began; 404 where there is none."""
        name = self.require_person()
        is_admin = await self.accesses.is_admin(name)
        if not await self.logins.end_login(
            login_id, None if is_admin else await self.accesses.find_account(name)
        ):
            raise LoginNotFoundError(
                "there is no such login of yours; a hub admin may end anybody's"
            )
        _log.info("The login %s was ended by %r", login_id, name)
        self.set_status(204)


class AccountDeletionHandler(ApiHandler):
    """``POST /api/accounts/end``: the hub deletes an account."""

    def initialize(
        self, logins: DeviceLoginStore, sessions: SessionStore, hub_users: HubUsers
    ) -> None:
        """Take what the application was made with."""
        self.logins = logins
        self.sessions = sessions
        self.hub_users = hub_users

    @answer_errors
    async def post(self) -> None:
        """End everything that is stored under the account."""
        ended = AccountEnd.decode(
            self.request.headers.get("Authorization", ""), self.application.settings["hub_token"]
        )
        owner = HubAccount(ended.name, ended.account)
        logins = await self.logins.end_account_logins(owner)
        sessions = await self.sessions.end_account_sessions(owner.name, owner.account)
        self.hub_users.forget_member(owner.name)
        _log.info(
            "The account of %r has ended, and with it %d logins and %d sessions",
            *(owner.name, logins, len(sessions)),
        )
        self.set_status(204)


async def require_hub_admin(accesses: AccessLookup, name: str) -> str:
    """Return the name of a hub admin.

    Raises
    ------
    AccessDeniedError
        If it is not a hub admin's.
    ServiceUnavailable
        If the hub does not answer.
    """
    if not await accesses.is_admin(name):
        raise AccessDeniedError("only a hub admin can see and end the logins of others")
    return name


def format_login(login: DeviceLogin) -> dict[str, Any]:
    """Return a login as JSON; its token is not known here."""
    return {
        "id": login.id,
        "user": login.person,
        "host": login.host,
        "began": format_time(login.began),
        "expires": format_time(login.ends),
        "last_used": format_time(login.used) if login.used else None,
    }


def build_login_routes(
    prefix: str,
    accesses: AccessLookup,
    hub_users: HubUsers,
    sessions: SessionStore,
    refusals: RefusalRecorder,
    logins: DeviceLoginStore,
) -> list[Any]:
    """Where all of it is answered."""
    given: dict[str, Any] = {"accesses": accesses, "logins": logins}
    with_sessions = {**given, "sessions": sessions}
    of_begin = {**with_sessions, "refusals": refusals}
    of_account = {"logins": logins, "sessions": sessions, "hub_users": hub_users}
    return [
        (rf"{prefix}/api/login", DeviceLoginHandler, given),
        (rf"{prefix}/api/login/token", DeviceTokenHandler, given),
        (rf"{prefix}/api/uploads", TransferSessionsHandler, of_begin),
        (rf"{prefix}/api/uploads/([0-9a-f]{{1,64}})", TransferSessionHandler, with_sessions),
        (rf"{prefix}/login", LoginPageHandler, given),
        (rf"{prefix}/login/confirm", ConfirmationPageHandler, given),
        (rf"{prefix}/logins", AllLoginsPageHandler, given),
        (rf"{prefix}/api/logins", AllLoginsApiHandler, given),
        (rf"{prefix}/api/logins/([0-9a-f]{{1,64}})", SingleLoginApiHandler, given),
        (rf"{prefix}{account_end.ACCOUNT_END_PATH}", AccountDeletionHandler, of_account),
    ]
