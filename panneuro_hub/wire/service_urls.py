"""Addresses of the hub's services: below the hub's base URL, which need not be ``/``."""

from __future__ import annotations

SERVICE_NAME = "panneuro"
"""The name under which the hub knows the PanNeuro service."""

GATEWAY_NAME = "dask-gateway"
"""The name under which the hub knows the Dask gateway."""

SESSION_CLUSTERS_PATH = "/api/v1/session/clusters"
"""Below the gateway's address: the Dask clusters that the session of a token started."""


def build_service_url(address: str, base_url: str, service: str) -> str:
    """Return the URL of a service of the hub, without a ``/`` at its end.

    Parameters
    ----------
    address : str
        Scheme, host and port; ``""`` for the path alone.
    base_url : str
        The hub's base URL, such as ``/`` or ``/jhub/``.
    service : str
        The name under which the hub knows the service.
    """
    return f"{address.rstrip('/')}/{base_url.strip('/')}".rstrip("/") + f"/services/{service}"
