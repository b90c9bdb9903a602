"""The clusters of JupyterLab's Dask panel, with the gateway's messages; part of `dashboards`.

The panel's own request handler answers before the gateway has decided about a size, and it knows
no messages. This one waits for the gateway, answers what was granted, and adds ``messages`` to each
cluster: sentences for the person, which our part of JupyterLab shows in the panel.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import Iterable, Mapping
from typing import Any, TypeGuard

from jupyter_server.base.handlers import APIHandler
from tornado import web
from tornado.httputil import HTTPServerRequest
from tornado.routing import Matcher

from panneuro_hub.errors import PanNeuroError
from panneuro_hub.lab.project_clusters import AdaptiveScaling, find_open_cluster
from panneuro_hub.wire.refusal import Refusal

_CLUSTERS = re.compile(r"dask/clusters/?(?P<identifier>\w+-\w+-\w+-\w+-\w+)?")
_MESSAGES_SECONDS = 5.0


class PanelClustersMatcher(Matcher):
    """Matches the panel's requests about its clusters.

    Parameters
    ----------
    base_url : str
        The server's own path, ``/user/NAME/``.
    """

    def __init__(self, base_url: str) -> None:
        self._base = base_url

    def match(self, request: HTTPServerRequest) -> dict[str, Any] | None:
        """Return the handler's arguments; `None` for other requests."""
        path = str(request.path)
        if not path.startswith(self._base):
            return None
        found = _CLUSTERS.fullmatch(path.removeprefix(self._base))
        return {"path_kwargs": {"identifier": found["identifier"] or ""}} if found else None


class PanelClustersHandler(APIHandler):
    """``dask/clusters/``: list (GET), start (PUT), resize (PATCH) and end (DELETE) clusters."""

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer the sentence itself; Jupyter Server would answer the format of its log."""
        error = (kwargs.get("exc_info") or (None, None, None))[1]
        if isinstance(error, PanNeuroError):
            refusal = Refusal.from_error(error, default=503)
        else:
            message = getattr(error, "log_message", None) or self._reason
            refusal = Refusal.from_status(status_code, str(message))
        self.set_status(refusal.status)
        self.finish(json.dumps(refusal.to_json()))

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        """Log an error that was foreseen in one line."""
        if isinstance(value, PanNeuroError):
            self.log.warning("%s %s: %s", self.request.method, self.request.path, value)
        else:
            super().log_exception(typ, value, tb)

    @web.authenticated
    async def get(self, identifier: str) -> None:
        """Answer one cluster, or all of the panel's."""
        if identifier:
            self.finish(json.dumps(await _add_messages(_find_cluster_model(identifier))))
            return
        models = await asyncio.gather(*map(_add_messages, _require_manager().list_clusters()))
        self.finish(json.dumps(models))

    @web.authenticated
    async def put(self, identifier: str) -> None:
        """Start a cluster, of the size that the panel's configuration says."""
        if identifier and _require_manager().get_cluster(identifier):
            raise PanelClusterConflictError("there is a cluster of this id already")
        model = await _require_manager().start_cluster(identifier)
        await _await_scaling(model)
        self.finish(json.dumps(await _add_messages(_find_cluster_model(model["id"]))))

    @web.authenticated
    async def patch(self, identifier: str) -> None:
        """Resize a cluster, and answer the size that the gateway granted."""
        before = _find_cluster_model(identifier)
        wanted = _read_size(self.get_json_body())
        if isinstance(wanted, int):
            await _require_manager().scale_cluster(identifier, wanted)
        else:
            _require_manager().adapt_cluster(identifier, *wanted)
            await _await_scaling(before)
        self.finish(json.dumps(await _add_messages(_find_cluster_model(identifier))))

    @web.authenticated
    async def delete(self, identifier: str) -> None:
        """End a cluster."""
        _find_cluster_model(identifier)
        await _require_manager().close_cluster(identifier)
        self.set_status(204)
        self.finish()


def _require_manager() -> Any:
    panel = sys.modules.get("dask_labextension.manager")
    if panel is None:
        raise PanelClusterNotFoundError("JupyterLab's Dask panel is not installed in this server")
    return panel.manager


def _find_cluster_model(identifier: str) -> dict[str, Any]:
    model = _require_manager().get_cluster(identifier)
    if model is None:
        raise PanelClusterNotFoundError("the panel has no such cluster any more")
    return dict(model)


def _read_size(body: Any) -> int | tuple[int, int]:
    """Read the size that the panel asks for: a number of workers, or a least and a most."""
    asked = body if isinstance(body, Mapping) else {}
    adapt = asked.get("adapt")
    if adapt is None:
        workers = asked.get("workers")
        if not _is_count(workers):
            raise PanelRequestError("workers must be a whole number, 0 or more")
        return workers
    bounds = adapt if isinstance(adapt, Mapping) else {}
    minimum, maximum = bounds.get("minimum"), bounds.get("maximum")
    if not (_is_count(minimum) and _is_count(maximum) and minimum <= maximum):
        raise PanelRequestError("minimum and maximum must be whole numbers from 0, in this order")
    return minimum, maximum


def _is_count(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


async def _await_scaling(model: Mapping[str, Any]) -> None:
    """Wait until the gateway has answered about adaptive scaling."""
    made = find_open_cluster(_name(model))
    asked: AdaptiveScaling | None = made.adapting if made is not None else None
    if asked is not None:
        await asked


async def _add_messages(model: Mapping[str, Any]) -> dict[str, Any]:
    made = find_open_cluster(_name(model))
    messages: Iterable[str] = ()
    if made is not None:
        try:
            messages = await asyncio.wait_for(made.read_messages(), _MESSAGES_SECONDS)
        except TimeoutError:  # the list itself is of more use than the messages
            messages = ("the Dask gateway does not answer",)
    return {**model, "cluster": _name(model), "messages": list(messages)}


def _name(model: Mapping[str, Any]) -> str:
    return str(model.get("scheduler_address") or "").rpartition("/")[2]


class PanelRequestError(PanNeuroError):
    """A request of the Dask panel cannot be met; the text is what the panel's dialog shows."""

    code = "panel-request"
    status = 400


class PanelClusterNotFoundError(PanelRequestError):
    """The Dask panel, or a cluster of it, is not there."""

    code = "panel-cluster-not-found"
    status = 404


class PanelClusterConflictError(PanelRequestError):
    """The Dask panel has a cluster of this id already."""

    code = "panel-cluster-exists"
    status = 409
