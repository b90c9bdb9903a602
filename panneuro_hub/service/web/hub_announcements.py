"""The hub's announcements, for the pages of the service."""

from __future__ import annotations

import json
import logging
from typing import Any
from urllib.parse import quote

import nh3
from markupsafe import Markup
from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest

from panneuro_hub.errors import ServiceUnavailableError
from panneuro_hub.service.cache import LookupCache

_log = logging.getLogger("panneuro.service")

_KEEP_SECONDS = 30.0
# A page is worth more than what is announced on it.
_TIMEOUT_SECONDS = 3.0


class AnnouncementCache:
    """Asks the hub what its own pages show a person, and keeps each answer for half a minute.

    Parameters
    ----------
    api_url : str
        The hub's REST API.
    token : str
        The service's own token.
    keep : float
        Seconds.
    """

    def __init__(self, api_url: str, token: str, keep: float = _KEEP_SECONDS) -> None:
        self._api_url = api_url.rstrip("/")
        self._token = token
        self._answers = LookupCache(self._ask, keep)
        self._failure = ""

    async def find_announcement(self, person: str) -> Markup:
        """Return the announcement for a person as HTML without scripts; empty for none.

        A hub that does not answer takes the announcement from a page, and no more.
        """
        try:
            html = await self._answers.get(person) or Markup()
        except ServiceUnavailableError as error:
            self._log_once(str(error))
            return Markup()
        self._failure = ""
        return html

    def _log_once(self, failure: str) -> None:
        if failure != self._failure:
            _log.warning("Pages have no announcement: %s", failure)
        self._failure = failure

    async def _ask(self, person: str) -> Markup | None:
        request = HTTPRequest(
            f"{self._api_url}/users/{quote(person, safe='')}/announcement",
            headers={"Authorization": f"token {self._token}"},
            request_timeout=_TIMEOUT_SECONDS,
            follow_redirects=False,
        )
        try:
            answer: Any = json.loads((await AsyncHTTPClient().fetch(request)).body)
            return Markup(nh3.clean(str(answer["announcement"])))  # noqa: S704 - clean
        except HTTPClientError as error:
            if error.code == 404:
                return None  # a person who has gone, or a hub of an older version
            raise ServiceUnavailableError(f"the hub answered HTTP {error.code}") from error
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise ServiceUnavailableError(
                f"the hub did not answer ({type(error).__name__})"
            ) from error
