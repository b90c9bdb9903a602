"""A Dask gateway on this machine: what an operator writes, with everything on loopback."""

import os

from panneuro_hub.dask import configure
from panneuro_hub.devstack.stack_settings import GATEWAY_VARIABLE, GatewaySettings
from panneuro_hub.devstack.worker_limit import compute_worker_limit

c = get_config()
demo = GatewaySettings.read(os.environ[GATEWAY_VARIABLE])

configure(c, demo.collaboration, service_url=demo.service_url, backend="local")

c.DaskGateway.address = f"127.0.0.1:{demo.api_port}"
c.Proxy.address = f"127.0.0.1:{demo.port}"
c.PanNeuroLocalBackend.clusters_directory = f"{demo.folder}/clusters"
# The collaboration's limits are those of a real one; this machine runs less.
c.PanNeuroLocalBackend.max_workers = compute_worker_limit()
# Often, so that what runs is seen soon; a busy laptop may be silent for a while all the same.
c.PanNeuroLocalBackend.cluster_heartbeat_period = 3
c.PanNeuroLocalBackend.cluster_heartbeat_timeout = 60
c.PanNeuroLocalBackend.sigint_timeout = 5
c.LocalConfig.adaptive_period = 1
