"""Authentication of requests to the gateway, with the project that bounds each of them.

dask-gateway knows only people. The token of a session must not grant everything that its person
may do. So the service names the session of a token, and the project of that session bounds the
request.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

import aiohttp
from aiohttp import web
from dask_gateway_server.auth import JupyterHubAuthenticator, unauthorized

from panneuro_hub.dask.session_user import SessionUser

_START_SCOPES = ("servers", "start:servers")
_TIMEOUT = aiohttp.ClientTimeout(total=20)


def may_start_servers(scopes: Iterable[str], name: str) -> bool:
    """Return whether a token may start servers for its person, in any of their projects."""
    sufficient = {variant for scope in _START_SCOPES for variant in (scope, f"{scope}!user={name}")}
    return not sufficient.isdisjoint(scopes)


class HubAuthenticator(JupyterHubAuthenticator):
    """An authenticator for JupyterHub's tokens that finds the project of each token.

    It caches no answer. dask-gateway caches one for each person, by a cookie that all programs
    of the person share, so a session could use the rights of another session.
    """

    async def authenticate_and_handle(
        self,
        request: web.Request,
        handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
    ) -> web.StreamResponse:
        """Authenticate a request, and refuse it if its cluster belongs to another project."""
        user = request["user"] = await self.authenticate(request)
        name = request.match_info.get("cluster_name")
        if name is not None:
            cluster = await request.app["backend"].get_cluster(name)
            if cluster is not None:
                user.require_cluster(cluster)
        return await handler(request)

    async def authenticate(self, request: web.Request) -> SessionUser:
        """Ask the hub for the owner of the token, and the service for its project."""
        token = self.get_token(request)
        if not token:
            raise unauthorized("jupyterhub")
        owner = await self._fetch_owner(token)
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
        sufficient = {access, f"{access}!service={self.jupyterhub_service_name}"}
        return not sufficient.isdisjoint(scopes)

    async def _fetch_owner(self, token: str) -> Mapping[str, Any]:
        """Return the hub's model of the owner of a token."""
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
        raise web.HTTPConflict(
            reason="the hub could not check this token; try again in a few seconds"
        )
