"""Why somebody who has logged in is in no team: for them, and for the hub's admin; pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime

from panneuro_hub.access import Person, map_groups_to_teams
from panneuro_hub.access.team_membership import find_membership
from panneuro_hub.collaboration import Collaboration
from panneuro_hub.names import fold_text
from panneuro_hub.phrases import visible

_MOST_SHOWN = 20


@dataclass(frozen=True)
class SimilarGroup:
    """A group that the provider sent, and one of a team's that only looks the same.

    Parameters
    ----------
    sent, written : str
    team : str
        In whose groups it is `written`.
    """

    sent: str
    written: str
    team: str


@dataclass(frozen=True)
class NoTeamDiagnosis:
    """Why a person is in no team.

    Parameters
    ----------
    name : str
    title : str
        The collaboration's.
    groups : tuple of str
        What the provider sent, whole.
    ended : mapping of str to date
        Teams that the groups make, where the collaboration has ended the membership.
    near : tuple of SimilarGroup
    """

    name: str
    title: str
    groups: tuple[str, ...]
    ended: Mapping[str, date]
    near: tuple[SimilarGroup, ...]


def diagnose_no_team(
    collaboration: Collaboration, name: str, groups: Collection[str], now: datetime
) -> NoTeamDiagnosis:
    """Return why the provider's groups make a person a member of no team.

    Raises
    ------
    ValueError
        If `now` is naive.
    """
    teams = map_groups_to_teams(collaboration, groups)
    ended = find_membership(collaboration, Person.of(name, teams), now).ended
    written = [
        (group, team)
        for team, described in collaboration.teams.items()
        for group in described.groups
    ]
    return NoTeamDiagnosis(
        name=name,
        title=collaboration.title,
        groups=tuple(sorted(groups)),
        ended={team: ended[team] for team in sorted(teams) if team in ended},
        near=tuple(
            SimilarGroup(sent, group, team)
            for sent in sorted(groups)
            for group, team in written
            if sent != group and fold_text(sent) == fold_text(group)
        ),
    )


def format_for_person(found: NoTeamDiagnosis) -> str:
    """Return the sentences for the person."""
    if found.ended:
        ends = "; ".join(
            f"your membership of {team} ended on {day.isoformat()}"
            for team, day in found.ended.items()
        )
        why = f"In the hub's own file, {ends}."
    elif found.groups:
        why = (
            f"The identity provider says that you are in {_listed(found)}; none makes a team here."
        )
    else:
        why = "The identity provider says that you are in no group."
    return (
        f"You are logged in as {found.name}, and are in no team of {found.title} now. {why} "
        "Ask the person who runs your laboratory's group, then log in again."
    )


def format_for_admin(found: NoTeamDiagnosis) -> str:
    """Return the line of the log."""
    sent = f"sent {_listed(found)}" if found.groups else "sent no groups"
    near = "".join(
        f"; {visible(one.sent)} is {visible(one.written)} in groups of the team {one.team}, and "
        "groups are compared as they are written"
        for one in found.near[:_MOST_SHOWN]
    )
    ended = "".join(
        f"; the membership of {team} ended on {day.isoformat()} (expires)"
        for team, day in found.ended.items()
    )
    return f"{visible(found.name)} is in no team: the identity provider {sent}{near}{ended}"


def _listed(found: NoTeamDiagnosis) -> str:
    shown = ", ".join(visible(group) for group in found.groups[:_MOST_SHOWN])
    more = len(found.groups) - _MOST_SHOWN
    return f"the groups {shown}" + (f" and {more} more" if more > 0 else "")
