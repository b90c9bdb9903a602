"""What a person chose is checked against their access, whatever it is."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from panneuro_hub.access import Access, Person, decide_all_accesses
from panneuro_hub.collaboration import Collaboration
from panneuro_hub.errors import AccessDeniedError, InvalidChoiceError
from panneuro_hub.hub.start_choice import StartChoice, check_start_choice, read_start_form


def accesses(example: Collaboration, now: datetime, *teams: str) -> dict[str, Access]:
    return decide_all_accesses(example, Person.of("ada", teams), now)


@pytest.fixture
def ada(example: Collaboration, now: datetime) -> dict[str, Access]:
    return accesses(example, now, "navigation-lab")


def test_what_is_not_chosen_gets_its_default(ada: dict[str, Access]) -> None:
    assert check_start_choice({"project": "nhp-navigation"}, ada) == StartChoice(
        "nhp-navigation", "small", "neuro"
    )


def test_one_project_needs_no_choice(ada: dict[str, Access]) -> None:
    only = {
        "nhp-navigation": ada["nhp-navigation"],
        "nhp-categorization": ada["nhp-categorization"],
    }
    assert check_start_choice({}, only).project == "nhp-navigation"


def test_several_projects_need_one(ada: dict[str, Access]) -> None:
    with pytest.raises(
        InvalidChoiceError, match="choose a project; yours are nhp-navigation"
    ) as asked:
        check_start_choice({}, ada)
    assert asked.value.reason_codes == ("choose-project",)


def test_no_project_says_why(example: Collaboration, now: datetime) -> None:
    with pytest.raises(AccessDeniedError) as refusal:
        check_start_choice({}, accesses(example, now))
    assert refusal.value.reason_codes[:2] == ("no-project", "in-no-team")


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"project": "human-intracranial"}, "not-in-required-team"),
        ({"project": "no-such"}, "no-project"),
        ({"project": "../nhp-navigation"}, "no-project"),
        ({"project": "nhp-navigation", "profile": "gpu"}, "not-in-using-team"),
        ({"project": "nhp-navigation", "profile": "huge"}, "not-offered"),
        ({"project": "nhp-navigation", "image": "evil/image:1"}, "not-offered"),
    ],
)
def test_what_is_not_yours_is_denied_with_the_reason(
    ada: dict[str, Access], options: dict[str, str], code: str
) -> None:
    with pytest.raises(AccessDeniedError) as refusal:
        check_start_choice(options, ada)
    assert code in refusal.value.reason_codes


def test_a_profile_that_the_project_does_not_list(example: Collaboration, now: datetime) -> None:
    grace = accesses(
        example, now, "human-lab", "human-subjects-trained", "data-science-core", "theory-lab"
    )
    assert (
        check_start_choice({"project": "nhp-navigation", "profile": "gpu"}, grace).profile == "gpu"
    )
    with pytest.raises(AccessDeniedError, match="human-intracranial"):
        check_start_choice({"project": "human-intracranial", "profile": "gpu"}, grace)


@pytest.mark.parametrize("value", [["nhp-navigation"], {"a": 1}, 7, True, "x" * 300, 1.5, b"x"])
@pytest.mark.parametrize("option", ["project", "profile", "image"])
def test_what_is_no_name_is_invalid(ada: dict[str, Access], option: str, value: object) -> None:
    with pytest.raises(InvalidChoiceError, match=f"{option} must be one name"):
        check_start_choice({"project": "nhp-navigation"} | {option: value}, ada)


def test_unknown_options_are_refused_unless_a_hook_reads_them(ada: dict[str, Access]) -> None:
    options = {"project": "nhp-navigation", "image--unlisted-choice": "evil/image:1"}
    with pytest.raises(InvalidChoiceError, match="unknown option 'image--unlisted-choice'"):
        check_start_choice(options, ada)
    assert check_start_choice(options, ada, others_allowed=True).image == "neuro"


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.sampled_from(["gpu", "small"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
)
keys = st.sampled_from(["project", "profile", "image", "profile--nhp-navigation"]) | st.text()


@given(st.dictionaries(keys, values, max_size=5), st.booleans())
def test_a_choice_is_always_one_that_the_access_offers(
    example: Collaboration, options: dict[str, object], others: bool
) -> None:
    now = datetime.fromisoformat("2026-11-22T00:00:00+00:00")
    mine = accesses(example, now, "navigation-lab")
    try:
        choice = check_start_choice(options, mine, others_allowed=others)
    except (AccessDeniedError, InvalidChoiceError):
        return
    access = mine[choice.project]
    assert access.level is not None
    assert choice.profile in {offer.name for offer in access.profiles}
    assert choice.image in {offer.name for offer in access.images}


def test_the_form_s_own_fields_become_options() -> None:
    form = {
        "_xsrf": ["x"],
        "project": ["b"],
        "profile--a": ["large"],
        "profile--b": ["small"],
        "image--b": ["neuro"],
        "admins": ["own"],
        "empty": [""],
    }
    assert read_start_form(form) == {
        "project": "b",
        "profile": "small",
        "image": "neuro",
        "admins": "own",
    }


def test_a_repeated_field_stays_a_list_for_the_check_to_refuse(ada: dict[str, Access]) -> None:
    options = read_start_form({"project": ["nhp-navigation", "human-intracranial"]})
    with pytest.raises(InvalidChoiceError, match="project must be one name"):
        check_start_choice(options, ada)


def test_a_plain_query_works_too() -> None:
    assert read_start_form({"project": ["a"], "profile": ["large"]}) == {
        "project": "a",
        "profile": "large",
    }
