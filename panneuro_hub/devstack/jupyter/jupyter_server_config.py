"""What the notebook's image has below /etc, and what an installed package has in place."""

from pathlib import Path

import panneuro_hub.jupyter

c = get_config()
# An editable installation puts nothing where JupyterLab looks: it finds the panel in the source.
c.LabApp.extra_labextensions_path = [
    str(Path(panneuro_hub.jupyter.__file__).with_name("labextensions"))
]
# The usual one asks PyPI for the newest version of each extension: a demo asks nobody outside.
c.LabApp.extension_manager = "readonly"
# The projects' files, beside one's own.
c.ServerApp.contents_manager_class = "panneuro_hub.jupyter.project_files.ProjectFilesManager"
c.JupyterFs.root_manager_class = (
    "jupyter_server.services.contents.largefilemanager.AsyncLargeFileManager"
)
c.JupyterFs.allow_user_resources = False
