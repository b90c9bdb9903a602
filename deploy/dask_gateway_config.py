"""The gateway and its controller of deploy/kustomize/dask; nothing of one collaboration.

Both read this. What a cluster may be is in `collaboration.yaml`, which a running gateway
follows, and settings of dask-gateway's classes are in `dask.yaml`, which it reads when it starts.
"""

import os
from pathlib import Path

from panneuro_hub.dask import configure
from panneuro_hub.settings import read_settings

c = get_config()

configure(
    c,
    os.environ.get("PANNEURO_COLLABORATION", "/etc/panneuro/collaboration.yaml"),
    service_url=os.environ.get("PANNEURO_SERVICE_URL", "http://panneuro:10143/services/panneuro"),
)

c.DaskGateway.address = "0.0.0.0:8000"
c.KubeController.address = "127.0.0.1:8000"
# Where schedulers say how many workers they want.
c.KubeBackend.api_url = c.KubeController.api_url = "http://dask-gateway:8000/api"

# Browsers come to dashboards through the gateway, which asks who they are: the routes that the
# controller makes straight to schedulers let nobody pass (deploy/kustomize/dask/routes.yaml).
c.KubeController.proxy_prefix = c.ClusterMixin.prefix
c.KubeController.proxy_web_middlewares = [{"name": "dask-nobody"}]

for name, traits in read_settings(
    Path(os.environ.get("PANNEURO_SETTINGS", "/etc/panneuro/dask.yaml"))
).items():
    c[name].update(traits)
