"""Makes the hub of the Zero to JupyterHub chart a PanNeuro hub.

The chart's own configuration runs whatever is in /usr/local/etc/jupyterhub/jupyterhub_config.d,
where the hub's image has this file. Its `c` is there; its `get_config` is not JupyterHub's.
"""

import os

from panneuro_hub.configure import configure
from panneuro_hub.errors import PanNeuroError

if not os.environ.get("PANNEURO_SERVICE_TOKEN"):
    raise PanNeuroError(
        "PANNEURO_SERVICE_TOKEN is not set; hub.extraEnv takes it from the Secret panneuro-hub"
    )

c.JupyterHub.spawner_class = "panneuro"  # noqa: F821 -- the chart has chosen another before
configure(
    c,  # noqa: F821
    os.environ.get("PANNEURO_COLLABORATION", "/etc/panneuro/collaboration.yaml"),
    service_url=os.environ.get("PANNEURO_SERVICE_URL", "http://panneuro:10143"),
)
