"""The entries of `expires`: find those of a person, and report those of nobody; pure.

An entry that matches nobody leaves a membership open that somebody meant to end. Names are
therefore compared generously, and entries that still match nobody are reported.
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
    """An entry of `expires` that an administrator should check.

    Parameters
    ----------
    code : {"other-form", "matches-nobody"}
        ``other-form``: no account's name can have the form of this name, which is ignored in
        the comparison. ``matches-nobody``: no account that the hub knows has this name.
    team, name : str
    day : date
    """

    code: FindingCode
    team: str
    name: str
    day: date


@dataclass(frozen=True)
class NameIndex:
    """Names of people, and the comparison of another name with them.

    Parameters
    ----------
    whole : frozenset of str
        All names, folded.
    local : frozenset of str
        The parts before the ``@`` of the names that are addresses.
    """

    whole: frozenset[str]
    local: frozenset[str]

    @classmethod
    def of(cls, names: Collection[str]) -> NameIndex:
        """Make an index of names."""
        whole = frozenset(map(fold_text, names))
        return cls(whole, frozenset(local for local, at, _ in map(_split, whole) if at))

    def has(self, name: str) -> bool:
        """Return `True` if a name is one of these names.

        Case, Unicode form and blanks make no difference; nor does the domain of an address if
        only one of the two names has a domain.
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
    """Return the entries that an administrator should check, in the order of the file.

    Parameters
    ----------
    people : collection of str, optional
        The names of all accounts of the hub; without them, no entry is compared with accounts.
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
    """Return the sentence for an administrator."""
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
