"""`configure(c)`: the only wiring of the package into a JupyterHub configuration."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from panneuro_hub.current import load
from panneuro_hub.service import private

SERVICE = "panneuro"
SERVICE_PORT = 10143
_SERVICE_ROLE = {
    "name": "panneuro-service",
    "description": "Read who is in which team, and which sessions run",
    "scopes": ["read:users:name", "read:users:groups", "read:servers", "admin:server_state"],
    "services": [SERVICE],
}


def configure(
    c: Any,
    collaboration: str | os.PathLike[str] | None = None,
    *,
    service_url: str | None = None,
    service_token: str | None = None,
    service_environment: Mapping[str, str] | None = None,
    ledger_url: str | None = None,
    renew_after_seconds: int | None = None,
) -> None:
    """Make a JupyterHub configuration a PanNeuro hub.

    What the configuration has set before stays as it is; services and roles are added
    to. Whatever is set after wins, so add to the lists there rather than replace them.

    Parameters
    ----------
    c : traitlets.config.Config
        The configuration, as JupyterHub gives it to its config file.
    collaboration : path, optional
        The collaboration file; by default the one that the environment variable
        ``PANNEURO_COLLABORATION`` names, or else ``collaboration.yaml``.
    service_url : str, optional
        Where the service listens, as the hub and sessions reach it; by default
        port 10143 of this machine's loopback.
    service_token : str, optional
        The service's API token, for a service that the hub does not start itself: a
        Kubernetes Deployment, for one. By default the environment variable
        ``PANNEURO_SERVICE_TOKEN``; where there is none, the hub starts the service.
    service_environment : mapping, optional
        Further environment of the service's process: the platform's own keys, for
        one. Nobody else gets them, the hub's database included.
    ledger_url : str, optional
        SQLAlchemy URL of the ledger; by default an SQLite file ``ledger.sqlite``
        beside the hub's own.
    renew_after_seconds : int, optional
        Hand out a credential again for so long; by default a third of its lifetime.

    Raises
    ------
    CollaborationError
        If the file is broken; the hub does not start, and the text lists every error.
    """
    chosen = collaboration or os.environ.get("PANNEURO_COLLABORATION", "collaboration.yaml")
    path = str(Path(chosen).resolve())
    load(path)
    url = service_url or f"http://127.0.0.1:{SERVICE_PORT}"
    _spawner(c, path, f"{url}/services/{SERVICE}")
    _authenticator(c, path)
    token = service_token or os.environ.get("PANNEURO_SERVICE_TOKEN")
    if token:
        _service(c, {"url": url, "api_token": token})
        return
    command = [
        *(sys.executable, "-m", "panneuro_hub.service", "--collaboration", path),
        *(("--renew-after", str(renew_after_seconds)) if renew_after_seconds else ()),
    ]
    secret = {**(service_environment or {}), **_ledger(ledger_url)}
    environment = private.keep(secret) if secret else {}
    _service(c, {"url": url, "command": command, "environment": environment})


def _spawner(c: Any, path: str, service_url: str) -> None:
    if "spawner_class" not in c.JupyterHub:
        c.JupyterHub.spawner_class = "panneuro"
    c.SessionMixin.collaboration_file = path
    c.SessionMixin.service_url = service_url


def _authenticator(c: Any, path: str) -> None:
    c.TeamsMixin.collaboration_file = path
    # Membership is read again before every start, and where it cannot be, nothing starts.
    c.Authenticator.refresh_pre_spawn = True
    c.Authenticator.auth_refresh_strict = True
    if not os.environ.get("JUPYTERHUB_CRYPT_KEY") and "keys" not in c.CryptKeeper:
        # Refreshing needs what the login brought, and that is stored encrypted. With a key of
        # this run alone nobody can be confirmed after a restart of the hub: running sessions
        # lose their keys at the next look, and people log in again.
        c.CryptKeeper.keys = [secrets.token_bytes(32)]


def _ledger(url: str | None) -> dict[str, str]:
    # Not on the command line, which others see: it may hold the database's password.
    return {"PANNEURO_LEDGER_URL": url} if url else {}


def _service(c: Any, how: dict[str, Any]) -> None:
    services = list(c.JupyterHub.services) if "services" in c.JupyterHub else []
    named = {"name": SERVICE, "oauth_no_confirm": True, "display": True}
    c.JupyterHub.services = [*services, {**named, **how}]
    roles = list(c.JupyterHub.load_roles) if "load_roles" in c.JupyterHub else []
    c.JupyterHub.load_roles = [*_let_users_in(roles), _SERVICE_ROLE]


def _let_users_in(roles: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add to the role that everybody has: the service's pages."""
    scope = f"access:services!service={SERVICE}"
    users = next((role for role in roles if role["name"] == "user"), None)
    others = [role for role in roles if role is not users]
    users = dict(users or {"name": "user", "scopes": ["self"]})
    return [*others, {**users, "scopes": [*users.get("scopes", ()), scope]}]
