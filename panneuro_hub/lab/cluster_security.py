"""Find the certificate of a cluster's scheduler for a program that has only its address.

JupyterLab's Dask panel writes ``Client("gateway://…/NAME")`` into a notebook. Dask asks this
module for what such a client needs, if its configuration names it
(``distributed.client.security-loader``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from panneuro_hub.lab.gateway_client import open_gateway, require_gateway
from panneuro_hub.lab.gateway_errors import ClusterEndedError, translate_errors
from panneuro_hub.lab.tls_workaround import isolate_connections

_SCHEME = "gateway://"


def load_security(info: Mapping[str, Any]) -> Any:
    """Return the certificate of a cluster of this session's project; `None` for other addresses.

    Parameters
    ----------
    info : mapping
        The key ``address`` holds the scheduler's address, as Dask passes it.

    Raises
    ------
    AccessDeniedError
        If the gateway refuses; the message says why.
    ClusterEndedError
        If the cluster is not running.
    ServiceUnavailableError
        If the gateway does not answer.
    """
    address = str(info["address"])
    if not address.startswith(_SCHEME):
        return None
    isolate_connections()
    require_gateway()
    name = address.rpartition("/")[2]
    with open_gateway() as gateway:
        report = translate_errors(lambda: gateway.get_cluster(name))
        # Use the certificate only for this session's gateway, not for any other address.
        if not address.startswith(f"{gateway.proxy_address}/"):
            return None
    if report.security is None:
        raise ClusterEndedError(
            f"cluster {name} is not running; lab.clusters() lists the clusters that are"
        )
    return report.security
