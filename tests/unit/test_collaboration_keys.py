"""Every key of the collaboration file has an effect.

The table below has an entry for each key: another value for it, and an observer. Two files that
differ in this key only must give different observations. An observer shows what the program does
with the file: the request for a credential, a pod, the start form, a quota. It never shows the
loaded file itself, so a key that is read and never used fails here.
"""

from __future__ import annotations

import copy
import inspect
import json
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Self, Union, get_args, get_origin

import pytest
from pydantic import BaseModel
from small_hub import member, small_hub
from small_service import cluster_sessions, small_service
from spawners import build_pod_manifest, config_of, new_spawner

from panneuro_hub.access import (
    Access,
    Person,
    check_cluster_choice,
    decide_access,
    decide_all_accesses,
    list_responsible_teams,
    map_groups_to_teams,
)
from panneuro_hub.collaboration import Collaboration, load_file
from panneuro_hub.dask.cluster_pods import build_kube_config
from panneuro_hub.dask.quota import ClusterAllocation, compute_quota
from panneuro_hub.errors import AccessDeniedError
from panneuro_hub.hub.start_choice import check_start_choice
from panneuro_hub.hub.start_form import render_start_form
from panneuro_hub.service.dask.cluster_sessions import ClusterRequest
from panneuro_hub.service.db.monthly_usage import ResourceUsage
from panneuro_hub.service.db.session_store import SessionRecord
from panneuro_hub.service.monitoring.cluster_usage import (
    UsageReport,
    build_project_usages,
    format_usage,
    list_visible_projects,
)
from panneuro_hub.service.web.access_handlers import format_access
from panneuro_hub.vending.s3_credentials import S3CredentialMaker
from panneuro_hub.vending.types import CredentialRequest
from panneuro_hub.wire.session import Session

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
LATER = datetime(2028, 1, 1, tzinfo=UTC)
BASE: dict[str, Any] = {
    "name": "mazes",
    "title": "How animals find the way",
    "stores": {
        "main": {
            "type": "s3",
            "bucket": "lab-main",
            "role_arn": "arn:aws:iam::000000000000:role/data",
            "scratch": {"prefix": "scratch/", "expires_after": "30d"},
        },
        "spare": {
            "type": "s3",
            "bucket": "lab-spare",
            "role_arn": "arn:aws:iam::000000000000:role/spare",
        },
    },
    "teams": {
        "navigation-lab": {"title": "Navigation", "groups": ["u19-circuits:navigation"]},
        "theory-lab": {"title": "Theory", "groups": ["u19-circuits:theory"]},
        "trained": {"title": "Trained"},
    },
    "projects": {
        "maze": {
            "title": "Maze",
            "store": "main",
            "prefix": "maze/",
            "teams": {"navigation-lab": "write"},
            "embargo": {"until": "2027-06-01", "then": {"theory-lab": "read"}},
            "budget": {"usd_per_month": 900},
        },
        "stimuli": {
            "title": "Stimuli",
            "store": "main",
            "prefix": "stimuli/",
            "teams": {"navigation-lab": "read"},
        },
        "closed": {"title": "Closed", "store": "main", "prefix": "closed/", "teams": {}},
    },
    "images": {
        "imaging": {"title": "Imaging", "image": "lab/imaging:1"},
        "neuro": {"title": "Neuro", "image": "lab/neuro:1"},
    },
    "profiles": {
        "large": {"title": "Large", "cpu": 16, "memory": "64G"},
        "small": {"title": "Small", "cpu": 2, "memory": "8G"},
    },
    "dask": {
        "worker_profiles": {
            "standard": {"title": "Standard", "cpu": 4, "memory": "16G"},
            "wide": {"title": "Wide", "cpu": 4, "memory": "64G"},
        },
    },
}
# The entry of each mapping by name in which the table changes keys. It is not the first one where
# the first is offered by default.
CHANGED_NAMES = {
    "stores": "main",
    "teams": "navigation-lab",
    "projects": "maze",
    "images": "neuro",
    "profiles": "small",
    "worker_profiles": "standard",
}
# Keys that have one possible value, so no two files can differ in them.
SINGLE_VALUES = {"stores.*.type", "projects.*.budget.when_spent"}


