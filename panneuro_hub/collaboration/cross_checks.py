"""Checks that span several parts of a collaboration: names, prefixes, limits.

`check_references` reports names that do not exist. `check_rules` reports everything else and
ignores names that do not exist. Both report all problems.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain

from panneuro_hub.collaboration.message_words import (
    Finding,
    KeyPath,
    describe_unknown_name,
    quote_value,
)
from panneuro_hub.collaboration.models import EVERY_TEAM, Collaboration, Level, Project
from panneuro_hub.collaboration.store_endpoints import find_endpoint_problem, normalize_endpoint
from panneuro_hub.collaboration.units import format_duration
from panneuro_hub.names import LONGEST_NAME, LONGEST_PREFIX, fold_text

MIN_CREDENTIAL_LIFETIME = timedelta(minutes=15)
MAX_CREDENTIAL_LIFETIME = timedelta(hours=12)
_RANK: dict[Level, int] = {"read": 1, "write": 2, "manage": 3}


@dataclass(frozen=True)
class _NameList:
    """Names at one place of the file, and the kind of thing that they name."""

    path: KeyPath
    names: Sequence[str]
    what: str
    known: Iterable[str]
    keyed: bool = False

    def at(self, position: int) -> KeyPath:
        """Return the key path of one of the names."""
        return (*self.path, self.names[position] if self.keyed else position)


def check_references(collaboration: Collaboration) -> Iterator[Finding]:
    """Report names of teams, projects, profiles, images and stores that do not exist."""
    for name, project in collaboration.projects.items():
        if project.store not in collaboration.stores:
            path = ("projects", name, "store")
            yield path, describe_unknown_name("store", project.store, collaboration.stores)
    for place in _places(collaboration):
        for position, name in enumerate(place.names):
            if name not in place.known:
                yield place.at(position), describe_unknown_name(place.what, name, place.known)


def check_rules(collaboration: Collaboration) -> Iterator[Finding]:
    """Report everything that is wrong although each name and each value alone is valid."""
    return chain.from_iterable(rule(collaboration) for rule in _RULES)


def _places(collaboration: Collaboration) -> Iterator[_NameList]:
    for name, project in collaboration.projects.items():
        yield from _places_of(name, project, collaboration)
    for name, profile in collaboration.profiles.items():
        path = ("profiles", name, "teams")
        yield _NameList(path, profile.teams or (), "team", collaboration.teams)


def _places_of(name: str, project: Project, collaboration: Collaboration) -> Iterator[_NameList]:
    def names(
        key: str, there: Iterable[str] | None, what: str, known: Iterable[str], keyed: bool = False
    ) -> _NameList:
        path = ("projects", name, *key.split("."))
        return _NameList(path, tuple(there or ()), what, known, keyed)

    teams = collaboration.teams
    teams_or_all = (*teams, EVERY_TEAM)
    yield names("teams", project.teams, "team", teams_or_all, keyed=True)
    if project.embargo:
        yield names("embargo.then", project.embargo.then, "team", teams_or_all, keyed=True)
    yield names("requires", project.requires, "team", teams)
    yield names("reads", project.reads, "project", collaboration.projects)
    yield names("profiles", project.profiles, "profile", collaboration.profiles)
    yield names("images", project.images, "image", collaboration.images)
    if project.dask:
        workers = collaboration.dask.worker_profiles
        yield names("dask.worker_profiles", project.dask.worker_profiles, "worker profile", workers)


def _said_twice(collaboration: Collaboration) -> Iterator[Finding]:
    lists: list[tuple[KeyPath, Sequence[str]]] = [
        (place.path, place.names) for place in _places(collaboration) if not place.keyed
    ]
    lists += [
        (("projects", name, "frozen"), project.frozen)
        for name, project in collaboration.projects.items()
    ]
    lists += [
        (("teams", name, "groups"), team.groups) for name, team in collaboration.teams.items()
    ]
    for path, names in lists:
        seen: set[str] = set()
        for position, name in enumerate(names):
            if name in seen:
                yield (*path, position), f"{quote_value(name)} is in this list already; keep one"
            seen.add(name)


def _people_twice(collaboration: Collaboration) -> Iterator[Finding]:
    for name, team in collaboration.teams.items():
        seen: dict[str, str] = {}
        for person in team.expires:
            other = seen.setdefault(fold_text(person), person)
            if other != person:
                yield (
                    ("teams", name, "expires", person),
                    f"{quote_value(person)} and {quote_value(other)} differ in capitals or "
                    "Unicode form "
                    "only; keep the one that the hub shows",
                )


# Stores and prefixes


def _stores(collaboration: Collaboration) -> Iterator[Finding]:
    for name, store in collaboration.stores.items():
        lifetime = store.credential_lifetime
        if not MIN_CREDENTIAL_LIFETIME <= lifetime <= MAX_CREDENTIAL_LIFETIME:
            yield (
                ("stores", name, "credential_lifetime"),
                f"{format_duration(lifetime)} is out of range; use 15m to 12h",
            )
        urls = {
            "endpoint_url": store.endpoint_url,
            "sts_endpoint_url": store.sts_endpoint_url,
        }
        for key, url in urls.items():
            problem = find_endpoint_problem(url) if url is not None else None
            if problem:
                yield ("stores", name, key), problem


def _scratches(collaboration: Collaboration) -> Iterator[Finding]:
    for name, store in collaboration.stores.items():
        there = [key for key, project in collaboration.projects.items() if project.store == name]
        if store.scratch and there:
            room = LONGEST_PREFIX - max(map(len, there)) - LONGEST_NAME - len("//")
            if len(store.scratch.prefix) > room:
                yield (
                    ("stores", name, "scratch", "prefix"),
                    f"this has {len(store.scratch.prefix)} characters, and with project and person "
                    f"below it a place could have more than {LONGEST_PREFIX}; write {room} at most",
                )


@dataclass(frozen=True)
class _PrefixClaim:
    """A prefix that belongs to one project, or to the scratch of one store."""

    path: KeyPath
    owner: str
    service: str
    bucket: str
    prefix: str
    scratch: bool

    def around(self) -> Iterator[tuple[str, str, str]]:
        """Yield this prefix and every prefix around it, the longest first."""
        segments = self.prefix[:-1].split("/")
        for length in range(len(segments), 0, -1):
            yield self.service, self.bucket, "/".join(segments[:length]) + "/"


def _claims(collaboration: Collaboration) -> Iterator[_PrefixClaim]:
    for name, store in collaboration.stores.items():
        if store.scratch:
            path = ("stores", name, "scratch", "prefix")
            owner = f"the scratch of store {quote_value(name)}"
            service = normalize_endpoint(store.endpoint_url)
            yield _PrefixClaim(
                path, owner, service, store.bucket, store.scratch.prefix, scratch=True
            )
    for name, project in collaboration.projects.items():
        store_of = collaboration.stores.get(project.store)
        if store_of:
            own = ("projects", name, "prefix")
            service = normalize_endpoint(store_of.endpoint_url)
            owner = f"project {quote_value(name)}"
            yield _PrefixClaim(own, owner, service, store_of.bucket, project.prefix, scratch=False)


def _overlaps(collaboration: Collaboration) -> Iterator[Finding]:
    claims = list(_claims(collaboration))
    at: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    for position, claim in enumerate(claims):
        at[claim.service, claim.bucket, claim.prefix].append(position)
    for position, claim in enumerate(claims):
        for place in claim.around():
            for other_position in at.get(place, ()):
                other = claims[other_position]
                same = other.prefix == claim.prefix
                # Of two prefixes at one place, report the later one. Stores may share scratch,
                # because each project has its own folder in it.
                if same and (other_position >= position or (other.scratch and claim.scratch)):
                    continue
                yield claim.path, _overlap(claim, other)


def _overlap(claim: _PrefixClaim, other: _PrefixClaim) -> str:
    lies = "is" if claim.prefix == other.prefix else f"lies inside {quote_value(other.prefix)},"
    return (
        f"{quote_value(claim.prefix)} {lies} the place of {other.owner} in bucket "
        f"{quote_value(claim.bucket)}, "
        "so what one may do would reach the other; give each a place of its own"
    )


def _frozen(collaboration: Collaboration) -> Iterator[Finding]:
    for name, project in collaboration.projects.items():
        for position, prefix in enumerate(project.frozen):
            if not prefix.startswith(project.prefix):
                yield (
                    ("projects", name, "frozen", position),
                    f"{quote_value(prefix)} is not inside this project's prefix; write it from the "
                    f"bucket's top: {quote_value(project.prefix + 'release/')}",
                )


# Projects


def _reads(collaboration: Collaboration) -> Iterator[Finding]:
    for name, project in collaboration.projects.items():
        for position, other in enumerate(project.reads):
            path = ("projects", name, "reads", position)
            if other == name:
                yield path, "a project reads its own data anyway; take it out of this list"
            elif other in collaboration.projects:
                store = collaboration.projects[other].store
                if store != project.store and {store, project.store} <= collaboration.stores.keys():
                    yield (
                        path,
                        f"project {quote_value(other)} is in store {quote_value(store)} and "
                        "this one in "
                        f"{quote_value(project.store)}; a session's keys are for one store, "
                        "so take it "
                        "out of this list",
                    )


def _embargoes(collaboration: Collaboration) -> Iterator[Finding]:
    for name, project in collaboration.projects.items():
        if project.embargo is None:
            continue
        then = project.embargo.then
        if not then:
            yield (
                ("projects", name, "embargo", "then"),
                "names no team, so the embargo holds nothing back; move the teams that have to "
                "wait from this project's `teams` to `then`",
            )
        for team, level in then.items():
            already = [project.teams[key] for key in (team, EVERY_TEAM) if key in project.teams]
            if any(_RANK[held] >= _RANK[level] for held in already):
                yield (
                    ("projects", name, "embargo", "then", team),
                    f"{quote_value(team)} may {level} here now, by this project's teams, so "
                    "the embargo "
                    "holds nothing back; take it out of the one or the other",
                )


def _empty_lists(collaboration: Collaboration) -> Iterator[Finding]:
    for name, project in collaboration.projects.items():
        for key, names in (("profiles", project.profiles), ("images", project.images)):
            if names == ():
                yield (
                    ("projects", name, key),
                    f"an empty list leaves this project no {key[:-1]} to start a server with; name "
                    "one, or take the key out to allow all",
                )
    for name, profile in collaboration.profiles.items():
        if profile.teams == ():
            yield (
                ("profiles", name, "teams"),
                "an empty list lets nobody use this profile; name a team, or take the key out "
                "to allow all",
            )


# Sizes


def _defaults(collaboration: Collaboration) -> Iterator[Finding]:
    flagged = {
        "profiles": [name for name, each in collaboration.profiles.items() if each.default],
        "images": [name for name, each in collaboration.images.items() if each.default],
    }
    for key, names in flagged.items():
        for name in names[1:]:
            yield (
                (key, name, "default"),
                f"{quote_value(names[0])} is the default of the {key} already; there can be one",
            )


def _guarantees(collaboration: Collaboration) -> Iterator[Finding]:
    for name, profile in collaboration.profiles.items():
        if profile.cpu_guarantee is not None and profile.cpu_guarantee > profile.cpu:
            yield (
                ("profiles", name, "cpu_guarantee"),
                f"{profile.cpu_guarantee:g} is more than this profile's cpu, {profile.cpu:g}; "
                "write that or less",
            )


_RULES: tuple[Callable[[Collaboration], Iterable[Finding]], ...] = (
    _said_twice,
    _people_twice,
    _stores,
    _scratches,
    _overlaps,
    _frozen,
    _reads,
    _embargoes,
    _empty_lists,
    _defaults,
    _guarantees,
)
