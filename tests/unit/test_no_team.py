"""Why somebody is in no team, with what nobody would see."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from panneuro_hub.access import Person, find_active_teams
from panneuro_hub.collaboration import Collaboration
from panneuro_hub.hub.no_team_diagnosis import diagnose_no_team, format_for_admin, format_for_person
from panneuro_hub.names import fold_text
from panneuro_hub.phrases import visible

NOW = datetime(2026, 11, 28, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("u19:a lab", '"u19:a lab"'),
        (" u19 ", '"<U+0020>u19<U+0020>"'),
        ("  ", '"<U+0020><U+0020>"'),
        ("u19\u00a0a", '"u19<U+00A0>a"'),
        ("u\u200b19\n", '"u<U+200B>19<U+000A>"'),
        ("th\u00e9orie", '"th\u00e9orie"'),
        ("the\u0301orie", '"the<U+0301>orie"'),
        ("\uff4cab", '"<U+FF4C>ab"'),
        ("n\u0430vigation", '"n<U+0430>vigation"'),
        ("\u043b\u0430\u0431", '"\u043b\u0430\u0431"'),
        ("<b>", '"<U+003C>b>"'),
        ("x" * 200, f'"{"x" * 100}…"'),
    ],
)
def test_what_nobody_would_see_is_shown(text: str, shown: str) -> None:
    assert visible(text) == shown


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ada", "ada"),
        ("jos\u00e9", "jose\u0301"),
        ("ada ", "ada"),
        ("\uff41da", "ada"),
        ("a\u200bda", "ada"),
    ],
)
def test_names_that_look_the_same_are_compared_as_one(one: str, other: str) -> None:
    assert fold_text(one) == fold_text(other)
    assert fold_text("ada") != fold_text("adam")


def test_a_membership_ends_in_whatever_form_the_name_is_written(example: Collaboration) -> None:
    team = example.teams["navigation-lab"]
    ended = team.model_copy(update={"expires": {"Jos\u00e9 ": date(2026, 1, 31)}})
    changed = example.model_copy(update={"teams": {**example.teams, "navigation-lab": ended}})
    for name in ("jose\u0301", "jos\u00e9", "JOS\u00c9"):
        assert not find_active_teams(changed, Person.of(name, ["navigation-lab"]), NOW)
    assert find_active_teams(changed, Person.of("josef", ["navigation-lab"]), NOW)


def test_both_read_what_was_sent(example: Collaboration) -> None:
    sent = ["U19-circuits:navigation", "visitors"]
    found = diagnose_no_team(example, "zoe", sent, NOW)
    assert [(one.sent, one.written, one.team) for one in found.near] == [
        ("U19-circuits:navigation", "u19-circuits:navigation", "navigation-lab")
    ]
    person, admin = format_for_person(found), format_for_admin(found)
    assert 'in the groups "U19-circuits:navigation", "visitors"; none' in person
    assert 'sent the groups "U19-circuits:navigation", "visitors"; "U19-' in admin
    assert "you are in no group." in format_for_person(diagnose_no_team(example, "zoe", [], NOW))
    assert "sent no groups" in format_for_admin(diagnose_no_team(example, "zoe", [], NOW))


def test_a_membership_that_the_file_has_ended_is_named(example: Collaboration) -> None:
    name = "rotating.student@uni.example"
    later = datetime(2027, 2, 1, tzinfo=UTC)
    found = diagnose_no_team(example, name, ["u19-circuits:navigation"], later)
    assert "your membership of navigation-lab ended on 2027-01-31" in format_for_person(found)
    assert "the membership of navigation-lab ended on 2027-01-31 (expires)" in format_for_admin(
        found
    )


def test_many_groups_are_counted(example: Collaboration) -> None:
    found = diagnose_no_team(example, "zoe", [f"g{number:03}" for number in range(50)], NOW)
    assert '"g019" and 30 more' in format_for_person(found)
