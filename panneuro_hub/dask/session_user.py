"""A person at the gateway, and the one project that a session's token bounds them to; pure."""

from __future__ import annotations

from dask_gateway_server import models

from panneuro_hub.dask.shape import CHOICE
from panneuro_hub.errors import AccessDenied
from panneuro_hub.phrases import shorten
from panneuro_hub.wire.clusters import Requester


class SessionUser(models.User):
    """A person, bounded to one project where a session's token speaks for them.

    Parameters
    ----------
    requester : Requester
    """

    def __init__(self, requester: Requester) -> None:
        super().__init__(requester.user, requester.teams)
        self.project = requester.project
        self.image = requester.image
        self.session = requester.session

    def has_permissions(self, cluster: models.Cluster) -> bool:
        """Return whether a cluster is the person's own, and of the session's project."""
        return self.name == cluster.username and self.project in (None, project_of(cluster))

    def require(self, cluster: models.Cluster) -> None:
        """Refuse a cluster of the person's own that belongs to another project.

        Raises
        ------
        AccessDenied
            If it does; a cluster of somebody else is refused by each request handler.
        """
        if cluster.username == self.name and not self.has_permissions(cluster):
            other = project_of(cluster)
            raise AccessDenied(
                f"cluster {shorten(cluster.name)} is of {other or 'no project'}, and this session "
                f"works in {self.project}" + (f"; start a server in {other}" if other else "")
            )


def project_of(cluster: models.Cluster) -> str:
    """Return the project of a cluster; ``""`` for one that has none."""
    choice = cluster.config.get(CHOICE) or {}
    return str(choice.get("project", ""))
