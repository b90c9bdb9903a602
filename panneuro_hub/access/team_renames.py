"""Teams with a new name and the same groups, whose people keep their access."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from panneuro_hub.collaboration.models import Collaboration, Project, ProjectEmbargo, ServerProfile


def find_renamed_teams(old: Collaboration, new: Collaboration) -> dict[str, str]:
    """Return the new name of each team of `old` that has only another name in `new`.

    The identity provider's groups decide who is in a team, so teams with the same groups have
    the same people. Teams without groups, and groups that several teams of one file have, are
    left out.
    """
    before = {
        frozenset(team.groups): name for name, team in old.teams.items() if name not in new.teams
    }
    after = {
        frozenset(team.groups): name for name, team in new.teams.items() if name not in old.teams
    }
    several = {
        groups
        for collaboration in (old, new)
        for groups, number in Counter(
            frozenset(team.groups) for team in collaboration.teams.values()
        ).items()
        if number > 1 or not groups
    }
    return {
        name: after[groups]
        for groups, name in before.items()
        if groups in after and groups not in several
    }


def rename_teams(collaboration: Collaboration, names: Mapping[str, str]) -> Collaboration:
    """Return the collaboration with the new names of its teams in every place.

    Parameters
    ----------
    names : mapping of str to str
        New names by old ones; none of the new ones is a team already.
    """

    def new(team: str) -> str:
        return names.get(team, team)

    def embargo(given: ProjectEmbargo | None) -> ProjectEmbargo | None:
        if given is None:
            return None
        then = {new(team): level for team, level in given.then.items()}
        return given.model_copy(update={"then": then})

    def project(given: Project) -> Project:
        return given.model_copy(
            update={
                "teams": {new(team): level for team, level in given.teams.items()},
                "requires": tuple(new(team) for team in given.requires),
                "embargo": embargo(given.embargo),
            }
        )

    def profile(given: ServerProfile) -> ServerProfile:
        teams = None if given.teams is None else tuple(new(team) for team in given.teams)
        return given.model_copy(update={"teams": teams})

    return collaboration.model_copy(
        update={
            "teams": {new(name): team for name, team in collaboration.teams.items()},
            "projects": {name: project(one) for name, one in collaboration.projects.items()},
            "profiles": {name: profile(one) for name, one in collaboration.profiles.items()},
        }
    )