@dataclass(frozen=True)
class LoadedFile:
    """A file of the base document with one change, as the program has loaded it."""

    path: Path
    collaboration: Collaboration

    def person(self, name: str = "ada") -> Person:
        """Return a person, in the teams that their groups make: Ada navigates, Tomas thinks."""
        group = {"ada": "u19-circuits:navigation", "tomas": "u19-circuits:theory"}[name]
        return Person.of(name, map_groups_to_teams(self.collaboration, [group]))

    def access(self, name: str = "ada", now: datetime = NOW) -> Access:
        """Return a person's access to the project that the table changes."""
        return decide_access(self.collaboration, self.person(name), "maze", now)

    def accesses(self, name: str = "ada") -> dict[str, Access]:
        """Return a person's access to every project."""
        return decide_all_accesses(self.collaboration, self.person(name), NOW)


Observer = Callable[[LoadedFile], Any]


# --- observers


class RecordedSts:
    """What `S3CredentialMaker` needs of an AWS session; it keeps what it is asked for."""

    def __init__(self) -> None:
        self.requests: list[object] = []

    def create_client(self, service: str, endpoint_url: str, region_name: str, **_: Any) -> Self:
        self.requests.append((service, endpoint_url, region_name))
        return self

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def assume_role(self, **request: Any) -> Mapping[str, Any]:
        self.requests.append(request)
        keys = dict.fromkeys(("AccessKeyId", "SecretAccessKey", "SessionToken"), "made")
        return {"Credentials": {**keys, "Expiration": LATER}}


async def credential_request(
    loaded: LoadedFile, name: str = "ada", now: datetime = NOW
) -> list[object]:
    """Return what the store's STS is asked for; nothing for a person without access."""
    access = loaded.access(name, now)
    sts = RecordedSts()
    if access.grants:
        project = loaded.collaboration.projects["maze"]
        store = loaded.collaboration.stores[project.store]
        request = CredentialRequest("s1", name, "maze", store, access.grants)
        maker = S3CredentialMaker(sts)  # type: ignore[arg-type]
        await maker.make(request, maker.rights(request))
    return sts.requests


async def pod(loaded: LoadedFile) -> dict[str, Any]:
    """Return the pod of a server in the project."""
    with pytest.MonkeyPatch.context() as patch:
        spawner = new_spawner(config_of(loaded.path, patch))
        return await build_pod_manifest(spawner, project="maze", profile="small", image="neuro")


def start_form(loaded: LoadedFile) -> str:
    """Return the page on which a person chooses."""
    return render_start_form(loaded.collaboration, loaded.accesses(), {})


def default_choice(loaded: LoadedFile) -> object:
    """Return what a start is that chooses a project and nothing else."""
    return check_start_choice({"project": "maze"}, loaded.accesses())


def start_of(option: str, value: str, loaded: LoadedFile) -> object:
    """Return the answer to a start with one choice."""
    try:
        return check_start_choice({"project": "maze", option: value}, loaded.accesses())
    except AccessDeniedError as error:
        return str(error)


def access_document(loaded: LoadedFile) -> str:
    """Return what the service's API says about the project."""
    return json.dumps(format_access(loaded.collaboration, loaded.access()))


def refusal_without_team(loaded: LoadedFile) -> str:
    """Return what a person of no team reads about the project."""
    access = decide_access(loaded.collaboration, Person.of("eve", ()), "maze", NOW)
    return json.dumps(format_access(loaded.collaboration, access))


def responsible_teams(loaded: LoadedFile) -> object:
    """Return the teams that the pages of the service name to people without access."""
    return list_responsible_teams(loaded.collaboration, "maze")


def visible_usage(loaded: LoadedFile) -> object:
    """Return the projects whose use a person sees; administrators see every project."""
    return list_visible_projects(loaded.collaboration, loaded.accesses(), NOW)


CLUSTER = ClusterAllocation("c1", "ada", "maze", cores=4, memory=16 * 1024**3)


def quota(loaded: LoadedFile) -> object:
    """Return how many of 1000 workers a cluster gets, and why."""
    limits = loaded.access().dask
    assert limits is not None
    return compute_quota(limits, CLUSTER, 1000, ())


def cluster_pods(loaded: LoadedFile) -> object:
    """Return what the gateway sets for a cluster of the project."""
    session = Session("0123456789abcdef", "maze", "standard", "neuro")
    return build_kube_config(
        loaded.collaboration,
        session,
        "ada",
        {},
        service_url="http://panneuro:10143",
        agent_image="agent",
        admin_traits={},
    )


def cluster_choice(loaded: LoadedFile) -> object:
    """Return the answer to somebody who wants a cluster of standard workers."""
    try:
        return check_cluster_choice(loaded.collaboration, loaded.access(), "standard", "neuro")
    except AccessDeniedError as error:
        return str(error)


