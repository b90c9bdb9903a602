"""Find the people of a project who cannot read the data that a shared notebook uses; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from panneuro_hub.access.decision import decide_access
from panneuro_hub.access.path_check import check_path
from panneuro_hub.access.project_locations import find_location
from panneuro_hub.access.types import Access, Person
from panneuro_hub.collaboration.models import Collaboration
from panneuro_hub.wire import Reason


@dataclass(frozen=True)
class InaccessibleProject:
    """Data that some people of a project cannot read in its sessions.

    Parameters
    ----------
    project : str
        The project that owns the data.
    reasons : tuple of Reason
        The reasons; they contain nothing that these people may not know of each other.
    people : tuple of str
    """

    project: str
    reasons: tuple[Reason, ...]
    people: tuple[str, ...]


@dataclass(frozen=True)
class ProjectRecipients:
    """The people of a project, and the data of other projects that they cannot read in it.

    Parameters
    ----------
    people : tuple of str
        The people who have access to the project.
    shut : tuple of InaccessibleProject
        In the order of the given projects.
    """

    people: tuple[str, ...]
    shut: tuple[InaccessibleProject, ...]


def find_recipients(
    collaboration: Collaboration,
    people: Iterable[Person],
    project: str,
    uses: Iterable[str],
    now: datetime,
) -> ProjectRecipients:
    """Return the people of a project, and those who cannot read data of the projects in `uses`.

    Only rights in a session of `project` count. For a project that `project` does not read, the
    result says only that: nobody may learn a person's rights in another project by naming that
    project in a notebook.

    Parameters
    ----------
    uses : iterable of str
        Names of projects; unknown names are allowed.

    Raises
    ------
    ValueError
        If `now` has no time zone.
    """
    accesses = [decide_access(collaboration, person, project, now) for person in people]
    inside = [access for access in accesses if access.level is not None]
    shut = [
        InaccessibleProject(used, reasons, tuple(sorted(names)))
        for used in dict.fromkeys(uses)
        for reasons, names in _shut(collaboration, inside, used).items()
    ]
    return ProjectRecipients(tuple(sorted(access.person.name for access in inside)), tuple(shut))


def list_responsible_teams(collaboration: Collaboration, project: str) -> tuple[str, ...]:
    """Return the titles of the teams that manage a project, or else of those that write it."""
    teams = collaboration.projects[project].teams
    for level in ("manage", "write"):
        responsible = [team for team in collaboration.teams if teams.get(team) == level]
        if responsible:
            return tuple(collaboration.teams[team].title for team in responsible)
    return ()


def _shut(
    collaboration: Collaboration, inside: Iterable[Access], used: str
) -> Mapping[tuple[Reason, ...], list[str]]:
    """Return the people who cannot read a project's data, by the reasons."""
    found: dict[tuple[Reason, ...], list[str]] = {}
    for access in inside:
        reasons = _why_not(collaboration, access, used)
        if reasons:
            found.setdefault(reasons, []).append(access.person.name)
    return found


def _why_not(collaboration: Collaboration, access: Access, used: str) -> tuple[Reason, ...]:
    if used not in collaboration.projects:
        return (Reason("no-such-project", used),)
    if used != access.project and used not in collaboration.projects[access.project].reads:
        return (
            Reason("not-read-here", access.project, other=used),
            Reason("own-session-reads", used),
        )
    check = check_path(collaboration, access, find_location(collaboration, used).uri)
    return () if check.read else check.reasons
