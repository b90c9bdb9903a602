"""What the clusters of each project use, now and this month, beside its limits and budget."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from panneuro_hub.access import Access, BudgetLimit, Person, WorkerLimits, dask_limits, is_hub_admin
from panneuro_hub.access.offers import budget_limit
from panneuro_hub.collaboration import Collaboration
from panneuro_hub.names import short_names
from panneuro_hub.service.issue import Issuer
from panneuro_hub.service.months import Used, month_of
from panneuro_hub.service.register import Registered
from panneuro_hub.wire.credential import format_time

_NOT_REPORTED = "starting"
_HOUR = 3600  # seconds


@dataclass(frozen=True)
class ClusterUse:
    """A cluster that runs.

    Parameters
    ----------
    name : str
        The last letters of what the gateway calls it.
    owner, profile : str
        `profile` is a worker profile.
    workers : int
    cores : float
    memory : int
        In bytes; this and `cores` are of all its workers.
    began : datetime
    """

    name: str
    owner: str
    profile: str
    workers: int
    cores: float
    memory: int
    began: datetime


@dataclass(frozen=True)
class ProjectUse:
    """What the clusters of one project use.

    Parameters
    ----------
    project, title : str
    clusters : tuple of ClusterUse
        Those that run, the oldest first.
    this_month, in_all : Used
        Up to the clusters' last reports, those that have ended too.
    limits : WorkerLimits
    budget : BudgetLimit or None
    """

    project: str
    title: str
    clusters: tuple[ClusterUse, ...]
    this_month: Used
    in_all: Used
    limits: WorkerLimits
    budget: BudgetLimit | None

    @property
    def workers(self) -> int:
        """Of all clusters that run."""
        return sum(cluster.workers for cluster in self.clusters)

    @property
    def cores(self) -> float:
        """Of all workers."""
        return sum(cluster.cores for cluster in self.clusters)

    @property
    def memory(self) -> int:
        """Of all workers, in bytes."""
        return sum(cluster.memory for cluster in self.clusters)

    @property
    def free(self) -> WorkerLimits:
        """What is left of the limits, nothing at the least; `None` where there is none."""
        limits = self.limits
        return WorkerLimits(
            None if limits.max_workers is None else max(limits.max_workers - self.workers, 0),
            None if limits.max_cores is None else max(limits.max_cores - self.cores, 0.0),
            None if limits.max_memory is None else max(limits.max_memory - self.memory, 0),
        )

    @property
    def is_spent(self) -> bool:
        """Whether clusters alone have used up this month's budget."""
        return self.budget is not None and self.this_month.cost_usd >= self.budget.usd_per_month


@dataclass(frozen=True)
class Usage:
    """What somebody is shown of all this.

    Parameters
    ----------
    user : str
    at : datetime
    projects : tuple of ProjectUse
        Those where the person has any level; every one for a hub admin.
    """

    user: str
    at: datetime
    projects: tuple[ProjectUse, ...]

    @property
    def month(self) -> str:
        """The calendar month (UTC), as ``2026-11``."""
        return month_of(self.at)


async def usage_of(
    issuer: Issuer, name: str, collaboration: Collaboration, accesses: Mapping[str, Access]
) -> Usage:
    """What a person is shown: projects where they have any level, or all to a hub admin.

    Parameters
    ----------
    accesses : mapping of str to Access
        The person's access in every project of `collaboration`.

    Raises
    ------
    ServiceUnavailable
        If the database does not answer.
    """
    now = datetime.now(UTC)
    seen = shown_projects(collaboration, accesses, now)
    register = issuer.register
    running = await register.running()
    totals = {
        project: Used(total.worker_seconds, total.core_seconds, total.cost_usd)
        for project, total in (await register.totals()).items()
    }
    uses = project_uses(collaboration, seen, running, await register.this_month(), totals)
    return Usage(name, now, tuple(uses))


def shown_projects(
    collaboration: Collaboration, accesses: Mapping[str, Access], now: datetime
) -> list[str]:
    """The projects whose use somebody sees; a hub admin's teams count as they do at `now`."""
    person = next((access.person for access in accesses.values()), Person.of("", ()))
    everything = is_hub_admin(collaboration, person, now)
    return [
        project
        for project in collaboration.projects
        if everything or (project in accesses and accesses[project].level is not None)
    ]


def project_uses(
    collaboration: Collaboration,
    projects: Iterable[str],
    running: Iterable[Registered],
    this_month: Mapping[str, Used],
    in_all: Mapping[str, Used],
) -> list[ProjectUse]:
    """Put together what each of `projects` uses.

    Parameters
    ----------
    running : iterable of Registered
        All clusters that run; short names tell them all apart.
    this_month, in_all : mapping of str to Used
        By project.
    """
    running = list(running)
    names = short_names({session.name for session in running if session.name})
    return [
        ProjectUse(
            project=project,
            title=collaboration.projects[project].title,
            clusters=tuple(
                _cluster(session, names) for session in running if session.project == project
            ),
            this_month=this_month.get(project, Used()),
            in_all=in_all.get(project, Used()),
            limits=dask_limits(collaboration, project).pooled,
            budget=budget_limit(collaboration, project),
        )
        for project in projects
    ]


def _cluster(session: Registered, names: Mapping[str, str]) -> ClusterUse:
    return ClusterUse(
        name=names.get(session.name, _NOT_REPORTED),
        owner=session.person,
        profile=session.profile,
        workers=session.workers,
        cores=session.workers * session.cores,
        memory=session.workers * session.memory,
        began=session.began,
    )


def usage_json(usage: Usage) -> dict[str, Any]:
    """Usage as JSON, with the units in the names of the keys."""
    return {
        "user": usage.user,
        "at": format_time(usage.at),
        "month": usage.month,
        "projects": {use.project: _project_json(use) for use in usage.projects},
    }


def _project_json(use: ProjectUse) -> dict[str, Any]:
    return {
        "title": use.title,
        "clusters": [
            {
                "name": cluster.name,
                "owner": cluster.owner,
                "worker_profile": cluster.profile,
                "workers": cluster.workers,
                "cores": cluster.cores,
                "memory_bytes": cluster.memory,
                "began": format_time(cluster.began),
            }
            for cluster in use.clusters
        ],
        "workers": use.workers,
        "cores": use.cores,
        "memory_bytes": use.memory,
        "this_month": _used_json(use.this_month),
        "in_all": _used_json(use.in_all),
        "limits": _limits_json(use.limits),
        "free": _limits_json(use.free),
        "budget": use.budget
        and {
            "usd_per_month": use.budget.usd_per_month,
            "spent_on_clusters_usd": round(use.this_month.cost_usd, 4),
        },
    }


def _used_json(used: Used) -> dict[str, float]:
    return {
        "worker_hours": round(used.worker_seconds / _HOUR, 4),
        "core_hours": round(used.core_seconds / _HOUR, 4),
        "cost_usd": round(used.cost_usd, 4),
    }


def _limits_json(limits: WorkerLimits) -> dict[str, float | None]:
    return {
        "workers": limits.max_workers,
        "cores": limits.max_cores,
        "memory_bytes": limits.max_memory,
    }
