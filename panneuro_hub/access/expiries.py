"""Entries of `expires`: which of them is a person's, and which are nobody's; pure.

An entry that is not recognized would leave a membership open that somebody meant to end.
So names are compared generously, and what still matches nobody is reported.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from typing import Literal

from panneuro_hub.collaboration.models import Collaboration, Team
from panneuro_hub.names import fold_text
from panneuro_hub.phrases import visible

FindingCode = Literal["other-form", "matches-nobody"]


@dataclass(frozen=True)
class ExpiryFinding:
    """An entry of `expires` that an admin should look at.

    Parameters
    ----------
    code : {"other-form", "matches-nobody"}
        ``other-form``: it is written in a form that no account's name has, and is compared
        without it. ``matches-nobody``: no account that the hub knows has this name.
    team, name : str
    day : date
    """

    code: FindingCode
    team: str
    name: str
    day: date


@dataclass(frozen=True)
class NameIndex:
    """Names of people, for looking up whether one of them is meant.

    Parameters
    ----------
    whole : frozenset of str
        All names, folded.
    local : frozenset of str
        What stands before the ``@`` of those that are addresses.
    """

    whole: frozenset[str]
    local: frozenset[str]

    @classmethod
    def of(cls, names: Collection[str]) -> NameIndex:
        """Make an index of names."""
        whole = frozenset(map(fold_text, names))
        return cls(whole, frozenset(local for local, at, _ in map(_split, whole) if at))

    def has(self, name: str) -> bool:
        """Return `True` if a name is one of these.

        Case, Unicode form and blanks do not matter, and neither does the domain of an
        address where only one of the two names has one.
        """
        folded = fold_text(name)
        local, at, _ = _split(folded)
        return folded in self.whole or (local in self.whole if at else folded in self.local)


def find_membership_end(team: Team, person: str) -> date | None:
    """Return the day on which the file ends a person's membership, or `None` if it does not.

    Names are compared as `NameIndex.has` does; of several entries the earliest day counts.
    """
    wanted = NameIndex.of([person])
    return min((day for name, day in team.expires.items() if wanted.has(name)), default=None)


def review_expiries(
    collaboration: Collaboration, people: Collection[str] | None = None
) -> list[ExpiryFinding]:
    """Return the entries that an admin should look at, in the order of the file.

    Parameters
    ----------
    people : collection of str, optional
        The names of all accounts of the hub; without them nothing is known of who matches.
    """
    known = None if people is None else NameIndex.of(people)
    found = []
    for team, described in collaboration.teams.items():
        for name, day in described.expires.items():
            if fold_text(name) != name.lower():
                found.append(ExpiryFinding("other-form", team, name, day))
            if known is not None and not known.has(name):
                found.append(ExpiryFinding("matches-nobody", team, name, day))
    return found


def describe_finding(finding: ExpiryFinding) -> str:
    """Return the sentence for an admin."""
    where = f"teams.{finding.team}.expires: {visible(finding.name)}"
    if finding.code == "matches-nobody":
        return (
            f"{where} matches no account of the hub: write the name as the hub's admin page "
            "shows it. It holds for whoever logs in under this name later."
        )
    return (
        f"{where} is written in a form that no account's name has; it is compared without "
        "invisible characters, and in one Unicode form."
    )


def _split(folded: str) -> tuple[str, str, str]:
    return folded.partition("@")
