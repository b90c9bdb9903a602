"""Logging in from a person's own machine, and the sessions that such a login begins."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from jupyterhub.utils import get_browser_protocol
from tornado import web

from panneuro_hub.access import session_view
from panneuro_hub.errors import AccessDenied, InvalidChoice
from panneuro_hub.names import is_name
from panneuro_hub.service.handlers import (
    ApiHandler,
    Handler,
    PersonHandler,
    WebHandler,
    in_words,
)
from panneuro_hub.service.issue import Issuer, Session
from panneuro_hub.service.logins import Login, Logins, NoLogin, TooMany
from panneuro_hub.service.owners import Owner
from panneuro_hub.service.page import (
    LoginsView,
    LoginView,
    render_decision,
    render_login,
    render_logins,
)
from panneuro_hub.wire import account_end
from panneuro_hub.wire.account_end import AccountEnd
from panneuro_hub.wire.browser_requests import is_vouched_form, is_vouched_return
from panneuro_hub.wire.credential import format_time
from panneuro_hub.wire.reauthentication import PATH, Reauthentication
from panneuro_hub.wording import no_access, reasons_document

_log = logging.getLogger("panneuro.service")

_SCHEME = "panneuro-login "
_LONGEST_BODY = 4096  # bytes
_FORM = "panneuro-login-form"  # what a signed value is for
UPLOAD_LASTS = timedelta(hours=24)
"""A session that a login began ends after so long; who is still at work begins another."""


PROOF_LASTS = timedelta(minutes=2)
"""How long the hub's word for a fresh login is good; the browser brings it at once."""


class LoginHandler(Handler):
    """Has what logins need."""

    def initialize(self, issuer: Issuer, logins: Logins) -> None:
        """Take what the application was made with."""
        self.issuer = issuer
        self.logins = logins


class LoginApi(LoginHandler, ApiHandler):
    """What programs on people's machines ask."""

    def body(self) -> dict[str, Any]:
        """The JSON object that came.

        Raises
        ------
        InvalidChoice
            If there is none.
        """
        try:
            document = json.loads(self.request.body) if self._is_short() else None
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict):
            raise InvalidChoice("send a short JSON object, with Content-Type: application/json")
        return document

    async def login(self) -> Login:
        """The login of who asks.

        Raises
        ------
        NoLogin
            If there is none, or its account has ended.
        AccessDenied
            If the hub does not know the person any more.
        """
        headers = self.request.headers.get_list("Authorization")
        if len(headers) != 1 or not headers[0].startswith(_SCHEME):
            raise NoLogin("this needs a login of this service: panneuro login")
        login = await self.logins.holder(headers[0].removeprefix(_SCHEME))
        if login.owner != await self.issuer.owner(login.person):
            # Another account of the same name, or a row that does not say whose it is.
            await self.logins.end(login.id)
            raise NoLogin("the account of this login has ended; log in again")
        return login

    def _is_short(self) -> bool:
        return len(self.request.body) <= _LONGEST_BODY


class LoginsHandler(LoginApi):
    """``/api/login``: ask for a login, say what it is good for, end it."""

    @in_words
    async def post(self) -> None:
        """Begin: a machine wants a login."""
        host = self.body().get("host")
        asked = await self.logins.ask(host if isinstance(host, str) else "")
        origin = f"{get_browser_protocol(self.request)}://{self.request.host}"
        page = self.request.path.removesuffix("/api/login") + "/login"
        self.finish(
            {
                "device_code": asked.device_code,
                "user_code": asked.user_code,
                # Without the code: a person types it, and no page brings it along.
                "url": f"{origin}{page}",
                "interval": asked.interval,
                "expires_in": asked.expires_in,
            }
        )

    @in_words
    async def get(self) -> None:
        """Say whose login it is, and what they may do in which project."""
        login = await self.login()
        collaboration, accesses = await self.issuer.accesses(login.person)
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

    @in_words
    async def delete(self) -> None:
        """End the login."""
        login = await self.login()
        await self.logins.end(login.id)
        self.set_status(204)


