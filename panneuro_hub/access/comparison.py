"""`compare_collaborations`: the access that people gain and lose between two collaborations.

Rules only add access, so each right has smallest sets of teams that give it. The comparison
covers these sets and not all sets of teams: if people in some teams notice a difference, then
people in one of the reported sets notice it too.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from itertools import product

from panneuro_hub.access.collaboration_settings import list_settings
from panneuro_hub.access.decision import decide_with_membership
from panneuro_hub.access.level import list_level_rules
from panneuro_hub.access.path_check import find_covering_grant
from panneuro_hub.access.project_locations import find_store
from panneuro_hub.access.team_membership import TeamMembership, require_time_zone, start_of_day
from panneuro_hub.access.team_renames import find_renamed_teams, rename_teams
from panneuro_hub.access.types import Access, AccessDifference, DifferenceKind, Person, SessionOffer
from panneuro_hub.collaboration.models import EVERY_TEAM, Collaboration
from panneuro_hub.names import StorageLocation

Teams = frozenset[str]
DifferenceTarget = tuple[DifferenceKind, str]

_SOMEBODY = "each-person"
_RENAMED = "name (the same groups at the provider)"
# The values of access, the least first; rules only add access.
_VALUES: tuple[str | None, ...] = (None, "offered", "read", "write", "manage")
_SECTIONS: tuple[DifferenceKind, ...] = ("membership", "store", "image", "limit")


def compare_collaborations(
    old: Collaboration, new: Collaboration, now: datetime
) -> list[AccessDifference]:
    """Return the access that people gain and lose when `new` replaces `old`.

    Access is compared at `now` and after the end of each future embargo; a difference that
    begins or ends on such a day names the day. The people of a renamed team keep their access.

    Parameters
    ----------
    now : datetime
        The moment of the change, aware.

    Returns
    -------
    list of AccessDifference
        First access, by project, then memberships, stores, images and limits. A set of teams is
        left out if people in fewer of these teams notice the same difference.

    Raises
    ------
    ValueError
        If `now` has no time zone.
    """
    require_time_zone(now)
    names = find_renamed_teams(old, new)
    old = rename_teams(old, names)
    moments = _moments(old, new, now)
    projects = dict.fromkeys([*old.projects, *new.projects])
    found: list[AccessDifference] = []
    for project in projects:
        ways = _ways(old, project) | _ways(new, project)
        for teams in sorted(ways, key=lambda way: (len(way), sorted(way))):
            found += _novel(found, _in_project(old, new, teams, project, moments))
    renames = [
        AccessDifference((after,), None, "membership", _RENAMED, before, after)
        for before, after in names.items()
    ]
    return [*found, *renames, *_in_settings(old, new)]


def _moments(
    old: Collaboration, new: Collaboration, now: datetime
) -> list[tuple[date | None, datetime]]:
    """Return `now` and the end of each future embargo."""
    days = {
        project.embargo.until
        for collaboration in (old, new)
        for project in collaboration.projects.values()
        if project.embargo is not None and start_of_day(project.embargo.until) > now
    }
    return [(None, now), *((day, start_of_day(day)) for day in sorted(days))]


def _ways_in(collaboration: Collaboration, name: str) -> set[Teams]:
    """Return the smallest sets of teams that give some level in a project."""
    project = collaboration.projects.get(name)
    if project is None:
        return set()
    required = frozenset(project.requires)
    ways = set()
    for rule in list_level_rules(project):
        if rule.team != EVERY_TEAM:
            ways.add(required | {rule.team})
        elif required:
            ways.add(required)
        else:
            ways.update(frozenset({team}) for team in collaboration.teams)
    return ways


def _ways(collaboration: Collaboration, name: str) -> set[Teams]:
    """Return the smallest sets of teams that give anything in a project's sessions."""
    ways = _ways_in(collaboration, name)
    if not ways:
        return ways
    project = collaboration.projects[name]
    additions: set[Teams] = {frozenset()}
    for other in project.reads:
        additions |= _ways_in(collaboration, other)
    for profile in collaboration.profiles.values():
        additions |= {frozenset({team}) for team in profile.teams or ()}
    return {way | addition for way, addition in product(ways, additions)}


