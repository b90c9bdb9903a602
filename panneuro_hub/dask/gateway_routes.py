"""The routes of the gateway: our own handlers, and sentences instead of server errors.

dask-gateway's client shows the message of 404, 409 and 422 in the notebook, and of no other
status. So an invalid request gets 422, and a request that cannot succeed now gets 409.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web
from dask_gateway_server import models
from dask_gateway_server.backends.base import PublicException
from dask_gateway_server.routes import api_handler

from panneuro_hub.collaboration.units import format_memory
from panneuro_hub.dask import client_messages
from panneuro_hub.dask.cluster_config import CHOICE_KEY
from panneuro_hub.errors import PanNeuroError
from panneuro_hub.phrases import shorten
from panneuro_hub.wire.refusal import Refusal
from panneuro_hub.wire.service_urls import SESSION_CLUSTERS_PATH

RouteHandler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_LONGEST_MESSAGE = 2000


def join_lines(text: str) -> str:
    """Return a text as one line of limited length, for the reason of a response."""
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_MESSAGE else line[:_LONGEST_MESSAGE] + "…"


@web.middleware
async def answer_errors_plainly(request: web.Request, handler: RouteHandler) -> web.StreamResponse:
    """Check the parts that all requests share, and turn errors into responses with a sentence."""
    if not request.path.startswith("/api/"):
        return await handler(request)
    try:
        await _check_request(request)
        return await _choose_handler(request, handler)(request)
    except web.HTTPException as response:
        if response.status < 400 or response.status == 401:
            raise
        return _make_refusal(
            Refusal.from_status(response.status, str(response.reason)), response.status
        )
    except PublicException as error:
        return _make_refusal(Refusal.from_status(422, str(error)), 422)
    except PanNeuroError as error:
        refusal = Refusal.from_error(error, default=422)
        return _make_refusal(refusal, refusal.status if refusal.status >= 500 else 422)
    except ConnectionResetError:
        raise  # the client closed the connection, so a response would reach nobody
    except Exception as error:  # noqa: BLE001 - logged, and the person gets a sentence
        request.app["log"].exception("%s %s failed", request.method, request.path)
        words = (
            "the gateway could not do this now; try again. If it still fails, ask the "
            f"administrators of this hub; the gateway's log has the reason "
            f"({type(error).__name__})"
        )
        return _make_refusal(Refusal.from_status(500, words), 500)


async def _check_request(request: web.Request) -> None:
    authorization = request.headers.get("Authorization")
    if authorization is not None and not authorization.partition(" ")[2]:
        raise PublicException("the header Authorization must be a scheme, a space and a token")
    if request.method != "POST":
        return
    try:
        message = await request.json()
    except web.HTTPRequestEntityTooLarge:
        raise PublicException("the request is too large") from None
    except (ValueError, LookupError, RecursionError):
        raise PublicException("the request's body is not JSON") from None
    if not isinstance(message, dict):
        raise PublicException("the request's body must be a JSON object")


def _choose_handler(request: web.Request, handler: RouteHandler) -> RouteHandler:
    """Return our handler for a route if there is one, or else dask-gateway's own."""
    resource = request.match_info.route.resource
    path = resource.canonical if resource is not None else ""
    return _OWN_HANDLERS.get((request.method, path), handler)


@api_handler(user_authenticated=True)  # type: ignore[untyped-decorator]
async def scale_cluster(request: web.Request) -> web.StreamResponse:
    """Scale a cluster up to its quota, and say so if that is less (``POST …/scale``)."""
    cluster, message = await _read_cluster_request(request)
    granted = await request.app["backend"].scale_cluster(
        cluster, client_messages.read_scale_request(message)
    )
    return web.json_response(
        {"ok": granted.notice is None, "msg": granted.notice, "count": granted.workers}
    )


@api_handler(user_authenticated=True)  # type: ignore[untyped-decorator]
async def adapt_cluster(request: web.Request) -> web.StreamResponse:
    """Let a cluster adapt within its quota (``POST …/adapt``)."""
    cluster, message = await _read_cluster_request(request)
    granted = await request.app["backend"].adapt_cluster(
        cluster, client_messages.read_adapt_request(message)
    )
    return web.json_response(
        {"ok": granted.notice is None, "msg": granted.notice, "maximum": granted.workers}
    )


@api_handler(user_authenticated=True, token_authenticated=True)  # type: ignore[untyped-decorator]
async def stop_cluster(request: web.Request) -> web.StreamResponse:
    """Stop a cluster (``DELETE …/NAME``); an idle scheduler uses this with its own token."""
    user = request["user"]
    name = request.match_info["cluster_name"]
    backend = request.app["backend"]
    cluster = await backend.get_cluster(name)
    if cluster is not None:
        if user is not None and not user.has_permissions(cluster):
            raise web.HTTPForbidden(reason=f"you may not stop cluster {shorten(name)}")
        await backend.end_cluster(name, "idle" if user is None else "stopped")
    return web.Response(status=204)