class TokenHandler(LoginApi):
    """``POST /api/login/token``: what a machine asks while it waits."""

    @in_words
    async def post(self) -> None:
        """Give the token, once; 202 while nobody has decided."""
        code = self.body().get("device_code")
        if not isinstance(code, str):
            raise InvalidChoice("device_code is missing")
        made = await self.logins.take(code)
        if made is None:
            self.set_status(202)
            self.finish({"message": "nobody has allowed it yet"})
            return
        token, login = made
        self.finish({"token": token, "user": login.person, "expires": format_time(login.ends)})


class UploadsHandler(LoginApi):
    """``POST /api/uploads``: begin a session in a project."""

    @in_words
    async def post(self) -> None:
        """Give a session, its ticket, and what it may do."""
        login = await self.login()
        project = self.body().get("project")
        if not isinstance(project, str) or not is_name(project):
            raise InvalidChoice("project is missing, or cannot be one")
        collaboration, accesses = await self.issuer.accesses(login.person)
        if project not in accesses:
            raise AccessDenied(f"there is no project {project} that is open to you")
        access = accesses[project]
        if not access.grants:
            refusal = no_access(project, access.reasons)
            await self.issuer.refused(login.person, Session("", project, "upload"), refusal)
            raise refusal
        owner = await self.issuer.owner(login.person)
        register = self.issuer.register
        session, ticket = await register.begin(
            "upload",
            owner.name,
            project,
            "",
            account=owner.account,
            login=login.id,
            expires=min(datetime.now(UTC) + UPLOAD_LASTS, login.ends),
        )
        try:
            await self.login()
        except (NoLogin, AccessDenied):
            # It was ended meanwhile, before there was a session to end with it.
            await register.end(session.id)
            raise
        view = session_view(collaboration, access, accesses)
        self.finish({"session": session.id, "ticket": ticket.encode(), "view": view.to_json()})


class UploadHandler(LoginApi):
    """``DELETE /api/uploads/…``: end a session."""

    @in_words
    async def delete(self, session_id: str) -> None:
        """End it, if it is one of this person's."""
        login = await self.login()
        found = await self.issuer.register.find(session_id)
        if found is not None and found.kind == "upload" and found.account == login.account:
            await self.issuer.register.end(session_id)
        self.set_status(204)


class LoginsPage(PersonHandler, LoginHandler, WebHandler):
    """What both pages of logins have in common."""

    policy = (
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'"
    )
    problem = "Logins cannot be shown now"

    def person(self) -> str:
        """The name of who looks; a browser's login alone counts, and no token.

        Raises
        ------
        AccessDenied
            As for everybody, or if a token was sent.
        """
        # A token of a server must not become a login of 30 days.
        if getattr(self, "_token_authenticated", False):
            raise AccessDenied("open this page in a browser; it takes no tokens")
        return super().person()

    @property
    def page(self) -> str:
        """The path of the page where codes are typed."""
        return f"{self.hub_auth.base_url}login"

    @property
    def xsrf_token(self) -> bytes:
        """The token of the forms, good for one person.

        Tornado's own compares a field with a cookie, and a script of a server can set both.
        """
        return self.create_signed_value(_FORM, self.person())

    def check_xsrf_cookie(self) -> None:
        """Make sure that a form has the token of a page of ours; JupyterHub's class asks, too."""
        self._form_person()

    def _form_person(self) -> str:
        secret, sent = self.settings["cookie_secret"], self.get_body_argument("_xsrf", "")
        person = web.decode_signed_value(secret, _FORM, sent, max_age_days=1)
        if person is None:
            raise web.HTTPError(403, "The form is too old, or not ours; open the page again.")
        return person.decode()

    def require_form(self) -> None:
        """Make sure that a form of a page of ours was sent.

        Raises
        ------
        AccessDenied, tornado.web.HTTPError
            If it was not, or the browser does not say so.
        """
        # A form of another site does not know the token. A script of a server's page may, so
        # the browser must say that this is a form, and what decides needs a key as well.
        if self._form_person() != self.person():
            raise AccessDenied("this form was somebody else's; open the page again")
        if not is_vouched_form(self.request.headers):
            raise AccessDenied(
                "your browser does not say that this comes from the form on this page; use the "
                "hub's https:// address and a browser of 2023 or newer"
            )

    async def owner(self) -> Owner:
        """The account of who looks.

        Raises
        ------
        AccessDenied
            As for `person`.
        """
        return await self.issuer.owner(self.person())

    async def show(self, owner: Owner, problem: str | None = None, **step: Any) -> None:
        """Finish with the page, at one step of a login or at none."""
        self.finish(
            render_login(
                LoginView(
                    person=owner.name,
                    logins=await self.logins.of(owner),
                    xsrf=self.xsrf_token.decode("ascii"),
                    page=self.page,
                    is_admin=await self.issuer.is_admin(owner.name),
                    problem=problem,
                    **step,
                ),
                self.around,
            )
        )


