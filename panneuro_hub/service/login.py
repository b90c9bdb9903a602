"""Logging in from a person's own machine, and the sessions that such a login begins."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

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
from panneuro_hub.service.page import render_login, render_problem
from panneuro_hub.wire.credential import format_time

_SCHEME = "panneuro-login "
_LONGEST_BODY = 4096  # bytes
UPLOAD_LASTS = timedelta(hours=24)
"""A session that a login began ends after so long; who is still at work begins another."""


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
                "url": f"{origin}{page}?code={quote(asked.user_code)}",
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


class LoginPage(PersonHandler, LoginHandler, WebHandler):
    """``/login``: who asks for a login, to allow or to deny, and the logins that there are."""

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

    @web.authenticated
    @in_words
    async def get(self) -> None:
        """Show the request with the code in the address, if there is one, and all logins."""
        person, code = self.person(), self.get_query_argument("code", "")
        waiting, problem = None, None
        if code:
            try:
                waiting = await self.logins.look_up(person, code)
            except (AccessDenied, TooMany) as error:
                self.set_status(429 if isinstance(error, TooMany) else 404)
                problem = str(error)
        self.finish(
            render_login(
                person=person,
                waiting=waiting,
                problem=problem,
                logins=await self.logins.of(person),
                xsrf=self.xsrf_token.decode("ascii"),
                page=self.request.path,
                around=self.around,
            )
        )

    @web.authenticated
    @in_words
    async def post(self) -> None:
        """Allow or deny a request, or end a login; the form's own token must come with it."""
        # A form of another site cannot know it; the hub's cookie alone is not enough.
        self.check_xsrf_cookie()
        person, what = self.person(), self.get_body_argument("do", "")
        if what in ("allow", "deny"):
            await self.logins.decide(
                person, self.get_body_argument("code", ""), allow=what == "allow"
            )
            title = "Allowed" if what == "allow" else "Denied"
            said = (
                "The computer that asked is logged in now; you can close this page."
                if what == "allow"
                else "The computer that asked gets nothing."
            )
            self.finish(render_problem(title, said, self.request.path))
        elif what == "end":
            await self.logins.end(person, self.get_body_argument("login", ""))
            self.redirect(self.request.path)
        else:
            raise InvalidChoice("the form said nothing that can be done; open the page again")


def routes(prefix: str, issuer: Issuer, logins: Logins) -> list[Any]:
    """Where all of it is answered."""
    given = {"issuer": issuer, "logins": logins}
    return [
        (rf"{prefix}/api/login", LoginsHandler, given),
        (rf"{prefix}/api/login/token", TokenHandler, given),
        (rf"{prefix}/api/uploads", UploadsHandler, given),
        (rf"{prefix}/api/uploads/([0-9a-f]{{1,64}})", UploadHandler, given),
        (rf"{prefix}/login", LoginPage, given),
    ]
