"""The people of the sample collaboration, and what each of them shows."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SamplePerson:
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
    SamplePerson(
        "ada",
        "Ada Monkman",
        (_GROUP + "navigation",),
        "navigation laboratory: manages nhp-navigation, reads the stimuli, no human data",
    ),
    SamplePerson(
        "grace",
        "Grace Tischler",
        (_GROUP + "human", _GROUP + "irb-trained"),
        "human laboratory, trained: manages human-intracranial, its release is frozen",
    ),
    SamplePerson(
        "hugo",
        "Hugo Marsh",
        (_GROUP + "human",),
        "human laboratory, training not on file: told so, and given nothing of it",
    ),
    SamplePerson(
        "tomas",
        "Tomas Vrana",
        (_GROUP + "theory",),
        "theory laboratory: reads nhp-navigation, waits for an embargo, may use a GPU",
    ),
    SamplePerson(
        "mina",
        "Mina Sato",
        (_GROUP + "data-science", _GROUP + "irb-trained"),
        "data science core: writes the monkey data, reads the human data",
    ),
    SamplePerson(
        "noor",
        "Noor Haddad",
        (_GROUP + "navigation", _GROUP + "categorization"),
        "rotating student: in the navigation laboratory; the categorization rotation is over",
    ),
    SamplePerson(
        "pat",
        "Pat Lindqvist",
        (_GROUP + "admin",),
        "administrative core: admin of the hub: starts and stops servers; no project of its own",
    ),
    SamplePerson(
        "zoe",
        "Zoe Outside",
        (),
        "in no team: can log in at the provider, and gets nothing here",
    ),
)
# Whose groups outlive the membership: the provider still says them, the collaboration does not.
MEMBERSHIPS_THAT_ENDED = {"categorization-lab": {"noor": "2025-06-30"}}


def find_person(name: str) -> SamplePerson:
    """The person of that name.

    Raises
    ------
    KeyError
        If there is none.
    """
    return {one.name: one for one in PEOPLE}[name]
