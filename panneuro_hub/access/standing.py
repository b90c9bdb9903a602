"""The level that a person has in a project, by its teams, `requires` and embargo."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime

from panneuro_hub.access.membership import Membership, start_of
from panneuro_hub.access.wording import listed
from panneuro_hub.collaboration.models import EVERY_TEAM, Collaboration, Level, Project

RANK: dict[Level, int] = {"read": 1, "write": 2, "manage": 3}


@dataclass(frozen=True)
class Rule:
    """One way into a project: a team, its level, and the day from which it counts."""

    team: str
    level: Level
    since: date | None = None

    def matches(self, membership: Membership) -> bool:
        """Whether the person is in the team."""
        if self.team == EVERY_TEAM:
            return bool(membership.active)
        return self.team in membership.active

    def began(self, now: datetime) -> bool:
        """Whether it counts at `now`."""
        return self.since is None or start_of(self.since) <= now


@dataclass(frozen=True)
class Standing:
    """A person's level in a project, with the reason.

    Parameters
    ----------
    level : {"read", "write", "manage"} or None
    reason : str
    needs : tuple of str
        What stands in the way of a level, or of a higher one: a sentence each.
    """

    level: Level | None
    reason: str
    needs: tuple[str, ...]


def rules_of(project: Project) -> Iterator[Rule]:
    """Every way into a project, in the order of the file."""
    for team, level in project.teams.items():
        yield Rule(team, level)
    if project.embargo is not None:
        for team, level in project.embargo.then.items():
            yield Rule(team, level, project.embargo.until)


def standing(
    collaboration: Collaboration, membership: Membership, name: str, now: datetime
) -> Standing:
    """The level that these teams give in a project, and why not more.

    Parameters
    ----------
    name : str
        A project of the collaboration.
    """
    project = collaboration.projects[name]
    rules = list(rules_of(project))
    applying = [rule for rule in rules if rule.matches(membership) and rule.began(now)]
    missing = [
        _missing(membership, team, name)
        for team in project.requires
        if team not in membership.active
    ]
    if missing or not applying:
        needs = [_need(collaboration, membership, rule, name) for rule in rules if not applying]
        reasons = missing + ([] if applying else [_no_way_in(collaboration, membership, name)])
        return Standing(None, "; ".join(reasons), (*missing, *needs))
    level = max((rule.level for rule in applying), key=RANK.__getitem__)
    best = [rule for rule in applying if rule.level == level]
    higher = [rule for rule in rules if RANK[rule.level] > RANK[level]]
    return Standing(
        level,
        _why(collaboration, membership, best, name),
        tuple(_need(collaboration, membership, rule, name) for rule in higher),
    )


def _missing(membership: Membership, team: str, project: str) -> str:
    if team in membership.ended:
        return f"{membership.why_not(team)}, and {project} requires it"
    return f"{membership.why_not(team)}, which {project} requires"


def _need(collaboration: Collaboration, membership: Membership, rule: Rule, project: str) -> str:
    """What stands between the person and what `rule` gives."""
    since = f" from {rule.since.isoformat()}, when its embargo ends" if rule.since else ""
    gives = f"{rule.level} in {project}{since}"
    if rule.matches(membership):
        team = f"every team of {collaboration.name}" if rule.team == EVERY_TEAM else rule.team
        return f"{team} has {gives}"
    if rule.team == EVERY_TEAM:
        return f"you are in no team of {collaboration.name}; every team has {gives}"
    if rule.team in membership.ended:
        return f"{membership.why_not(rule.team)}; it has {gives}"
    return f"{membership.why_not(rule.team)}, which has {gives}"


def _no_way_in(collaboration: Collaboration, membership: Membership, name: str) -> str:
    """Why no rule applies, in one sentence: first what concerns this very person."""
    project = collaboration.projects[name]
    rules = list(rules_of(project))
    near = [rule for rule in rules if rule.team in membership.ended or rule.matches(membership)]
    if near:
        return "; ".join(_need(collaboration, membership, rule, name) for rule in near)
    if not membership.active:
        return f"you are in no team of {collaboration.name}"
    teams = [
        f"{rule.team} ({rule.level}{f' from {rule.since.isoformat()}' if rule.since else ''})"
        for rule in rules
    ]
    if not teams:
        return f"no team has access to {name}"
    return f"you are not in {listed(teams, 'or')}, which {_have(teams)} access to {name}"


def _why(collaboration: Collaboration, membership: Membership, rules: list[Rule], name: str) -> str:
    """Why the level is what it is, naming every team that gives it."""
    project = collaboration.projects[name]
    plain = [rule.team for rule in rules if rule.since is None and rule.team != EVERY_TEAM]
    reasons = []
    if plain:
        level = rules[0].level
        reasons.append(f"you are in {listed(plain)}, which {_have(plain)} {level} in {name}")
    for rule in rules:
        since = f" since its embargo ended on {rule.since.isoformat()}" if rule.since else ""
        if rule.team == EVERY_TEAM:
            some = min(membership.active)
            reasons.append(
                f"every team of {collaboration.name} has {rule.level} in {name}{since}, "
                f"and you are in {some}"
            )
        elif rule.since:
            reasons.append(f"you are in {rule.team}, which has {rule.level} in {name}{since}")
    if project.requires:
        reasons.append(f"you are in {listed(project.requires)}, which {name} requires")
    return "; ".join(reasons)


def _have(teams: list[str]) -> str:
    return "has" if len(teams) == 1 else "have"
