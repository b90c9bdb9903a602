"""Who sends a request to the gateway, and which clusters the request may concern.

dask-gateway knows people. A session's token must not open all that its person may do, so here
the service says which session a token belongs to, and the session's project bounds the request.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

import aiohttp
from aiohttp import web
from dask_gateway_server.auth import JupyterHubAuthenticator, unauthorized

from panneuro_hub.dask.session_user import SessionUser

_START = ("servers", "start:servers")
_TIMEOUT = aiohttp.ClientTimeout(total=20)


def may_start_servers(scopes: Iterable[str], name: str) -> bool:
    """Return whether a token may start servers of its person, in any project of theirs."""
    good = {each for scope in _START for each in (scope, f"{scope}!user={name}")}
    return not good.isdisjoint(scopes)


class HubAuthenticator(JupyterHubAuthenticator):
    """JupyterHub's tokens, each with the project that it is good for.

    No answer is kept: dask-gateway keeps one for each person, by a cookie that all their
    programs share, and a session could use what another one was allowed.
    """

    async def authenticate_and_handle(
        self,
        request: web.Request,
        handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
    ) -> web.StreamResponse:
        """Find out who it is, and let the request handler see no cluster of another project."""
        user = request["user"] = await self.authenticate(request)
        name = request.match_info.get("cluster_name")
        if name is not None:
            cluster = await request.app["backend"].get_cluster(name)
            if cluster is not None:
                user.require_cluster(cluster)
        return await handler(request)

    async def authenticate(self, request: web.Request) -> SessionUser:
        """Ask the hub whose token it is, and the service for which project it is good."""
        token = self.get_token(request)
        if not token:
            raise unauthorized("jupyterhub")
        owner = await self._owner(token)
        scopes = owner.get("scopes") or ()
        if owner.get("kind") != "user" or not self._may_use_gateway(scopes):
            raise unauthorized("jupyterhub")
        name = str(owner["name"])
        return SessionUser(
            await request.app["backend"].find_requester(
                name, token, may_start_servers=may_start_servers(scopes, name)
            )
        )

    def _may_use_gateway(self, scopes: Iterable[str]) -> bool:
        if not self.use_service_access_scopes:
            return True
        access = "access:services"
        good = {access, f"{access}!service={self.jupyterhub_service_name}"}
        return not good.isdisjoint(scopes)

    async def _owner(self, token: str) -> Mapping[str, Any]:
        """Return the hub's model of a token's owner."""
        try:
            async with self.session.get(
                f"{self.jupyterhub_api_url}/user",
                headers={"Authorization": f"token {token}"},
                ssl=self.ssl_context if self.ssl_context is not None else True,
                timeout=_TIMEOUT,
                allow_redirects=False,
            ) as response:
                if response.status == 200:
                    owner = await response.json()
                    if isinstance(owner, dict) and "name" in owner:
                        return owner
                status = response.status
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError):
            status = 0
        if status in (401, 403, 404):
            raise web.HTTPUnprocessableEntity(
                reason="the hub does not accept this token; log in again, or restart your server"
            )
        raise web.HTTPConflict(reason="the hub cannot say now whose token this is; try again soon")
