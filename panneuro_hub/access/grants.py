"""The places that a session may read and write, each with its reason."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from panneuro_hub.access.membership import Membership
from panneuro_hub.access.places import frozen_locations, location_of, scratch_of, store_of
from panneuro_hub.access.standing import RANK, Standing, standing
from panneuro_hub.collaboration.models import Collaboration
from panneuro_hub.collaboration.quantities import format_duration
from panneuro_hub.wire import Denial, Grant

Given = Iterator[Grant | Denial]


def own_prefix(collaboration: Collaboration, project: str, has: Standing) -> Given:
    """The project's own prefix, with the frozen places inside it."""
    place = location_of(collaboration, project)
    frozen = frozen_locations(collaboration, project)
    writes = has.level is not None and RANK[has.level] >= RANK["write"]
    if not writes:
        yield Grant(place.uri, "read", has.reason, project)
        for need in has.needs:
            yield Denial(f"write {place.uri}", need)
        return
    still = f"frozen in {project}: nobody writes there any more"
    if place not in frozen:
        yield Grant(place.uri, "write", has.reason, project)
    for inner in frozen:
        yield Grant(inner.uri, "read", f"{still}; {has.reason}", project)
        yield Denial(f"write {inner.uri}", still)


def other_projects(
    collaboration: Collaboration, membership: Membership, project: str, now: datetime
) -> Given:
    """The projects that this one reads, for who may read them anyway."""
    mine = collaboration.projects[project]
    for other in mine.reads:
        if other == project:
            continue
        place = location_of(collaboration, other)
        has = standing(collaboration, membership, other, now)
        if has.level is None:
            yield Denial(f"read {place.uri}", f"{project} reads {other}, but {has.reason}")
        elif collaboration.projects[other].store != mine.store:
            yield Denial(
                f"read {place.uri}",
                f"{other} is in the store {collaboration.projects[other].store}, and a session "
                f"of {project} has keys for the store {mine.store} only",
            )
        else:
            yield Grant(place.uri, "read", f"{project} reads {other}; {has.reason}", other)


def scratch(collaboration: Collaboration, project: str, person: str) -> Given:
    """A place of the person's own, where the store has scratch."""
    place = scratch_of(collaboration, project, person)
    settings = store_of(collaboration, project).scratch
    if place is None or settings is None:
        return
    kept = (
        f"; what is older than {format_duration(settings.expires_after)} is deleted"
        if settings.expires_after
        else ""
    )
    yield Grant(place.uri, "write", f"your own scratch in {project}{kept}", project)
