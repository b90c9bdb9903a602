"""The profiles, images and limits of a session, each with its reason."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

from panneuro_hub.access.team_membership import TeamMembership
from panneuro_hub.access.types import BudgetLimit, DaskLimits, SessionOffer, WorkerLimits
from panneuro_hub.collaboration.models import (
    Collaboration,
    PersonLimits,
    ProjectDask,
    ServerImage,
    ServerProfile,
)
from panneuro_hub.wire import Denial, Reason

T = TypeVar("T", ServerProfile, ServerImage)
U = TypeVar("U")


def decide_profiles(
    collaboration: Collaboration, membership: TeamMembership, project: str
) -> Iterator[SessionOffer | Denial]:
    """Yield an offer or a denial for every profile, the default first."""
    chosen = collaboration.projects[project].profiles
    some = False
    for name, profile in _default_first(collaboration.profiles):
        against = _not_listed("profile", name, project, chosen)
        if profile.teams is not None and membership.active.isdisjoint(profile.teams):
            against += _not_in_any(membership, project, profile.teams)
        if against:
            yield Denial("use", "profile", name, project, tuple(against))
        else:
            some = True
            yield SessionOffer(name, _why_profile(membership, profile, project, chosen))
    if not some:
        yield _none_offered("profile", project)


def decide_images(collaboration: Collaboration, project: str) -> Iterator[SessionOffer | Denial]:
    """Yield an offer or a denial for every image, the default first."""
    chosen = collaboration.projects[project].images
    some = False
    for name, _ in _default_first(collaboration.images):
        against = _not_listed("image", name, project, chosen)
        if against:
            yield Denial("use", "image", name, project, tuple(against))
        else:
            some = True
            yield SessionOffer(name, (_why_listed("image", project, chosen),))
    if collaboration.images and not some:
        yield _none_offered("image", project)


def merge_dask_limits(collaboration: Collaboration, project: str) -> DaskLimits:
    """Return the limits of the collaboration, with the project's own values."""
    common = collaboration.dask
    own = collaboration.projects[project].dask or ProjectDask()
    apart = sorted(name for name, value in own if value is not None)
    reasons = [Reason("collaboration-limits", project, collaboration=collaboration.name)]
    if apart:
        reasons.append(Reason("project-limits", project, names=tuple(apart)))
    return DaskLimits(
        max_workers=_either(own.max_workers, common.max_workers),
        max_cores=_either(own.max_cores, common.max_cores),
        max_memory=_either(own.max_memory, common.max_memory),
        per_person=_per_person(own.per_person or PersonLimits(), common.per_person),
        worker_profiles=_either(own.worker_profiles, tuple(common.worker_profiles)) or (),
        idle_timeout=_either(own.idle_timeout, common.idle_timeout),
        reasons=tuple(reasons),
    )


def _per_person(own: PersonLimits, common: PersonLimits) -> WorkerLimits:
    return WorkerLimits(
        max_workers=_either(own.max_workers, common.max_workers),
        max_cores=_either(own.max_cores, common.max_cores),
        max_memory=_either(own.max_memory, common.max_memory),
    )


def find_budget_limit(collaboration: Collaboration, project: str) -> BudgetLimit | None:
    """Return the project's budget, if it has one."""
    budget = collaboration.projects[project].budget
    if budget is None:
        return None
    return BudgetLimit(
        budget.usd_per_month, budget.when_spent, (Reason("project-budget", project),)
    )


def _either(own: U | None, common: U | None) -> U | None:
    return common if own is None else own


def _default_first(catalogue: Mapping[str, T]) -> list[tuple[str, T]]:
    return sorted(catalogue.items(), key=lambda entry: not entry[1].default)


def _none_offered(kind: str, project: str) -> Denial:
    return Denial("start", "server", "", project, (Reason("none-offered", project, kind=kind),))


def _not_listed(kind: str, name: str, project: str, chosen: Sequence[str] | None) -> list[Reason]:
    if chosen is None or name in chosen:
        return []
    return [Reason("not-offered", project, kind=kind, names=tuple(chosen))]


def _not_in_any(membership: TeamMembership, project: str, teams: Sequence[str]) -> list[Reason]:
    ended = [
        Reason("using-membership-ended", project, teams=(team,), ended=membership.ended[team])
        for team in teams
        if team in membership.ended
    ]
    return ended or [Reason("not-in-using-team", project, teams=tuple(teams))]


def _why_listed(kind: str, project: str, chosen: Sequence[str] | None) -> Reason:
    if chosen is None:
        return Reason("offers-all", project, kind=kind)
    return Reason("offers-these", project, kind=kind, names=tuple(chosen))


def _why_profile(
    membership: TeamMembership, profile: ServerProfile, project: str, chosen: Sequence[str] | None
) -> tuple[Reason, ...]:
    listing = _why_listed("profile", project, chosen)
    if profile.teams is None:
        return (listing, Reason("for-every-team", project))
    mine = tuple(team for team in profile.teams if team in membership.active)
    return (listing, Reason("team-may-use", project, teams=mine))
