"""The models of a collaboration file; unknown keys are refused.

Each model checks what can be seen in it alone. What spans several (names that
must exist, prefixes that must not overlap) is in `panneuro_hub.collaboration.rules`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from panneuro_hub.collaboration.values import (
    EVERY_TEAM as EVERY_TEAM,
)
from panneuro_hub.collaboration.values import (
    Bucket,
    CoreLimit,
    Cores,
    Count,
    Day,
    Dollars,
    Duration,
    Flag,
    Group,
    ImageName,
    KeyPrefix,
    LabelKey,
    LabelValue,
    Line,
    Memory,
    Name,
    Price,
    Region,
    Role,
    TeamName,
    Toleration,
)

Level = Literal["read", "write", "manage"]


class Model(BaseModel):
    """Base of all models: unknown keys are refused and nothing changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Scratch(Model):
    """Where each person has a place of their own in each project.

    The place is ``PREFIX/PROJECT/PERSON/``; `expires_after` is when the store
    is expected to delete what is old (a lifecycle rule of the bucket does it).
    """

    prefix: KeyPrefix
    expires_after: Duration | None = None


class S3Store(Model):
    """An S3-compatible object store whose STS makes the credentials.

    Parameters
    ----------
    role_arn : str
        The role that the service assumes, with a session policy each time.
    credential_lifetime : timedelta
        How long credentials live, 15 minutes to 12 hours: what live keys can
        outlast a membership by, at most.
    endpoint_url, sts_endpoint_url : str, optional
        For S3-compatible stores; AWS's own where not given. `sts_endpoint_url`
        is `endpoint_url` where only that one is given.
    """

    type: Literal["s3"]
    bucket: Bucket
    role_arn: Role
    region: Region = "us-east-1"
    endpoint_url: str | None = None
    sts_endpoint_url: str | None = None
    credential_lifetime: Duration = timedelta(minutes=15)
    scratch: Scratch | None = None


Store = S3Store


class Team(Model):
    """People, as the identity provider knows them.

    Parameters
    ----------
    groups : tuple of str
        The provider's groups, whole, whose members are in this team.
    expires : mapping of str to date
        By person: the day (at 00:00 UTC) on which the membership ends.
    hub_admin : bool
        Whether members are admins of the hub.
    """

    title: Line
    groups: tuple[Group, ...] = ()
    expires: dict[Line, Day] = {}
    hub_admin: Flag = False


class Embargo(Model):
    """Until the day `until` (00:00 UTC) only the project's teams have access; `then` these too."""

    until: Day
    then: dict[TeamName, Level]


class Budget(Model):
    """What a project may cost in a calendar month (UTC)."""

    usd_per_month: Dollars
    when_spent: Literal["warn"] = "warn"


class Kubernetes(Model):
    """Where pods of a profile are placed."""

    node_selector: dict[LabelKey, LabelValue] = {}
    tolerations: tuple[Toleration, ...] = ()


class WorkerProfile(Model):
    """The size of a Dask worker and its price, in US dollars per hour."""

    title: Line
    cpu: Cores
    memory: Memory
    price_per_hour: Price = 0.0
    kubernetes: Kubernetes = Kubernetes()


class PerPerson(Model):
    """What one person's clusters may have together in a project; `None` where there is none."""

    max_workers: Count | None = None
    max_cores: CoreLimit | None = None
    max_memory: Memory | None = None


class Dask(Model):
    """Limits pooled over all of a project's clusters; `None` where there is none."""

    max_workers: Count | None = None
    max_cores: CoreLimit | None = None
    max_memory: Memory | None = None
    per_person: PerPerson = PerPerson()
    worker_profiles: dict[Name, WorkerProfile] = {}
    idle_timeout: Duration | None = None


class ProjectDask(Model):
    """What a project sets apart from the collaboration's `dask`."""

    max_workers: Count | None = None
    max_cores: CoreLimit | None = None
    max_memory: Memory | None = None
    per_person: PerPerson | None = None
    worker_profiles: tuple[Name, ...] | None = None
    idle_timeout: Duration | None = None


class Project(Model):
    """The unit of data, of access and of money.

    Parameters
    ----------
    prefix : str
        Where its data lies in the store's bucket.
    teams : mapping of str to {"read", "write", "manage"}
        Level by team; ``"*"`` is every team of the collaboration.
    requires : tuple of str
        Teams of which a person must be in every one, besides.
    reads : tuple of str
        Projects that are there read-only too, for who may read them anyway.
    frozen : tuple of str
        Prefixes inside `prefix` where nobody writes any more.
    profiles, images : tuple of str or None
        The ones that may be used here; `None` for all.
    """

    title: Line
    store: Name
    prefix: KeyPrefix
    teams: dict[TeamName, Level]
    requires: tuple[Name, ...] = ()
    reads: tuple[Name, ...] = ()
    embargo: Embargo | None = None
    frozen: tuple[KeyPrefix, ...] = ()
    profiles: tuple[Name, ...] | None = None
    images: tuple[Name, ...] | None = None
    budget: Budget | None = None
    dask: ProjectDask | None = None


class Image(Model):
    """A container image that servers start from."""

    title: Line
    image: ImageName
    default: Flag = False


class Profile(Model):
    """The size of a server and its price, in US dollars per hour.

    Parameters
    ----------
    cpu : float
        Limit, in cores; `cpu_guarantee` is half of it where not given.
    memory : int
        Limit and guarantee, in bytes.
    gpu : int
        Number of GPUs.
    teams : tuple of str or None
        The teams that may use it; `None` for all.
    """

    title: Line
    description: str = ""
    cpu: Cores
    cpu_guarantee: Cores | None = None
    memory: Memory
    gpu: Count = 0
    price_per_hour: Price = 0.0
    default: Flag = False
    teams: tuple[Name, ...] | None = None
    kubernetes: Kubernetes = Kubernetes()


class Collaboration(Model):
    """The whole configuration: stores, teams, projects, images, profiles, limits."""

    name: Name
    title: Line
    stores: Annotated[dict[Name, Store], Field(min_length=1)]
    teams: Annotated[dict[Name, Team], Field(min_length=1)]
    projects: Annotated[dict[Name, Project], Field(min_length=1)]
    images: dict[Name, Image] = {}
    profiles: Annotated[dict[Name, Profile], Field(min_length=1)]
    dask: Dask = Dask()
