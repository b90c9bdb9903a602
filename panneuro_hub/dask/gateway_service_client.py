"""A client with which the gateway reports its clusters to the PanNeuro service."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any
from urllib.parse import quote

import aiohttp

from panneuro_hub.access import ClusterChoice
from panneuro_hub.current import CollaborationVersion
from panneuro_hub.errors import (
    AccessDeniedError,
    InvalidChoiceError,
    PanNeuroError,
    ServiceUnavailableError,
    TicketRefusedError,
)
from panneuro_hub.wire import Ticket
from panneuro_hub.wire.api_token import hash_api_token
from panneuro_hub.wire.cluster_reports import ClusterReport, ClusterStop, GatewayUser
from panneuro_hub.wire.credential import parse_time
from panneuro_hub.wire.reason import read_reasons
from panneuro_hub.wire.refusal import Refusal

_TIMEOUT = aiohttp.ClientTimeout(total=20)


class GatewayServiceClient:
    """A client of the service's API for gateways.

    Parameters
    ----------
    url : str
        The address of the service, such as ``http://127.0.0.1:10143/services/panneuro``.
    token : str
        The gateway's own API token at the hub.
    """

    def __init__(self, url: str, token: str) -> None:
        self._url = f"{url.rstrip('/')}/api/clusters"
        self._version_url = f"{url.rstrip('/')}/api/collaboration"
        self._headers = {"Authorization": f"token {token}"}
        self._session: aiohttp.ClientSession | None = None

    async def begin_session(self, person: str, choice: ClusterChoice) -> tuple[str, Ticket]:
        """Begin a session for a cluster, and return its id and its ticket.

        Raises
        ------
        AccessDeniedError
            If the person may not have such a cluster, or the token does not belong to a gateway.
            The text says why.
        InvalidChoiceError
            If the service does not understand the request.
        ServiceUnavailableError
            If the service or the hub does not answer.
        """
        body = {"user": person, **asdict(choice)}
        response = await self._send_request("POST", self._url, body)
        try:
            return str(response["session"]), Ticket.decode(response["ticket"])
        except (KeyError, TypeError, AttributeError, TicketRefusedError):
            raise ServiceUnavailableError(
                "the PanNeuro service began a session without a ticket; the gateway and the "
                "service must have the same version"
            ) from None

    async def find_requester(
        self, user: str, token: str, *, may_start_servers: bool
    ) -> GatewayUser:
        """Return the person and the session of an API token.

        Parameters
        ----------
        user : str
            The hub's name of the token's owner.
        token : str
            The API token. The client sends only its digest.
        may_start_servers : bool
            Whether the hub lets the token start servers of its person.

        Raises
        ------
        AccessDeniedError
            If the token belongs neither to a session nor to a person.
        InvalidChoiceError, ServiceUnavailableError
            As `begin_session`.
        """
        body = {
            "user": user,
            "token": hash_api_token(token),
            "may_start_servers": may_start_servers,
        }
        response = await self._send_request("POST", f"{self._url}/requester", body)
        try:
            return GatewayUser(
                str(response["user"]),
                tuple(map(str, response["teams"])),
                # Required: without them, a session's token would look like a person's own.
                response["project"],
                response["image"],
                response["session"],
            )
        except (KeyError, TypeError):
            raise ServiceUnavailableError(
                "the PanNeuro service did not name the owner of this token; the gateway and the "
                "service must have the same version"
            ) from None

    async def report_clusters(self, clusters: Iterable[ClusterReport]) -> list[ClusterStop]:
        """Report all running clusters, and return the sessions whose clusters must stop.

        Raises
        ------
        AccessDeniedError, InvalidChoiceError, ServiceUnavailableError
            As `begin_session`.
        """
        body = {"clusters": [asdict(cluster) for cluster in clusters]}
        response = await self._send_request("PUT", self._url, body)
        stops = response.get("stop")
        if not isinstance(stops, list):
            return []
        return [
            ClusterStop(str(stop.get("session")), read_reasons({"reason": "", **stop}))
            for stop in stops
            if isinstance(stop, dict)
        ]

    async def end_session(self, session: str) -> None:
        """End a session, and with it the validity of its ticket.

        Raises
        ------
        AccessDeniedError, InvalidChoiceError, ServiceUnavailableError
            As `begin_session`.
        """
        await self._send_request("DELETE", f"{self._url}/{quote(session, safe='')}")

    async def fetch_version(self) -> CollaborationVersion:
        """Return the version of the collaboration that the service uses.

        Raises
        ------
        AccessDeniedError, InvalidChoiceError, ServiceUnavailableError
            As `begin_session`.
        """
        response = await self._send_request("GET", self._version_url)
        try:
            return CollaborationVersion(str(response["text"]), parse_time(response["since"]))
        except (KeyError, TypeError, ValueError, AttributeError):
            raise ServiceUnavailableError(
                "the PanNeuro service did not send its collaboration; the gateway and the service "
                "must have the same version"
            ) from None

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _send_request(self, method: str, url: str, body: Any = None) -> dict[str, Any]:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=_TIMEOUT)
        try:
            async with self._session.request(
                method, url, json=body, headers=self._headers, allow_redirects=False
            ) as response:
                status, text = response.status, await response.text()
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            # Its text may repeat the request, and so the token.
            raise ServiceUnavailableError(
                f"the PanNeuro service does not answer ({type(error).__name__}), and clusters "
                "cannot start without it; try again in a few seconds"
            ) from None
        document = _parse_object(text)
        if status < 300:
            return document
        raise _read_error(Refusal.from_json(status, document, f"it answered {status}"))


def _read_error(refusal: Refusal) -> PanNeuroError:
    """Return the error that a refusal of the service stands for."""
    if refusal.denies_access:
        return AccessDeniedError(refusal.message, refusal.fields)
    if 400 <= refusal.status < 500:
        return InvalidChoiceError(refusal.message, refusal.fields)
    return ServiceUnavailableError(f"the PanNeuro service cannot do this now: {refusal.message}")


def _parse_object(text: str) -> dict[str, Any]:
    try:
        document = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}
