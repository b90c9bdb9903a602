"""The demo's people: whom to log in as, and what to look at then."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DemoPerson:
    """Somebody who can log in.

    Parameters
    ----------
    name : str
        What to type at the provider; the hub's name for them too.
    full_name : str
        As a colleague would say it.
    groups : tuple of str
        What the identity provider says they are in.
    about : str
        One line for who tries the demo.
    """

    name: str
    full_name: str
    groups: tuple[str, ...]
    about: str


_GROUP = "u19-circuits:"

PEOPLE = (
    DemoPerson(
        "ada",
        "Ada Monkman",
        (_GROUP + "navigation",),
        "navigation laboratory: manages nhp-navigation, reads the stimuli, no human data",
    ),
    DemoPerson(
        "grace",
        "Grace Tischler",
        (_GROUP + "human", _GROUP + "irb-trained"),
        "human laboratory, trained: manages human-intracranial, its release is frozen",
    ),
    DemoPerson(
        "hugo",
        "Hugo Marsh",
        (_GROUP + "human",),
        "human laboratory, training not on file: told so, and given nothing of it",
    ),
    DemoPerson(
        "tomas",
        "Tomas Vrana",
        (_GROUP + "theory",),
        "theory laboratory: reads nhp-navigation, waits for an embargo, may use a GPU",
    ),
    DemoPerson(
        "mina",
        "Mina Sato",
        (_GROUP + "data-science", _GROUP + "irb-trained"),
        "data science core: writes the monkey data, reads the human data",
    ),
    DemoPerson(
        "noor",
        "Noor Haddad",
        (_GROUP + "navigation", _GROUP + "categorization"),
        "rotating student: in the navigation laboratory; the categorization rotation is over",
    ),
    DemoPerson(
        "pat",
        "Pat Lindqvist",
        (_GROUP + "admin",),
        "administrative core: admin of the hub: starts and stops servers; no project of its own",
    ),
    DemoPerson(
        "zoe",
        "Zoe Outside",
        (),
        "in no team: can log in at the provider, and gets nothing here",
    ),
)
# Whose groups outlive the membership: the provider still says them, the collaboration does not.
MEMBERSHIPS_THAT_ENDED = {"categorization-lab": {"noor": "2025-06-30"}}


def person(name: str) -> DemoPerson:
    """The person of that name.

    Raises
    ------
    KeyError
        If there is none.
    """
    return {one.name: one for one in PEOPLE}[name]
