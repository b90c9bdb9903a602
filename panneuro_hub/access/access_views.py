"""Views of access: for the researcher of a session, and for a team."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime

from panneuro_hub.access.level import LEVEL_RANK, list_level_rules
from panneuro_hub.access.project_locations import find_location, find_scratch, find_store
from panneuro_hub.access.team_membership import TeamMembership, require_time_zone
from panneuro_hub.access.types import Access, TeamPrefix
from panneuro_hub.collaboration.models import Collaboration
from panneuro_hub.wire import Denial, Reason, SessionView


def build_session_view(
    collaboration: Collaboration, access: Access, others: Mapping[str, Access] | None = None
) -> SessionView:
    """Return the project of a session and its rights, as its researcher sees them.

    If the project has left the collaboration, the view has empty places.

    Parameters
    ----------
    others : mapping of str to Access, optional
        The same person's access in every project. With it, the view explains for each project
        why the session cannot read it.
    """
    name = access.project
    project = collaboration.projects.get(name)
    if project is None:
        title, prefix, scratch, endpoint_url, region = name, "", None, None, ""
    else:
        store = find_store(collaboration, name)
        own = find_scratch(collaboration, name, access.person.name) if access.grants else None
        title, prefix = project.title, find_location(collaboration, name).uri
        scratch = own.uri if own else None
        endpoint_url, region = store.endpoint_url, store.region
    return SessionView(
        user=access.person.name,
        project=name,
        title=title,
        level=access.level,
        prefix=prefix,
        scratch=scratch,
        endpoint_url=endpoint_url,
        region=region,
        prefixes=_readable(collaboration, access),
        grants=access.grants,
        denied=(*access.denied, *_elsewhere(collaboration, access, others or {})),
    )


def limit_to_reading(collaboration: Collaboration, access: Access) -> Access:
    """Return the same access with only one grant left: reading the project's own prefix."""
    if access.project not in collaboration.projects:
        return replace(access, grants=())
    own = find_location(collaboration, access.project).uri
    grants = tuple(
        replace(grant, mode="read", reasons=access.reasons)
        for grant in access.grants
        if grant.prefix == own and grant.project == access.project
    )
    return replace(access, grants=grants)


def list_team_prefixes(collaboration: Collaboration, team: str, now: datetime) -> list[TeamPrefix]:
    """Return the places that a team gives its members at `now`, in the order of the file.

    If a project requires more teams, the place names them.

    Raises
    ------
    ValueError
        If `now` has no time zone.
    """
    require_time_zone(now)
    if team not in collaboration.teams:
        return []
    alone = TeamMembership(frozenset({team}))
    places = []
    for name, project in collaboration.projects.items():
        levels = [
            rule.level
            for rule in list_level_rules(project)
            if rule.matches(alone) and rule.began(now)
        ]
        if levels:
            uri = find_location(collaboration, name).uri
            level = max(levels, key=LEVEL_RANK.__getitem__)
            others = tuple(other for other in project.requires if other != team)
            places.append(TeamPrefix(uri, level, name, others))
    return places


def _elsewhere(
    collaboration: Collaboration, access: Access, others: Mapping[str, Access]
) -> Iterator[Denial]:
    """Yield why projects that the session's own does not read cannot be read in it."""
    explained = {denial.project for denial in access.denied if denial.action == "read"}
    readable = _readable(collaboration, access)
    for name, other in others.items():
        if name == access.project or name in readable or name in explained:
            continue
        prefix = find_location(collaboration, name).uri
        if other.level is None:
            yield Denial("read", "prefix", prefix, name, other.reasons)
            continue
        aside = Reason("not-read-here", access.project, other=name)
        start = Reason("open-elsewhere", name, level=other.level)
        yield Denial("read", "prefix", prefix, name, (aside, start))


def _readable(collaboration: Collaboration, access: Access) -> dict[str, str]:
    """Return the prefix of every project that this access can read, by project."""
    return {
        grant.project: grant.prefix
        for grant in access.grants
        if grant.prefix == find_location(collaboration, grant.project).uri
    }
