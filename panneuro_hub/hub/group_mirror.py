"""JupyterHub groups as a mirror of the teams, with the teams' prefixes, for other tools.

Nothing of ours decides by them: see `panneuro_hub.hub.account_store`.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from jupyterhub import orm
from sqlalchemy.orm import lazyload

from panneuro_hub.access import list_team_prefixes
from panneuro_hub.collaboration import Collaboration

PREFIXES = "prefixes"
"""The key of a group's properties that is ours."""


def describe_teams(
    collaboration: Collaboration, teams: Iterable[str], now: datetime
) -> list[dict[str, Any]]:
    """The shared prefixes of some teams, for others to use: team, uri, level, project."""
    return [
        {"team": team, **prefix}
        for team in sorted(teams)
        for prefix in _prefixes(collaboration, team, now)
    ]


def write_group_properties(db: Any, collaboration: Collaboration, now: datetime) -> None:
    """Bring the properties of every team's JupyterHub group up to date.

    Only the key ``prefixes`` is ours; what else an admin put there stays.
    """
    # All at once, and without what belongs to them: each brings all that was shared with it.
    bare = db.query(orm.Group).options(lazyload("*"))
    named = bare.filter(orm.Group.name.in_(list(collaboration.teams)))
    groups = {group.name: group for group in named}
    for team in collaboration.teams:
        if team not in groups:
            groups[team] = orm.Group(name=team)
            db.add(groups[team])
        prefixes = _prefixes(collaboration, team, now)
        properties = dict(groups[team].properties or {})
        if properties.get(PREFIXES) != prefixes:
            groups[team].properties = {**properties, PREFIXES: prefixes}
    db.commit()


def _prefixes(collaboration: Collaboration, team: str, now: datetime) -> list[dict[str, Any]]:
    return [
        {
            "uri": prefix.uri,
            "level": prefix.level,
            "project": prefix.project,
            # Teams that a person must be in besides, or this does not hold for them.
            "requires": list(prefix.requires),
        }
        for prefix in list_team_prefixes(collaboration, team, now)
    ]
