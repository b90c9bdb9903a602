"""Reports of a Dask gateway to the service, and the service's answers."""

from __future__ import annotations

from dataclasses import dataclass

from panneuro_hub.wire.reason import Reason


@dataclass(frozen=True)
class ClusterReport:
    """A running cluster; cores and memory (in bytes) are those of one worker."""

    session: str
    name: str
    workers: int
    cores: float
    memory: int


@dataclass(frozen=True)
class ClusterStop:
    """A session whose cluster must stop, and the reasons."""

    session: str
    reasons: tuple[Reason, ...]


@dataclass(frozen=True)
class GatewayUser:
    """The sender of a request to a gateway, as the hub and the service know them.

    Parameters
    ----------
    user : str
    teams : tuple of str
        The teams that the identity provider puts them in.
    project : str or None
        The project of the session whose token the request has; `None` for a token of the
        person's own, with which they may choose among their projects.
    image : str or None
        The image of that session, by its name in the collaboration file.
    session : str or None
        Id of that session.
    """

    user: str
    teams: tuple[str, ...]
    project: str | None = None
    image: str | None = None
    session: str | None = None
