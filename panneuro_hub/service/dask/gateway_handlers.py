"""``/api/clusters``: what Dask gateways ask; bodies read as data, and who it is that asks."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest

from panneuro_hub.current import Current
from panneuro_hub.errors import AccessDeniedError, InvalidChoiceError, ServiceUnavailableError
from panneuro_hub.phrases import listed
from panneuro_hub.service.cache import LookupCache
from panneuro_hub.service.dask.cluster_sessions import ClusterRequest, ClusterSessions, TokenLookup
from panneuro_hub.service.web.base_handlers import ApiHandler, answer_errors
from panneuro_hub.wire.cluster_reports import ClusterReport
from panneuro_hub.wire.credential import format_time
from panneuro_hub.wording import reasons_document

_KEEP_SECONDS = 60.0
_TIMEOUT_SECONDS = 10.0
_MOST_CLUSTERS = 5000
_MOST_WORKERS = 1_000_000
_MOST_CORES = 1_000_000.0
_MOST_MEMORY = 2**60  # bytes
_LONGEST = 255
_DIGEST = re.compile(r"[0-9a-f]{64}")
_SESSION = re.compile(r"[0-9a-f]{16}")
_CLUSTER = re.compile(r"[A-Za-z0-9._-]{1,255}")
_TOKEN = re.compile(r"token ([!-~]{8,512})")


class GatewayVerifier:
    """Which of the hub's services are gateways; the hub says whose a token is.

    Parameters
    ----------
    api_url : str
        The hub's REST API.
    names : collection of str
        Names of the services that are gateways.
    """

    def __init__(self, api_url: str, names: Sequence[str]) -> None:
        self._url = f"{api_url.rstrip('/')}/user"
        self._names = tuple(names)
        self._services = LookupCache(self._fetch_service_name, _KEEP_SECONDS)

    async def verify_token(self, authorization: str) -> str:
        """The name of the gateway that shows its token.

        Parameters
        ----------
        authorization : str
            The request's header of this name.

        Raises
        ------
        AccessDeniedError
            If the token is nobody's, or that of who is no gateway; it does not say which.
        ServiceUnavailableError
            If the hub does not answer.
        """
        token = _TOKEN.fullmatch(authorization)
        name = await self._services.get(token[1]) if token else None
        if name is None or name not in self._names:
            raise AccessDeniedError(
                "this is for Dask gateways alone: send the API token of the hub's service "
                f"{listed(self._names, 'or')}, which JupyterHub gives it, as Authorization: token …"
            )
        return name

    async def _fetch_service_name(self, token: str) -> str | None:
        """The service that a token belongs to; `None` where it is nobody's, or a person's."""
        request = HTTPRequest(
            self._url,
            headers={"Authorization": f"token {token}"},
            request_timeout=_TIMEOUT_SECONDS,
            follow_redirects=False,
        )
        try:
            document = json.loads((await AsyncHTTPClient().fetch(request)).body)
            return str(document["name"]) if document["kind"] == "service" else None
        except HTTPClientError as error:
            if error.code in (401, 403):
                return None
            problem: Exception = error
        except (OSError, ValueError, LookupError, TypeError) as error:
            problem = error
        raise ServiceUnavailableError(
            f"the hub did not say whose token this is ({type(problem).__name__}); try again soon"
        ) from problem


class GatewayHandler(ApiHandler):
    """What gateways ask, with their own token."""

    def initialize(self, gateways: GatewayVerifier) -> None:
        """Take what the application was made with."""
        self.gateways = gateways

    async def require_gateway(self) -> str:
        """The name of the gateway that asks; raises as `GatewayVerifier.verify_token` does."""
        return await self.gateways.verify_token(self.request.headers.get("Authorization", ""))


class ClusterSessionsHandler(GatewayHandler):
    """What gateways ask about clusters."""

    def initialize(  # type: ignore[override]
        self, gateways: GatewayVerifier, clusters: ClusterSessions
    ) -> None:
        """Take what the application was made with."""
        super().initialize(gateways)
        self.clusters = clusters


class ClustersHandler(ClusterSessionsHandler):
    """``/api/clusters``: begin one (POST), report all that run (PUT)."""

    @answer_errors
    async def post(self) -> None:
        """Register a cluster; answers its session, and its ticket, which is told just once."""
        gateway = await self.require_gateway()
        ticket = await self.clusters.begin_cluster(gateway, read_cluster_request(self.request.body))
        self.set_status(201)
        self.finish({"session": ticket.name, "ticket": ticket.encode()})

    @answer_errors
    async def put(self) -> None:
        """Take in what runs at the gateway; answers what must stop there."""
        gateway = await self.require_gateway()
        stops = await self.clusters.process_report(gateway, read_cluster_reports(self.request.body))
        self.finish(
            {
                "stop": [
                    {"session": stop.session, **reasons_document(stop.reasons)} for stop in stops
                ]
            }
        )


class RequesterHandler(ClusterSessionsHandler):
    """``/api/clusters/requester``: who shows an API token to the gateway (POST)."""

    @answer_errors
    async def post(self) -> None:
        """Answer who they are, and the one project that the token is good for, if it is one."""
        await self.require_gateway()
        requester = await self.clusters.find_user(read_token_lookup(self.request.body))
        self.finish(asdict(requester))


class ClusterHandler(ClusterSessionsHandler):
    """``/api/clusters/SESSION``: end one (DELETE)."""

    @answer_errors
    async def delete(self, session: str) -> None:
        """End a session, if it is the gateway's and has not ended."""
        gateway = await self.require_gateway()
        if _SESSION.fullmatch(session):
            await self.clusters.end_cluster(gateway, session)
        self.set_status(204)
        self.finish()