async def cluster_price(loaded: LoadedFile) -> list[float]:
    """Return the prices that the service notes for a cluster that begins."""
    async with (
        small_hub(ada=member("ada", "navigation-lab")) as hub,
        small_service(hub, loaded.path.parent, loaded.path) as service,
    ):
        request = ClusterRequest("ada", "maze", "standard", "neuro")
        ticket = await cluster_sessions(service).begin_cluster("gateway", request)
        session = await service.register.find_session(ticket.name)
        assert session is not None
        return [session.price_per_hour]


def usage_document(loaded: LoadedFile) -> str:
    """Return the use of clusters as the service shows it, for a cluster that runs."""
    session = SessionRecord(
        id="s1",
        kind="cluster",
        person="ada",
        project="maze",
        profile="standard",
        image="neuro",
        price_per_hour=0.0,
        gateway="gateway",
        name="c1",
        ticket="",
        began=NOW,
    )
    uses = build_project_usages(loaded.collaboration, ["maze"], [session], {}, {})
    return json.dumps(format_usage(UsageReport("ada", NOW, tuple(uses))))


def spent_budget(loaded: LoadedFile) -> bool:
    """Return whether the page warns when clusters have cost 500 dollars in this month."""
    month = {"maze": ResourceUsage(cost_usd=500.0)}
    [use] = build_project_usages(loaded.collaboration, ["maze"], [], month, {})
    return use.is_spent


# --- the table


@dataclass(frozen=True)
class KeyEffect:
    """Another value for a key than the base document has, and what must differ with it."""

    value: Any
    observe: Observer


tomas_credential = partial(credential_request, name="tomas")
later_credential = partial(credential_request, name="tomas", now=LATER)
PLACEMENT = {
    "kubernetes.node_selector": {"node-purpose": "gpu"},
    "kubernetes.tolerations": [{"key": "gpu", "operator": "Exists"}],
}
LIMITS = {
    name: KeyEffect(value, quota)
    for name, value in {
        "max_workers": 7,
        "max_cores": 20,
        "max_memory": "48G",
        "per_person.max_workers": 7,
        "per_person.max_cores": 20,
        "per_person.max_memory": "48G",
    }.items()
}


def below(prefix: str, effects: Mapping[str, KeyEffect]) -> dict[str, KeyEffect]:
    return {f"{prefix}.{key}": effect for key, effect in effects.items()}


EFFECTS = {
    "name": KeyEffect("other", refusal_without_team),
    "title": KeyEffect("Other", start_form),
    **below(
        "stores.*",
        {
            "bucket": KeyEffect("other", credential_request),
            "role_arn": KeyEffect("arn:aws:iam::000000000000:role/other", credential_request),
            "region": KeyEffect("eu-west-1", credential_request),
            "endpoint_url": KeyEffect("https://s3.example.org", pod),
            "sts_endpoint_url": KeyEffect("https://sts.example.org", credential_request),
            "credential_lifetime": KeyEffect("2h", credential_request),
            "scratch.prefix": KeyEffect("tmp/", credential_request),
            "scratch.expires_after": KeyEffect("7d", access_document),
        },
    ),
    **below(
        "teams.*",
        {
            "title": KeyEffect("Other", responsible_teams),
            "groups": KeyEffect(["u19-circuits:other"], credential_request),
            "expires": KeyEffect({"ada": "2026-11-01"}, credential_request),
            "hub_admin": KeyEffect(True, visible_usage),
        },
    ),
    **below(
        "projects.*",
        {
            "title": KeyEffect("Other", start_form),
            "store": KeyEffect("spare", credential_request),
            "prefix": KeyEffect("labyrinth/", credential_request),
            "teams": KeyEffect({"navigation-lab": "read"}, credential_request),
            "requires": KeyEffect(["trained"], credential_request),
            "reads": KeyEffect(["stimuli"], credential_request),
            "embargo.until": KeyEffect("2026-06-01", tomas_credential),
            "embargo.then": KeyEffect({"theory-lab": "write"}, later_credential),
            "frozen": KeyEffect(["maze/release/"], credential_request),
            "profiles": KeyEffect(["small"], partial(start_of, "profile", "large")),
            "images": KeyEffect(["neuro"], partial(start_of, "image", "imaging")),
            "budget.usd_per_month": KeyEffect(400, spent_budget),
            "dask.worker_profiles": KeyEffect(["wide"], cluster_choice),
            "dask.idle_timeout": KeyEffect("10m", cluster_pods),
            **below("dask", LIMITS),
        },
    ),
    **below(
        "images.*",
        {
            "title": KeyEffect("Other", start_form),
            "image": KeyEffect("lab/other:1", pod),
            "default": KeyEffect(True, default_choice),
        },
    ),
    **below(
        "profiles.*",
        {
            "title": KeyEffect("Other", start_form),
            "description": KeyEffect("For small things", start_form),
            "cpu": KeyEffect(3, pod),
            "cpu_guarantee": KeyEffect(0.5, pod),
            "memory": KeyEffect("9G", pod),
            "gpu": KeyEffect(1, pod),
            "price_per_hour": KeyEffect(0.5, start_form),
            "default": KeyEffect(True, default_choice),
            "teams": KeyEffect(["theory-lab"], partial(start_of, "profile", "small")),
            **{key: KeyEffect(value, pod) for key, value in PLACEMENT.items()},
        },
    ),
    **below(
        "dask",
        {
            **LIMITS,
            "idle_timeout": KeyEffect("30m", cluster_pods),
            "worker_profiles.*.title": KeyEffect("Other", usage_document),
            "worker_profiles.*.cpu": KeyEffect(2, cluster_pods),
            "worker_profiles.*.memory": KeyEffect("9G", cluster_pods),
            "worker_profiles.*.price_per_hour": KeyEffect(0.5, cluster_price),
            **{
                f"worker_profiles.*.{key}": KeyEffect(value, cluster_pods)
                for key, value in PLACEMENT.items()
            },
        },
    ),
}