class LoginPage(LoginsPage):
    """``/login``: type a computer's code, decide about it, and end logins."""

    @web.authenticated
    @in_words
    async def get(self) -> None:
        """Show where to type a code, and all logins."""
        await self.show(await self.owner())

    @web.authenticated
    @in_words
    async def post(self) -> None:
        """Take a code, allow or deny a request, or end a login."""
        self.require_form()
        owner, what = await self.owner(), self.get_body_argument("do", "")
        if what in ("allow", "deny"):
            await self._decide(owner, allow=what == "allow")
        elif what == "end":
            await self.logins.end(self.get_body_argument("login", ""), owner)
            self.redirect(self.page)
        elif what == "code":
            await self._take_code(owner)
        else:
            raise InvalidChoice("the form said nothing that can be done; open the page again")

    async def _take_code(self, owner: Owner) -> None:
        try:
            begun = await self.logins.request_confirmation(
                owner, self.get_body_argument("code", "")
            )
        except (AccessDenied, TooMany) as error:
            self.set_status(429 if isinstance(error, TooMany) else 404)
            await self.show(owner, str(error))
            return
        # A link, since browsers follow no redirect from a form to the provider.
        again = f"{self.around.hub}{PATH}?{urlencode({'request': begun.key})}"
        await self.show(owner, waiting=begun.waiting, again=again)

    async def _decide(self, owner: Owner, *, allow: bool) -> None:
        await self.logins.decide(owner, self.get_body_argument("key", ""), allow=allow)
        self.finish(render_decision(self.around, allowed=allow))


class ConfirmPage(LoginsPage):
    """``/login/confirm``: decide about a computer, after a fresh login at the provider."""

    @web.authenticated
    @in_words
    async def get(self) -> None:
        """Show what is to be decided, with the key that decides; just once."""
        # The key is for this tab. A script could not read it in a tab that the provider led
        # here, and so it is shown in no other.
        if not is_vouched_return(self.request.headers):
            raise AccessDenied("this page opens only from a login at the identity provider")
        proof = Reauthentication.read(self.get_query_argument("proof", ""), self.hub_auth.api_token)
        owner = await self.owner()
        if proof.user != owner.name:
            raise AccessDenied(
                f"you logged in again as somebody else; log out, and log in as {owner.name}"
            )
        if datetime.now(UTC) - proof.at > PROOF_LASTS:
            raise AccessDenied("the login at the identity provider was too long ago; begin again")
        confirmed = await self.logins.confirm(owner, proof.request)
        await self.show(owner, waiting=confirmed.waiting, key=confirmed.key)


class EveryLoginPage(LoginsPage):
    """``/logins``: everybody's logins, for hub admins to see and to end."""

    @web.authenticated
    @in_words
    async def get(self) -> None:
        """Show all logins, or those of one name."""
        name = await self._admin()
        person = self.get_query_argument("person", "")
        self.finish(
            render_logins(
                LoginsView(
                    admin=name,
                    person=person,
                    logins=await self.logins.every(person),
                    xsrf=self.xsrf_token.decode("ascii"),
                    page=self.request.path,
                ),
                self.around,
            )
        )

    @web.authenticated
    @in_words
    async def post(self) -> None:
        """End one login of anybody."""
        self.require_form()
        admin, login = await self._admin(), self.get_body_argument("login", "")
        if await self.logins.end(login):
            _log.info("The login %s was ended by %r", login, admin)
        self.redirect(self.request.path)

    async def _admin(self) -> str:
        return await require_admin(self.issuer, self.person())


