"""What the clusters of each project use, now and this month, beside its limits and budget."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from panneuro_hub.access import (
    Access,
    BudgetLimit,
    Person,
    WorkerLimits,
    is_hub_admin,
    merge_dask_limits,
)
from panneuro_hub.access.offers import find_budget_limit
from panneuro_hub.collaboration import Collaboration
from panneuro_hub.names import shorten_names
from panneuro_hub.service.db.monthly_usage import ResourceUsage, format_month
from panneuro_hub.service.db.session_store import SessionRecord, SessionStore
from panneuro_hub.wire.credential import format_time

_NOT_REPORTED = "starting"
_HOUR = 3600  # seconds


@dataclass(frozen=True)
class RunningCluster:
    """A cluster that runs.

    Parameters
    ----------
    name : str
        The last letters of what the gateway calls it.
    owner, profile : str
        `profile` is a worker profile.
    profile_title : str
        The title of the worker profile; its name where the collaboration has it no longer.
    workers : int
    cores : float
    memory : int
        In bytes; this and `cores` are of all its workers.
    began : datetime
    """

    name: str
    owner: str
    profile: str
    profile_title: str
    workers: int
    cores: float
    memory: int
    began: datetime


@dataclass(frozen=True)
class ProjectUsage:
    """What the clusters of one project use.

    Parameters
    ----------
    project, title : str
    clusters : tuple of RunningCluster
        Those that run, the oldest first.
    this_month, in_all : Used
        Up to the clusters' last reports, those that have ended too.
    limits : WorkerLimits
    budget : BudgetLimit or None
    """

    project: str
    title: str
    clusters: tuple[RunningCluster, ...]
    this_month: ResourceUsage
    in_all: ResourceUsage
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
class UsageReport:
    """What somebody is shown of all this.

    Parameters
    ----------
    user : str
    at : datetime
    projects : tuple of ProjectUsage
        Those where the person has any level; every one for a hub admin.
    """

    user: str
    at: datetime
    projects: tuple[ProjectUsage, ...]

    @property
    def month(self) -> str:
        """The calendar month (UTC), as ``2026-11``."""
        return format_month(self.at)


async def load_usage(
    sessions: SessionStore,
    name: str,
    collaboration: Collaboration,
    accesses: Mapping[str, Access],
) -> UsageReport:
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
    seen = list_visible_projects(collaboration, accesses, now)
    running = await sessions.list_running()
    totals = {
        project: ResourceUsage(total.worker_seconds, total.core_seconds, total.cost_usd)
        for project, total in (await sessions.sum_usage()).items()
    }
    uses = build_project_usages(
        collaboration, seen, running, await sessions.sum_month_usage(), totals
    )
    return UsageReport(name, now, tuple(uses))


def list_visible_projects(
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


def build_project_usages(
    collaboration: Collaboration,
    projects: Iterable[str],
    running: Iterable[SessionRecord],
    this_month: Mapping[str, ResourceUsage],
    in_all: Mapping[str, ResourceUsage],
) -> list[ProjectUsage]:
    """Put together what each of `projects` uses.

    Parameters
    ----------
    running : iterable of SessionRecord
        All clusters that run; short names tell them all apart.
    this_month, in_all : mapping of str to Used
        By project.
    """
    running = list(running)
    names = shorten_names({session.name for session in running if session.name})
    return [
        ProjectUsage(
            project=project,
            title=collaboration.projects[project].title,
            clusters=tuple(
                _make_cluster(collaboration, session, names)
                for session in running
                if session.project == project
            ),
            this_month=this_month.get(project, ResourceUsage()),
            in_all=in_all.get(project, ResourceUsage()),
            limits=merge_dask_limits(collaboration, project).pooled,
            budget=find_budget_limit(collaboration, project),
        )
        for project in projects
    ]


def _make_cluster(
    collaboration: Collaboration, session: SessionRecord, names: Mapping[str, str]
) -> RunningCluster:
    profile = collaboration.dask.worker_profiles.get(session.profile)
    return RunningCluster(
        name=names.get(session.name, _NOT_REPORTED),
        owner=session.person,
        profile=session.profile,
        profile_title=session.profile if profile is None else profile.title,
        workers=session.workers,
        cores=session.workers * session.cores,
        memory=session.workers * session.memory,
        began=session.began,
    )


def format_usage(usage: UsageReport) -> dict[str, Any]:
    """Usage as JSON, with the units in the names of the keys."""
    return {
        "user": usage.user,
        "at": format_time(usage.at),
        "month": usage.month,
        "projects": {use.project: _format_project(use) for use in usage.projects},
    }


def _format_project(use: ProjectUsage) -> dict[str, Any]:
    return {
        "title": use.title,
        "clusters": [
            {
                "name": cluster.name,
                "owner": cluster.owner,
                "worker_profile": cluster.profile,
                "worker_profile_title": cluster.profile_title,
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
        "this_month": _format_resources(use.this_month),
        "in_all": _format_resources(use.in_all),
        "limits": _format_limits(use.limits),
        "free": _format_limits(use.free),
        "budget": use.budget
        and {
            "usd_per_month": use.budget.usd_per_month,
            "spent_on_clusters_usd": round(use.this_month.cost_usd, 4),
        },
    }


def _format_resources(used: ResourceUsage) -> dict[str, float]:
    return {
        "worker_hours": round(used.worker_seconds / _HOUR, 4),
        "core_hours": round(used.core_seconds / _HOUR, 4),
        "cost_usd": round(used.cost_usd, 4),
    }


def _format_limits(limits: WorkerLimits) -> dict[str, float | None]:
    return {
        "workers": limits.max_workers,
        "cores": limits.max_cores,
        "memory_bytes": limits.max_memory,
    }
