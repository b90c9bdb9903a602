from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from collaborations import changed

from panneuro_hub.access import Person, find_active_teams, is_hub_admin, map_groups_to_teams
from panneuro_hub.collaboration import Collaboration

STUDENT = "rotating.student@uni.example"
END = datetime(2027, 1, 31, tzinfo=UTC)


def test_groups_are_compared_whole(example: Collaboration) -> None:
    assert map_groups_to_teams(example, ["/u19/labs/navigation", "u19-circuits:theory"]) == {
        "navigation-lab",
        "theory-lab",
    }
    near = ["navigation", "/u19/labs", "/U19/labs/navigation", "/u19/labs/navigation/", "*", ""]
    assert map_groups_to_teams(example, near) == frozenset()


def test_one_group_may_make_several_teams(example: Collaboration) -> None:
    def share(document: dict) -> None:
        document["teams"]["human-lab"]["groups"].append("u19-circuits:theory")

    teams = map_groups_to_teams(changed(example, share), ["u19-circuits:theory"])
    assert teams == {"human-lab", "theory-lab"}


@pytest.mark.parametrize("name", [STUDENT, STUDENT.upper(), "Rotating.Student@uni.example"])
def test_a_membership_ends_at_midnight_utc_whatever_the_case(
    example: Collaboration, name: str
) -> None:
    person = Person.of(name, ["navigation-lab"])
    assert find_active_teams(example, person, END - timedelta(microseconds=1)) == {"navigation-lab"}
    assert find_active_teams(example, person, END) == frozenset()


def test_the_end_is_utc_in_every_zone(example: Collaboration) -> None:
    person = Person.of(STUDENT, ["navigation-lab"])
    zone = timezone(timedelta(hours=-8))
    assert find_active_teams(example, person, datetime(2027, 1, 30, 15, 59, tzinfo=zone))
    assert not find_active_teams(example, person, datetime(2027, 1, 30, 16, tzinfo=zone))


def test_the_earliest_of_two_spellings_counts(example: Collaboration) -> None:
    def add(document: dict) -> None:
        document["teams"]["navigation-lab"]["expires"][STUDENT.upper()] = "2026-01-01"

    person = Person.of(STUDENT, ["navigation-lab"])
    assert not find_active_teams(changed(example, add), person, datetime(2026, 6, 1, tzinfo=UTC))


def test_others_and_other_teams_do_not_end(example: Collaboration) -> None:
    assert find_active_teams(example, Person.of("ann", ["navigation-lab"]), END) == {
        "navigation-lab"
    }
    assert find_active_teams(example, Person.of(STUDENT, ["theory-lab"]), END) == {"theory-lab"}


def test_unknown_teams_are_passed_over(example: Collaboration, now: datetime) -> None:
    person = Person.of("ann", ["*", "no-such-team", "theory-lab"])
    assert find_active_teams(example, person, now) == {"theory-lab"}


def test_hub_admins_are_active_members_of_a_team_with_hub_admin(
    example: Collaboration, now: datetime
) -> None:
    def expire(document: dict) -> None:
        document["teams"]["administrative-core"]["expires"]["ann"] = "2026-01-01"

    ann = Person.of("ann", ["administrative-core"])
    assert is_hub_admin(example, ann, now)
    assert not is_hub_admin(changed(example, expire), ann, now)
    assert not is_hub_admin(example, Person.of("ann", ["navigation-lab"]), now)


def test_a_naive_moment_is_refused(example: Collaboration) -> None:
    with pytest.raises(ValueError, match="no time zone"):
        find_active_teams(example, Person("ann"), datetime(2027, 1, 1))  # noqa: DTZ001
