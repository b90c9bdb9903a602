"""Who of a project cannot read what is shared in it, and no more about them than that."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from panneuro_hub.access import (
    Person,
    check_path,
    decide_access,
    find_recipients,
    list_responsible_teams,
)
from panneuro_hub.collaboration import Collaboration
from panneuro_hub.wire import Reason

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
PEOPLE = (
    Person.of("ada", ["navigation-lab"]),
    Person.of("tomas", ["theory-lab"]),
    Person.of("mina", ["data-science-core", "human-subjects-trained"]),
    Person.of("zoe", []),
)


def test_it_names_who_is_inside_and_what_is_shut(example: Collaboration, now: datetime) -> None:
    found = find_recipients(
        example,
        PEOPLE,
        "nhp-navigation",
        ["shared-stimuli", "human-intracranial", "nhp-navigation", "human-intracranial", "nix"],
        now,
    )
    assert found.people == ("ada", "mina", "tomas")
    assert [(shut.project, shut.people) for shut in found.shut] == [
        # Of these only mina may read it, in another session; that is nobody else's business.
        ("human-intracranial", ("ada", "mina", "tomas")),
        ("nix", ("ada", "mina", "tomas")),
    ]
    assert [shut.reasons for shut in found.shut] == [
        (
            Reason("not-read-here", "nhp-navigation", other="human-intracranial"),
            Reason("own-session-reads", "human-intracranial"),
        ),
        (Reason("no-such-project", "nix"),),
    ]


def test_who_has_left_is_not_inside(example: Collaboration, now: datetime) -> None:
    student = Person.of("rotating.student@uni.example", ["navigation-lab"])
    assert find_recipients(example, [student], "nhp-navigation", [], now).people
    later = now.replace(year=2027, month=2)
    assert find_recipients(example, [student], "nhp-navigation", [], later).people == ()


TEAMS = [
    "navigation-lab",
    "categorization-lab",
    "human-lab",
    "theory-lab",
    "data-science-core",
    "human-subjects-trained",
]
PROJECTS = ["nhp-navigation", "nhp-categorization", "human-intracranial", "shared-stimuli"]


@given(
    st.lists(st.sets(st.sampled_from(TEAMS)), max_size=4),
    st.sampled_from(PROJECTS),
    st.lists(st.sampled_from(PROJECTS)),
)
def test_it_says_what_a_session_could_do(
    example: Collaboration,
    teams: list[set[str]],
    project: str,
    uses: list[str],
) -> None:
    people = [Person.of(f"p{number}", each) for number, each in enumerate(teams)]
    found = find_recipients(example, people, project, uses, NOW)
    for person in people:
        access = decide_access(example, person, project, NOW)
        assert (person.name in found.people) is (access.level is not None)
        for used in set(uses):
            can = check_path(example, access, f"s3://learning-circuits/{used}/").read
            told = [shut for shut in found.shut if shut.project == used]
            named = sum(person.name in shut.people for shut in told)
            assert named == (0 if can or access.level is None else 1)


@pytest.mark.parametrize(
    ("project", "asked"),
    [
        ("human-intracranial", ("Human intracranial laboratories",)),
        ("shared-stimuli", ("Data science core",)),
    ],
)
def test_managers_are_asked(example: Collaboration, project: str, asked: tuple[str, ...]) -> None:
    assert list_responsible_teams(example, project) == asked


def test_without_managers_it_is_who_writes(example: Collaboration) -> None:
    def with_teams(**teams: str) -> Collaboration:
        project = example.projects["nhp-navigation"].model_copy(update={"teams": teams})
        return example.model_copy(update={"projects": {"nhp-navigation": project}})

    assert list_responsible_teams(
        with_teams(**{"theory-lab": "write", "*": "write"}), "nhp-navigation"
    ) == ("Theory laboratory",)
    assert list_responsible_teams(with_teams(**{"theory-lab": "read"}), "nhp-navigation") == ()
