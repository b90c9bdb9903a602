"""A person at the gateway, and the one project that a session's token bounds them to; pure."""

from __future__ import annotations

from dask_gateway_server import models

from panneuro_hub.dask.cluster_config import CHOICE_KEY
from panneuro_hub.errors import AccessDeniedError
from panneuro_hub.phrases import shorten
from panneuro_hub.wire.cluster_reports import GatewayUser


class SessionUser(models.User):
    """A person, bounded to one project where a session's token speaks for them.

    Parameters
    ----------
    requester : GatewayUser
    """

    def __init__(self, requester: GatewayUser) -> None:
        super().__init__(requester.user, requester.teams)
        self.project = requester.project
        self.image = requester.image
        self.session = requester.session

    def has_permissions(self, cluster: models.Cluster) -> bool:
        """Return whether a cluster is the person's own, and of the session's project."""
        return self.name == cluster.username and self.project in (
            None,
            find_cluster_project(cluster),
        )

    def require_cluster(self, cluster: models.Cluster) -> None:
        """Refuse a cluster of the person's own that belongs to another project.

        Raises
        ------
        AccessDeniedError
            If it does; a cluster of somebody else is refused by each request handler.
        """
        if cluster.username == self.name and not self.has_permissions(cluster):
            other = find_cluster_project(cluster)
            raise AccessDeniedError(
                f"cluster {shorten(cluster.name)} is of {other or 'no project'}, and this session "
                f"works in {self.project}" + (f"; start a server in {other}" if other else "")
            )


def find_cluster_project(cluster: models.Cluster) -> str:
    """Return the project of a cluster; ``""`` for one that has none."""
    choice = cluster.config.get(CHOICE_KEY) or {}
    return str(choice.get("project", ""))
