"""Reasons as data: a code, and the names, teams and days on which a decision rests.

Every decision travels as these fields. `panneuro_hub.wording` turns them into sentences for
people; no program reads the sentences.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import date
from typing import Any, Literal, get_args

ReasonCode = Literal[
    # Levels, and the obstacles to them.
    "team-has-level",
    "every-team-has-level",
    "requirement-met",
    "not-in-team",
    "not-in-required-team",
    "membership-ended",
    "required-membership-ended",
    "under-embargo",
    "in-no-team",
    "no-team-has-access",
    # Projects.
    "unknown-project",
    "no-such-project",
    "no-project",
    "choose-project",
    "project-reads",
    "other-store",
    "not-read-here",
    "open-elsewhere",
    "own-session-reads",
    # Places.
    "granted",
    "frozen",
    "own-scratch",
    "no-scratch",
    "belongs-to",
    "scratch-of-project",
    "scratch-of-another",
    "scratch-root",
    "outside-projects",
    "outside-session",
    "not-a-store",
    "invalid-path",
    "session-reads",
    "session-reads-nothing",
    # Profiles and images.
    "offers-all",
    "offers-these",
    "not-offered",
    "for-every-team",
    "team-may-use",
    "not-in-using-team",
    "using-membership-ended",
    "none-offered",
    "no-catalogue",
    "choose-image",
    # Limits.
    "collaboration-limits",
    "project-limits",
    "project-budget",
    # The ends of sessions.
    "session-ended",
    "account-ended",
    "access-ended",
    # A sentence of another version of this package.
    "other",
]
REASON_CODES: tuple[ReasonCode, ...] = get_args(ReasonCode)


@dataclass(frozen=True)
class Reason:
    """One reason for a decision; the fields that its code does not need are empty.

    Parameters
    ----------
    code : str
        One of `REASON_CODES`.
    project : str
        The project whose rule decided.
    other : str
        A second project, such as the one that `project` reads.
    teams : tuple of str
        The teams that decided.
    level : str or None
        ``read``, ``write`` or ``manage``.
    ended : date or None
        The day on which a membership ended.
    embargo : date or None
        The day on which the embargo of a rule ends, or has ended.
    kind : str
        ``profile`` or ``image``, where names of such things are listed.
    names : tuple of str
        Names that could have been meant, or that decided: projects, profiles, images,
        limits, stores or buckets.
    place : str
        An address or a prefix, ``s3://bucket/key``.
    collaboration : str
        The collaboration's name, where a rule of the whole collaboration decided.
    detail : str
        Text that is data: a name or path from outside, a duration, another program's message.
    """

    code: ReasonCode
    project: str = ""
    other: str = ""
    teams: tuple[str, ...] = ()
    level: str | None = None
    ended: date | None = None
    embargo: date | None = None
    kind: str = ""
    names: tuple[str, ...] = ()
    place: str = ""
    collaboration: str = ""
    detail: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object that `from_json` reads; empty fields are left out."""
        return {
            name: value.isoformat()
            if isinstance(value, date)
            else list(value)
            if isinstance(value, tuple)
            else value
            for name, value in asdict(self).items()
            if value
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Reason:
        """Read what `to_json` wrote.

        A code that this version does not know, from a newer version, becomes ``other`` with
        the sentence that came with it.

        Raises
        ------
        LookupError, TypeError, ValueError
            If it is not such a document.
        """
        if document["code"] not in REASON_CODES:
            return cls("other", detail=str(document.get("message") or document["code"]))
        known = {each.name for each in fields(cls)}
        values = {
            name: _parse_field(name, value) for name, value in document.items() if name in known
        }
        return cls(**values)


def _parse_field(name: str, value: Any) -> Any:
    if name in ("teams", "names"):
        return tuple(map(str, value))
    if name in ("ended", "embargo"):
        return date.fromisoformat(value)
    return str(value)


def read_reasons(document: Mapping[str, Any]) -> tuple[Reason, ...]:
    """Return the reasons of a JSON object that has ``reasons``, or only the sentence ``reason``.

    Earlier versions wrote only the sentence.

    Raises
    ------
    LookupError, TypeError, ValueError
        If it is not such a document.
    """
    if "reasons" in document:
        return tuple(Reason.from_json(each) for each in document["reasons"])
    return (Reason("other", detail=str(document["reason"])),)
