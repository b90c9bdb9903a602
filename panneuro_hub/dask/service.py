"""What the gateway tells the PanNeuro service: which clusters begin, run and end."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any
from urllib.parse import quote

import aiohttp

from panneuro_hub.access import ClusterChoice
from panneuro_hub.current import Version
from panneuro_hub.errors import (
    AccessDenied,
    InvalidChoice,
    ServiceUnavailable,
    TicketRefused,
)
from panneuro_hub.wire import Ticket
from panneuro_hub.wire.api_token import api_token_digest
from panneuro_hub.wire.clusters import Requester, Running, Stop
from panneuro_hub.wire.credential import parse_time
from panneuro_hub.wire.reason import read_reasons

_TIMEOUT = aiohttp.ClientTimeout(total=20)


class Service:
    """A client of the service's API for gateways.

    Parameters
    ----------
    url : str
        The service, such as ``http://127.0.0.1:10143/services/panneuro``.
    token : str
        The gateway's own API token, by which the hub knows it.
    """

    def __init__(self, url: str, token: str) -> None:
        self._url = f"{url.rstrip('/')}/api/clusters"
        self._version_url = f"{url.rstrip('/')}/api/collaboration"
        self._headers = {"Authorization": f"token {token}"}
        self._session: aiohttp.ClientSession | None = None

    async def register(self, person: str, choice: ClusterChoice) -> tuple[str, Ticket]:
        """Begin a session for a cluster; gives its id and its ticket.

        Raises
        ------
        AccessDenied
            If the person may not have such a cluster, or this is no gateway; it says why.
        InvalidChoice
            If the service does not understand what is asked for.
        ServiceUnavailable
            If the service, or the hub behind it, is out of reach.
        """
        body = {"user": person, **asdict(choice)}
        answer = await self._ask("POST", self._url, body)
        try:
            return str(answer["session"]), Ticket.decode(answer["ticket"])
        except (KeyError, TypeError, AttributeError, TicketRefused):
            raise ServiceUnavailable(
                "the PanNeuro service began a session and gave no ticket; gateway and service "
                "must be of one version"
            ) from None

    async def find_requester(self, user: str, token: str, *, may_start_servers: bool) -> Requester:
        """Return who shows an API token, and the project that it is good for.

        Parameters
        ----------
        user : str
            The token's person, as the hub names them.
        token : str
            Only its digest is sent.
        may_start_servers : bool
            Whether the hub lets the token start servers of its person.

        Raises
        ------
        AccessDenied
            If the token belongs to no session and is not a person's own either.
        InvalidChoice, ServiceUnavailable
            As `register`.
        """
        body = {
            "user": user,
            "token": api_token_digest(token),
            "may_start_servers": may_start_servers,
        }
        answer = await self._ask("POST", f"{self._url}/requester", body)
        try:
            return Requester(
                str(answer["user"]),
                tuple(map(str, answer["teams"])),
                # Without these keys nobody could tell a session's token from a person's own.
                answer["project"],
                answer["image"],
                answer["session"],
            )
        except (KeyError, TypeError):
            raise ServiceUnavailable(
                "the PanNeuro service did not say whose token this is; gateway and service must "
                "be of one version"
            ) from None

    async def report(self, clusters: Iterable[Running]) -> list[Stop]:
        """Tell all that runs here; gives what must be stopped.

        Raises
        ------
        AccessDenied, InvalidChoice, ServiceUnavailable
            As `register`.
        """
        body = {"clusters": [asdict(cluster) for cluster in clusters]}
        answer = await self._ask("PUT", self._url, body)
        stops = answer.get("stop")
        if not isinstance(stops, list):
            return []
        return [
            Stop(str(stop.get("session")), read_reasons({"reason": "", **stop}))
            for stop in stops
            if isinstance(stop, dict)
        ]

    async def end(self, session: str) -> None:
        """End a session: its ticket dies.

        Raises
        ------
        AccessDenied, InvalidChoice, ServiceUnavailable
            As `register`.
        """
        await self._ask("DELETE", f"{self._url}/{quote(session, safe='')}")

    async def last_version(self) -> Version:
        """Return the version of the collaboration that is in force at the service.

        Raises
        ------
        AccessDenied, InvalidChoice, ServiceUnavailable
            As `register`.
        """
        answer = await self._ask("GET", self._version_url)
        try:
            return Version(str(answer["text"]), parse_time(answer["since"]))
        except (KeyError, TypeError, ValueError, AttributeError):
            raise ServiceUnavailable(
                "the PanNeuro service did not send its collaboration; gateway and service must be "
                "of one version"
            ) from None

    async def close(self) -> None:
        """Let go of the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _ask(self, method: str, url: str, body: Any = None) -> dict[str, Any]:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=_TIMEOUT)
        try:
            async with self._session.request(
                method, url, json=body, headers=self._headers, allow_redirects=False
            ) as answer:
                status, text = answer.status, await answer.text()
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            # Its text may repeat the request, and so the token.
            raise ServiceUnavailable(
                f"the PanNeuro service does not answer ({type(error).__name__}), and no cluster "
                "starts without it; try again soon"
            ) from None
        document = _document(text)
        if status < 300:
            return document
        message = str(document.get("message") or f"it answered {status}")
        if status in (401, 403):
            raise AccessDenied(message)
        if status < 500 and status >= 400:
            raise InvalidChoice(message)
        raise ServiceUnavailable(f"the PanNeuro service cannot do it now: {message}")


def _document(text: str) -> dict[str, Any]:
    try:
        document = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}
