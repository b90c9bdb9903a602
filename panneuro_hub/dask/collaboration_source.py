"""The collaboration in the gateway's process, which stores nothing between two starts."""

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

# When a node was drained, the hub and the service may start a little later than the gateway.
_WAIT_SECONDS = 60.0
RETRY_SECONDS = 1.0


async def open_current_collaboration(
    path: str, service: GatewayServiceClient, log: logging.Logger, wait: float = _WAIT_SECONDS
) -> Current:
    """Read the collaboration file; if it is invalid, take the version that the service uses.

    Parameters
    ----------
    wait : float
        The longest time to wait for the service, in seconds.

    Raises
    ------
    CollaborationError
        If the file is invalid and the service has no version. It lists every error of the file.
    """
    try:
        return Current(path, log=log)
    except CollaborationError as file_error:
        try:
            stored = await _fetch_version(service, time.monotonic() + wait)
        except PanNeuroError as error:
            message = f"and the service did not give its last valid version: {error}"
            raise CollaborationError(
                (*file_error.problems, FileProblem(path, 1, "", message))
            ) from error
        return Current(path, log=log, stored=stored)


async def _fetch_version(service: GatewayServiceClient, deadline: float) -> CollaborationVersion:
    while True:
        try:
            return await service.fetch_version()
        except ServiceUnavailableError:
            if time.monotonic() >= deadline:
                raise
        await asyncio.sleep(RETRY_SECONDS)
