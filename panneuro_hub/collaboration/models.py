"""The models of a collaboration file; unknown keys are refused.

The docstring of a key is its line in the reference (docs/reference/collaboration-file.md): the
meaning, then ``Example:`` with a value, if the key holds one that fits on a line.

Each model checks its own values. Checks that span several models (names that must exist,
prefixes that must not overlap) are in `panneuro_hub.collaboration.cross_checks`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from panneuro_hub.collaboration.value_types import (
    EVERY_TEAM as EVERY_TEAM,
)
from panneuro_hub.collaboration.value_types import (
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


class FileModel(BaseModel):
    """Base of all models, which refuses unknown keys and changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class ScratchSpace(FileModel):
    """The part of a bucket in which each person has a place of their own in each project.

    The place is ``PREFIX/PROJECT/PERSON/``. After `expires_after`, a lifecycle rule of the bucket
    is expected to delete files.
    """

    prefix: KeyPrefix
    """Where scratch folders are. A person's folder is `PREFIX/PROJECT/PERSON/`. Example:
    `scratch/`
    """
    expires_after: Duration | None = None
    """The age at which files in scratch are deleted. The hub shows it to people; a lifecycle rule
    of the bucket deletes the files. Example: `30d`
    """


class S3Store(FileModel):
    """An S3-compatible object store whose STS makes the credentials.

    Parameters
    ----------
    role_arn : str
        The role that the service assumes, with a session policy each time.
    credential_lifetime : timedelta
        How long credentials are valid, 15 minutes to 12 hours. Keys in use can outlast a
        membership by this time.
    endpoint_url, sts_endpoint_url : str, optional
        Addresses of an S3-compatible store; by default, AWS's own. `sts_endpoint_url` defaults
        to `endpoint_url`.
    """

    type: Literal["s3"]
    """Kind of store. Example: `s3`"""
    bucket: Bucket
    """The bucket. Several stores may use the same one. Example: `learning-circuits`"""
    role_arn: Role
    """The role that the service assumes, each time with a policy for exactly the grants of one
    session. Example: `arn:aws:iam::000000000000:role/PanNeuroData`
    """
    region: Region = "us-east-1"
    """The region of the store. Example: `us-west-2`"""
    endpoint_url: str | None = None
    """Address of an S3-compatible store, `https://` or `http://`, without credentials or query.
    Default: Amazon's own. Example: `https://s3.example.org`
    """
    sts_endpoint_url: str | None = None
    """Address of the store's STS, written in the same way. Default: `endpoint_url`, or Amazon's
    own. Example: `https://sts.example.org`
    """
    credential_lifetime: Duration = timedelta(minutes=15)
    """How long credentials are valid, from 15m to 12h. This is also how long keys that are in use
    still work after the hub has learned that a membership ended. Example: `30m`
    """
    scratch: ScratchSpace | None = None
    """A folder for each person in each project."""


Store = S3Store


class Team(FileModel):
    """People, as the identity provider knows them.

    Parameters
    ----------
    groups : tuple of str
        Full names of the provider's groups whose members are in this team.
    expires : mapping of str to date
        By person: the day (at 00:00 UTC) on which the membership ends.
    hub_admin : bool
        `True` if members are administrators of the hub.
    """

    title: Line
    """Title for people. Example: `Theory laboratory`"""
    groups: tuple[Group, ...] = ()
    """Full names of groups of the identity provider. Members of any of them are in the team. `*`
    has no special meaning here. Example: `["u19-circuits:theory", "/u19/labs/theory"]`
    """
    expires: dict[Line, Day] = {}
    """For each person, the day on which the membership ends. Write the name as the hub does.
    Capitals, Unicode form and invisible characters make no difference; nor does the domain of an
    address if only one of the two names has a domain. `panneuro-hub check FILE --people NAMES`
    and the log of the service name entries that match no account. Example:
    `{rotating.student@uni.example: 2027-01-31}`
    """
    hub_admin: Flag = False
    """Makes the members administrators of the hub. Example: `true`"""


class ProjectEmbargo(FileModel):
    """A day (00:00 UTC) before which only the project's teams have access; then others too."""

    until: Day
    """The day on which the levels in `then` begin, in addition to those in `teams`. Example:
    `2027-06-01`
    """
    then: dict[TeamName, Level]
    """Level for each team, as in `teams`; at least one team. A level that a team already has
    through `teams` is refused. Example: `{theory-lab: read}`
    """


