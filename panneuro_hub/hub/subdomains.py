"""Domains, where each person's servers have one of their own (`JupyterHub.subdomain_host`)."""

from __future__ import annotations

from jupyterhub.utils import subdomain_hook_idna


def make_subdomain(name: str, domain: str, kind: str) -> str:
    """Return the domain of a person's servers, or of a service.

    The hub's services stay on the hub's own domain: they are trusted with as much as the
    hub itself, and their addresses stay what people and `panneuro login` know.

    Parameters
    ----------
    name : str
        Of the person or the service.
    domain : str
        Of the hub.
    kind : {"user", "service"}
    """
    return str(subdomain_hook_idna(name, domain, kind)) if kind == "user" else domain
