"""The identity provider: an OpenID Connect server as a process of its own.

It is oidc-provider-mock, which asks for no password. It shows what a hub does with the
claims of a provider, and not how a provider knows who somebody is.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from panneuro_hub.devstack.processes import ChildProcess, ProcessGroup, url_answers
from panneuro_hub.devstack.samples.people import SamplePerson

CLIENT_ID = "panneuro-demo"
GROUPS_CLAIM = "groups"


@dataclass(frozen=True)
class IdentityProvider:
    """The provider: its address, and the process.

    Parameters
    ----------
    url : str
        Issuer, without a slash at the end.
    child : ChildProcess
        The process that serves it.
    """

    url: str
    child: ChildProcess

    def wait_until_ready(self, patience: float = 60) -> None:
        """Wait until it answers; raises `DevstackError` after `patience` seconds."""
        self.child.wait_until_ready(
            url_answers(f"{self.url}/.well-known/openid-configuration"), patience
        )


def make_claims(person: SamplePerson) -> dict[str, Any]:
    """Return the claims of the provider about a person.

    ``preferred_username`` and ``name`` come with the scope ``profile``, ``email`` with
    the scope ``email``, ``groups`` always.

    Source: OpenID Connect Core 1.0, section 5.1, "Standard Claims".
    """
    return {
        "sub": person.name,
        "preferred_username": person.name,
        "name": person.full_name,
        "email": f"{person.name}@uni.example",
        GROUPS_CLAIM: list(person.groups),
    }


def start_provider(
    processes: ProcessGroup,
    people: Sequence[SamplePerson],
    port: int,
    log: Path,
    address: str = "127.0.0.1",
) -> IdentityProvider:
    """Start the provider; `IdentityProvider.wait_ready` waits until it answers.

    Parameters
    ----------
    address : str
        The IP address of this machine that it listens on; nobody there is asked for a
        password, so it is one that only tests reach.
    """
    command = [sys.executable, "-m", "oidc_provider_mock", "--host", address]
    command += ["--port", str(port)]
    for person in people:
        command += ["--user-claims", json.dumps(make_claims(person))]
    child = processes.start(
        "identity provider",
        command,
        log=log,
        environment={"PATH": os.environ.get("PATH", os.defpath), "NO_COLOR": "1"},
    )
    return IdentityProvider(f"http://{address}:{port}", child)


def make_authenticator_settings(provider_url: str, hub_url: str) -> dict[str, Any]:
    """Return the traits of a `GenericOAuthenticator` that logs people in at a provider.

    Parameters
    ----------
    provider_url, hub_url : str
        The provider and the hub as a browser sees them, without a slash at the end.
    """
    return {
        "client_id": CLIENT_ID,
        # The provider knows no clients and checks no secret; oauthenticator wants one.
        "client_secret": "not-checked",
        "oauth_callback_url": f"{hub_url}/hub/oauth_callback",
        "authorize_url": f"{provider_url}/oauth2/authorize",
        "token_url": f"{provider_url}/oauth2/token",
        "userdata_url": f"{provider_url}/userinfo",
        "username_claim": "preferred_username",
        "scope": ["openid", "profile", "email"],
        "login_service": "the demo's provider",
        "auth_state_groups_key": f"oauth_user.{GROUPS_CLAIM}",
        "manage_groups": True,
        "enable_auth_state": True,
        # It asks always, and its ID token does not say when.
        "reauthentication_params": {"prompt": "login"},
    }
