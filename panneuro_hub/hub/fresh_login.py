"""Let a person log in at the identity provider once more, and vouch for it to the service.

A script on a page of a person's own server shares the hub's origin, and can do there what
the person can. It cannot do anything on the provider's pages. So the service asks for a
login there before it lets a computer log in.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from oauthenticator.oauth2 import OAuthenticator, _deserialize_state, _serialize_state
from tornado import web
from traitlets import Dict, Unicode

from panneuro_hub.errors import AccessDeniedError
from panneuro_hub.wire.reauthentication import (
    REAUTHENTICATION_PATH,
    ReauthenticationProof,
    is_request_name,
)
from panneuro_hub.wire.service_urls import SERVICE_NAME

_STATE_KEY = "panneuro_reauthentication"
# The provider's clock may differ from ours, and a person may take their time to type a password.
_FRESH_FOR = timedelta(minutes=10)
_NOT_FRESH = (
    "The identity provider did not ask you to log in again, so this cannot be confirmed. "
    "Ask the person who runs the hub to read about reauthentication_params."
)


class ReauthenticationMixin(OAuthenticator):
    """Adds the page that begins a fresh login to an OAuthenticator class."""

    reauthentication_params = Dict(
        Unicode(),
        config=True,
        default_value={"prompt": "login", "max_age": "0"},
        help="""
        Parameters that make the identity provider ask the person again, even if they are
        logged in there: sent with the authorization request of a fresh login, which lets a
        computer log in with `panneuro login`. With ``max_age``, the ID token must say in
        ``auth_time`` that the login is fresh.

        Source: OpenID Connect Core 1.0, section 3.1.2.1, "Authentication Request".
        """,
    )

    def get_handlers(self, app: Any) -> Any:
        """Return the login pages, with the one that begins a fresh login."""
        begin = type("ReauthenticationHandler", (_BeginMixin, self.login_handler), {})
        back = type("OAuthCallbackHandler", (_CallbackMixin, self.callback_handler), {})
        others = [
            (path, back, *rest) if handler is self.callback_handler else (path, handler, *rest)
            for path, handler, *rest in super().get_handlers(app)
        ]
        return [(rf"/{REAUTHENTICATION_PATH}", begin), *others]


class _BeginMixin:
    """``GET /hub/panneuro/reauthenticate?request=…``: go to the provider, and log in there."""

    authenticator: Any
    get_argument: Any

    def get(self) -> Any:
        request = self.get_argument("request", "")
        if not is_request_name(request):
            raise web.HTTPError(400, "This address is not complete; begin again.")
        self._request = request
        return super().get()  # type: ignore[misc]

    def set_state_cookie(self, value: str) -> None:
        """Keep what this login is for, in the signed cookie that scripts cannot read."""
        state = {**_deserialize_state(value), _STATE_KEY: self._request}
        super().set_state_cookie(_serialize_state(state))  # type: ignore[misc]

    def authorize_redirect(self, *args: Any, **kwargs: Any) -> Any:
        """Ask the provider not to answer from an earlier login."""
        extra = {**kwargs.pop("extra_params", {}), **self.authenticator.reauthentication_params}
        return super().authorize_redirect(*args, extra_params=extra, **kwargs)  # type: ignore[misc]


class _CallbackMixin:
    """``GET /hub/oauth_callback``: after a fresh login, go on to the service with a proof."""

    authenticator: Any
    settings: Any
    get_state_cookie: Any

    async def login_user(self, data: Any = None) -> Any:
        """Log the person in; a login that was to be fresh must be."""
        user = await super().login_user(data)  # type: ignore[misc]
        if user and self._request:
            problem = find_freshness_problem(
                await user.get_auth_state() or {},
                self.authenticator.reauthentication_params,
                datetime.now(UTC),
            )
            if problem:
                raise web.HTTPError(403, problem)
        return user

    def get_next_url(self, user: Any = None) -> str:
        """Return the service's page with the proof, or wherever the person was going."""
        if not self._request or user is None:
            return super().get_next_url(user)  # type: ignore[misc]
        service = self.settings["services"][SERVICE_NAME]
        made = ReauthenticationProof(user.name, self._request, datetime.now(UTC))
        query = urlencode({"request": made.request, "proof": made.make_proof(service.api_token)})
        return f"{service.host}{service.prefix}login/confirm?{query}"

    @property
    def _request(self) -> str | None:
        state = self.get_state_cookie()
        request = _deserialize_state(state).get(_STATE_KEY) if state else None
        return request if isinstance(request, str) else None


def find_freshness_problem(
    auth_state: Mapping[str, Any], params: Mapping[str, str], now: datetime
) -> str | None:
    """Say why a login does not count as a fresh one, or return `None` if it does.

    Parameters
    ----------
    auth_state : mapping
        What the login brought.
    params : mapping of str to str
        What the provider was asked for.
    now : datetime
        Aware.
    """
    try:
        at = _auth_time(auth_state)
    except AccessDeniedError:
        return _NOT_FRESH
    if at is None:
        # A provider that is asked with max_age must say when the person logged in.
        return _NOT_FRESH if "max_age" in params else None
    return None if abs(now - at) <= _FRESH_FOR else _NOT_FRESH


def _auth_time(auth_state: Mapping[str, Any]) -> datetime | None:
    """Return when the person logged in, as the ID token says it."""
    token = auth_state.get("id_token")
    if not token:
        return None
    try:
        # The second part of a JSON Web Token. It came from the provider in answer to our own
        # request, so its signature tells nothing more.
        part = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        at = claims.get("auth_time")
        return None if at is None else datetime.fromtimestamp(int(at), UTC)
    except (ArithmeticError, AttributeError, LookupError, OSError, TypeError, ValueError) as error:
        raise AccessDeniedError(_NOT_FRESH) from error