def _in_project(
    old: Collaboration,
    new: Collaboration,
    teams: Teams,
    project: str,
    moments: list[tuple[date | None, datetime]],
) -> Iterator[AccessDifference]:
    """Yield the differences that people in exactly these teams notice in one project."""
    # A prefix that one side freezes is compared on both sides.
    frozen = _frozen(old, project) | _frozen(new, project)
    compared = [
        (
            day,
            _compare(_access(old, teams, project, now), _access(new, teams, project, now), frozen),
        )
        for day, now in moments
    ]
    things = dict.fromkeys(thing for _, changes in compared for thing in changes)
    for kind, what in things:
        course = [(day, changes.get((kind, what), (None, None))) for day, changes in compared]
        for since, until, (before, after) in _runs(course):
            if before != after:
                who = tuple(sorted(teams))
                yield AccessDifference(who, project, kind, what, before, after, since, until)


def _access(collaboration: Collaboration, teams: Teams, project: str, now: datetime) -> Access:
    return decide_with_membership(
        collaboration,
        Person(_SOMEBODY, teams),
        TeamMembership(teams & frozenset(collaboration.teams)),
        project,
        now,
    )


Values = tuple[str | None, str | None]


def _frozen(collaboration: Collaboration, name: str) -> set[str]:
    """Return the prefixes that a project freezes, as grants write them."""
    project = collaboration.projects.get(name)
    if project is None:
        return set()
    bucket = find_store(collaboration, name).bucket
    return {StorageLocation(bucket, key).uri for key in project.frozen}


def _compare(old: Access, new: Access, places: set[str]) -> dict[DifferenceTarget, Values]:
    """Return the values of all rights of either access, and of `places`; equal values too."""
    values: dict[DifferenceTarget, Values] = {("level", old.project): (old.level, new.level)}
    granted = [grant.prefix for grant in (*old.grants, *new.grants)]
    for prefix in dict.fromkeys([*granted, *sorted(places)]):
        place = StorageLocation.parse(prefix)
        values["grant", prefix] = (_mode(old, place), _mode(new, place))
    for name in dict.fromkeys(offer.name for offer in (*old.profiles, *new.profiles)):
        values["profile", name] = (_offered(old.profiles, name), _offered(new.profiles, name))
    for name in dict.fromkeys(offer.name for offer in (*old.images, *new.images)):
        values["image", name] = (_offered(old.images, name), _offered(new.images, name))
    return values


def _mode(access: Access, place: StorageLocation) -> str | None:
    grant = find_covering_grant(access, place)
    return grant.mode if grant else None


def _offered(offers: tuple[SessionOffer, ...], name: str) -> str | None:
    return "offered" if any(offer.name == name for offer in offers) else None


def _runs(
    course: list[tuple[date | None, Values]],
) -> Iterator[tuple[date | None, date | None, Values]]:
    """Join neighbouring moments with the same values; yield first day, last day and values."""
    since, values = course[0]
    for day, later in course[1:]:
        if later != values:
            yield since, day, values
            since, values = day, later
    yield since, None, values


def _novel(
    found: list[AccessDifference], more: Iterator[AccessDifference]
) -> Iterator[AccessDifference]:
    """Yield the differences of `more` that people in fewer of the same teams do not notice."""
    for difference in more:
        if not any(_covers(other, difference) for other in found):
            yield difference


def _covers(fewer: AccessDifference, more: AccessDifference) -> bool:
    """Return `True` if people in more teams notice nothing beyond what people in fewer notice."""
    return (
        (fewer.project, fewer.kind, fewer.what) == (more.project, more.kind, more.what)
        and set(fewer.who) < set(more.who)
        and _gains(fewer) == _gains(more)
        and _worth(fewer)[1] == _worth(more)[1]
        and (fewer.since or date.min) <= (more.since or date.min)
        and (fewer.until or date.max) >= (more.until or date.max)
    )


def _gains(difference: AccessDifference) -> bool:
    return _VALUES.index(difference.before) < _VALUES.index(difference.after)


def _worth(difference: AccessDifference) -> list[str | None]:
    """Return the lesser and the greater of before and after."""
    return sorted((difference.before, difference.after), key=_VALUES.index)


def _in_settings(old: Collaboration, new: Collaboration) -> Iterator[AccessDifference]:
    before, after = list_settings(old), list_settings(new)
    for setting in sorted(
        dict.fromkeys([*before, *after]), key=lambda setting: _SECTIONS.index(setting.kind)
    ):
        if before.get(setting) != after.get(setting):
            yield AccessDifference(
                setting.who,
                setting.project,
                setting.kind,
                setting.what,
                before.get(setting),
                after.get(setting),
            )
