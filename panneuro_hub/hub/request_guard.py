"""Keep scripts of people's servers away from the hub's pages, which have the same origin.

JupyterHub lets any script of its origin fetch its pages. They hold the token against forged
requests, and whoever has that can start servers, stop them and make API tokens. So each of
the hub's handlers here is guarded: pages are for tabs, never for scripts; the token's cookie
is hidden from scripts; and a window with such a page has no tie to the page that opened it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from jupyterhub import apihandlers, handlers
from jupyterhub.apihandlers.auth import OAuthAuthorizeHandler
from jupyterhub.apihandlers.base import API404, APIHandler
from jupyterhub.handlers.base import BaseHandler, Template404, UserUrlHandler
from jupyterhub.handlers.pages import SpawnHandler
from jupyterhub.handlers.static import LogoHandler
from jupyterhub.utils import maybe_future
from sqlalchemy.exc import SQLAlchemyError
from tornado import web
from tornado.httputil import HTTPHeaders

from panneuro_hub.hub.refusal_answers import find_refusal, finish_refusal
from panneuro_hub.wire.browser_requests import (
    OPENER_POLICY,
    SCRIPT_REFUSED,
    is_checked_script,
    is_from_page,
    is_from_server,
    is_page_view,
)
from panneuro_hub.wire.refusal import Refusal

# Their answers say nothing of a person. Their errors would: a page of an error holds the token.
_OPEN = (handlers.base.CSPReportHandler, handlers.pages.HealthCheckHandler, LogoHandler)
_OPENER = "Cross-Origin-Opener-Policy"


def build_guarded_handlers(app: Any, first: Iterable[Any]) -> list[Any]:
    """Return everything that the hub answers below its prefix, guarded.

    JupyterHub matches the authenticator's handlers before its own, so that these stand in
    for all of them.

    Parameters
    ----------
    app : JupyterHub
    first : iterable
        Handlers that come before the hub's own.
    """
    _hide_xsrf_cookie(app)
    every = [
        *first,
        *handlers.default_handlers,
        *apihandlers.default_handlers,
        *app.extra_handlers,
        (r"/logo", LogoHandler, {"path": app.logo_file}),
        (r"/api/(.*)", API404),
        # Of a page that there is not, too: it holds the token like all others.
        (r"/.*", Template404),
    ]
    return [(path, _guarded(handler), *rest) for path, handler, *rest in every]


def _hide_xsrf_cookie(app: Any) -> None:
    """Hide the cookie of the token against forged requests from scripts.

    A script may show a frame with the hub's logo, and reads the cookies of that path.
    """
    settings = app.tornado_settings
    kept = settings.setdefault("xsrf_cookie_kwargs", {})
    if not kept:
        # JupyterHub does the same where there are none.
        kept.update(settings.get("cookie_options", {}))
    kept["httponly"] = True


def _guarded(handler: type[Any]) -> type[Any]:
    if not issubclass(handler, BaseHandler) or issubclass(handler, (_GuardMixin, _PlainErrorMixin)):
        return handler
    guard: type[Any] = _ApiGuardMixin if issubclass(handler, APIHandler) else _PageGuardMixin
    if issubclass(handler, SpawnHandler):
        guard = _SpawnGuardMixin
    elif issubclass(handler, _OPEN):
        guard = _PlainErrorMixin
    # JupyterHub's metrics name handlers by module and name.
    return type(handler.__name__, (guard, handler), {"__module__": handler.__module__})


class _PlainErrorMixin(BaseHandler):
    """Says what went wrong in one plain sentence, and never in a page of the hub."""

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer with JSON."""
        _write_plain_error(self, status_code, kwargs)


def _write_plain_error(handler: BaseHandler, status_code: int, kwargs: dict[str, Any]) -> None:
    error = kwargs.get("exc_info", (None, None, None))[1]
    if isinstance(error, SQLAlchemyError):
        # As JupyterHub's own page of an error does: the session of its database is shared.
        handler.db.rollback()
    handler.set_header("Content-Type", "application/json")
    message = getattr(error, "log_message", None) or handler._reason
    handler.finish(Refusal.from_status(status_code, message).to_json())


class _GuardMixin(BaseHandler):
    """Refuses what only a script would ask for; comes before one of the hub's handlers."""

    @property
    def _xsrf_token_id(self) -> bytes:
        """Whom the token against forged requests is for.

        A server has its person's API token, and browsers send it the cookie of their session at
        the hub. With both, a page would give the server a token that is good in the browser.
        """
        if getattr(self, "_token_authenticated", False):
            return b"api-token"
        return bytes(super()._xsrf_token_id)

    def set_default_headers(self) -> None:
        """Cut the tie to the page that opened this one, unless an admin has set another policy."""
        super().set_default_headers()
        if _OPENER not in HTTPHeaders(self.settings.get("headers", {})):
            self.set_header(_OPENER, OPENER_POLICY)

    async def prepare(self) -> None:
        """Find out who it is, as the hub does, and refuse."""
        await super().prepare()
        if is_from_server(self.request.method, self.request.headers, self.base_url):
            raise web.HTTPError(403, "a page of a server can change nothing at the hub")
        if not self._is_allowed():
            raise web.HTTPError(403, SCRIPT_REFUSED)

    def _is_allowed(self) -> bool:
        raise NotImplementedError


class _PageGuardMixin(_GuardMixin):
    """Shows pages in tabs alone."""

    def _is_allowed(self) -> bool:
        frames = issubclass(type(self), OAuthAuthorizeHandler)
        return is_page_view(self.request.headers, frames=frames)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer a script in one plain sentence: an error page holds the token too."""
        if self._is_allowed():
            super().write_error(status_code, **kwargs)
            return
        if issubclass(type(self), UserUrlHandler) and status_code == 403:
            # JupyterLab asks so whether its server runs, and knows this answer.
            self.set_status(424)
        _write_plain_error(self, status_code, kwargs)


class _SpawnGuardMixin(_PageGuardMixin):
    """Lets no page start a server by a mere link."""

    async def get(self, *args: Any, **kwargs: Any) -> None:
        """Show the form; a link with options starts a server, so no page may have led here."""
        options = set(self.request.query_arguments) - {"next", "display_name"}
        # A page of a server can go through the identity provider, and so comes from anywhere.
        if options and is_from_page(self.request.headers):
            raise web.HTTPError(
                403,
                "This link would start a server, and another page led here. Choose on the start "
                "page, or type the address yourself.",
            )
        await maybe_future(super().get(*args, **kwargs))


class _ApiGuardMixin(_GuardMixin):
    """Answers programs with their tokens, and the scripts of the hub's own pages."""

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer JupyterHub's JSON object, with the code of the refusal as ``error``."""
        error = kwargs.get("exc_info", (None, None, None))[1]
        found = find_refusal(error, status_code)
        if found is None:
            super().write_error(status_code, **kwargs)
        else:
            finish_refusal(self, error, found)

    def _is_allowed(self) -> bool:
        headers = self.request.headers
        return (
            getattr(self, "_token_authenticated", False)
            or is_page_view(headers)
            or is_checked_script(headers)
        )
