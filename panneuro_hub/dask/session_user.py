"""A person at the gateway, limited to one project by the token of a session; pure."""

from __future__ import annotations

from dask_gateway_server import models

from panneuro_hub.dask.cluster_config import CHOICE_KEY
from panneuro_hub.errors import AccessDeniedError
from panneuro_hub.phrases import shorten
from panneuro_hub.wire.cluster_reports import GatewayUser


class SessionUser(models.User):
    """A person who sends a request; the token of a session limits them to its project.

    Parameters
    ----------
    requester : GatewayUser
        The person and the session, as the service knows them.
    """

    def __init__(self, requester: GatewayUser) -> None:
        super().__init__(requester.user, requester.teams)
        self.project = requester.project
        self.image = requester.image
        self.session = requester.session

    def has_permissions(self, cluster: models.Cluster) -> bool:
        """Return whether the person owns a cluster and the session's project contains it."""
        return self.name == cluster.username and self.project in (
            None,
            find_cluster_project(cluster),
        )

    def require_cluster(self, cluster: models.Cluster) -> None:
        """Refuse a cluster that the person owns but that belongs to another project.

        Raises
        ------
        AccessDeniedError
            If it belongs to another project. Each request handler refuses the clusters of other
            people.
        """
        if cluster.username == self.name and not self.has_permissions(cluster):
            other = find_cluster_project(cluster)
            raise AccessDeniedError(
                f"cluster {shorten(cluster.name)} belongs to {other or 'no project'}, and this "
                f"session works in {self.project}"
                + (f"; start a server in {other}" if other else "")
            )


def find_cluster_project(cluster: models.Cluster) -> str:
    """Return the project of a cluster, or ``""`` for a cluster without a project."""
    choice = cluster.config.get(CHOICE_KEY) or {}
    return str(choice.get("project", ""))
