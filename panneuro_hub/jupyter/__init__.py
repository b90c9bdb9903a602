"""The project in JupyterLab: an extension of a person's own server, and its part in the browser.

The browser's part is written in TypeScript, in ``labextension/`` of the source; what is built of
it lies in ``labextensions`` of this package. It asks this extension, which asks with the session's
own keys: nothing that a browser sends widens what the session may do.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp

NAME = "panneuro-hub"
"""The name of the browser's part, as JupyterLab lists it."""


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    return [{"src": f"labextensions/{NAME}", "dest": NAME}]


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": __name__}]


def _load_jupyter_server_extension(server: ServerApp) -> None:
    project = os.environ.get("PANNEURO_PROJECT")
    if not project:
        server.log.info("this server is no session of a project, so there is no panel of one")
        return
    from panneuro_hub.jupyter.panel_handlers import add_handlers

    add_handlers(server)
    # Where this is missing, the browser's part does nothing.
    server.web_app.settings.setdefault("page_config_data", {})["panneuroProject"] = project