class CollaborationHandler(GatewayHandler):
    """``GET /api/collaboration``: the version in force, for a gateway that finds a broken file."""

    def initialize(  # type: ignore[override]
        self, gateways: GatewayVerifier, current: Current
    ) -> None:
        """Take what the application was made with."""
        super().initialize(gateways)
        self.current = current

    @answer_errors
    async def get(self) -> None:
        """Answer the text, and since when it has been in force here."""
        await self.require_gateway()
        version = self.current.look().version
        self.finish({"text": version.text, "since": format_time(version.since)})


def build_gateway_routes(
    prefix: str, gateways: GatewayVerifier, clusters: ClusterSessions, current: Current
) -> list[Any]:
    """Return the application's routes for Dask gateways.

    Parameters
    ----------
    prefix : str
        Path that the service is reached under, without a ``/`` at its end.
    """
    given = {"gateways": gateways, "clusters": clusters}
    return [
        (rf"{prefix}/api/clusters", ClustersHandler, given),
        (rf"{prefix}/api/clusters/requester", RequesterHandler, given),
        (rf"{prefix}/api/clusters/([^/]+)", ClusterHandler, given),
        (
            rf"{prefix}/api/collaboration",
            CollaborationHandler,
            {"gateways": gateways, "current": current},
        ),
    ]


def read_cluster_request(body: bytes) -> ClusterRequest:
    """Read what a gateway would start: ``{"user", "project", "profile", "image"}``.

    Raises
    ------
    InvalidChoiceError
        If it is not that; the text says which key and what would be right.
    """
    document = _require_object(_parse_json(body), "the body")
    image = document.get("image")
    return ClusterRequest(
        user=_read_name(document, "user"),
        project=_read_name(document, "project"),
        profile=_read_name(document, "profile"),
        image=None if image is None else _read_name(document, "image"),
    )


def read_token_lookup(body: bytes) -> TokenLookup:
    """Read whose a token is to be: ``{"user", "token", "may_start_servers"}``.

    Raises
    ------
    InvalidChoiceError
        If it is not that; the text says which key and what would be right.
    """
    document = _require_object(_parse_json(body), "the body")
    digest, may_start = document.get("token"), document.get("may_start_servers")
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        raise InvalidChoiceError("token must be a SHA-256 digest: 64 hexadecimal digits")
    if not isinstance(may_start, bool):
        raise InvalidChoiceError("may_start_servers must be true or false")
    return TokenLookup(_read_name(document, "user"), digest, may_start)


def read_cluster_reports(body: bytes) -> list[ClusterReport]:
    """Read what runs at a gateway: ``{"clusters": [{"session", "name", "workers", …}]}``.

    Raises
    ------
    InvalidChoiceError
        If it is not that; the text says which key and what would be right.
    """
    clusters = _require_object(_parse_json(body), "the body").get("clusters")
    if not isinstance(clusters, list) or len(clusters) > _MOST_CLUSTERS:
        raise InvalidChoiceError(f"clusters must be a list of {_MOST_CLUSTERS} at most")
    running = [_read_cluster_report(_require_object(each, "each of clusters")) for each in clusters]
    if len({each.session for each in running}) < len(running):
        raise InvalidChoiceError("clusters must name each session once")
    return running


def _read_cluster_report(document: Mapping[str, Any]) -> ClusterReport:
    return ClusterReport(
        session=_read_matching(document, "session", _SESSION, "16 hexadecimal digits"),
        name=_read_matching(document, "name", _CLUSTER, "letters, digits and . _ -"),
        workers=int(_read_number(document, "workers", _MOST_WORKERS, whole=True)),
        cores=float(_read_number(document, "cores", _MOST_CORES)),
        memory=int(_read_number(document, "memory", _MOST_MEMORY, whole=True)),
    )


def _parse_json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise InvalidChoiceError("the body must be JSON") from None


def _require_object(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidChoiceError(f"{what} must be a JSON object")
    return value


def _read_name(document: Mapping[str, Any], key: str) -> str:
    value = document.get(key)
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST or not _is_plain(value):
        raise InvalidChoiceError(f"{key} must be a name: text of 1 to {_LONGEST} characters")
    return value


def _is_plain(text: str) -> bool:
    """Whether text can be written everywhere: no control character, no half of a letter."""
    return not any(ord(letter) < 32 or 0xD800 <= ord(letter) <= 0xDFFF for letter in text)


def _read_matching(document: Mapping[str, Any], key: str, form: re.Pattern[str], words: str) -> str:
    value = document.get(key)
    if not isinstance(value, str) or not form.fullmatch(value):
        raise InvalidChoiceError(f"{key} of each of clusters must be {words}")
    return value


def _read_number(
    document: Mapping[str, Any], key: str, most: float, *, whole: bool = False
) -> int | float:
    value = document.get(key)
    kinds = (int,) if whole else (int, float)
    # NaN is less than nothing and not more than anything.
    if isinstance(value, bool) or not isinstance(value, kinds) or not 0 <= value <= most:
        kind = "whole number" if whole else "number"
        raise InvalidChoiceError(f"{key} of each of clusters must be a {kind} from 0 to {most:g}")
    return value
