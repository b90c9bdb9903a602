"""`configure(c)`: the only wiring of the package into a dask-gateway-server configuration."""

from __future__ import annotations

import os
from typing import Any, Literal

from panneuro_hub.wire.service_urls import GATEWAY_NAME, SERVICE_NAME
from panneuro_hub.wire.service_urls import build_service_url as service_url_of

_BACKENDS = {
    "kubernetes": "panneuro_hub.dask.kube_backend.PanNeuroKubeBackend",
    "local": "panneuro_hub.dask.local_backend.PanNeuroLocalBackend",
}
_THEIR_AUTHENTICATOR = "dask_gateway_server.auth.JupyterHubAuthenticator"
_SERVICE_URL = service_url_of("http://127.0.0.1:10143", "/", SERVICE_NAME)


def configure(
    c: Any,
    collaboration: str | os.PathLike[str] | None = None,
    *,
    service_url: str | None = None,
    backend: Literal["kubernetes", "local"] = "kubernetes",
) -> None:
    """Make a dask-gateway-server configuration start clusters in projects.

    What the configuration sets besides stays as it is: sizes of schedulers, further pod
    config, addresses. The gateway's token is in ``JUPYTERHUB_API_TOKEN``, and the path
    below which the hub leads to it in ``JUPYTERHUB_SERVICE_PREFIX``, as for every service
    of a hub.

    Parameters
    ----------
    c : traitlets.config.Config
        The configuration, as dask-gateway-server and its controller give it to their
        config file.
    collaboration : path, optional
        The collaboration file; by default the one that the environment variable
        ``PANNEURO_COLLABORATION`` names, or else ``collaboration.yaml``.
    service_url : str, optional
        The PanNeuro service, as the gateway and clusters reach it; by default the
        environment variable ``PANNEURO_SERVICE_URL``, or else port 10143 of loopback. Where
        the hub has a base URL, this address has it too.
    backend : {"kubernetes", "local"}
        Where clusters run; ``local`` keeps nobody from another's files.

    Notes
    -----
    The gateway reads the file when it starts. If it is broken then, the version that is in
    force at the service holds; without one, the gateway does not start, and its log lists
    every error. The controller does not need the file.
    """
    chosen = collaboration or os.environ.get("PANNEURO_COLLABORATION", "collaboration.yaml")
    # As it is named: a ConfigMap changes by moving a link, which a resolved path would not see.
    path = os.path.abspath(chosen)
    c.DaskGateway.backend_class = _BACKENDS[backend]
    # Another one cannot tell which session a request comes from; the gateway does not start.
    if c.DaskGateway.get("authenticator_class", _THEIR_AUTHENTICATOR) == _THEIR_AUTHENTICATOR:
        c.DaskGateway.authenticator_class = "panneuro_hub.dask.authenticator.HubAuthenticator"
    # The hub says below which path it leads browsers and clients here.
    prefix = os.environ.get("JUPYTERHUB_SERVICE_PREFIX") or service_url_of("", "/", GATEWAY_NAME)
    c.ClusterMixin.prefix = c.Proxy.prefix = prefix.rstrip("/")
    c.ClusterMixin.collaboration_file = path
    c.ClusterMixin.service_url = (
        service_url or os.environ.get("PANNEURO_SERVICE_URL") or _SERVICE_URL
    )
