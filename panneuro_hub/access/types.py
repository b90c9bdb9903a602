"""The result of `decide_access`: the rights of one person in one project, with reasons."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Literal

from panneuro_hub.collaboration.models import Level
from panneuro_hub.wire import Denial, Grant, Reason


@dataclass(frozen=True)
class Person:
    """A person whose access is decided.

    Parameters
    ----------
    name : str
        The person's name in the hub.
    teams : frozenset of str
        The teams that the identity provider's groups give them; names that the collaboration
        does not have are ignored.
    """

    name: str
    teams: frozenset[str] = field(default_factory=frozenset)

    @classmethod
    def of(cls, name: str, teams: Iterable[str]) -> Person:
        """Make a person from any collection of team names."""
        return cls(name, frozenset(teams))


@dataclass(frozen=True)
class SessionOffer:
    """A profile or an image that may be used, with the reasons."""

    name: str
    reasons: tuple[Reason, ...]


@dataclass(frozen=True)
class WorkerLimits:
    """The limits of some workers together; `None` means no limit.

    Parameters
    ----------
    max_workers : int or None
    max_cores : float or None
    max_memory : int or None
        In bytes.
    """

    max_workers: int | None = None
    max_cores: float | None = None
    max_memory: int | None = None


@dataclass(frozen=True)
class DaskLimits:
    """The limits of a project's clusters together; `None` means no limit.

    Parameters
    ----------
    max_workers : int or None
    max_cores : float or None
    max_memory : int or None
        In bytes.
    per_person : WorkerLimits
        The limits of the clusters of each person together in this project.
    worker_profiles : tuple of str
    idle_timeout : timedelta or None
    reasons : tuple of Reason
        The origin of the limits.
    """

    max_workers: int | None
    max_cores: float | None
    max_memory: int | None
    per_person: WorkerLimits
    worker_profiles: tuple[str, ...]
    idle_timeout: timedelta | None
    reasons: tuple[Reason, ...]

    @property
    def pooled(self) -> WorkerLimits:
        """The limits of all clusters of the project together."""
        return WorkerLimits(self.max_workers, self.max_cores, self.max_memory)


@dataclass(frozen=True)
class BudgetLimit:
    """The most that the project may cost in a calendar month (UTC), in US dollars.

    Parameters
    ----------
    usd_per_month : float
    when_spent : {"warn"}
        What happens once it is spent.
    reasons : tuple of Reason
        The origin of the budget.
    """

    usd_per_month: float
    when_spent: Literal["warn"]
    reasons: tuple[Reason, ...]


@dataclass(frozen=True)
class PathCheck:
    """The decision about reading and writing one object, with the reasons."""

    read: bool
    write: bool
    reasons: tuple[Reason, ...]


@dataclass(frozen=True)
class Access:
    """All grants, profiles and limits of one person in one project, with reasons.

    Parameters
    ----------
    person : Person
    project : str
    level : {"read", "write", "manage"} or None
        `None`: no access at all; then grants, profiles and images are empty.
    reasons : tuple of Reason
        The reasons for the level.
    grants : tuple of Grant
    denied : tuple of Denial
        The rights that a person could expect and does not have.
    profiles, images : tuple of SessionOffer
        The default one first.
    dask : DaskLimits or None
        `None` without access.
    budget : BudgetLimit or None
        `None` without access, or if the project has no budget.
    at : datetime
        The moment of the decision; two accesses that differ only in the moment are equal.
    """

    person: Person
    project: str
    level: Level | None
    reasons: tuple[Reason, ...]
    grants: tuple[Grant, ...]
    denied: tuple[Denial, ...]
    profiles: tuple[SessionOffer, ...]
    images: tuple[SessionOffer, ...]
    dask: DaskLimits | None
    budget: BudgetLimit | None
    at: datetime = field(compare=False)


@dataclass(frozen=True)
class TeamPrefix:
    """A place that a team reaches.

    Parameters
    ----------
    uri : str
        The project's prefix.
    level : {"read", "write", "manage"}
    project : str
    requires : tuple of str
        Further teams that a member must belong to (all of them).
    """

    uri: str
    level: Level
    project: str
    requires: tuple[str, ...] = ()


DifferenceKind = Literal["level", "grant", "profile", "image", "membership", "limit", "store"]


@dataclass(frozen=True)
class AccessDifference:
    """One thing that differs between two collaborations.

    Parameters
    ----------
    who : tuple of str
        The teams that a person must be in together to notice; empty where it
        concerns everyone.
    project : str or None
        The project of the session; `None` where it does not depend on one.
    kind : {"level", "grant", "profile", "image", "membership", "limit", "store"}
    what : str
        A prefix, a profile, a setting.
    before, after : str or None
        `None` where there is nothing.
    since : date or None
        The day (00:00 UTC) from which it differs; `None` for at once.
    until : date or None
        The day (00:00 UTC) on which it ceases to; `None` for never.
    """

    who: tuple[str, ...]
    project: str | None
    kind: DifferenceKind
    what: str
    before: str | None
    after: str | None
    since: date | None = None
    until: date | None = None

    def to_json(self) -> dict[str, str | list[str] | None]:
        """Return the difference as a JSON object, with days as ``YYYY-MM-DD``."""
        return {
            "who": list(self.who),
            "project": self.project,
            "kind": self.kind,
            "what": self.what,
            "before": self.before,
            "after": self.after,
            "since": self.since.isoformat() if self.since else None,
            "until": self.until.isoformat() if self.until else None,
        }
