"""Begin the hub: check the admin's settings, and follow the collaboration file."""

from __future__ import annotations

import asyncio
from typing import Any

from panneuro_hub.errors import PanNeuroError, SettingsError
from panneuro_hub.hub import current_collaboration
from panneuro_hub.hub.announcement import AnnouncementHandler
from panneuro_hub.hub.health import HealthHandler
from panneuro_hub.hub.setting_conflicts import find_conflicts


def start_hub(app: Any, collaboration_file: str) -> asyncio.Task[None]:
    """Check the settings and follow the collaboration file, or end the hub with the reasons.

    Parameters
    ----------
    app : jupyterhub.app.JupyterHub
        With all its settings read, and its database open.

    Returns
    -------
    asyncio.Task
        Looks at the file until the hub ends.
    """
    try:
        _report_conflicts(app)
        return current_collaboration.follow_collaboration_file(collaboration_file, app.db)
    except PanNeuroError as error:
        app.log.critical("the hub does not start:\n%s", error)
        app.exit(1)
        raise  # not reached; an application that does not exit must not go on


def build_hub_routes(collaboration_file: str) -> list[Any]:
    """Return our pages at the hub; an authenticator's come before the hub's own."""
    return [
        (r"/health$", HealthHandler, {"collaboration_file": collaboration_file}),
        (r"/api/health$", HealthHandler, {"collaboration_file": collaboration_file}),
        (r"/api/users/([^/]+)/announcement", AnnouncementHandler),
    ]


def _report_conflicts(app: Any) -> None:
    conflicts = find_conflicts(app)
    for conflict in conflicts:
        if not conflict.fatal:
            app.log.warning("%s", conflict)
    if fatal := [conflict for conflict in conflicts if conflict.fatal]:
        raise SettingsError("\n".join(map(str, fatal)))