class ProjectBudget(FileModel):
    """The most that a project may cost in a calendar month (UTC)."""

    usd_per_month: Dollars
    """US dollars in a calendar month (UTC). Example: `900`"""
    when_spent: Literal["warn"] = "warn"
    """What happens when the budget is spent: `warn` shows a warning. Example: `warn`"""


class PodPlacement(FileModel):
    """The placement of a profile's pods on nodes."""

    node_selector: dict[LabelKey, LabelValue] = {}
    """Labels that a node must have. Example: `{hub.jupyter.org/node-purpose: gpu}`"""
    tolerations: tuple[Toleration, ...] = ()
    """Taints to tolerate, with Kubernetes' own keys `key`, `operator`, `value`, `effect` and
    `tolerationSeconds`. Example: `[{key: nvidia.com/gpu, operator: Exists}]`
    """


class WorkerProfile(FileModel):
    """The size of a Dask worker and its price, in US dollars per hour."""

    title: Line
    """Title for people. Example: `Standard`"""
    cpu: Cores
    """Cores of a worker. Example: `4`"""
    memory: Memory
    """Memory of a worker. Example: `16G`"""
    price_per_hour: Price = 0.0
    """US dollars per hour for each worker. Example: `0.07`"""
    kubernetes: PodPlacement = PodPlacement()
    """Placement of the pods, as in `profiles.NAME.kubernetes`. Example: `{node_selector:
    {node-purpose: worker}}`
    """


class PersonLimits(FileModel):
    """The limits of one person's clusters together in a project; `None` means no limit."""

    max_workers: Count | None = None
    """Number of workers. Example: `20`"""
    max_cores: CoreLimit | None = None
    """Cores of all workers together. Example: `80`"""
    max_memory: Memory | None = None
    """Memory of all workers together. Example: `320G`"""


class DaskSettings(FileModel):
    """The limits of all clusters of a project together; `None` means no limit."""

    max_workers: Count | None = None
    """Number of workers. Without this key, there is no limit. Example: `50`"""
    max_cores: CoreLimit | None = None
    """Cores of all workers together. Without this key, there is no limit. Example: `200`"""
    max_memory: Memory | None = None
    """Memory of all workers together. Without this key, there is no limit. Example: `800G`"""
    per_person: PersonLimits = PersonLimits()
    """What the clusters of one person may have together in a project, within the limits above."""
    worker_profiles: dict[Name, WorkerProfile] = {}
    """Sizes of workers, by name."""
    idle_timeout: Duration | None = None
    """How long a cluster may be without work before it is stopped. Without this key, it is never
    stopped. Example: `30m`
    """


class ProjectDask(FileModel):
    """The settings of a project that differ from the collaboration's `dask`."""

    max_workers: Count | None = None
    """As in `dask`, for this project. Example: `20`"""
    max_cores: CoreLimit | None = None
    """As in `dask`, for this project. Example: `80`"""
    max_memory: Memory | None = None
    """As in `dask`, for this project. Example: `320G`"""
    per_person: PersonLimits | None = None
    """As in `dask`, for this project. Keys that you leave out keep their value from `dask`.
    Example: `{max_workers: 10}`
    """
    worker_profiles: tuple[Name, ...] | None = None
    """The only worker profiles that people may choose in this project; `[]` for none. Default:
    all. Example: `[standard]`
    """
    idle_timeout: Duration | None = None
    """As in `dask`, for this project. Example: `10m`"""


