# A PanNeuro hub: configure() makes it one; the rest is as in any JupyterHub.
import os

from panneuro_hub.configure import configure

c = get_config()

configure(c, os.environ.get("PANNEURO_COLLABORATION", "collaboration.yaml"))

# Who people are: panneuro-github, panneuro-cilogon, panneuro-globus, panneuro-google,
# panneuro-azuread or panneuro-oidc. Client id, secret and callback URL come from
# OAUTH_CLIENT_ID, OAUTH_CLIENT_SECRET and OAUTH_CALLBACK_URL.
c.JupyterHub.authenticator_class = os.environ.get("PANNEURO_AUTHENTICATOR", "panneuro-oidc")

# Where servers run: panneuro (Kubernetes pods), or panneuro-local (processes, to try things out).
c.JupyterHub.spawner_class = os.environ.get("PANNEURO_SPAWNER", "panneuro")
