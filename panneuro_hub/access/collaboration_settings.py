"""The settings of a collaboration as a flat list, so that two can be compared line by line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from panneuro_hub.access.offers import merge_dask_limits
from panneuro_hub.access.types import DifferenceKind, WorkerLimits
from panneuro_hub.collaboration.models import Collaboration
from panneuro_hub.collaboration.units import format_duration, format_memory


@dataclass(frozen=True)
class SettingKey:
    """The name of one setting, as `Difference` shows it."""

    who: tuple[str, ...]
    project: str | None
    kind: DifferenceKind
    what: str


def list_settings(collaboration: Collaboration) -> dict[SettingKey, str]:
    """Return every setting that decides about access, limits or money, as text."""
    settings = [
        *_teams(collaboration),
        *_stores(collaboration),
        *_images(collaboration),
        *_profiles(collaboration),
        *_worker_profiles(collaboration),
        *_projects(collaboration),
    ]
    return {setting: value for setting, value in settings if value is not None}


Settings = Iterator[tuple[SettingKey, str | None]]


def _teams(collaboration: Collaboration) -> Settings:
    for name, team in collaboration.teams.items():
        who = (name,)
        yield SettingKey(who, None, "membership", f"team {name}"), "there"
        yield SettingKey(who, None, "membership", "hub admin"), "yes" if team.hub_admin else None
        for group in team.groups:
            yield SettingKey(who, None, "membership", f"group {group}"), "members"
        for person, day in sorted(team.expires.items(), key=lambda entry: entry[1], reverse=True):
            # Of two spellings of one person the earlier day counts, so it is yielded last.
            yield (
                SettingKey(who, None, "membership", f"membership of {person.casefold()} ends"),
                day.isoformat(),
            )


def _stores(collaboration: Collaboration) -> Settings:
    for name, store in collaboration.stores.items():

        def place(what: str, store_name: str = name) -> SettingKey:
            return SettingKey((), None, "store", f"store {store_name}: {what}")

        yield place("bucket"), store.bucket
        yield place("region"), store.region
        yield place("role"), store.role_arn
        yield place("endpoint"), store.endpoint_url
        yield place("STS endpoint"), store.sts_endpoint_url
        limit = SettingKey((), None, "limit", f"store {name}: credential lifetime")
        yield limit, format_duration(store.credential_lifetime)
        if store.scratch and store.scratch.expires_after:
            limit = SettingKey((), None, "limit", f"store {name}: scratch is kept for")
            yield limit, format_duration(store.scratch.expires_after)


def _images(collaboration: Collaboration) -> Settings:
    for name, image in collaboration.images.items():
        yield SettingKey((), None, "image", f"image {name}"), image.image


def _profiles(collaboration: Collaboration) -> Settings:
    for name, profile in collaboration.profiles.items():

        def limit(what: str, profile_name: str = name) -> SettingKey:
            return SettingKey((), None, "limit", f"profile {profile_name}: {what}")

        yield limit("price"), _price(profile.price_per_hour)
        yield limit("CPU"), f"{profile.cpu:g}"
        if profile.cpu_guarantee is not None:
            yield limit("CPU guarantee"), f"{profile.cpu_guarantee:g}"
        yield limit("memory"), format_memory(profile.memory)
        yield limit("GPU"), str(profile.gpu) if profile.gpu else None


def _worker_profiles(collaboration: Collaboration) -> Settings:
    for name, profile in collaboration.dask.worker_profiles.items():

        def limit(what: str, profile_name: str = name) -> SettingKey:
            return SettingKey((), None, "limit", f"worker profile {profile_name}: {what}")

        yield limit("price"), _price(profile.price_per_hour)
        yield limit("CPU"), f"{profile.cpu:g}"
        yield limit("memory"), format_memory(profile.memory)


def _projects(collaboration: Collaboration) -> Settings:
    for name, project in collaboration.projects.items():

        def limit(what: str, project_name: str = name) -> SettingKey:
            return SettingKey((), project_name, "limit", what)

        if project.budget is not None:
            budget = f"{project.budget.usd_per_month:g} USD a month"
            yield limit("budget"), f"{budget}, then {project.budget.when_spent}"
        dask = merge_dask_limits(collaboration, name)
        for what, value in _sizes(dask.pooled):
            yield limit(f"Dask {what}"), value
        for what, value in _sizes(dask.per_person):
            yield limit(f"Dask {what} of each person"), value
        yield (
            limit("Dask idle timeout"),
            None if dask.idle_timeout is None else format_duration(dask.idle_timeout),
        )
        yield limit("Dask worker profiles"), ", ".join(dask.worker_profiles) or None


def _sizes(limits: WorkerLimits) -> Iterator[tuple[str, str | None]]:
    yield "workers", _number(limits.max_workers)
    yield "cores", _number(limits.max_cores)
    yield "memory", None if limits.max_memory is None else format_memory(limits.max_memory)


def _price(usd: float) -> str:
    return f"{usd:g} USD an hour"


def _number(value: float | None) -> str | None:
    return None if value is None else f"{value:g}"
