"""The answer of `decide`: what one person may do in one project, with reasons."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Literal

from panneuro_hub.collaboration.models import Level
from panneuro_hub.wire import Denial, Grant, Reason


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
class SessionOffer:
    """A profile or an image that may be used, and why."""

    name: str
    reasons: tuple[Reason, ...]


@dataclass(frozen=True)
class WorkerLimits:
    """What some workers may have together; `None` where there is no limit.

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
    """What a project's clusters may have together; `None` where there is no limit.

    Parameters
    ----------
    max_workers : int or None
    max_cores : float or None
    max_memory : int or None
        In bytes.
    per_person : WorkerLimits
        What the clusters of each person may have together in this project.
    worker_profiles : tuple of str
    idle_timeout : timedelta or None
    reasons : tuple of Reason
        Where the limits come from.
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
        """What all clusters of the project may have together."""
        return WorkerLimits(self.max_workers, self.max_cores, self.max_memory)


@dataclass(frozen=True)
class BudgetLimit:
    """What the project may cost in a calendar month (UTC), in US dollars.

    Parameters
    ----------
    usd_per_month : float
    when_spent : {"warn"}
        What happens once it is spent.
    reasons : tuple of Reason
        Where the budget comes from.
    """

    usd_per_month: float
    when_spent: Literal["warn"]
    reasons: tuple[Reason, ...]


@dataclass(frozen=True)
class PathCheck:
    """Whether one object can be read and written, and why."""

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
        Why the level is what it is.
    grants : tuple of Grant
    denied : tuple of Denial
        What could be expected and is not given.
    profiles, images : tuple of Offer
        The default one first.
    dask : DaskLimits or None
        `None` without access.
    budget : BudgetLimit or None
        `None` without access, or where the project has no budget.
    at : datetime
        The moment it was decided for; two accesses that differ only in it are equal.
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
        Teams that a member must be in besides.
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
        """The difference as a JSON object, days as ``YYYY-MM-DD``."""
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
