"""Sentences for people, made from reasons; the one module that does it.

Decisions are data everywhere else. The sentences speak to the person whom the decision
concerns ("you"), begin with a small letter and have no full stop, so that they can be joined.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from panneuro_hub.errors import AccessDeniedError, InvalidChoiceError
from panneuro_hub.names import is_name
from panneuro_hub.phrases import listed, shorten
from panneuro_hub.wire.access import Denial, Grant, SessionView
from panneuro_hub.wire.reason import Reason, ReasonCode


def describe_reason(reason: Reason) -> str:
    """Return the sentence of one reason."""
    return _SENTENCES[reason.code](reason)


def describe_reasons(reasons: Iterable[Reason]) -> str:
    """Return the sentences of several reasons, joined by semicolons.

    Reasons of the same kind share a sentence, and no sentence comes twice.
    """
    sentences: list[str] = []
    group: list[Reason] = []
    for reason in [*reasons, None]:
        if group and (reason is None or not _belong_together(group[0], reason)):
            sentences.append(_describe_group(group))
            group = []
        if reason is not None:
            group.append(reason)
    return "; ".join(dict.fromkeys(sentences))


def describe_target(denial: Denial) -> str:
    """Return what is not given, such as ``write s3://lab/human/`` or ``profile gpu``."""
    if denial.kind in ("profile", "image", "worker profile"):
        return f"{denial.kind} {denial.name}"
    if denial.action == "start":
        return f"{denial.kind}s in {denial.project}"
    if denial.kind == "other":
        return denial.name
    if denial.kind == "project" and denial.action == "open":
        return f"project {denial.name}"
    return f"{denial.action} {denial.name}"


def describe_denial(denial: Denial) -> str:
    """Return one sentence that names the target and the reasons."""
    return f"{_REFUSED[denial.action](denial)}: {describe_reasons(denial.reasons)}"


def denied(denial: Denial) -> AccessDeniedError:
    """Return the error for a denial, with its sentence and its fields."""
    return AccessDeniedError(describe_denial(denial), denial_document(denial))


def no_access(project: str, reasons: tuple[Reason, ...]) -> AccessDeniedError:
    """Return the error for a project in which a person has no access."""
    return denied(Denial("open", "project", project, project, reasons))


def denied_for(reasons: Sequence[Reason], sentence: str = "") -> AccessDeniedError:
    """Return the error for reasons without one target.

    Parameters
    ----------
    reasons : sequence of Reason
    sentence : str, optional
        What cannot be done; the reasons follow it.
    """
    because = describe_reasons(reasons)
    return AccessDeniedError(
        f"{sentence}: {because}" if sentence else because, {"reasons": documents(reasons)}
    )


def invalid_choice(reason: Reason) -> InvalidChoiceError:
    """Return the error for a choice that nobody could grant."""
    return InvalidChoiceError(describe_reason(reason), {"reasons": documents([reason])})


def documents(reasons: Iterable[Reason]) -> list[dict[str, Any]]:
    """Return reasons as JSON objects, each with its sentence as ``message``."""
    return [{**reason.to_json(), "message": describe_reason(reason)} for reason in reasons]


def reasons_document(reasons: Sequence[Reason]) -> dict[str, Any]:
    """Return the fields ``reasons`` and ``reason`` of a JSON object; the second is a sentence."""
    return {"reasons": documents(reasons), "reason": describe_reasons(reasons)}


def grant_document(grant: Grant) -> dict[str, Any]:
    """Return a grant as a JSON object, with all reasons in one sentence as ``reason``."""
    return {
        **grant.to_json(),
        **reasons_document(grant.reasons),
    }


def denial_document(denial: Denial) -> dict[str, Any]:
    """Return a denial as a JSON object, with its target as ``what`` and its reasons in words."""
    return {
        **denial.to_json(),
        **reasons_document(denial.reasons),
        "what": describe_target(denial),
    }


def view_document(view: SessionView) -> dict[str, Any]:
    """Return a session's view as a JSON object with sentences.

    Users' images may have an earlier version of this package, which knows only the sentences.
    """
    return {
        **view.to_json(),
        "grants": [grant_document(grant) for grant in view.grants],
        "denied": [denial_document(denial) for denial in view.denied],
    }


def _belong_together(first: Reason, second: Reason) -> bool:
    """Return `True` if one sentence can name the teams of both reasons."""
    return first.code == second.code == "not-in-team" and first.project == second.project


