"""The collaboration in the gateway's process, which keeps nothing of its own between two starts."""

from __future__ import annotations

import asyncio
import logging
import time

from panneuro_hub.current import Current, Version
from panneuro_hub.dask.service import Service
from panneuro_hub.errors import CollaborationError, PanNeuroError, Problem, ServiceUnavailable

# After a node was drained, hub and service may start a little later than the gateway.
_WAIT_SECONDS = 60.0
AGAIN_SECONDS = 1.0


async def open_current(
    path: str, service: Service, log: logging.Logger, wait: float = _WAIT_SECONDS
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
            stored = await _ask(service, time.monotonic() + wait)
        except PanNeuroError as error:
            words = f"and the service did not give its last valid version: {error}"
            raise CollaborationError((*broken.problems, Problem(path, 1, "", words))) from error
        return Current(path, log=log, stored=stored)


async def _ask(service: Service, end: float) -> Version:
    while True:
        try:
            return await service.last_version()
        except ServiceUnavailable:
            if time.monotonic() >= end:
                raise
        await asyncio.sleep(AGAIN_SECONDS)
