"""The collaboration as the hub's process sees it: one reader per file, shared by all."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from prometheus_client import REGISTRY, CollectorRegistry
from sqlalchemy.exc import SQLAlchemyError

from panneuro_hub.collaboration import Collaboration
from panneuro_hub.current import CollaborationVersion, Current, follow_collaboration
from panneuro_hub.current_metrics import CollaborationCollector
from panneuro_hub.errors import ServiceUnavailableError
from panneuro_hub.version_store import VERSIONS, add_version, newest_version

# A child of JupyterHub's own logger, so that what is said appears in the hub's log.
_log = logging.getLogger("JupyterHub.panneuro")
_readers: dict[str, Current] = {}


def get_collaboration(path: str) -> Collaboration:
    """Return the collaboration in the file at `path`, as it is now.

    Raises
    ------
    CollaborationError
        If it is broken when it is first read; later, the last good one holds.
    """
    return get_file_reader(path).collaboration


def get_file_reader(path: str) -> Current:
    """Return the hub's one reader of the file at `path`; raises as `get_collaboration`."""
    if path not in _readers:
        _readers[path] = Current(path, log=_log)
    return _readers[path]


def follow_collaboration_file(
    path: str, db: Any, registry: CollectorRegistry = REGISTRY
) -> asyncio.Task[None]:
    """Read the file for the hub that starts now, and look at it regularly from then on.

    Parameters
    ----------
    path : str
        The collaboration file.
    db : sqlalchemy.orm.Session
        The hub's own, which keeps the last valid version. It is used in the event loop's
        thread only, as JupyterHub itself uses it.
    registry : CollectorRegistry
        What the hub's page of metrics shows.

    Raises
    ------
    CollaborationError
        If the file is broken, and the database has no valid version.
    ServiceUnavailableError
        If the database cannot be used.
    """
    stored = _stored(db)
    current = _readers[path] = Current(path, log=_log, stored=stored)
    registry.register(CollaborationCollector(current))

    async def save(version: CollaborationVersion) -> None:
        _save(db, version)

    return asyncio.get_running_loop().create_task(follow_collaboration(current, save, _log))


def _stored(db: Any) -> CollaborationVersion | None:
    try:
        VERSIONS.create(db.connection(), checkfirst=True)
        version = newest_version(db.connection())
        db.commit()
    except SQLAlchemyError as error:
        db.rollback()
        raise ServiceUnavailableError(
            f"the hub's database has no place for versions of the collaboration: {error}"
        ) from error
    return version


def _save(db: Any, version: CollaborationVersion) -> None:
    try:
        add_version(db.connection(), version)
        db.commit()
    except SQLAlchemyError as error:
        db.rollback()
        raise ServiceUnavailableError(
            f"the hub's database did not take it ({type(error).__name__})"
        ) from error