def _describe_group(group: Sequence[Reason]) -> str:
    if len(group) == 1:
        return describe_reason(group[0])
    teams = [
        f"{listed(reason.teams)} ({reason.level}"
        f"{f' from {reason.embargo.isoformat()}' if reason.embargo else ''})"
        for reason in group
    ]
    return f"you are not in {listed(teams, 'or')}, which have access to {group[0].project}"


def _name(text: str) -> str:
    """Return a name or an address as it is, and any other text quoted and cut."""
    return text if is_name(text) or text.startswith("s3://") else shorten(text)


def _have(teams: Sequence[str]) -> str:
    return "has" if len(teams) == 1 else "have"


def _level(reason: Reason, when: str = "from {day}, when its embargo ends") -> str:
    """Return ``read in PROJECT``, with the day of the embargo."""
    day = "" if reason.embargo is None else " " + when.format(day=reason.embargo.isoformat())
    return f"{reason.level} in {reason.project}{day}"


def _since(reason: Reason) -> str:
    return _level(reason, "since its embargo ended on {day}")


def _teams(reason: Reason, last: str = "and") -> str:
    return listed(reason.teams, last)


def _ended(reason: Reason) -> str:
    day = "" if reason.ended is None else f" on {reason.ended.isoformat()}"
    return f"your membership of {_teams(reason)} ended{day}"


def _names(reason: Reason, last: str = "and", nothing: str = "none") -> str:
    return listed(reason.names, last) or nothing


def _team_has_level(reason: Reason) -> str:
    return f"you are in {_teams(reason)}, which {_have(reason.teams)} {_since(reason)}"


def _every_team_has_level(reason: Reason) -> str:
    every = f"every team of {reason.collaboration} has {_since(reason)}"
    return f"{every}, and you are in {_teams(reason)}" if reason.teams else every


def _not_in_team(reason: Reason) -> str:
    level = _level(reason) if reason.level else f"access to {reason.project}"
    return f"you are not in {_teams(reason, 'or')}, which {_have(reason.teams)} {level}"


def _membership_ended(reason: Reason) -> str:
    return f"{_ended(reason)}; it has {_level(reason)}" if reason.level else _ended(reason)


def _under_embargo(reason: Reason) -> str:
    has = f"every team of {reason.collaboration}" if reason.collaboration else _teams(reason)
    return f"{has} has {_level(reason)}"


def _in_no_team(reason: Reason) -> str:
    nowhere = f"you are in no team of {reason.collaboration}"
    return f"{nowhere}; every team has {_level(reason)}" if reason.level else nowhere


def _unknown_project(reason: Reason) -> str:
    return f"there is no project {shorten(reason.project)}; the projects are {_names(reason)}"


def _no_project(reason: Reason) -> str:
    asked = f"there is no project {shorten(reason.project)}; " if reason.project else ""
    if reason.names:
        return f"{asked}you have access to {_names(reason)}"
    return f"{asked}you have access to no project"


def _not_read_here(reason: Reason) -> str:
    if not reason.project:
        return f"this session does not read {reason.other}"
    return f"{reason.project} does not read {reason.other}"


def _open_elsewhere(reason: Reason) -> str:
    return f"start a server in {reason.project}, where you have {reason.level}"


def _own_scratch(reason: Reason) -> str:
    kept = f"; objects older than {reason.detail} are deleted" if reason.detail else ""
    return f"your own scratch in {reason.project}{kept}"


def _belongs_to(reason: Reason) -> str:
    return f"{reason.place or 'the data'} belongs to {reason.project}"


def _scratch_of_project(reason: Reason) -> str:
    return (
        f"{reason.place} is your scratch in {reason.project}; sessions in {reason.project} reach "
        f"it, and this one is in {reason.other}"
    )


def _not_a_store(reason: Reason) -> str:
    return (
        f"{reason.place} is not in a store of {reason.collaboration}; its data is in "
        f"{_names(reason)}"
    )


def _offers_these(reason: Reason) -> str:
    return f"{reason.project} offers {_names(reason, nothing=f'no {reason.kind}')}"


def _not_offered(reason: Reason) -> str:
    if not reason.names:
        return f"{reason.project} offers no {reason.kind}"
    return f"{reason.project} offers only {_names(reason)}"


def _none_offered(reason: Reason) -> str:
    return (
        f"no {reason.kind} remains for you in {reason.project}, so nothing can start there; ask "
        f"the people who manage {reason.project}"
    )