@api_handler(user_authenticated=True)  # type: ignore[untyped-decorator]
async def report_notices(request: web.Request) -> web.StreamResponse:
    """Return why a cluster ended, and the failures of its workers (``GET …/NAME/notices``)."""
    cluster = await _find_own_cluster(request)
    backend = request.app["backend"]
    return web.json_response(
        {
            "ended": None if _is_active(cluster) else backend.describe_end(cluster),
            "notices": backend.list_notices(cluster.name),
            "profile": str((cluster.config.get(CHOICE_KEY) or {}).get("profile", "")),
            "worker_memory": format_memory(int(cluster.config["worker_memory"])),
        }
    )


@api_handler(user_authenticated=True)  # type: ignore[untyped-decorator]
async def stop_session_clusters(request: web.Request) -> web.StreamResponse:
    """Stop the clusters that the token's session started (``DELETE /api/v1/session/clusters``)."""
    user = request["user"]
    if user.session is None:
        raise web.HTTPUnprocessableEntity(
            reason="this token belongs to no session; stop clusters by their names"
        )
    names = await request.app["backend"].stop_session_clusters(user.name, user.session)
    return web.json_response({"stopped": names})


def add_routes(app: web.Application) -> None:
    """Add the routes that dask-gateway does not have."""
    app.router.add_get("/api/v1/clusters/{cluster_name}/notices", report_notices)
    app.router.add_delete(SESSION_CLUSTERS_PATH, stop_session_clusters)


async def report_health(request: web.Request) -> web.StreamResponse:
    """Return the gateway's health (``GET /api/health``); 200 even if the file is invalid."""
    return web.json_response(request.app["backend"].report_health())


@api_handler(user_authenticated=True)  # type: ignore[untyped-decorator]
async def list_clusters(request: web.Request) -> web.StreamResponse:
    """Return the person's clusters in the session's project (``GET …/clusters/``)."""
    user = request["user"]
    clusters = await request.app["backend"].list_clusters(
        username=user.name, statuses=_read_statuses(request.query.get("status"))
    )
    visible = [cluster for cluster in clusters if user.has_permissions(cluster)]
    return web.json_response({cluster.name: cluster.to_dict() for cluster in visible})


def _read_statuses(text: str | None) -> list[models.ClusterStatus] | None:
    if text is None:
        return None
    try:
        return [models.ClusterStatus.from_name(name) for name in text.split(",")]
    except ValueError:
        known = ", ".join(status.name.lower() for status in models.ClusterStatus)
        raise PublicException(f"status must be one or more of {known}, with commas") from None


_OWN_HANDLERS: Mapping[tuple[str, str], RouteHandler] = {
    ("GET", "/api/health"): report_health,
    ("GET", "/api/v1/clusters/"): list_clusters,
    ("DELETE", "/api/v1/clusters/{cluster_name}"): stop_cluster,
    ("POST", "/api/v1/clusters/{cluster_name}/scale"): scale_cluster,
    ("POST", "/api/v1/clusters/{cluster_name}/adapt"): adapt_cluster,
}


async def _read_cluster_request(request: web.Request) -> tuple[models.Cluster, dict[str, Any]]:
    """Return the person's own cluster and the body of the request."""
    cluster = await _find_own_cluster(request)
    if not _is_active(cluster):
        raise web.HTTPConflict(reason=join_lines(request.app["backend"].describe_end(cluster)))
    if cluster.status != models.ClusterStatus.RUNNING:
        raise web.HTTPConflict(reason=f"cluster {shorten(cluster.name)} is still starting")
    return cluster, json.loads(await request.text())


async def _find_own_cluster(request: web.Request) -> models.Cluster:
    name = request.match_info["cluster_name"]
    cluster = await request.app["backend"].get_cluster(name)
    if cluster is None or not request["user"].has_permissions(cluster):
        raise web.HTTPNotFound(reason=f"you have no cluster {shorten(name)}")
    return cluster


def _is_active(cluster: models.Cluster) -> bool:
    return cluster.status in (models.ClusterStatus.PENDING, models.ClusterStatus.RUNNING)


def _make_refusal(refusal: Refusal, status: int) -> web.Response:
    """Answer a refusal in the form that dask-gateway's client reads.

    The client shows people the text of ``error``, so the sentence is there, and the code is in
    ``code``. It shows no text of a server error, so that is answered as a 409.
    """
    line = join_lines(refusal.message)
    document = {**refusal.to_json(), "error": line, "message": line, "code": refusal.code}
    return web.json_response(document, status=409 if status >= 500 else status)
