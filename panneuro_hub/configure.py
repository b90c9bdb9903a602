"""`configure(c)`: the only wiring of the package into a JupyterHub configuration."""

from __future__ import annotations

import copy
import os
import secrets
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jupyterhub.roles import get_default_roles

from panneuro_hub import secret_env
from panneuro_hub.errors import PanNeuroError
from panneuro_hub.hub.service_role import SERVICE_ROLE
from panneuro_hub.hub.subdomains import make_subdomain
from panneuro_hub.pages import read_help_url
from panneuro_hub.wire.hub_member import MEMBERS_SCOPE
from panneuro_hub.wire.service_urls import GATEWAY_NAME, SERVICE_NAME

SERVICE_PORT = 10143
_PAGE_OVERRIDES = Path(__file__).parent / "hub" / "page_overrides"


def configure(
    c: Any,
    collaboration: str | os.PathLike[str] | None = None,
    *,
    service_url: str | None = None,
    service_token: str | None = None,
    service_environment: Mapping[str, str] | None = None,
    ledger_url: str | None = None,
    renew_after_seconds: int | None = None,
    dask_gateway_url: str | None = None,
    dask_gateway_token: str | None = None,
    dask_gateway_command: Sequence[str] | None = None,
    dask_proxy_address: str | None = None,
) -> None:
    """Make a JupyterHub configuration a PanNeuro hub.

    What the configuration has set before stays as it is; services and roles are added
    to. Whatever is set after wins, so add to the lists there rather than replace them: the hub
    reports at start what cannot work.

    The collaboration file is read when the hub starts. If it is broken then, the last valid
    version holds, which the hub keeps in its database; without one, the hub does not start,
    and its log lists every error.

    Parameters
    ----------
    c : traitlets.config.Config
        The configuration, as JupyterHub gives it to its config file.
    collaboration : path, optional
        The collaboration file; by default the one that the environment variable
        ``PANNEURO_COLLABORATION`` names, or else ``collaboration.yaml``.
    service_url : str, optional
        Where the service listens, as the hub and sessions reach it, without a path; by
        default port 10143 of this machine's loopback.
    service_token : str, optional
        The service's API token, for a service that the hub does not start itself: a
        Kubernetes Deployment, for one. By default the environment variable
        ``PANNEURO_SERVICE_TOKEN``; where there is none, the hub starts the service.
    service_environment : mapping, optional
        Further environment of the service's process. The service also gets every
        ``AWS_…`` variable of the hub's own environment: the keys with which it assumes
        the stores' roles. Nobody else gets them, the hub's database included.
    ledger_url : str, optional
        SQLAlchemy URL of the ledger; by default an SQLite file ``ledger.sqlite``
        beside the hub's own.
    renew_after_seconds : int, optional
        Hand out a credential again for so long; by default a third of its lifetime.
    dask_gateway_url : str, optional
        Where a Dask gateway listens, as the hub and sessions reach it, without a path; by
        default the environment variable ``PANNEURO_DASK_GATEWAY_URL``. Where there is none,
        the hub has no gateway.
    dask_gateway_token : str, optional
        The gateway's API token, for one that the hub does not start itself; by default
        the environment variable ``PANNEURO_DASK_GATEWAY_TOKEN``.
    dask_gateway_command : sequence of str, optional
        What starts the gateway, where the hub shall do it; then it needs no token.
    dask_proxy_address : str, optional
        Where the gateway's proxy takes connections to schedulers, as sessions reach it,
        such as ``gateway://host:8786``; by default the environment variable
        ``PANNEURO_DASK_PROXY_ADDRESS``, or else the host and port of the gateway's URL.

    Raises
    ------
    PanNeuroError
        If there is a gateway, and neither a token nor a command for it.
    """
    chosen = collaboration or os.environ.get("PANNEURO_COLLABORATION", "collaboration.yaml")
    # As it is named: a ConfigMap changes by moving a link, which a resolved path would not see.
    path = os.path.abspath(chosen)
    named = service_url or os.environ.get("PANNEURO_SERVICE_URL")
    url = named or f"http://127.0.0.1:{SERVICE_PORT}"
    _spawner(c, path, url)
    _authenticator(c, path)
    _pages(c)
    if "subdomain_hook" not in c.JupyterHub:
        # Used where an admin sets subdomain_host alone.
        c.JupyterHub.subdomain_hook = make_subdomain
    gateway_url = dask_gateway_url or os.environ.get("PANNEURO_DASK_GATEWAY_URL")
    if gateway_url:
        _gateway(c, gateway_url, dask_gateway_token, dask_gateway_command, dask_proxy_address)
    token = service_token or os.environ.get("PANNEURO_SERVICE_TOKEN")
    if token:
        _service(c, {"url": url, "api_token": token})
        return
    command = [
        *(sys.executable, "-m", "panneuro_hub.service", "--collaboration", path),
        *(("--renew-after", str(renew_after_seconds)) if renew_after_seconds else ()),
    ]
    secret = {**_store_keys(), **(service_environment or {}), **_ledger(ledger_url)}
    environment = secret_env.write_secret_environment(secret) if secret else {}
    if read_help_url():
        environment = {**environment, "PANNEURO_HELP_URL": read_help_url()}
    _service(c, {"url": url, "command": command, "environment": environment})


