"""The hub's answers to programs whose requests are refused."""

from __future__ import annotations

from typing import Any

from tornado import web

from panneuro_hub.errors import PanNeuroError
from panneuro_hub.wire.refusal import Refusal


def find_refusal(error: BaseException | None, status: int) -> Refusal | None:
    """Return the refusal that an error is; `None` for an error that nobody has foreseen."""
    known = getattr(error, "refusal", None)
    if isinstance(known, Refusal):
        return known
    if isinstance(error, PanNeuroError) and error.status is not None:
        return Refusal.from_error(error)
    if isinstance(error, web.HTTPError):
        message = getattr(error, "jupyterhub_message", None) or error.get_message()
        return Refusal.from_status(status, message or error.reason or f"HTTP {status}")
    return None


def finish_refusal(handler: web.RequestHandler, error: web.HTTPError | Any, found: Refusal) -> None:
    """Finish with a refusal; ``status`` is in it because JupyterHub's own answers have it."""
    for name, value in (getattr(error, "headers", None) or {}).items():
        handler.set_header(name, value)
    handler.clear_header("Content-Length")
    handler.set_status(found.status)
    for name, value in found.headers.items():
        handler.set_header(name, value)
    handler.set_header("Content-Type", "application/json")
    handler.finish({**found.to_json(), "status": found.status})
