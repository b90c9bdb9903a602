"""The answer of `decide`: what one person may do in one project, with reasons."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta

from panneuro_hub.collaboration.models import Level
from panneuro_hub.wire import Denial, Grant


@dataclass(frozen=True)
class Person:
    """Somebody who asks.

    Parameters
    ----------
    name : str
        As the hub names them.
    teams : frozenset of str
        The teams that the identity provider puts them in; names that the
        collaboration does not have are passed over.
    """

    name: str
    teams: frozenset[str] = field(default_factory=frozenset)

    @classmethod
    def of(cls, name: str, teams: Iterable[str]) -> Person:
        """Make a person from any collection of team names."""
        return cls(name, frozenset(teams))


@dataclass(frozen=True)
class Offer:
    """A profile or an image that may be used, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class DaskLimits:
    """What a project's clusters may have together; `None` where there is no limit.

    Parameters
    ----------
    max_workers : int or None
    max_cores : float or None
    max_memory : int or None
        In bytes.
    worker_profiles : tuple of str
    idle_timeout : timedelta or None
    reason : str
        Where the limits come from.
    """

    max_workers: int | None
    max_cores: float | None
    max_memory: int | None
    worker_profiles: tuple[str, ...]
    idle_timeout: timedelta | None
    reason: str


@dataclass(frozen=True)
class PathVerdict:
    """Whether one object can be read and written, and why."""

    read: bool
    write: bool
    reason: str


@dataclass(frozen=True)
class Access:
    """All grants, profiles and limits of one person in one project, with reasons.

    Parameters
    ----------
    person : Person
    project : str
    level : {"read", "write", "manage"} or None
        `None`: no access at all; then grants, profiles and images are empty.
    reason : str
        Why the level is what it is.
    grants : tuple of Grant
    denied : tuple of Denial
        What could be expected and is not given.
    profiles, images : tuple of Offer
        The default one first.
    dask : DaskLimits or None
        `None` without access.
    """

    person: Person
    project: str
    level: Level | None
    reason: str
    grants: tuple[Grant, ...]
    denied: tuple[Denial, ...]
    profiles: tuple[Offer, ...]
    images: tuple[Offer, ...]
    dask: DaskLimits | None
