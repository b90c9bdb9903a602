"""A stand-in of the identity providers' APIs: one process that answers for all their hosts.

A hub that runs with `client_config` sends what it would send to ``https://HOST/PATH`` to
``http://127.0.0.1:PORT/HOST/PATH``. Each answer has the form that the provider documents.

    python provider_apis.py PORT
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import jwt
from tornado import web

PERSON = "ada"
DOMAIN = "uni.example"
INSTITUTION = "https://idp.uni.example/shibboleth"
# The one group of ada's that makes a team, as each provider writes it.
GROUPS = {
    "github": "u19-circuits:theory",
    "cilogon": "CO:COU:theory:members:active",
    "globus": "6f2a9cde-0000-4000-8000-0123456789ab",
    "google": "theory@uni.example",
    "azuread": "1f0e3b1c-0000-4000-8000-ba9876543210",
    "oidc": "u19-circuits:theory-oidc",
}
_TOKEN = {"access_token": "a-token", "token_type": "Bearer", "expires_in": 3600}
_GLOBUS_GROUPS = {
    **_TOKEN,
    "access_token": "a-groups-token",
    "resource_server": "groups.api.globus.org",
    "scope": "urn:globus:auth:scope:groups.api.globus.org:view_my_groups_and_memberships",
}
_NAME = {"sub": "0123", "preferred_username": PERSON, "email": f"{PERSON}@{DOMAIN}"}
_OIDC = "login.uni.example/realms/u19/protocol/openid-connect"
_AZURE_TENANT = "01234567-89ab-cdef-0123-456789abcdef"

ANSWERS: dict[str, Any] = {
    "github.com/login/oauth/access_token": {**_TOKEN, "scope": "read:org"},
    "api.github.com/user": {"login": PERSON, "id": 1, "name": "Ada", "email": None},
    "api.github.com/user/teams": [{"slug": "theory", "organization": {"login": "u19-circuits"}}],
    "cilogon.org/oauth2/token": _TOKEN,
    "cilogon.org/oauth2/userinfo": {
        "sub": "http://cilogon.org/serverA/users/1",
        "idp": INSTITUTION,
        "eppn": f"{PERSON}@{DOMAIN}",
        "isMemberOf": [GROUPS["cilogon"]],
    },
    "auth.globus.org/v2/oauth2/token": {
        **_TOKEN,
        "resource_server": "auth.globus.org",
        "scope": "openid profile email",
        "other_tokens": [_GLOBUS_GROUPS],
    },
    "auth.globus.org/v2/oauth2/userinfo": _NAME,
    "groups.api.globus.org/v2/groups/my_groups": [{"id": GROUPS["globus"], "name": "Theory"}],
    "www.googleapis.com/oauth2/v4/token": _TOKEN,
    "www.googleapis.com/oauth2/v1/userinfo": {
        "id": "1",
        "email": f"{PERSON}@{DOMAIN}",
        "verified_email": True,
        "hd": DOMAIN,
    },
    # The service account's own token; google-auth asks for it, and not the hub's client.
    "oauth2.googleapis.com/token": _TOKEN,
    "www.googleapis.com/admin/directory/v1/groups": {"groups": [{"email": GROUPS["google"]}]},
    f"{_OIDC}/token": _TOKEN,
    f"{_OIDC}/userinfo": {**_NAME, "groups": [GROUPS["oidc"]]},
}


def azure_token() -> dict[str, Any]:
    """Return what Entra ID's token endpoint answers: who the person is stands in the id token."""
    claims = {"name": PERSON, "upn": f"{PERSON}@{DOMAIN}", "groups": [GROUPS["azuread"]]}
    signed = jwt.encode({**claims, "aud": "..."}, "k" * 32, algorithm="HS256")
    return {**_TOKEN, "id_token": signed, "resource": "graph"}


ANSWERS[f"login.microsoftonline.com/{_AZURE_TENANT}/oauth2/token"] = azure_token()

CLIENT_CONFIG = """
from urllib.parse import urlsplit as _split

from tornado.httpclient import AsyncHTTPClient as _Client
from tornado.simple_httpclient import SimpleAsyncHTTPClient as _Simple


class _StandIn(_Simple):
    def fetch_impl(self, request, callback):
        url = _split(request.url)
        if url.hostname != "127.0.0.1":
            query = f"?{url.query}" if url.query else ""
            address = f"http://127.0.0.1:PORT/{url.hostname}{url.path}{query}"
            request.request.url = address
        return super().fetch_impl(request, callback)


_Client.configure(_StandIn)
"""


def client_config(port: int) -> str:
    """Return lines of a hub's configuration that lead its requests to this stand-in."""
    return CLIENT_CONFIG.replace("PORT", str(port))


class AnswerHandler(web.RequestHandler):
    """Answer for every provider; an address that none of them has is a 404."""

    def get(self, place: str) -> None:
        """Answer with the document of this address."""
        if place not in ANSWERS:
            raise web.HTTPError(404)
        self.set_header("Content-Type", "application/json")
        self.finish(json.dumps(ANSWERS[place]))

    post = get


async def serve(port: int) -> None:
    """Listen on loopback until this process is stopped."""
    web.Application([(r"/(.*)", AnswerHandler)]).listen(port, "127.0.0.1")
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