def _project_limits(reason: Reason) -> str:
    return f"{reason.project} sets its own {_names(reason)}"


_SENTENCES: Mapping[ReasonCode, Callable[[Reason], str]] = {
    "team-has-level": _team_has_level,
    "every-team-has-level": _every_team_has_level,
    "requirement-met": lambda r: f"you are in {_teams(r)}, which {r.project} requires",
    "not-in-team": _not_in_team,
    "not-in-required-team": lambda r: f"you are not in {_teams(r)}, which {r.project} requires",
    "membership-ended": _membership_ended,
    "required-membership-ended": lambda r: f"{_ended(r)}, and {r.project} requires it",
    "under-embargo": _under_embargo,
    "in-no-team": _in_no_team,
    "no-team-has-access": lambda r: f"no team has access to {r.project}",
    "unknown-project": _unknown_project,
    "no-such-project": lambda r: f"there is no project {_name(r.project)}",
    "no-project": _no_project,
    "choose-project": lambda r: f"choose a project; yours are {_names(r)}",
    "project-reads": lambda r: f"{r.project} reads {r.other}",
    "other-store": lambda r: (
        f"{r.other} is in the store {r.names[0] if r.names else 'of another project'}, and a "
        f"session of {r.project} has keys for its own store only"
    ),
    "not-read-here": _not_read_here,
    "open-elsewhere": _open_elsewhere,
    "own-session-reads": lambda r: (
        f"a session in {r.project} does, for people who have access there"
    ),
    "granted": lambda r: f"you have {r.level} on {r.place}",
    "frozen": lambda r: f"it is frozen in {r.project}: nobody writes there any more",
    "own-scratch": _own_scratch,
    "no-scratch": lambda r: f"there is no scratch for you in {r.project}",
    "belongs-to": _belongs_to,
    "scratch-of-project": _scratch_of_project,
    "scratch-of-another": lambda r: (
        f"{r.place} is the scratch of another person; each person reaches only their own"
    ),
    "scratch-root": lambda r: (
        f"{r.place} holds everybody's scratch; each person reaches only their own"
    ),
    "outside-projects": lambda r: f"{r.place} is outside every project of {r.collaboration}",
    "outside-session": lambda r: f"it is outside the places that {r.project} reaches",
    "not-a-store": _not_a_store,
    "invalid-path": lambda r: r.detail,
    "session-reads": lambda r: f"this session of {r.project} can read {_names(r)}",
    "session-reads-nothing": lambda r: (
        "this session can read nothing any more; ask the people who manage "
        f"{r.project or 'the project'}"
    ),
    "offers-all": lambda r: f"{r.project} offers every {r.kind}",
    "offers-these": _offers_these,
    "not-offered": _not_offered,
    "for-every-team": lambda r: f"every team may use {r.detail or 'it'}",
    "team-may-use": lambda r: f"you are in {_teams(r)}, which may use it",
    "not-in-using-team": lambda r: (
        f"you are not in {_teams(r, 'or')}, and other teams may not use it"
    ),
    "using-membership-ended": lambda r: f"{_ended(r)}, and only its members may use it",
    "none-offered": _none_offered,
    "no-catalogue": lambda r: (
        f"{r.kind} {shorten(r.detail)} cannot be chosen: {r.collaboration} lists no {r.kind}s"
    ),
    "choose-image": lambda r: f"choose an image; {r.project} offers {_names(r)}",
    "collaboration-limits": lambda r: (
        f"the limits of {r.collaboration}, shared by all clusters of {r.project}"
    ),
    "project-limits": _project_limits,
    "project-budget": lambda r: (
        f"the budget of {r.project} for a calendar month (UTC); once it is spent, a warning is "
        "shown"
    ),
    "session-ended": lambda r: "its session has ended",
    "account-ended": lambda r: f"the account of {r.detail} that began it has ended",
    "access-ended": lambda r: f"{r.detail} has no access to {r.project} any more",
    "other": lambda r: r.detail,
}

_REFUSED: Mapping[str, Callable[[Denial], str]] = {
    "open": lambda d: f"you have no access to {_name(d.name)}",
    "read": lambda d: f"{_name(d.name)} cannot be read in this session",
    "write": lambda d: f"nothing can be written to {d.name}",
    "use": lambda d: f"{d.kind} {shorten(d.name)} may not be used in {d.project}",
    "start": lambda d: f"no {d.kind} can start in {d.project}",
    "other": lambda d: d.name,
}
