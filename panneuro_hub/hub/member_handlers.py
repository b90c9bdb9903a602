"""The hub's documents about persons, which only the service may read."""

from __future__ import annotations

from typing import Any

from jupyterhub.apihandlers.base import APIHandler
from tornado import web

from panneuro_hub.wire.hub_member import (
    MEMBERS_PATH,
    MEMBERS_SCOPE,
    UNKNOWN_MEMBER,
    RunningSession,
    format_member_list,
)
from panneuro_hub.wire.refusal import Refusal
from panneuro_hub.wire.session import STATE_KEY, Session


def list_running_sessions(user: Any) -> tuple[RunningSession, ...]:
    """Return the sessions of a user's servers that run or are about to.

    Parameters
    ----------
    user : jupyterhub.user.User
    """
    states = (
        (name, spawner.get_state().get(STATE_KEY))
        for name, spawner in user.spawners.items()
        if spawner.active
    )
    sessions = ((name, Session.from_state(state)) for name, state in states if state)
    return tuple(
        RunningSession(
            id=session.id,
            project=session.project,
            server=name,
            ticket=session.ticket,
            image=session.image,
            api_token=session.api_token,
        )
        for name, session in sessions
        if session.ticket
    )


class ServiceOnlyHandler(APIHandler):
    """Answers tokens with the scope of our own, which the service alone has."""

    def require_scope(self) -> None:
        """Refuse everybody else."""
        # A decorator of JupyterHub's would not know the scope yet.
        if not self.current_user or not self.has_scope(MEMBERS_SCOPE):
            raise web.HTTPError(403, f"this needs a token with the scope {MEMBERS_SCOPE}")


class MemberListHandler(ServiceOnlyHandler):
    """``GET /hub/api/panneuro/members``: everybody whom the hub knows."""

    def get(self) -> None:
        """Answer the names of all, with their groups."""
        self.require_scope()
        self.finish(format_member_list(self.authenticator.list_members(self.db)))


class MemberHandler(ServiceOnlyHandler):
    """``GET /hub/api/panneuro/members/NAME``: a `panneuro_hub.wire.hub_member.HubMember`."""

    async def get(self, name: str) -> None:
        """Answer one person."""
        self.require_scope()
        user = self.find_user(name)
        if user is None:
            refusal = Refusal.from_status(
                404, "the hub has no account of this name", UNKNOWN_MEMBER
            )
            self.set_status(refusal.status)
            self.finish(refusal.to_json())
            return
        member = await self.authenticator.describe_member(user)
        self.finish(member.to_json())


def build_member_routes() -> list[tuple[str, type[APIHandler]]]:
    """Return the routes, below the hub's own prefix."""
    return [
        (rf"/api{MEMBERS_PATH}", MemberListHandler),
        (rf"/api{MEMBERS_PATH}/([^/]+)", MemberHandler),
    ]
