"""The gateway's answers to people: our own for scaling, and words instead of server errors.

dask-gateway's client shows the words of 404, 409 and 422 in the notebook, and of no other
status: so what a person asked wrongly is a 422, and what cannot be done now a 409.
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
from panneuro_hub.errors import PanNeuroError, ServiceUnavailableError
from panneuro_hub.phrases import shorten
from panneuro_hub.wire.service_urls import SESSION_CLUSTERS_PATH

RouteHandler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_LONGEST_WORDS = 2000


def join_lines(text: str) -> str:
    """Text that may stand in the reason of an answer: one line, and not endless."""
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_WORDS else line[:_LONGEST_WORDS] + "…"


@web.middleware
async def answer_errors_plainly(request: web.Request, handler: RouteHandler) -> web.StreamResponse:
    """Check what all requests have in common, and turn what goes wrong into words."""
    if not request.path.startswith("/api/"):
        return await handler(request)
    try:
        await _check_request(request)
        return await _choose_handler(request, handler)(request)
    except web.HTTPException as answer:
        if answer.status < 400 or answer.status == 401:
            raise
        status = 409 if answer.status >= 500 else answer.status
        return _make_refusal(status, str(answer.reason))
    except ServiceUnavailableError as silence:
        return _make_refusal(409, str(silence))
    except (PublicException, PanNeuroError) as refusal:
        return _make_refusal(422, str(refusal))
    except ConnectionResetError:
        raise  # who asked has gone; nobody is left to answer
    except Exception as error:  # noqa: BLE001 - the log has it, and the person gets words
        request.app["log"].exception("%s %s failed", request.method, request.path)
        return _make_refusal(
            409,
            "the gateway could not do this now; try again, and if it stays so ask who runs this "
            f"hub, whose log has the reason ({type(error).__name__})",
        )


async def _check_request(request: web.Request) -> None:
    authorization = request.headers.get("Authorization")
    if authorization is not None and not authorization.partition(" ")[2]:
        raise PublicException("the header Authorization must be a kind, a blank and a token")
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
    """Our handler in dask-gateway's place, or its own."""
    resource = request.match_info.route.resource
    path = resource.canonical if resource is not None else ""
    return _OWN_HANDLERS.get((request.method, path), handler)


@api_handler(user_authenticated=True)  # type: ignore[untyped-decorator]
async def scale_cluster(request: web.Request) -> web.StreamResponse:
    """``POST …/scale``: give the cluster what it may have, and say so where that is less."""
    cluster, message = await _read_cluster_request(request)
    granted = await request.app["backend"].scale_cluster(
        cluster, client_messages.read_scale(message)
    )
    return web.json_response(
        {"ok": granted.words is None, "msg": granted.words, "count": granted.workers}
    )


@api_handler(user_authenticated=True)  # type: ignore[untyped-decorator]
async def adapt_cluster(request: web.Request) -> web.StreamResponse:
    """``POST …/adapt``: let the cluster adapt, within what it may have."""
    cluster, message = await _read_cluster_request(request)
    granted = await request.app["backend"].adapt_cluster(
        cluster, client_messages.read_adapt(message)
    )
    return web.json_response(
        {"ok": granted.words is None, "msg": granted.words, "maximum": granted.workers}
    )


@api_handler(user_authenticated=True, token_authenticated=True)  # type: ignore[untyped-decorator]
async def stop_cluster(request: web.Request) -> web.StreamResponse:
    """``DELETE …/NAME``: stop a cluster; an idle scheduler sends this with its own token."""
    user = request["user"]
    name = request.match_info["cluster_name"]
    backend = request.app["backend"]
    cluster = await backend.get_cluster(name)
    if cluster is not None:
        if user is not None and not user.has_permissions(cluster):
            raise web.HTTPForbidden(reason=f"cluster {shorten(name)} is not yours to stop")
        await backend.end_cluster(name, "idle" if user is None else "stopped")
    return web.Response(status=204)


@api_handler(user_authenticated=True)  # type: ignore[untyped-decorator]
async def report_notices(request: web.Request) -> web.StreamResponse:
    """``GET …/NAME/notices``: why the cluster ended, and which of its workers failed."""
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
    """``DELETE /api/v1/session/clusters``: stop what the session of the token started."""
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
    """``GET /api/health``: 200 while the gateway can work, with a broken file too."""
    return web.json_response(request.app["backend"].report_health())


@api_handler(user_authenticated=True)  # type: ignore[untyped-decorator]
async def list_clusters(request: web.Request) -> web.StreamResponse:
    """``GET …/clusters/``: the person's clusters, of the session's project only."""
    user = request["user"]
    clusters = await request.app["backend"].list_clusters(
        username=user.name, statuses=_read_statuses(request.query.get("status"))
    )
    shown = [cluster for cluster in clusters if user.has_permissions(cluster)]
    return web.json_response({cluster.name: cluster.to_dict() for cluster in shown})


def _read_statuses(text: str | None) -> list[models.ClusterStatus] | None:
    if text is None:
        return None
    try:
        return [models.ClusterStatus.from_name(name) for name in text.split(",")]
    except ValueError:
        known = ", ".join(status.name.lower() for status in models.ClusterStatus)
        raise PublicException(f"status must be some of {known}, with commas between") from None


_OWN_HANDLERS: Mapping[tuple[str, str], RouteHandler] = {
    ("GET", "/api/health"): report_health,
    ("GET", "/api/v1/clusters/"): list_clusters,
    ("DELETE", "/api/v1/clusters/{cluster_name}"): stop_cluster,
    ("POST", "/api/v1/clusters/{cluster_name}/scale"): scale_cluster,
    ("POST", "/api/v1/clusters/{cluster_name}/adapt"): adapt_cluster,
}


async def _read_cluster_request(request: web.Request) -> tuple[models.Cluster, dict[str, Any]]:
    """The person's own cluster, and what they ask of it."""
    cluster = await _find_own_cluster(request)
    if not _is_active(cluster):
        raise web.HTTPConflict(reason=join_lines(request.app["backend"].describe_end(cluster)))
    if cluster.status != models.ClusterStatus.RUNNING:
        raise web.HTTPConflict(reason=f"cluster {shorten(cluster.name)} does not run yet")
    return cluster, json.loads(await request.text())


async def _find_own_cluster(request: web.Request) -> models.Cluster:
    name = request.match_info["cluster_name"]
    cluster = await request.app["backend"].get_cluster(name)
    if cluster is None or not request["user"].has_permissions(cluster):
        raise web.HTTPNotFound(reason=f"you have no cluster {shorten(name)}")
    return cluster


def _is_active(cluster: models.Cluster) -> bool:
    return cluster.status in (models.ClusterStatus.PENDING, models.ClusterStatus.RUNNING)


def _make_refusal(status: int, words: str) -> web.Response:
    return web.json_response({"error": join_lines(words)}, status=status)
