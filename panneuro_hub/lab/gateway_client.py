"""Use dask-gateway's client without its hang: close each client exactly once.

The client closes again when Python collects it. If that happens in the thread of its own event
loop, it waits for this loop, and every later call in the process waits for ever. We therefore
close each client ourselves, and its destructor does nothing.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dask
from dask_gateway import Gateway

from panneuro_hub.errors import ServiceUnavailableError
from panneuro_hub.lab.current_session import NotInSessionError


def read_session_project() -> str:
    """Return this session's project.

    Raises
    ------
    NotInSessionError
        Outside a session of the hub.
    """
    project = os.environ.get("PANNEURO_PROJECT")
    if not project:
        raise NotInSessionError(
            "this process is not in a session of the hub, which sets PANNEURO_PROJECT; start a "
            "server from the hub and work there"
        )
    return project


def require_gateway(address: str | None = None) -> None:
    """Raise an error if the hub has no gateway.

    Raises
    ------
    ServiceUnavailableError
        If neither `address` nor Dask's configuration names one.
    """
    if not (address or dask.config.get("gateway.address", None)):
        raise ServiceUnavailableError(
            "this hub has no Dask gateway (DASK_GATEWAY__ADDRESS is not set), so there are no "
            "clusters; dask.distributed.LocalCluster computes on this server only"
        )


@contextmanager
def open_gateway() -> Iterator[Any]:
    """Open dask-gateway's client for some calls, and close it for good."""
    gateway = Gateway()
    silence_destructor(gateway)
    try:
        yield gateway
    finally:
        close_gateway(gateway)


def silence_destructor(gateway: Any) -> None:
    """Leave the closing to `close_gateway`; the module's docstring gives the reason."""
    gateway.close = _do_nothing


def close_gateway(gateway: Any) -> None:
    """Close a client whose destructor was silenced; from another thread than its loop's."""
    Gateway.close(gateway)


def runs_in_gateway_loop(gateway: Any) -> bool:
    """Return whether this code runs in the thread of the client's own event loop."""
    try:
        return asyncio.get_running_loop() is gateway.loop.asyncio_loop
    except RuntimeError:
        return False


def _do_nothing() -> None:
    """Take the place of a client's `close`."""
