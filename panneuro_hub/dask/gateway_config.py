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
_DEFAULT_AUTHENTICATOR = "dask_gateway_server.auth.JupyterHubAuthenticator"
_SERVICE_URL = service_url_of("http://127.0.0.1:10143", "/", SERVICE_NAME)


def configure(
    c: Any,
    collaboration: str | os.PathLike[str] | None = None,
    *,
    service_url: str | None = None,
    backend: Literal["kubernetes", "local"] = "kubernetes",
) -> None:
    """Make a dask-gateway-server configuration start clusters in projects.

    Other settings of the configuration stay as they are: sizes of schedulers, further pod
    config, addresses. As for every service of a hub, ``JUPYTERHUB_API_TOKEN`` holds the gateway's
    token, and ``JUPYTERHUB_SERVICE_PREFIX`` holds the path at which the hub's proxy serves the
    gateway.

    Parameters
    ----------
    c : traitlets.config.Config
        The configuration that dask-gateway-server and its controller pass to their config file.
    collaboration : path, optional
        The collaboration file; by default the one that the environment variable
        ``PANNEURO_COLLABORATION`` names, or else ``collaboration.yaml``.
    service_url : str, optional
        The address at which the gateway and clusters reach the PanNeuro service; by default the
        environment variable ``PANNEURO_SERVICE_URL``, or else port 10143 of loopback. If the hub
        has a base URL, this address includes it.
    backend : {"kubernetes", "local"}
        The backend of the clusters. With ``local``, people can read each other's files.

    Notes
    -----
    The gateway reads the file when it starts. If the file is invalid then, the gateway takes the
    version that the service uses. If the service has none, the gateway does not start, and its
    log lists every error. The controller does not need the file.
    """
    chosen = collaboration or os.environ.get("PANNEURO_COLLABORATION", "collaboration.yaml")
    # Not resolved: Kubernetes changes a ConfigMap by moving a link, which must be followed later.
    path = os.path.abspath(chosen)
    c.DaskGateway.backend_class = _BACKENDS[backend]
    # Another authenticator does not know the session of a request; then the gateway does not start.
    if c.DaskGateway.get("authenticator_class", _DEFAULT_AUTHENTICATOR) == _DEFAULT_AUTHENTICATOR:
        c.DaskGateway.authenticator_class = "panneuro_hub.dask.authenticator.HubAuthenticator"
    # The hub names the path at which its proxy serves the gateway to browsers and clients.
    prefix = os.environ.get("JUPYTERHUB_SERVICE_PREFIX") or service_url_of("", "/", GATEWAY_NAME)
    c.ClusterMixin.prefix = c.Proxy.prefix = prefix.rstrip("/")
    c.ClusterMixin.collaboration_file = path
    c.ClusterMixin.service_url = (
        service_url or os.environ.get("PANNEURO_SERVICE_URL") or _SERVICE_URL
    )
