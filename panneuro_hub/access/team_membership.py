"""The teams of a person, and the ends of their memberships."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time

from panneuro_hub.access.expiries import find_membership_end
from panneuro_hub.access.types import Person
from panneuro_hub.collaboration.models import Collaboration


@dataclass(frozen=True)
class TeamMembership:
    """The teams that count for a person at one moment.

    Parameters
    ----------
    active : frozenset of str
        Teams of the collaboration that the person is in.
    ended : mapping of str to date
        Teams in which the collaboration file has ended the membership, regardless of the
        provider.
    """

    active: frozenset[str]
    ended: Mapping[str, date] = field(default_factory=dict)


def start_of_day(day: date) -> datetime:
    """Return the beginning of a day: 00:00 UTC."""
    return datetime.combine(day, time(), UTC)


def require_time_zone(now: datetime) -> None:
    """Refuse a moment without a time zone.

    Raises
    ------
    ValueError
        If `now` is naive.
    """
    if now.utcoffset() is None:
        raise ValueError(
            "the time to decide for has no time zone; pass an aware one such as datetime.now(UTC)"
        )


def find_membership(collaboration: Collaboration, person: Person, now: datetime) -> TeamMembership:
    """Sort a person's teams into those that count at `now` and those that have ended.

    Raises
    ------
    ValueError
        If `now` is naive.
    """
    require_time_zone(now)
    ends = {
        name: find_membership_end(team, person.name) for name, team in collaboration.teams.items()
    }
    ended = {
        team: day for team, day in ends.items() if day is not None and start_of_day(day) <= now
    }
    return TeamMembership((person.teams & frozenset(ends)) - frozenset(ended), ended)


def find_active_teams(
    collaboration: Collaboration, person: Person, now: datetime
) -> frozenset[str]:
    """Return the teams of the collaboration that a person is in at `now`.

    Raises
    ------
    ValueError
        If `now` is naive.
    """
    return find_membership(collaboration, person, now).active


def map_groups_to_teams(collaboration: Collaboration, groups: Iterable[str]) -> frozenset[str]:
    """Return the teams to which the provider's `groups` belong.

    Groups are compared whole, as they are written: ``/labA/data`` and
    ``/labB/data`` are different groups.
    """
    given = frozenset(groups)
    return frozenset(
        name for name, team in collaboration.teams.items() if not given.isdisjoint(team.groups)
    )


def is_hub_admin(collaboration: Collaboration, person: Person, now: datetime) -> bool:
    """Return `True` if a person is in a team with ``hub_admin`` at `now`.

    Raises
    ------
    ValueError
        If `now` is naive.
    """
    return any(
        collaboration.teams[team].hub_admin
        for team in find_active_teams(collaboration, person, now)
    )
