"""The hub of deploy/kustomize: its pod, its proxy, its servers; nothing of one collaboration.

What differs from one hub to the next is in two files of the ConfigMap: `collaboration.yaml`,
which a running hub follows, and `hub.yaml`, the settings of JupyterHub's classes, which it reads
when it starts. Secrets are in the environment, from the Secret `panneuro-hub`.
"""

import os
import sys
from pathlib import Path

from panneuro_hub.configure import configure
from panneuro_hub.errors import PanNeuroError
from panneuro_hub.settings import read_settings

c = get_config()


def secret(name):
    if not os.environ.get(name):
        raise PanNeuroError(
            f"{name} is not set; deploy/secrets makes it, for the Secret panneuro-hub"
        )
    return os.environ[name]


# Sessions go on while the hub starts again, and so does the proxy, which is a container of its own.
c.JupyterHub.cleanup_servers = False
c.JupyterHub.db_url = secret("PANNEURO_DATABASE_URL")
c.JupyterHub.hub_bind_url = "http://0.0.0.0:8081"
c.JupyterHub.hub_connect_url = "http://127.0.0.1:8081"  # for the proxy, in the same pod
c.Spawner.hub_connect_url = os.environ.get("PANNEURO_HUB_URL", "http://hub:8081")
c.JupyterHub.tornado_settings = {"slow_spawn_timeout": 0}  # the progress page at once

c.JupyterHub.proxy_class = "panneuro-traefik"
c.TraefikFileProviderProxy.should_start = False
c.TraefikFileProviderProxy.dynamic_config_file = "/run/panneuro-proxy/rules.toml"
c.TraefikFileProviderProxy.traefik_api_url = "http://127.0.0.1:8099"
c.TraefikFileProviderProxy.traefik_api_username = "hub"
c.TraefikFileProviderProxy.traefik_api_password = secret("PANNEURO_PROXY_PASSWORD")

# Everybody has a home in each project (see SessionMixin.home_scope), which outlives their servers
# and their account.
c.KubeSpawner.storage_pvc_ensure = True
c.KubeSpawner.delete_pvc = False
c.KubeSpawner.storage_capacity = "10Gi"
c.KubeSpawner.storage_access_modes = ["ReadWriteOnce"]
c.KubeSpawner.volumes = [{"name": "home", "persistentVolumeClaim": {"claimName": "{pvc_name}"}}]
c.KubeSpawner.volume_mounts = [{"name": "home", "mountPath": "/home/researcher"}]
c.KubeSpawner.fs_gid = 1000
c.KubeSpawner.start_timeout = 600  # s: a new node, and an image that it does not have yet
c.KubeSpawner.http_timeout = 120  # s: a course begins, and everybody's server starts on one node
c.KubeSpawner.extra_annotations = {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"}
c.KubeSpawner.extra_pod_config = {"enableServiceLinks": False}

cull_after = int(os.environ.get("PANNEURO_CULL_AFTER_SECONDS", "3600"))
if cull_after:
    culler = [sys.executable, "-m", "jupyterhub_idle_culler", f"--timeout={cull_after}"]
    c.JupyterHub.services = [{"name": "idle-culler", "command": culler}]
    c.JupyterHub.load_roles = [
        {
            "name": "idle-culler",
            "services": ["idle-culler"],
            "scopes": ["list:users", "read:users:activity", "read:servers", "delete:servers"],
        }
    ]

for name, traits in read_settings(
    Path(os.environ.get("PANNEURO_SETTINGS", "/etc/panneuro/hub.yaml"))
).items():
    c[name].update(traits)

configure(
    c,
    os.environ.get("PANNEURO_COLLABORATION", "/etc/panneuro/collaboration.yaml"),
    service_url=os.environ.get("PANNEURO_SERVICE_URL", "http://panneuro:10143"),
    service_token=secret("PANNEURO_SERVICE_TOKEN"),
)
