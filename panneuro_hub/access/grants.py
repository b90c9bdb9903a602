"""The places that a session can read and write, each with its reason."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from panneuro_hub.access.level import LEVEL_RANK, LevelDecision, decide_level
from panneuro_hub.access.project_locations import (
    find_frozen_locations,
    find_location,
    find_scratch,
    find_store,
)
from panneuro_hub.access.team_membership import TeamMembership
from panneuro_hub.collaboration.models import Collaboration
from panneuro_hub.collaboration.units import format_duration
from panneuro_hub.wire import Denial, Grant, Reason

Given = Iterator[Grant | Denial]


def decide_own_prefix(collaboration: Collaboration, project: str, has: LevelDecision) -> Given:
    """Yield the grants and denials for the project's own prefix and its frozen places."""
    place = find_location(collaboration, project)
    frozen = find_frozen_locations(collaboration, project)
    writes = has.level is not None and LEVEL_RANK[has.level] >= LEVEL_RANK["write"]
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


def decide_other_projects(
    collaboration: Collaboration, membership: TeamMembership, project: str, now: datetime
) -> Given:
    """Yield the grants and denials for the projects that this one reads.

    A person gets a grant only for a project that they can read in its own sessions.
    """
    mine = collaboration.projects[project]
    for other in mine.reads:
        if other == project:
            continue
        place = find_location(collaboration, other)
        has = decide_level(collaboration, membership, other, now)
        reads = Reason("project-reads", project, other=other)
        store = collaboration.projects[other].store
        if has.level is None:
            yield Denial("read", "prefix", place.uri, other, (reads, *has.reasons))
        elif store != mine.store:
            apart = Reason("other-store", project, other=other, names=(store, mine.store))
            yield Denial("read", "prefix", place.uri, other, (apart,))
        else:
            yield Grant(place.uri, "read", (reads, *has.reasons), other)


def decide_scratch(collaboration: Collaboration, project: str, person: str) -> Given:
    """Yield the grant for the person's own scratch place, if the store has scratch."""
    place = find_scratch(collaboration, project, person)
    settings = find_store(collaboration, project).scratch
    if place is None or settings is None:
        return
    kept = format_duration(settings.expires_after) if settings.expires_after else ""
    yield Grant(place.uri, "write", (Reason("own-scratch", project, detail=kept),), project)
