"""`decide_access`: decide the rights of one person in one project; pure, no I/O."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TypeVar

from panneuro_hub.access import grants, offers
from panneuro_hub.access.level import decide_level
from panneuro_hub.access.project_locations import find_location
from panneuro_hub.access.team_membership import TeamMembership, find_membership
from panneuro_hub.access.types import Access, Person
from panneuro_hub.collaboration.models import Collaboration
from panneuro_hub.wire import Denial, Reason

T = TypeVar("T")

# Longer than any name that `slug` leaves as it is, so its slug is as long as one can be.
_LONG_NAME = "x" * 64
_LAST_MOMENT = datetime.max.replace(tzinfo=UTC)


def decide_access(
    collaboration: Collaboration, person: Person, project: str, now: datetime
) -> Access:
    """Return all grants, profiles and limits of one person in one project, with reasons.

    The default is to deny: a right exists only if a rule gives it, and `Access.denied` says what
    a further right would need.

    Parameters
    ----------
    project : str
        Any text; for an unknown project, the level is `None`.
    now : datetime
        The moment to decide for, aware; days in the collaboration begin at 00:00 UTC.

    Raises
    ------
    ValueError
        If `now` has no time zone.
    """
    membership = find_membership(collaboration, person, now)
    return decide_with_membership(collaboration, person, membership, project, now)


def decide_all_accesses(
    collaboration: Collaboration, person: Person, now: datetime
) -> dict[str, Access]:
    """Return `decide_access` for every project of the collaboration, in the order of the file.

    Raises
    ------
    ValueError
        If `now` has no time zone.
    """
    membership = find_membership(collaboration, person, now)
    return {
        project: decide_with_membership(collaboration, person, membership, project, now)
        for project in collaboration.projects
    }


def decide_widest_access(collaboration: Collaboration, project: str) -> Access:
    """Return the access of a person in every team, with the longest slug, after every embargo.

    No other access to the project reaches more places.
    """
    return decide_with_membership(
        collaboration,
        Person.of(_LONG_NAME, collaboration.teams),
        TeamMembership(frozenset(collaboration.teams)),
        project,
        _LAST_MOMENT,
    )


def decide_with_membership(
    collaboration: Collaboration,
    person: Person,
    membership: TeamMembership,
    project: str,
    now: datetime,
) -> Access:
    """Return `decide_access` for a membership that is known already."""
    if project not in collaboration.projects:
        unknown = (Reason("unknown-project", project, names=tuple(collaboration.projects)),)
        denial = Denial("open", "project", project, project, unknown)
        return _nothing(person, project, unknown, denial, now)
    has = decide_level(collaboration, membership, project, now)
    if has.level is None:
        prefix = find_location(collaboration, project).uri
        denial = Denial("read", "prefix", prefix, project, has.needs or has.reasons)
        return _nothing(person, project, has.reasons, denial, now)
    given, withheld = _apart(
        [
            *grants.decide_own_prefix(collaboration, project, has),
            *grants.decide_other_projects(collaboration, membership, project, now),
            *grants.decide_scratch(collaboration, project, person.name),
        ]
    )
    profiles, no_profiles = _apart(offers.decide_profiles(collaboration, membership, project))
    images, no_images = _apart(offers.decide_images(collaboration, project))
    return Access(
        person=person,
        project=project,
        level=has.level,
        reasons=has.reasons,
        grants=given,
        denied=withheld + no_profiles + no_images,
        profiles=profiles,
        images=images,
        dask=offers.merge_dask_limits(collaboration, project),
        budget=offers.find_budget_limit(collaboration, project),
        at=now,
    )


def _nothing(
    person: Person,
    project: str,
    reasons: tuple[Reason, ...],
    denial: Denial,
    now: datetime,
) -> Access:
    return Access(
        person=person,
        project=project,
        level=None,
        reasons=reasons,
        grants=(),
        denied=(denial,),
        profiles=(),
        images=(),
        dask=None,
        budget=None,
        at=now,
    )


def _apart(things: Iterable[T | Denial]) -> tuple[tuple[T, ...], tuple[Denial, ...]]:
    """Split decisions into what is given and the denials, each in order."""
    given: list[T] = []
    denied: list[Denial] = []
    for thing in things:
        if isinstance(thing, Denial):
            denied.append(thing)
        else:
            given.append(thing)
    return tuple(given), tuple(denied)
