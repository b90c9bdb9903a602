"""The hub's announcement for one person, for the pages of the service."""

from __future__ import annotations

from typing import Any

from jupyterhub.apihandlers.base import APIHandler
from jupyterhub.scopes import needs_scope
from tornado import web


class AnnouncementHandler(APIHandler):
    """``GET /hub/api/users/NAME/announcement``: what the hub's own pages show this person."""

    @needs_scope("read:users:name")  # type: ignore[untyped-decorator]
    def get(self, user_name: str) -> None:
        """Answer the value of ``announcement`` in ``c.JupyterHub.template_vars``, as HTML."""
        user = self.find_user(user_name)
        if user is None:
            raise web.HTTPError(404)
        self.finish({"announcement": select_announcement(self.settings["template_vars"], user)})


def select_announcement(template_vars: dict[str, Any], user: Any) -> str:
    """Return the announcement as JupyterHub's templates show it to a person; ``""`` for none."""
    value = template_vars.get("announcement")
    if callable(value):
        value = value(user)
    return str(value) if value else ""
