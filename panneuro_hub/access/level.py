"""The level that a person has in a project, by its teams, `requires` and embargo."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime

from panneuro_hub.access.team_membership import TeamMembership, start_of_day
from panneuro_hub.collaboration.models import EVERY_TEAM, Collaboration, Level, Project
from panneuro_hub.wire import Reason

LEVEL_RANK: dict[Level, int] = {"read": 1, "write": 2, "manage": 3}


@dataclass(frozen=True)
class LevelRule:
    """A rule that gives a level: a team, its level, and the day from which the rule counts."""

    team: str
    level: Level
    since: date | None = None

    def matches(self, membership: TeamMembership) -> bool:
        """Return `True` if the person is in the team."""
        if self.team == EVERY_TEAM:
            return bool(membership.active)
        return self.team in membership.active

    def began(self, now: datetime) -> bool:
        """Return `True` if the rule counts at `now`."""
        return self.since is None or start_of_day(self.since) <= now


@dataclass(frozen=True)
class LevelDecision:
    """A person's level in a project, with the reason.

    Parameters
    ----------
    level : {"read", "write", "manage"} or None
    reasons : tuple of Reason
        The reasons for the level.
    needs : tuple of Reason
        The obstacles to a level, or to a higher level.
    """

    level: Level | None
    reasons: tuple[Reason, ...]
    needs: tuple[Reason, ...]


def list_level_rules(project: Project) -> Iterator[LevelRule]:
    """Yield every rule that gives a level in a project, in the order of the file."""
    for team, level in project.teams.items():
        yield LevelRule(team, level)
    if project.embargo is not None:
        for team, level in project.embargo.then.items():
            yield LevelRule(team, level, project.embargo.until)


def decide_level(
    collaboration: Collaboration, membership: TeamMembership, name: str, now: datetime
) -> LevelDecision:
    """Return the level that these teams give in a project, and the obstacles to a higher one.

    Parameters
    ----------
    name : str
        A project of the collaboration.
    """
    project = collaboration.projects[name]
    rules = list(list_level_rules(project))
    applying = [rule for rule in rules if rule.matches(membership) and rule.began(now)]
    missing = [
        _missing(membership, team, name)
        for team in project.requires
        if team not in membership.active
    ]
    if missing or not applying:
        needs = [_need(collaboration, membership, rule, name) for rule in rules if not applying]
        closed = [] if applying else _no_way_in(collaboration, membership, name)
        return LevelDecision(None, (*missing, *closed), (*missing, *needs))
    level = max((rule.level for rule in applying), key=LEVEL_RANK.__getitem__)
    best = [rule for rule in applying if rule.level == level]
    higher = [rule for rule in rules if LEVEL_RANK[rule.level] > LEVEL_RANK[level]]
    return LevelDecision(
        level,
        tuple(_why(collaboration, membership, best, name)),
        tuple(_need(collaboration, membership, rule, name) for rule in higher),
    )


def _missing(membership: TeamMembership, team: str, project: str) -> Reason:
    ended = membership.ended.get(team)
    if ended is not None:
        return Reason("required-membership-ended", project=project, teams=(team,), ended=ended)
    return Reason("not-in-required-team", project=project, teams=(team,))


def _need(
    collaboration: Collaboration, membership: TeamMembership, rule: LevelRule, project: str
) -> Reason:
    """Return the obstacle between the person and the level of `rule`."""
    every = rule.team == EVERY_TEAM
    teams = () if every else (rule.team,)
    gives = Reason("not-in-team", project, teams=teams, level=rule.level, embargo=rule.since)
    if every:
        gives = replace(gives, collaboration=collaboration.name)
    if rule.matches(membership):
        return replace(gives, code="under-embargo")
    if every:
        return replace(gives, code="in-no-team")
    if rule.team in membership.ended:
        return replace(gives, code="membership-ended", ended=membership.ended[rule.team])
    return gives


def _no_way_in(collaboration: Collaboration, membership: TeamMembership, name: str) -> list[Reason]:
    """Return why no rule applies: the rules close to this person, or else all rules."""
    rules = list(list_level_rules(collaboration.projects[name]))
    near = [rule for rule in rules if rule.team in membership.ended or rule.matches(membership)]
    if near:
        return [_need(collaboration, membership, rule, name) for rule in near]
    if not membership.active:
        return [Reason("in-no-team", name, collaboration=collaboration.name)]
    if not rules:
        return [Reason("no-team-has-access", name)]
    return [_need(collaboration, membership, rule, name) for rule in rules]


def _why(
    collaboration: Collaboration, membership: TeamMembership, rules: list[LevelRule], name: str
) -> Iterator[Reason]:
    """Yield the reasons for the level, which name every team that gives it."""
    project = collaboration.projects[name]
    level = rules[0].level
    plain = [rule.team for rule in rules if rule.since is None and rule.team != EVERY_TEAM]
    if plain:
        yield Reason("team-has-level", name, teams=tuple(plain), level=level)
    for rule in rules:
        if rule.team == EVERY_TEAM:
            yield Reason(
                "every-team-has-level",
                name,
                teams=(min(membership.active),),
                level=level,
                embargo=rule.since,
                collaboration=collaboration.name,
            )
        elif rule.since:
            yield Reason(
                "team-has-level", name, teams=(rule.team,), level=level, embargo=rule.since
            )
    if project.requires:
        yield Reason("requirement-met", name, teams=tuple(project.requires))