class Project(FileModel):
    """The unit of data, of access and of money.

    Parameters
    ----------
    prefix : str
        The prefix of its data in the store's bucket.
    teams : mapping of str to {"read", "write", "manage"}
        Level by team; ``"*"`` is every team of the collaboration.
    requires : tuple of str
        Teams the person must also belong to (all of them).
    reads : tuple of str
        Projects that sessions can also read, if the person can read them anyway.
    frozen : tuple of str
        Prefixes inside `prefix` where nobody can write any more.
    profiles, images : tuple of str or None
        The ones that people may choose; `None` for all.
    """

    title: Line
    """Title for people. Example: `Navigation in virtual reality`"""
    store: Name
    """The store that holds the data. Example: `main`"""
    prefix: KeyPrefix
    """Where the data is in the bucket. No prefix of another project, and no scratch, may be
    inside it or around it. Example: `nhp-navigation/`
    """
    teams: dict[TeamName, Level]
    """Level for each team. `"*"`, in quotes, is every team of the collaboration. If a person gets
    several levels, the highest counts. Example: `{navigation-lab: manage, "*": read}`
    """
    requires: tuple[Name, ...] = ()
    """Teams the person must also belong to (all of them). Example: `[human-subjects-trained]`"""
    reads: tuple[Name, ...] = ()
    """Projects of the same store that sessions of this project can also read. This gives access
    only to people who can read those projects anyway. Example: `[shared-stimuli]`
    """
    embargo: ProjectEmbargo | None = None
    """Access that begins on a day."""
    frozen: tuple[KeyPrefix, ...] = ()
    """Prefixes where nobody can write any more. Write them from the top of the bucket; they must
    be inside `prefix`. Example: `[human-intracranial/release-2026/]`
    """
    profiles: tuple[Name, ...] | None = None
    """The only profiles that people may choose in this project. Default: all. Example: `[small,
    large]`
    """
    images: tuple[Name, ...] | None = None
    """The only images that people may choose in this project. Default: all. Example: `[neuro]`"""
    budget: ProjectBudget | None = None
    """What the project may cost."""
    dask: ProjectDask | None = None
    """Limits that differ from the collaboration's `dask`."""


class ServerImage(FileModel):
    """A container image that servers start from."""

    title: Line
    """Title for people. Example: `PanNeuro notebook`"""
    image: ImageName
    """The image, as a container registry names it. Example: `panneuro/notebook:2026.11`"""
    default: Flag = False
    """Offers this image first. Only one image may be the default. Example: `true`"""


class ServerProfile(FileModel):
    """The size of a server and its price, in US dollars per hour.

    Parameters
    ----------
    cpu : float
        Limit, in cores; `cpu_guarantee` defaults to half of it.
    memory : int
        Limit and guarantee, in bytes.
    gpu : int
        Number of GPUs.
    teams : tuple of str or None
        The teams that may use it; `None` for all.
    """

    title: Line
    """Title for people. Example: `Large`"""
    description: str = ""
    """Description for people; may be empty. Example: `Spike sorting and models in memory`"""
    cpu: Cores
    """Limit, in cores. Example: `16`"""
    cpu_guarantee: Cores | None = None
    """Cores that are kept free for the server; at most `cpu`. Default: half of `cpu`. Example:
    `4`
    """
    memory: Memory
    """Limit and guarantee. Example: `64G`"""
    gpu: Count = 0
    """Number of GPUs. Example: `1`"""
    price_per_hour: Price = 0.0
    """US dollars per hour. Example: `0.96`"""
    default: Flag = False
    """Offers this profile first. Only one profile may be the default. Example: `true`"""
    teams: tuple[Name, ...] | None = None
    """The only teams whose members may choose it. Default: all. Example: `[theory-lab]`"""
    kubernetes: PodPlacement = PodPlacement()
    """Placement of the pods."""


class Collaboration(FileModel):
    """The whole configuration: stores, teams, projects, images, profiles, limits."""

    name: Name
    """Name of the collaboration. Example: `learning-circuits`"""
    title: Line
    """Title of the collaboration. Example: `Circuit mechanisms of rapid learning`"""
    stores: Annotated[dict[Name, Store], Field(min_length=1)]
    """Object stores, by name; at least one."""
    teams: Annotated[dict[Name, Team], Field(min_length=1)]
    """Teams, by name; at least one."""
    projects: Annotated[dict[Name, Project], Field(min_length=1)]
    """Projects, by name; at least one."""
    images: dict[Name, ServerImage] = {}
    """Container images, by name. Without any, servers start from the image that the hub's own
    configuration names.
    """
    profiles: Annotated[dict[Name, ServerProfile], Field(min_length=1)]
    """Sizes of servers, by name; at least one."""
    dask: DaskSettings = DaskSettings()
    """Limits for the Dask clusters of every project."""
