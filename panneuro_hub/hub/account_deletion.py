"""Tell the service that the hub deletes an account, so that everything of it ends at once.

Nothing depends on it: the service compares accounts whenever something is used.
"""

from __future__ import annotations

from typing import Any

from jupyterhub.utils import maybe_future
from oauthenticator.oauth2 import OAuthenticator
from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest

from panneuro_hub.hub.account_store import AccountStore
from panneuro_hub.wire.account_end import ACCOUNT_END_PATH, AccountEnd
from panneuro_hub.wire.service_urls import SERVICE_NAME

_TIMEOUT_SECONDS = 5.0


class AccountDeletionMixin(OAuthenticator):
    """Makes an OAuthenticator class tell the service of deleted accounts."""

    async def delete_user(self, user: Any) -> None:
        """Let the service end what is stored under the account; the hub deletes it next."""
        await maybe_future(super().delete_user(user))
        service = (getattr(self.parent, "_service_map", None) or {}).get(SERVICE_NAME)
        if service is None or service.server is None:
            return
        ended = AccountEnd(user.name, AccountStore(user.db).find(user).account)
        request = HTTPRequest(
            f"{service.url.rstrip('/')}{service.prefix.rstrip('/')}{ACCOUNT_END_PATH}",
            method="POST",
            body=b"",
            headers={"Authorization": ended.encode(service.api_token)},
            request_timeout=_TIMEOUT_SECONDS,
            connect_timeout=_TIMEOUT_SECONDS,
            follow_redirects=False,
        )
        try:
            await AsyncHTTPClient().fetch(request)
        except (HTTPClientError, OSError) as error:
            self.log.warning(
                "The service was not told that the account %s ends (%s); what is stored under "
                "it is refused when it is used",
                *(user.name, type(error).__name__),
            )
