"""The models of a collaboration file; unknown keys are refused.

Each model checks what can be seen in it alone. What spans several (names that
must exist, prefixes that must not overlap) is in `panneuro_hub.collaboration.rules`.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from panneuro_hub.collaboration.quantities import parse_duration, parse_memory
from panneuro_hub.names import is_bucket, is_name, prefix_problem

Level = Literal["read", "write", "manage"]
EVERY_TEAM = "*"


def _name(text: str) -> str:
    if not is_name(text):
        raise ValueError(
            f"{text!r} is not a name; use 1 to 63 of a-z, 0-9 and '-', not '-' at either end"
        )
    return text


def _prefix(text: str) -> str:
    problem = prefix_problem(text)
    if problem:
        raise ValueError(problem)
    return text


def _bucket(text: str) -> str:
    if not is_bucket(text):
        raise ValueError(f"{text!r} is not a bucket name; use 3 to 63 of a-z, 0-9, '-' and '.'")
    return text


Name = Annotated[str, AfterValidator(_name)]
TeamName = Annotated[str, AfterValidator(lambda text: text if text == EVERY_TEAM else _name(text))]
KeyPrefix = Annotated[str, AfterValidator(_prefix)]
Bucket = Annotated[str, AfterValidator(_bucket)]
Duration = Annotated[timedelta, BeforeValidator(parse_duration)]
Memory = Annotated[int, BeforeValidator(parse_memory)]
Price = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Cores = Annotated[float, Field(gt=0, allow_inf_nan=False)]


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
    role_arn: Annotated[str, Field(min_length=1, max_length=2048)]
    region: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")] = "us-east-1"
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

    title: str
    groups: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    expires: dict[str, date] = {}
    hub_admin: bool = False


class Embargo(Model):
    """Until the day `until` (00:00 UTC) only the project's teams have access; `then` these too."""

    until: date
    then: dict[TeamName, Level]


class Budget(Model):
    """What a project may cost in a calendar month (UTC)."""

    usd_per_month: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    when_spent: Literal["warn"] = "warn"


class WorkerProfile(Model):
    """The size of a Dask worker and its price, in US dollars per hour."""

    title: str
    cpu: Cores
    memory: Memory
    price_per_hour: Price = 0.0


class Dask(Model):
    """Limits pooled over all of a project's clusters; `None` where there is none."""

    max_workers: Annotated[int, Field(ge=0)] | None = None
    max_cores: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    max_memory: Memory | None = None
    worker_profiles: dict[Name, WorkerProfile] = {}
    idle_timeout: Duration | None = None


class ProjectDask(Model):
    """What a project sets apart from the collaboration's `dask`."""

    max_workers: Annotated[int, Field(ge=0)] | None = None
    max_cores: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    max_memory: Memory | None = None
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

    title: str
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

    title: str
    image: Annotated[str, Field(min_length=1, pattern=r"^[^\s{}]+$")]
    default: bool = False


class Kubernetes(Model):
    """Where pods of a profile are placed."""

    node_selector: dict[str, str] = {}
    tolerations: tuple[dict[str, Any], ...] = ()


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

    title: str
    description: str = ""
    cpu: Cores
    cpu_guarantee: Cores | None = None
    memory: Memory
    gpu: Annotated[int, Field(ge=0)] = 0
    price_per_hour: Price = 0.0
    default: bool = False
    teams: tuple[Name, ...] | None = None
    kubernetes: Kubernetes = Kubernetes()


class Collaboration(Model):
    """The whole configuration: stores, teams, projects, images, profiles, limits."""

    name: Name
    title: str
    stores: Annotated[dict[Name, Store], Field(min_length=1)]
    teams: Annotated[dict[Name, Team], Field(min_length=1)]
    projects: Annotated[dict[Name, Project], Field(min_length=1)]
    images: dict[Name, Image] = {}
    profiles: Annotated[dict[Name, Profile], Field(min_length=1)]
    dask: Dask = Dask()
