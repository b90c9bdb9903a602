"""Edits in JupyterHub's REST API and admin page that cannot hold, refused with the reason.

Teams and hub admins come from the identity provider and the collaboration file. JupyterHub
would accept these edits, and the next confirmation of the person would undo them: an admin
who takes somebody out of a group must not believe that they are out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jupyterhub.apihandlers import groups, users
from jupyterhub.apihandlers.base import APIHandler
from jupyterhub.scopes import needs_scope
from tornado import web

from panneuro_hub.errors import PanNeuroError
from panneuro_hub.hub.group_mirror import PREFIXES
from panneuro_hub.hub.refusal_answers import find_refusal, finish_refusal


class RefusedEditError(PanNeuroError):
    """An edit would change what the identity provider or the collaboration file decides."""

    code = "refused-edit"
    status = 403


class MembershipEditError(RefusedEditError):
    """An edit would change who is in a group."""

    code = "membership-comes-from-provider"


class MirrorEditError(RefusedEditError):
    """An edit would change a team's group, which mirrors the collaboration file."""

    code = "group-mirrors-team"


class AdminEditError(RefusedEditError):
    """An edit would change who is a hub admin."""

    code = "admins-come-from-teams"


class LoginEditError(RefusedEditError):
    """An edit would change what a login at the identity provider has stored."""

    code = "login-comes-from-provider"


_MEMBERSHIP = (
    "The hub's groups mirror the teams, and who is in a team comes from the identity provider. "
    "Change the person's groups there; to end a membership now, use `expires` in the "
    "collaboration file."
)
_ADMINS = (
    "Hub admins are the people of the teams with `hub_admin: true` in the collaboration file, and "
    "those of Authenticator.admin_users. Change their groups at the identity provider, or the file."
)
_LOGIN = (
    "auth_state holds a person's login at the identity provider; only a login of theirs changes it."
)
_ROLES = "Roles come from JupyterHub.load_roles in the hub's configuration; change them there."


class GuardedEditHandler(APIHandler):
    """Answers refused edits with a sentence and a code."""

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer as JupyterHub does, and add the code of an error of ours."""
        error = kwargs.get("exc_info", (None, None, None))[1]
        found = find_refusal(error, status_code)
        if found is None:
            super().write_error(status_code, **kwargs)
        else:
            finish_refusal(self, error, found)

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        """Log a refused edit in one line."""
        if isinstance(value, RefusedEditError):
            self.log.warning(
                "%s %s by %s is refused (%s)",
                self.request.method, self.request.path,
                getattr(self.current_user, "name", None), value.code,
            )  # fmt: skip
        else:
            super().log_exception(typ, value, tb)

    def body(self) -> Mapping[str, Any]:
        """Return the JSON object that came; what is none is JupyterHub's to refuse."""
        document = self.get_json_body()
        return document if isinstance(document, Mapping) else {}

    def is_team(self, group_name: str) -> bool:
        """Return `True` if a group is a team of the collaboration."""
        return group_name in self.authenticator.collaboration().teams


class GroupListHandler(GuardedEditHandler, groups.GroupListAPIHandler):
    """``/api/groups``: groups can be made, without people."""

    @needs_scope("admin:groups")
    async def post(self) -> None:
        """Make groups."""
        if self.body().get("users"):
            raise MembershipEditError(_MEMBERSHIP)
        await super().post()


class GroupHandler(GuardedEditHandler, groups.GroupAPIHandler):
    """``/api/groups/NAME``: a group is made without people; a team's group stays."""

    @needs_scope("admin:groups")
    async def post(self, group_name: str) -> None:
        """Make a group."""
        if self.body().get("users"):
            raise MembershipEditError(_MEMBERSHIP)
        await super().post(group_name)

    @needs_scope("delete:groups")
    def delete(self, group_name: str) -> None:
        """Delete a group."""
        if self.is_team(group_name):
            raise MirrorEditError(
                f"The group {group_name} mirrors a team; take the team out of the collaboration "
                "file, and delete the group then."
            )
        super().delete(group_name)


class GroupUsersHandler(GuardedEditHandler, groups.GroupUsersAPIHandler):
    """``/api/groups/NAME/users``: nobody is put into a group or taken out of it here."""

    @needs_scope("groups")
    def post(self, group_name: str) -> None:
        """Refuse to add people."""
        raise MembershipEditError(_MEMBERSHIP)

    @needs_scope("groups")
    async def delete(self, group_name: str) -> None:
        """Refuse to remove people."""
        raise MembershipEditError(_MEMBERSHIP)


class GroupPropertiesHandler(GuardedEditHandler, groups.GroupPropertiesAPIHandler):
    """``/api/groups/NAME/properties``: everything but a team's prefixes can be set."""

    @needs_scope("groups")
    def put(self, group_name: str) -> None:
        """Set the properties."""
        group = self.find_group(group_name)
        known = (group.properties or {}).get(PREFIXES)
        if self.is_team(group_name) and self.body().get(PREFIXES) != known:
            raise MirrorEditError(
                f"The property {PREFIXES} of the group {group_name} comes from the collaboration "
                "file; send it as it is, with your own properties."
            )
        super().put(group_name)


class UserListHandler(GuardedEditHandler, users.UserListAPIHandler):
    """``/api/users``: people can be made, and no admins."""

    @needs_scope("admin:users")
    async def post(self) -> None:
        """Make people."""
        if self.body().get("admin"):
            raise AdminEditError(_ADMINS)
        await super().post()


class UserHandler(GuardedEditHandler, users.UserAPIHandler):
    """``/api/users/NAME``: what the provider and the file decide stays as it is."""

    @needs_scope("admin:users")
    async def post(self, user_name: str) -> None:
        """Make a person."""
        if self.body().get("admin"):
            raise AdminEditError(_ADMINS)
        await super().post(user_name)

    @needs_scope("admin:users")
    async def patch(self, user_name: str) -> None:
        """Change a person."""
        user, body = self.find_user(user_name), self.body()
        if user is None:
            raise web.HTTPError(404)
        if "groups" in body:
            raise MembershipEditError(_MEMBERSHIP)
        if "auth_state" in body:
            raise LoginEditError(_LOGIN)
        if "roles" in body:
            raise RefusedEditError(_ROLES)
        if "admin" in body and body["admin"] != user.admin:
            raise AdminEditError(_ADMINS)
        await super().patch(user_name)


def build_edit_routes() -> list[tuple[str, type[APIHandler]]]:
    """Return the routes, below the hub's own prefix; they come before JupyterHub's."""
    return [
        (r"/api/groups", GroupListHandler),
        (r"/api/groups/([^/]+)", GroupHandler),
        (r"/api/groups/([^/]+)/users", GroupUsersHandler),
        (r"/api/groups/([^/]+)/properties", GroupPropertiesHandler),
        (r"/api/users", UserListHandler),
        (r"/api/users/([^/]+)", UserHandler),
    ]