class EveryLoginApi(PersonHandler, LoginHandler, ApiHandler):
    """``GET /api/logins``: one's own logins; for hub admins those of everybody."""

    @in_words
    async def get(self) -> None:
        """List them; ``person`` chooses a name."""
        name, asked = self.person(), self.get_query_argument("person", "")
        if asked in ("", name) and not await self.issuer.is_admin(name):
            logins = await self.logins.of(await self.issuer.owner(name))
        else:
            await require_admin(self.issuer, name)
            logins = await self.logins.every(asked)
        self.finish({"logins": [login_json(login) for login in logins]})


class OneLoginApi(PersonHandler, LoginHandler, ApiHandler):
    """``DELETE /api/logins/ID``: end a login of one's own; for hub admins anybody's."""

    @in_words
    async def delete(self, login_id: str) -> None:
        """End it, and the sessions that it began; 404 where there is none."""
        name = self.person()
        is_admin = await self.issuer.is_admin(name)
        if not await self.logins.end(login_id, None if is_admin else await self.issuer.owner(name)):
            self.set_status(404)
            self.say("there is no such login of yours; a hub admin may end anybody's")
            return
        _log.info("The login %s was ended by %r", login_id, name)
        self.set_status(204)


class AccountEndHandler(LoginApi):
    """``POST /api/accounts/end``: the hub deletes an account."""

    @in_words
    async def post(self) -> None:
        """End everything that is stored under the account."""
        ended = AccountEnd.decode(
            self.request.headers.get("Authorization", ""), self.application.settings["hub_token"]
        )
        owner = Owner(ended.name, ended.account)
        logins = await self.logins.end_of_account(owner)
        sessions = await self.issuer.register.end_of_account(owner.name, owner.account)
        self.issuer.members.forget(owner.name)
        _log.info(
            "The account of %r has ended, and with it %d logins and %d sessions",
            *(owner.name, logins, len(sessions)),
        )
        self.set_status(204)


async def require_admin(issuer: Issuer, name: str) -> str:
    """Return the name of a hub admin.

    Raises
    ------
    AccessDenied
        If it is not a hub admin's.
    ServiceUnavailable
        If the hub does not answer.
    """
    if not await issuer.is_admin(name):
        raise AccessDenied("only a hub admin can see and end the logins of others")
    return name


def login_json(login: Login) -> dict[str, Any]:
    """Return a login as JSON; its token is not known here."""
    return {
        "id": login.id,
        "user": login.person,
        "host": login.host,
        "began": format_time(login.began),
        "expires": format_time(login.ends),
        "last_used": format_time(login.used) if login.used else None,
    }


def routes(prefix: str, issuer: Issuer, logins: Logins) -> list[Any]:
    """Where all of it is answered."""
    given = {"issuer": issuer, "logins": logins}
    return [
        (rf"{prefix}/api/login", LoginsHandler, given),
        (rf"{prefix}/api/login/token", TokenHandler, given),
        (rf"{prefix}/api/uploads", UploadsHandler, given),
        (rf"{prefix}/api/uploads/([0-9a-f]{{1,64}})", UploadHandler, given),
        (rf"{prefix}/login", LoginPage, given),
        (rf"{prefix}/login/confirm", ConfirmPage, given),
        (rf"{prefix}/logins", EveryLoginPage, given),
        (rf"{prefix}/api/logins", EveryLoginApi, given),
        (rf"{prefix}/api/logins/([0-9a-f]{{1,64}})", OneLoginApi, given),
        (rf"{prefix}{account_end.PATH}", AccountEndHandler, given),
    ]
