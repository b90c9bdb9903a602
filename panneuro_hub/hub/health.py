"""The hub's page for probes, which says which version of the collaboration is in force."""

from __future__ import annotations

from typing import Any

from jupyterhub.handlers.base import BaseHandler

from panneuro_hub.current import build_health_report
from panneuro_hub.hub import current_collaboration


class HealthHandler(BaseHandler):
    """``GET /hub/health``: answers 200 while the hub can work, with a broken file too."""

    def initialize(self, collaboration_file: str) -> None:
        """Take what the hub was started with."""
        self.collaboration_file = collaboration_file

    def get(self) -> None:
        """Answer what is in force, and whether the file is broken."""
        self.finish(
            build_health_report(
                current_collaboration.get_file_reader(self.collaboration_file).look()
            )
        )

    def head(self) -> None:
        """Answer as `get`, without the words."""

    def set_default_headers(self) -> Any:
        """Keep the answer out of caches, as JupyterHub does with all of its own."""
        super().set_default_headers()
        self.set_header("Cache-Control", "no-store")
