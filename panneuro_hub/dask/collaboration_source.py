"""The collaboration in the gateway's process, which keeps nothing of its own between two starts."""

from __future__ import annotations

import asyncio
import logging
import time

from panneuro_hub.current import CollaborationVersion, Current
from panneuro_hub.dask.gateway_service_client import GatewayServiceClient
from panneuro_hub.errors import (
    CollaborationError,
    FileProblem,
    PanNeuroError,
    ServiceUnavailableError,
)

# After a node was drained, hub and service may start a little later than the gateway.
_WAIT_SECONDS = 60.0
RETRY_SECONDS = 1.0


async def open_current_collaboration(
    path: str, service: GatewayServiceClient, log: logging.Logger, wait: float = _WAIT_SECONDS
) -> Current:
    """Read the collaboration file; while it is broken, take the version in force at the service.

    Parameters
    ----------
    wait : float
        Seconds that the service may be out of reach.

    Raises
    ------
    CollaborationError
        If the file is broken and the service has no version; it lists every error of the file.
    """
    try:
        return Current(path, log=log)
    except CollaborationError as broken:
        try:
            stored = await _fetch_version(service, time.monotonic() + wait)
        except PanNeuroError as error:
            words = f"and the service did not give its last valid version: {error}"
            raise CollaborationError((*broken.problems, FileProblem(path, 1, "", words))) from error
        return Current(path, log=log, stored=stored)


async def _fetch_version(service: GatewayServiceClient, end: float) -> CollaborationVersion:
    while True:
        try:
            return await service.fetch_version()
        except ServiceUnavailableError:
            if time.monotonic() >= end:
                raise
        await asyncio.sleep(RETRY_SECONDS)
