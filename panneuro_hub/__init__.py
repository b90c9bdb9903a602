"""PanNeuro hub: a JupyterHub whose sessions get exactly their project's data."""
