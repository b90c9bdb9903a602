"""Traefik as the hub's proxy, with safe rules for people and servers of any name."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from jupyterhub_traefik_proxy.fileprovider import TraefikFileProviderProxy
from traitlets import default

# Traefik compares paths in which these stay as the request has them, and JupyterHub's
# requests have them encoded. Source: RFC 3986, section 2.2, and "%" itself.
_RESERVED = {ord(character): f"%{ord(character):02X}" for character in "%:/?#[]@!$&'()*+,;="}
_ENCODED = re.compile("(?:%[0-9A-Fa-f]{2})+")


def encode_routing_path(path: str) -> str:
    """A path, encoded as JupyterHub has it, in the form that Traefik compares."""
    return _ENCODED.sub(lambda match: unquote(match[0]).translate(_RESERVED), path)


def build_route_rule(routespec: str) -> str:
    """The rule of a route: what is below it, and itself without its last slash.

    Parameters
    ----------
    routespec : str
        A path, or a host and a path, that ends in ``/``.

    Returns
    -------
    str
        In Traefik's language, where every name is quoted: a name is never a rule.
    """
    host, _, path = routespec.partition("/")
    prefix = encode_routing_path(f"/{path}")
    rules = f"PathPrefix({json.dumps(prefix, ensure_ascii=False)})"
    exact = prefix.rstrip("/")
    if exact:
        rules = f"({rules} || Path({json.dumps(exact, ensure_ascii=False)}))"
    return f"Host({json.dumps(host)}) && {rules}" if host else rules


# Browsers send this header when they fetch the script of a service worker, and no script can
# leave it out. A worker could answer for its server's pages without the proxy, and so with the
# headers below. The hub, to which such a request goes instead, refuses it.
_NO_WORKER = '!HeaderRegexp("Service-Worker", ".+")'

# With these two headers a server could reach beyond its own pages where it shares the hub's
# origin: keep hold of a window with a page of the hub, and run a service worker for it.
_TAMED = "panneuro-servers"
_TAMING = {
    "headers": {
        "customResponseHeaders": {
            "Cross-Origin-Opener-Policy": "unsafe-none",
            "Service-Worker-Allowed": "",
        }
    }
}


class PanNeuroTraefikProxy(TraefikFileProviderProxy):
    """Traefik with a file of rules, in which no name is more than a name.

    Where people's servers share the hub's origin, it takes from their answers what reaches
    beyond their own pages.

    Its files are in the folder in which the hub runs, and it finds the ``traefik`` that
    was installed with this package, unless the configuration says otherwise.
    """

    @default("static_config_file")
    def _default_static_config_file(self) -> str:
        # Absolute, since Traefik takes a relative path to its rules as one below its own folder.
        return str(Path("traefik.toml").absolute())

    @default("dynamic_config_file")
    def _default_dynamic_config_file(self) -> str:
        return str(Path("traefik-rules.toml").absolute())

    @default("extra_static_config")
    def _default_extra_static_config(self) -> dict[str, Any]:
        # Otherwise Traefik asks its makers for a newer version.
        return {"global": {"checkNewVersion": False, "sendAnonymousUsage": False}}

    @default("traefik_env")
    def _default_traefik_env(self) -> dict[str, str]:
        # The environment of this Python may not be the one that the shell has activated.
        ours = str(Path(sys.executable).parent)
        return {"PATH": os.pathsep.join([ours, os.environ.get("PATH", os.defpath)])}

    def _dynamic_config_for_route(
        self, routespec: str, target: str, data: dict[str, Any]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        # jupyterhub-traefik-proxy decodes names whole, and puts them between backticks as
        # they are: some then find no server, and some are rules of their own.
        rules, routes = super()._dynamic_config_for_route(routespec, target, data)
        for router in rules["http"]["routers"].values():
            router["rule"] = build_route_rule(routespec)
            if "user" in data and not self.host_routing:
                router["rule"] += f" && {_NO_WORKER}"
                router["middlewares"] = [_TAMED]
                # The same for all, and left there when a route goes.
                rules["http"]["middlewares"] = {_TAMED: _TAMING}
        return rules, routes
