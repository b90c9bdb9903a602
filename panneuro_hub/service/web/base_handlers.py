"""What the request handlers of all parts of the service have in common."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Concatenate, ParamSpec, TypeVar

from jupyterhub.services.auth import HubOAuthCallbackHandler, HubOAuthenticated
from tornado import web

from panneuro_hub.access import Access
from panneuro_hub.collaboration import Collaboration
from panneuro_hub.errors import AccessDeniedError, PanNeuroError
from panneuro_hub.service.accounts.access_lookup import AccessLookup
from panneuro_hub.service.web.hub_announcements import AnnouncementCache
from panneuro_hub.service.web.page_rendering import (
    NO_ANNOUNCEMENT,
    PageContext,
    render_problem,
)
from panneuro_hub.wire.browser_requests import OPENER_POLICY, SCRIPT_REFUSED, is_page_view
from panneuro_hub.wire.refusal import Refusal

_HUB_SECONDS = 10.0

P = ParamSpec("P")
H = TypeVar("H", bound="BaseHandler")
HandlerMethod = Callable[Concatenate[H, P], Awaitable[None]]


def answer_errors(method: HandlerMethod[H, P]) -> HandlerMethod[H, P]:
    """Let the errors that a method of a handler foresees be its answer."""

    @functools.wraps(method)
    async def answering_method(self: H, /, *args: P.args, **kwargs: P.kwargs) -> None:
        try:
            await method(self, *args, **kwargs)
        except PanNeuroError as error:
            if error.status is None:
                raise  # a fault of ours: the log has it
            self.refuse(error)

    return answering_method


@asynccontextmanager
async def translate_hub_errors() -> AsyncIterator[None]:
    """Say that the hub is out of reach, where JupyterHub's own client says where it looked."""
    try:
        async with asyncio.timeout(_HUB_SECONDS):
            yield
    except (web.HTTPError, TimeoutError) as error:
        if isinstance(error, web.HTTPError) and error.status_code < 500:
            raise
        raise web.HTTPError(503, "the hub did not say who you are; try again soon") from error


class BaseHandler(web.RequestHandler):
    """Keeps its answers out of caches, and out of pages of other sites."""

    policy = "default-src 'none'; frame-ancestors 'none'"
    announcement = NO_ANNOUNCEMENT
    """What the hub announces to the person; known on people's pages."""

    def set_default_headers(self) -> None:
        """Keep answers out of caches and frames, and scripts out of them."""
        self.set_header("Cache-Control", "no-store")
        self.set_header("Content-Security-Policy", self.policy)
        # The page that opened this one has no hold on it: it may be of a person's server.
        self.set_header("Cross-Origin-Opener-Policy", OPENER_POLICY)
        self.set_header("X-Content-Type-Options", "nosniff")

    def refuse(self, error: PanNeuroError) -> None:
        """Answer an error that was foreseen."""
        self.send_refusal(Refusal.from_error(error))

    def send_refusal(self, refusal: Refusal) -> None:
        """Finish with a refusal, its status and its headers."""
        self.set_status(refusal.status)
        for name, value in refusal.headers.items():
            self.set_header(name, value)
        self.finish_refusal(refusal)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Say what happened in one sentence, never more than the error meant to say."""
        error = kwargs.get("exc_info", (None, None, None))[1]
        if isinstance(error, PanNeuroError):
            refusal = Refusal.from_error(error, status_code)
        else:
            message = getattr(error, "log_message", None) or self._reason
            refusal = Refusal.from_status(status_code, message)
        self.finish_refusal(refusal)

    def finish_refusal(self, refusal: Refusal) -> None:
        """Finish with the body of a refusal."""
        raise NotImplementedError


class ApiHandler(BaseHandler):
    """Answers JSON, errors too."""

    def finish_refusal(self, refusal: Refusal) -> None:
        """Finish with the refusal as a JSON object."""
        self.finish(refusal.to_json())


class WebPageHandler(BaseHandler):
    """Answers pages, errors too."""

    policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
    problem = "This cannot be shown now"

    def finish_refusal(self, refusal: Refusal) -> None:
        """Finish with a page that has the refusal's sentence."""
        self.finish(render_problem(self.problem, refusal.message, announcement=self.announcement))


class PersonHandler(HubOAuthenticated, BaseHandler):
    """What people ask, logged in at the hub or with a token of theirs."""

    takes_frames = False
    """Whether it answers a browser that asks for a frame of a page."""
    takes_images = False
    """Whether it answers a browser that asks for a picture on a page."""

    async def prepare(self) -> None:
        """Ask the hub who it is, without letting everybody else wait meanwhile."""
        async with translate_hub_errors():
            # `current_user` finds the answer of this.
            await self.hub_auth.get_user(self, sync=False)
        if self.current_user and not getattr(self, "_token_authenticated", False):
            self._refuse_scripts()
        if isinstance(self, WebPageHandler) and self.current_user:
            announcements: AnnouncementCache = self.settings["announcements"]
            self.announcement = await announcements.find_announcement(
                str(self.current_user["name"])
            )

    def _refuse_scripts(self) -> None:
        """Refuse a script that uses the cookie of the person in whose browser it runs."""
        headers = self.request.headers
        is_image = self.takes_images and headers.get("Sec-Fetch-Dest") == "image"
        if not is_image and not is_page_view(headers, frames=self.takes_frames):
            raise web.HTTPError(403, SCRIPT_REFUSED)

    @property
    def page_context(self) -> PageContext:
        """The addresses of what is around; with separate domains, the hub is on another."""
        hub = f"{self.hub_auth.hub_host}{self.hub_auth.hub_prefix}"
        return PageContext(hub, self.hub_auth.base_url, self.announcement)

    def require_person(self) -> str:
        """The name of who asks.

        Raises
        ------
        AccessDeniedError
            If it is nobody, or no person.
        """
        if not self.current_user:
            # The hub's login page would be no answer for a program.
            raise AccessDeniedError(
                "the hub does not know whose token this is, or it is not good for this; make one "
                "on the hub's page Token, and send it as Authorization: token …"
            )
        return require_person_name(self.current_user)


class OwnAccessHandler(PersonHandler):
    """What people ask about themselves."""

    def initialize(self, accesses: AccessLookup) -> None:
        """Take what the application was made with."""
        self.accesses = accesses

    async def decide_own_access(self) -> tuple[str, Collaboration, Mapping[str, Access]]:
        """The name of who asks, and their access in every project.

        Raises
        ------
        AccessDeniedError
            If it is no person, or the hub does not know them.
        ServiceUnavailableError
            If the hub does not answer.
        """
        name = self.require_person()
        return name, *(await self.accesses.decide_accesses(name))


class CallbackHandler(HubOAuthCallbackHandler):
    """Where the hub's login returns to; public so that documents can name it."""


def require_person_name(user: Mapping[str, Any]) -> str:
    """The name of who asks; a service may be called as a person is, and is none.

    Raises
    ------
    AccessDeniedError
        If it is a service that asks.
    """
    if user.get("kind") != "user":
        raise AccessDeniedError("only people have access; this token is a service's")
    return str(user["name"])
