"""The places that a session may read and write, each with its reason."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from panneuro_hub.access.membership import Membership
from panneuro_hub.access.places import frozen_locations, location_of, scratch_of, store_of
from panneuro_hub.access.standing import RANK, Standing, standing
from panneuro_hub.collaboration.models import Collaboration
from panneuro_hub.collaboration.quantities import format_duration
from panneuro_hub.wire import Denial, Grant, Reason

Given = Iterator[Grant | Denial]


def own_prefix(collaboration: Collaboration, project: str, has: Standing) -> Given:
    """The project's own prefix, with the frozen places inside it."""
    place = location_of(collaboration, project)
    frozen = frozen_locations(collaboration, project)
    writes = has.level is not None and RANK[has.level] >= RANK["write"]
    if not writes:
        yield Grant(place.uri, "read", has.reasons, project)
        if has.needs:
            yield Denial("write", "prefix", place.uri, project, has.needs)
        return
    still = Reason("frozen", project)
    if place not in frozen:
        yield Grant(place.uri, "write", has.reasons, project)
    for inner in frozen:
        yield Grant(inner.uri, "read", (still, *has.reasons), project)
        yield Denial("write", "prefix", inner.uri, project, (still,))


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
        reads = Reason("project-reads", project, other=other)
        store = collaboration.projects[other].store
        if has.level is None:
            yield Denial("read", "prefix", place.uri, other, (reads, *has.reasons))
        elif store != mine.store:
            apart = Reason("other-store", project, other=other, names=(store, mine.store))
            yield Denial("read", "prefix", place.uri, other, (apart,))
        else:
            yield Grant(place.uri, "read", (reads, *has.reasons), other)


def scratch(collaboration: Collaboration, project: str, person: str) -> Given:
    """A place of the person's own, where the store has scratch."""
    place = scratch_of(collaboration, project, person)
    settings = store_of(collaboration, project).scratch
    if place is None or settings is None:
        return
    kept = format_duration(settings.expires_after) if settings.expires_after else ""
    yield Grant(place.uri, "write", (Reason("own-scratch", project, detail=kept),), project)