def _pages(c: Any) -> None:
    """Let our pages come before JupyterHub's, and after the admin's own, with a link to help."""
    if read_help_url():
        given = c.JupyterHub.template_vars if "template_vars" in c.JupyterHub else {}
        c.JupyterHub.template_vars = {"panneuro_help_url": read_help_url(), **given}
    paths = c.JupyterHub.template_paths
    if isinstance(paths, list):
        c.JupyterHub.template_paths = [*paths, str(_PAGE_OVERRIDES)]  # JupyterHub adds its own last
    else:
        paths.prepend([str(_PAGE_OVERRIDES)])


def _spawner(c: Any, path: str, service_address: str) -> None:
    if "spawner_class" not in c.JupyterHub:
        c.JupyterHub.spawner_class = "panneuro"
    c.SessionMixin.collaboration_file = path
    c.SessionMixin.service_address = service_address


def _authenticator(c: Any, path: str) -> None:
    c.TeamsMixin.collaboration_file = path
    # Membership is read again for every start, and where it cannot be, nothing starts. Our own
    # authenticators ask once the start is under way (see `TeamsMixin.pre_spawn_start`).
    c.Authenticator.refresh_pre_spawn = True
    c.TeamsMixin.refresh_pre_spawn = False
    c.Authenticator.auth_refresh_strict = True
    if not os.environ.get("JUPYTERHUB_CRYPT_KEY") and "keys" not in c.CryptKeeper:
        # Refreshing needs what the login brought, and that is stored encrypted. With a key of
        # this run alone nobody can be confirmed after a restart of the hub: people log in
        # again, and running sessions have keys for membership_grace at most.
        c.CryptKeeper.keys = [secrets.token_bytes(32)]


def _store_keys() -> dict[str, str]:
    """Return what the hub's environment says about the platform's keys, as botocore names it."""
    return {name: value for name, value in os.environ.items() if name.startswith("AWS_")}


def _ledger(url: str | None) -> dict[str, str]:
    # Not on the command line, which others see: it may hold the database's password.
    return {"PANNEURO_LEDGER_URL": url} if url else {}


def _service(c: Any, how: dict[str, Any]) -> None:
    _add_service(c, {"name": SERVICE_NAME, "oauth_no_confirm": True, "display": True, **how})
    _let_use(c, SERVICE_NAME, "user")
    scopes = c.JupyterHub.custom_scopes if "custom_scopes" in c.JupyterHub else {}
    c.JupyterHub.custom_scopes = {
        **scopes,
        MEMBERS_SCOPE: {"description": "Read what the identity provider says of people."},
    }
    # A copy: what the admin changes in it is compared with ours when the hub starts.
    _load_role(c, copy.deepcopy(SERVICE_ROLE))


def _gateway(
    c: Any, url: str, token: str | None, command: Sequence[str] | None, proxy_address: str | None
) -> None:
    """Let the hub know a Dask gateway, and let people and their servers use it."""
    token = token or os.environ.get("PANNEURO_DASK_GATEWAY_TOKEN")
    if not (token or command):
        raise PanNeuroError(
            f"there is a Dask gateway at {url}, and no token for it: set "
            "PANNEURO_DASK_GATEWAY_TOKEN to what the gateway has as JUPYTERHUB_API_TOKEN, or "
            "dask_gateway_command for the hub to start it"
        )
    how = {"command": list(command)} if command else {"api_token": token}
    _add_service(
        c, {"name": GATEWAY_NAME, "url": url, "oauth_no_confirm": True, "display": False, **how}
    )
    # A server's token may do what is listed in its role and no more; its owner must be allowed too.
    _let_use(c, GATEWAY_NAME, "user")
    _let_use(c, GATEWAY_NAME, "server")
    c.SessionMixin.gateway_address = url
    proxy_address = proxy_address or os.environ.get("PANNEURO_DASK_PROXY_ADDRESS")
    if proxy_address:
        c.SessionMixin.gateway_proxy_address = proxy_address


def _add_service(c: Any, service: dict[str, Any]) -> None:
    services = list(c.JupyterHub.services) if "services" in c.JupyterHub else []
    c.JupyterHub.services = [*services, service]


def _let_use(c: Any, service: str, role_name: str) -> None:
    """Add a service to what one of JupyterHub's own roles may use."""
    given = next(
        (role for role in _roles(c) if role["name"] == role_name),
        next(role for role in get_default_roles() if role["name"] == role_name),
    )
    scope = f"access:services!service={service}"
    _load_role(c, {**given, "scopes": [*given.get("scopes", ()), scope]})


def _load_role(c: Any, role: dict[str, Any]) -> None:
    others = [each for each in _roles(c) if each["name"] != role["name"]]
    c.JupyterHub.load_roles = [*others, role]


def _roles(c: Any) -> list[dict[str, Any]]:
    return list(c.JupyterHub.load_roles) if "load_roles" in c.JupyterHub else []