# --- the keys of the models


def list_keys(model: type[BaseModel], above: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each key that holds a value, as ``projects.*.embargo.until``, with its type."""
    for name, field in model.model_fields.items():
        key = f"{above}{name}"
        inner = list(_inner_models(field.annotation, key))
        if not inner:
            yield key, field.annotation
        for below_key, below_model in inner:
            yield from list_keys(below_model, f"{below_key}.")


def _inner_models(annotation: Any, key: str) -> Iterator[tuple[str, type[BaseModel]]]:
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        yield key, annotation
    elif get_origin(annotation) is dict:
        yield from _inner_models(get_args(annotation)[1], f"{key}.*")
    elif get_origin(annotation) in (Union, UnionType):
        for each in get_args(annotation):
            if each is not NoneType:
                yield from _inner_models(each, key)


def change_key(document: dict[str, Any], key: str, value: Any) -> dict[str, Any]:
    """Return the document with another value for one key."""
    changed = copy.deepcopy(document)
    part, steps = changed, list(_name_steps(key))
    for step in steps[:-1]:
        part = part.setdefault(step, {})
    assert part.get(steps[-1]) != value, f"the base document has this value of {key} already"
    part[steps[-1]] = value
    return changed


def _name_steps(key: str) -> Iterable[str]:
    above = ""
    for step in key.split("."):
        yield CHANGED_NAMES[above] if step == "*" else step
        above = step


def load(folder: Path, name: str, document: dict[str, Any]) -> LoadedFile:
    folder = folder / name
    folder.mkdir()
    path = folder / "collaboration.yaml"
    path.write_text(json.dumps(document), encoding="utf-8")
    return LoadedFile(path, load_file(path))


async def observe(effect: KeyEffect, loaded: LoadedFile) -> Any:
    seen = effect.observe(loaded)
    return await seen if isinstance(seen, Awaitable) else seen


def test_the_table_has_every_key() -> None:
    """A new key needs an entry; say there what it changes."""
    assert {key for key, _ in list_keys(Collaboration)} == EFFECTS.keys() | SINGLE_VALUES


def test_keys_without_an_entry_have_one_possible_value() -> None:
    types = dict(list_keys(Collaboration))
    for key in SINGLE_VALUES:
        assert get_origin(types[key]) is Literal, key
        assert len(get_args(types[key])) == 1, key


@pytest.mark.parametrize("key", EFFECTS)
async def test_each_key_has_an_effect(key: str, tmp_path: Path) -> None:
    effect = EFFECTS[key]
    before = await observe(effect, load(tmp_path, "before", BASE))
    again = await observe(effect, load(tmp_path, "again", BASE))
    assert before == again, "an observer must show the same for the same file"
    after = await observe(effect, load(tmp_path, "after", change_key(BASE, key, effect.value)))
    assert before != after, f"{key} changes nothing"
