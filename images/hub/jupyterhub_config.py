# The image's own configuration: a PanNeuro hub behind the Traefik that is in the image.
# Put a configuration of your own in its place (a volume, or a COPY in an image on top of this
# one); it may begin with the next two lines, as this one does.
c = get_config()
load_subconfig("/etc/jupyterhub/panneuro_config.py")

c.JupyterHub.proxy_class = "panneuro-traefik"
