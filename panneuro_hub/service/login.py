"""Logging in from a person's own machine, and the sessions that such a login begins."""

from __future__ import annotations

import json
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
from panneuro_hub.service.page import LoginView, render_login, render_problem
from panneuro_hub.wire.browser_requests import is_vouched_form, is_vouched_return
from panneuro_hub.wire.credential import format_time
from panneuro_hub.wire.reauthentication import PATH, Reauthentication

_SCHEME = "panneuro-login "
_LONGEST_BODY = 4096  # bytes
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
            If there is none.
        """
        headers = self.request.headers.get_list("Authorization")
        if len(headers) != 1 or not headers[0].startswith(_SCHEME):
            raise NoLogin("this needs a login of this service: panneuro login")
        return await self.logins.holder(headers[0].removeprefix(_SCHEME))

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
                        "reason": access.reason,
                    }
                    for name, access in accesses.items()
                },
            }
        )

    @in_words
    async def delete(self) -> None:
        """End the login."""
        login = await self.login()
        await self.logins.end(login.person, login.id)
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
            refusal = AccessDenied(f"no access to {project}: {access.reason}")
            await self.issuer.refused(login.person, Session("", project, "upload"), refusal)
            raise refusal
        session, ticket = await self.issuer.register.begin(
            "upload", login.person, project, "", expires=datetime.now(UTC) + UPLOAD_LASTS
        )
        view = session_view(collaboration, access, accesses)
        self.finish({"session": session.id, "ticket": ticket.encode(), "view": view.to_json()})


class UploadHandler(LoginApi):
    """``DELETE /api/uploads/…``: end a session."""

    @in_words
    async def delete(self, session_id: str) -> None:
        """End it, if it is one of this person's."""
        login = await self.login()
        found = await self.issuer.register.find(session_id)
        if found is not None and found.kind == "upload" and found.person == login.person:
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

    async def show(self, person: str, problem: str | None = None, **step: Any) -> None:
        """Finish with the page, at one step of a login or at none."""
        self.finish(
            render_login(
                LoginView(
                    person=person,
                    logins=await self.logins.of(person),
                    xsrf=self.xsrf_token.decode("ascii"),
                    page=self.page,
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
        await self.show(self.person())

    @web.authenticated
    @in_words
    async def post(self) -> None:
        """Take a code, allow or deny a request, or end a login."""
        # A form of another site does not know the token. A script of a server's page may, so
        # the browser must say that this is a form, and what decides needs a key as well.
        self.check_xsrf_cookie()
        if not is_vouched_form(self.request.headers):
            raise AccessDenied(
                "your browser does not say that this comes from the form on this page; use the "
                "hub's https:// address and a browser of 2023 or newer"
            )
        person, what = self.person(), self.get_body_argument("do", "")
        if what in ("allow", "deny"):
            await self._decide(person, allow=what == "allow")
        elif what == "end":
            await self.logins.end(person, self.get_body_argument("login", ""))
            self.redirect(self.page)
        elif what == "code":
            await self._take_code(person)
        else:
            raise InvalidChoice("the form said nothing that can be done; open the page again")

    async def _take_code(self, person: str) -> None:
        try:
            begun = await self.logins.request_confirmation(
                person, self.get_body_argument("code", "")
            )
        except (AccessDenied, TooMany) as error:
            self.set_status(429 if isinstance(error, TooMany) else 404)
            await self.show(person, str(error))
            return
        # A link, since browsers follow no redirect from a form to the provider.
        again = f"{self.around.hub}{PATH}?{urlencode({'request': begun.key})}"
        await self.show(person, waiting=begun.waiting, again=again)

    async def _decide(self, person: str, *, allow: bool) -> None:
        await self.logins.decide(person, self.get_body_argument("key", ""), allow=allow)
        title, said = (
            ("Allowed", "The computer that asked is logged in now; you can close this page.")
            if allow
            else ("Denied", "The computer that asked gets nothing.")
        )
        self.finish(render_problem(title, said, around=self.around))


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
        person = self.person()
        if proof.user != person:
            raise AccessDenied(
                f"you logged in again as somebody else; log out, and log in as {person}"
            )
        if datetime.now(UTC) - proof.at > PROOF_LASTS:
            raise AccessDenied("the login at the identity provider was too long ago; begin again")
        confirmed = await self.logins.confirm(person, proof.request)
        await self.show(person, waiting=confirmed.waiting, key=confirmed.key)


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
    ]
