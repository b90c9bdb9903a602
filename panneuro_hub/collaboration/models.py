"""The models of a collaboration file; unknown keys are refused.

Each model checks what can be seen in it alone. What spans several (names that
must exist, prefixes that must not overlap) is in `panneuro_hub.collaboration.rules`.
"""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, Strict

from panneuro_hub.collaboration.quantities import parse_duration, parse_memory
from panneuro_hub.collaboration.words import shown
from panneuro_hub.names import is_bucket, is_name, prefix_problem

Level = Literal["read", "write", "manage"]
EVERY_TEAM = "*"
SMALLEST_MEMORY = 1 << 20  # bytes; what is less was meant as megabytes or gigabytes

_REGION = re.compile(r"[a-z0-9-]{1,40}")
_ROLE = re.compile(r"[A-Za-z0-9:/_+=,.@-]{1,2048}")
_IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:@+-]{0,511}")
_LABEL_KEY = re.compile(
    r"(?:[a-z0-9][a-z0-9.-]{0,251}[a-z0-9]/)?[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
)
_LABEL_VALUE = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?")
_TOLERATION_KEYS = ("key", "operator", "value", "effect", "tolerationSeconds")


def _name(text: str) -> str:
    if text == EVERY_TEAM:
        raise ValueError(
            "'*' is no name; it stands for every team, and only in a project's teams and in an "
            "embargo's then"
        )
    if not is_name(text):
        likely = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
        example = f": {likely}" if is_name(likely) else ""
        raise ValueError(
            f"{shown(text)} is not a name; use 1 to 63 of a-z, 0-9 and '-', not '-' at either "
            f"end{example}"
        )
    return text


def _team_name(text: str) -> str:
    return text if text == EVERY_TEAM else _name(text)


def _prefix(text: str) -> str:
    problem = prefix_problem(text)
    if problem:
        raise ValueError(problem)
    return text


def _bucket(text: str) -> str:
    if not is_bucket(text):
        raise ValueError(
            f"{shown(text)} is not a bucket name; use 3 to 63 of a-z, 0-9, '-' and '.'"
        )
    return text


def _role(text: str) -> str:
    if not _ROLE.fullmatch(text):
        raise ValueError(
            f"{shown(text)} is not the name of a role; write it whole: "
            "arn:aws:iam::000000000000:role/PanNeuroData"
        )
    return text


def _region(text: str) -> str:
    if not _REGION.fullmatch(text):
        raise ValueError(f"{shown(text)} is not a region; write it as the store does: us-west-2")
    return text


def _image(text: str) -> str:
    if not _IMAGE.fullmatch(text):
        raise ValueError(f"{shown(text)} is not an image; write it as registry/name:tag")
    return text


def _line(text: str) -> str:
    if not text or text != text.strip():
        raise ValueError(f"{shown(text)} is empty or has blanks around it; write it without")
    if not text.isprintable() or len(text) > 512:
        raise ValueError(f"{shown(text)} must be one line of at most 512 printed characters")
    return text


def _group(text: str) -> str:
    if "*" in text:
        raise ValueError(
            f"{shown(text)} has '*' in it; groups are compared whole, so name each of them"
        )
    return _line(text)


def _day(value: Any) -> date:
    if isinstance(value, str):
        try:
            return date.fromisoformat(value) if len(value) == len("2027-01-31") else _no_day(value)
        except ValueError:
            return _no_day(value)
    if not isinstance(value, date) or isinstance(value, datetime):
        return _no_day(value)
    return value


def _no_day(value: Any) -> date:
    raise ValueError(f"{shown(value)} is not a day; write year-month-day: 2027-01-31")


def _enough(size: int) -> int:
    if size < SMALLEST_MEMORY:
        raise ValueError(f"{size} bytes is hardly meant; write a number and M, G or T: 8G")
    return size


def _label_key(text: str) -> str:
    if not _LABEL_KEY.fullmatch(text):
        raise ValueError(f"{shown(text)} is not the key of a Kubernetes label")
    return text


def _label_value(text: str) -> str:
    if not _LABEL_VALUE.fullmatch(text):
        raise ValueError(f"{shown(text)} is not the value of a Kubernetes label")
    return text


def _toleration(value: Any) -> Any:
    for key, text in value.items() if isinstance(value, dict) else ():
        if key not in _TOLERATION_KEYS:
            raise ValueError(
                f"unknown key {shown(key)} in a toleration; keys here: "
                f"{', '.join(_TOLERATION_KEYS)}"
            )
        wanted = int if key == "tolerationSeconds" else str
        if type(text) is not wanted or (isinstance(text, str) and not _LABEL_KEY.fullmatch(text)):
            raise ValueError(f"{shown(text)} cannot be the {key} of a toleration")
    return value


Name = Annotated[str, AfterValidator(_name)]
TeamName = Annotated[str, AfterValidator(_team_name)]
KeyPrefix = Annotated[str, AfterValidator(_prefix)]
Bucket = Annotated[str, AfterValidator(_bucket)]
Line = Annotated[str, AfterValidator(_line)]
Group = Annotated[str, AfterValidator(_group)]
Day = Annotated[date, BeforeValidator(_day)]
Duration = Annotated[timedelta, BeforeValidator(parse_duration)]
Memory = Annotated[int, BeforeValidator(parse_memory), AfterValidator(_enough)]
# Strict: a number is not read from text, nor from true or false.
Flag = Annotated[bool, Strict()]
Count = Annotated[int, Strict(), Field(ge=0)]
Dollars = Annotated[float, Strict(), Field(gt=0, allow_inf_nan=False)]
Price = Annotated[float, Strict(), Field(ge=0, allow_inf_nan=False)]
Cores = Annotated[float, Strict(), Field(gt=0, allow_inf_nan=False)]
CoreLimit = Annotated[float, Strict(), Field(ge=0, allow_inf_nan=False)]
Toleration = Annotated[dict[str, Any], BeforeValidator(_toleration)]


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
    role_arn: Annotated[str, AfterValidator(_role)]
    region: Annotated[str, AfterValidator(_region)] = "us-east-1"
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


class WorkerProfile(Model):
    """The size of a Dask worker and its price, in US dollars per hour."""

    title: Line
    cpu: Cores
    memory: Memory
    price_per_hour: Price = 0.0


class Dask(Model):
    """Limits pooled over all of a project's clusters; `None` where there is none."""

    max_workers: Count | None = None
    max_cores: CoreLimit | None = None
    max_memory: Memory | None = None
    worker_profiles: dict[Name, WorkerProfile] = {}
    idle_timeout: Duration | None = None


class ProjectDask(Model):
    """What a project sets apart from the collaboration's `dask`."""

    max_workers: Count | None = None
    max_cores: CoreLimit | None = None
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
    image: Annotated[str, AfterValidator(_image)]
    default: Flag = False


class Kubernetes(Model):
    """Where pods of a profile are placed."""

    node_selector: dict[
        Annotated[str, AfterValidator(_label_key)], Annotated[str, AfterValidator(_label_value)]
    ] = {}
    tolerations: tuple[Toleration, ...] = ()


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
