"""The collaboration as the hub's process sees it: one reader per file, shared by all."""

from __future__ import annotations

import functools
import logging

from panneuro_hub.collaboration import Collaboration
from panneuro_hub.current import Current

# A child of JupyterHub's own logger, so that what is said appears in the hub's log.
_log = logging.getLogger("JupyterHub.panneuro")


@functools.cache
def _reader(path: str) -> Current:
    return Current(path, log=_log)


def collaboration(path: str) -> Collaboration:
    """The collaboration in the file at `path`, as it is now.

    Raises
    ------
    CollaborationError
        If it is broken when it is first read; later, the last good one holds.
    """
    return _reader(path).collaboration
