"""A hub on this machine: what an operator writes, with everything on loopback.

An operator's own file has the lines of the first block, and the settings of their own
identity provider and spawner.
"""

import os
from pathlib import Path

from panneuro_hub.configure import configure
from panneuro_hub.devstack.stack_settings import HUB_VARIABLE, HubSettings

c = get_config()
demo = HubSettings.read(os.environ[HUB_VARIABLE])

c.JupyterHub.authenticator_class = "panneuro-oidc"
c.JupyterHub.spawner_class = "panneuro-local"
configure(
    c,
    demo.collaboration,
    service_url=f"http://127.0.0.1:{demo.service_port}",
    service_environment=demo.service_environment,
    ledger_url=demo.ledger_url,
    renew_after_seconds=demo.renew_after_seconds,
    dask_gateway_url=f"http://127.0.0.1:{demo.gateway_port}",
    dask_gateway_command=demo.gateway_command,
)

for trait, value in demo.authenticator.items():
    setattr(c.PanNeuroGenericOAuthenticator, trait, value)

c.JupyterHub.bind_url = demo.hub_url
c.JupyterHub.hub_ip = "127.0.0.1"
c.JupyterHub.hub_port = demo.hub_port
c.JupyterHub.db_url = f"sqlite:///{demo.folder}/jupyterhub.sqlite"
c.JupyterHub.cookie_secret_file = f"{demo.folder}/cookie_secret"
c.JupyterHub.template_vars = {"announcement": "This is a demo: everything is on this machine."}

c.JupyterHub.proxy_class = "panneuro-traefik"
c.TraefikFileProviderProxy.static_config_file = f"{demo.folder}/traefik.toml"
c.TraefikFileProviderProxy.dynamic_config_file = f"{demo.folder}/rules.toml"
c.TraefikFileProviderProxy.traefik_api_url = f"http://127.0.0.1:{demo.proxy_api_port}"

c.SimpleLocalProcessSpawner.home_dir_template = f"{demo.homes}/{{username}}"
c.Spawner.default_url = f"/lab/tree/{demo.notebook}" if demo.notebook else "/lab"
# What the notebook's image has below /etc: JupyterLab's Dask panel makes projects' clusters.
c.Spawner.environment = {
    "DASK_DISTRIBUTED__CLIENT__SECURITY_LOADER": (
        "panneuro_hub.lab.cluster_security.load_security"
    ),
    "DASK_LABEXTENSION__DEFAULT__ADAPT": "{'minimum': 0, 'maximum': 4}",
    "DASK_LABEXTENSION__FACTORY__CLASS": "ProjectCluster",
    "DASK_LABEXTENSION__FACTORY__MODULE": "panneuro_hub.lab.project_clusters",
    "JUPYTER_CONFIG_PATH": str(Path(__file__).with_name("jupyter")),
}
c.Spawner.http_timeout = 60  # the first JupyterLab of a day is slow on a laptop
c.LocalProcessSpawner.interrupt_timeout = 5
if os.geteuid() == 0:  # in a container, say; Jupyter wants to be told
    c.Spawner.args = ["--allow-root"]
