"""Who of a project cannot read what something shared in it uses; pure, no I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from panneuro_hub.access.decision import decide
from panneuro_hub.access.places import location_of
from panneuro_hub.access.types import Access, Person
from panneuro_hub.access.verdict import judge
from panneuro_hub.collaboration.models import Collaboration
from panneuro_hub.wire import Reason


@dataclass(frozen=True)
class Shut:
    """Data that somebody of a project cannot read in its sessions.

    Parameters
    ----------
    project : str
        Whose data it is.
    reasons : tuple of Reason
        Why; they say nothing that these people may not know of each other.
    people : tuple of str
    """

    project: str
    reasons: tuple[Reason, ...]
    people: tuple[str, ...]


@dataclass(frozen=True)
class Recipients:
    """The people of a project, and what of some other projects they cannot read in it.

    Parameters
    ----------
    people : tuple of str
        Who has access to the project.
    shut : tuple of Shut
        In the order of the projects that were asked about.
    """

    people: tuple[str, ...]
    shut: tuple[Shut, ...]


def recipients(
    collaboration: Collaboration,
    people: Iterable[Person],
    project: str,
    uses: Iterable[str],
    now: datetime,
) -> Recipients:
    """Who may be in a project, and who of them cannot read data of the projects in `uses`.

    What counts is a session in `project`: it reads what that project reads, and no more.
    Of anything else it is only said that the project does not read it: which rights
    somebody has elsewhere is for nobody to find out by naming a project in a notebook.

    Parameters
    ----------
    uses : iterable of str
        Names of projects; may name some that there are not.

    Raises
    ------
    ValueError
        If `now` has no time zone.
    """
    accesses = [decide(collaboration, person, project, now) for person in people]
    inside = [access for access in accesses if access.level is not None]
    shut = [
        Shut(used, reasons, tuple(sorted(names)))
        for used in dict.fromkeys(uses)
        for reasons, names in _shut(collaboration, inside, used).items()
    ]
    return Recipients(tuple(sorted(access.person.name for access in inside)), tuple(shut))


def whom_to_ask(collaboration: Collaboration, project: str) -> tuple[str, ...]:
    """The titles of the teams that manage a project, or else of those that write it."""
    teams = collaboration.projects[project].teams
    for level in ("manage", "write"):
        asked = [team for team in collaboration.teams if teams.get(team) == level]
        if asked:
            return tuple(collaboration.teams[team].title for team in asked)
    return ()


def _shut(
    collaboration: Collaboration, inside: Iterable[Access], used: str
) -> Mapping[tuple[Reason, ...], list[str]]:
    """Return who cannot read a project's data, by the reasons."""
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
    verdict = judge(collaboration, access, location_of(collaboration, used).uri)
    return () if verdict.read else verdict.reasons
