from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from collaborations import PROJECTS, TEAMS, changed, collaborations, moments
from hypothesis import given, settings
from hypothesis import strategies as st

from panneuro_hub.access import (
    Access,
    AccessDifference,
    Person,
    check_path,
    compare_collaborations,
    decide_access,
)
from panneuro_hub.collaboration import Collaboration, load_file

BUCKET = "s3://learning-circuits/"
Edit = Callable[[dict[str, Any]], object]
VALUES = [None, "offered", "read", "write", "manage"]
DIFFER = ("level", "grant", "profile", "image")


@pytest.fixture
def compare(example: Collaboration, now: datetime) -> Callable[[Edit], list[AccessDifference]]:
    return lambda edit: compare_collaborations(example, changed(example, edit), now)


def found(
    compare_collaborations: list[AccessDifference], *who: str, project: str | None = None
) -> dict[tuple[str, str], tuple[str | None, str | None]]:
    """Before and after, by kind and thing."""
    return {
        (each.kind, each.what.removeprefix(BUCKET)): (each.before, each.after)
        for each in compare_collaborations
        if each.who == who and (project is None or each.project == project)
    }


def test_a_team_that_is_let_in(compare) -> None:
    def let_in(document: dict) -> None:
        document["projects"]["nhp-categorization"]["teams"]["human-lab"] = "write"

    result = compare(let_in)
    assert found(result, "human-lab") == {
        ("level", "nhp-categorization"): (None, "write"),
        ("grant", "nhp-categorization/"): (None, "write"),
        ("grant", "scratch/nhp-categorization/each-person/"): (None, "write"),
        ("profile", "small"): (None, "offered"),
        ("profile", "large"): (None, "offered"),
        ("image", "neuro"): (None, "offered"),
    }
    # gpu is for two teams: each together with human-lab, but data-science-core had it before.
    assert found(result, "human-lab", "theory-lab") == {("profile", "gpu"): (None, "offered")}
    assert {each.who for each in result} == {("human-lab",), ("human-lab", "theory-lab")}
    assert {each.project for each in result} == {"nhp-categorization"}


def test_requires_taken_away(compare) -> None:
    def drop(document: dict) -> None:
        document["projects"]["human-intracranial"]["requires"] = []

    result = compare(drop)
    assert {each.who for each in result} == {("human-lab",), ("data-science-core",)}
    assert found(result, "human-lab")["grant", "human-intracranial/release-2026/"] == (None, "read")
    assert found(result, "data-science-core")["level", "human-intracranial"] == (None, "read")


def test_requires_added_shows_who_keeps_access(compare) -> None:
    def require(document: dict) -> None:
        document["projects"]["nhp-navigation"]["requires"] = ["human-subjects-trained"]

    result = compare(require)
    assert found(result, "navigation-lab")["level", "nhp-navigation"] == ("manage", None)
    assert found(result, "human-subjects-trained", "navigation-lab") == {}


def test_a_project_that_others_read(compare) -> None:
    def restrict(document: dict) -> None:
        document["projects"]["shared-stimuli"]["requires"] = ["human-subjects-trained"]

    result = compare(restrict)
    assert found(result, "navigation-lab", project="nhp-navigation") == {
        ("grant", "shared-stimuli/"): ("read", None)
    }


def test_teams_that_only_count_together(compare) -> None:
    def read_human(document: dict) -> None:
        document["projects"]["nhp-navigation"]["reads"] = ["human-intracranial"]

    result = compare(read_human)
    who = ("human-lab", "human-subjects-trained", "navigation-lab")
    assert found(result, *who) == {("grant", "human-intracranial/"): (None, "read")}
    assert found(result, "navigation-lab") == {("grant", "shared-stimuli/"): ("read", None)}


def test_teams_that_give_more_together_than_one_alone(compare) -> None:
    def add(document: dict) -> None:
        document["projects"]["new"] = {
            **document["projects"]["human-intracranial"],
            "prefix": "new/",
            "frozen": [],
            "teams": {"human-subjects-trained": "read", "human-lab": "manage"},
        }

    result = compare(add)
    assert found(result, "human-subjects-trained")["level", "new"] == (None, "read")
    both = found(result, "human-lab", "human-subjects-trained")
    assert both["level", "new"] == (None, "manage")
    # What one of them alone notices as well is not said again.
    assert set(both) == {("level", "new"), ("grant", "new/")}


def test_teams_that_give_it_earlier_together_than_one_alone(compare) -> None:
    def add(document: dict) -> None:
        document["projects"]["new"] = {
            **document["projects"]["human-intracranial"],
            "prefix": "new/",
            "frozen": [],
            "teams": {"human-lab": "read"},
            "embargo": {"until": "2027-06-01", "then": {"human-subjects-trained": "read"}},
        }

    since = {each.who: each.since for each in compare(add) if each.kind == "level"}
    assert since == {
        ("human-subjects-trained",): date(2027, 6, 1),
        ("human-lab", "human-subjects-trained"): None,
    }


def test_frozen(compare) -> None:
    def freeze(document: dict) -> None:
        document["projects"]["nhp-navigation"]["frozen"] = ["nhp-navigation/2025/"]

    result = compare(freeze)
    change = {("grant", "nhp-navigation/2025/"): ("write", "read")}
    assert found(result, "navigation-lab") == change
    assert found(result, "data-science-core") == change
    assert found(result, "theory-lab") == {}


def test_a_level_that_changes_no_grant(compare) -> None:
    def promote(document: dict) -> None:
        document["projects"]["nhp-navigation"]["teams"]["data-science-core"] = "manage"

    assert compare(promote) == [
        AccessDifference(
            ("data-science-core",), "nhp-navigation", "level", "nhp-navigation", "write", "manage"
        )
    ]


def test_an_embargo_that_is_longer(compare) -> None:
    def prolong(document: dict) -> None:
        document["projects"]["nhp-categorization"]["embargo"]["until"] = "2027-09-01"

    result = compare(prolong)
    assert {each.who for each in result} == {("theory-lab",)}
    assert {(each.since, each.until) for each in result} == {(date(2027, 6, 1), date(2027, 9, 1))}
    assert found(result, "theory-lab")["level", "nhp-categorization"] == ("read", None)


def test_an_embargo_that_is_lifted(compare) -> None:
    def lift(document: dict) -> None:
        project = document["projects"]["nhp-categorization"]
        project["teams"]["theory-lab"] = "read"
        project["embargo"] = None

    result = compare(lift)
    assert {(each.since, each.until) for each in result} == {(None, date(2027, 6, 1))}
    assert found(result, "theory-lab")["level", "nhp-categorization"] == (None, "read")


def test_an_embargo_that_is_over_has_no_day(example: Collaboration) -> None:
    def drop(document: dict) -> None:
        document["projects"]["nhp-categorization"]["embargo"] = None

    later = datetime(2027, 6, 1, tzinfo=UTC)
    result = compare_collaborations(example, changed(example, drop), later)
    assert {(each.since, each.until) for each in result} == {(None, None)}
    assert found(result, "theory-lab")["level", "nhp-categorization"] == ("read", None)


def test_a_prefix_that_moves(compare) -> None:
    def move(document: dict) -> None:
        document["projects"]["shared-stimuli"]["prefix"] = "stimuli/"

    result = compare(move)
    assert found(result, "theory-lab", project="nhp-navigation") == {
        ("grant", "shared-stimuli/"): ("read", None),
        ("grant", "stimuli/"): (None, "read"),
    }


def test_memberships(compare) -> None:
    def edit(document: dict) -> None:
        navigation = document["teams"]["navigation-lab"]
        navigation["groups"] = ["u19-circuits:navigation", "u19-circuits:visitors"]
        navigation["expires"] = {"Rotating.Student@uni.example": "2027-03-31", "bo": "2027-01-01"}
        document["teams"]["theory-lab"]["hub_admin"] = True

    assert found(compare(edit), "navigation-lab") == {
        ("membership", "group /u19/labs/navigation"): ("members", None),
        ("membership", "group u19-circuits:visitors"): (None, "members"),
        ("membership", "membership of rotating.student@uni.example ends"): (
            "2027-01-31",
            "2027-03-31",
        ),
        ("membership", "membership of bo ends"): (None, "2027-01-01"),
    }
    assert found(compare(edit), "theory-lab") == {("membership", "hub admin"): (None, "yes")}


@pytest.mark.parametrize("team", ["navigation-lab", "human-subjects-trained", "theory-lab"])
def test_a_team_that_is_renamed_keeps_what_it_has(
    example: Collaboration, example_file: Path, tmp_path: Path, now: datetime, team: str
) -> None:
    """Wherever the file names it: in projects, requires, embargoes and profiles."""
    renamed = tmp_path / "renamed.yaml"
    renamed.write_text(example_file.read_text().replace(team, "another-name"))
    (only,) = compare_collaborations(example, load_file(renamed), now)
    assert (only.who, only.kind, only.before, only.after) == (
        ("another-name",),
        "membership",
        team,
        "another-name",
    )


def test_teams_of_other_groups_are_other_teams(compare) -> None:
    def edit(document: dict) -> None:
        document["teams"]["nav-lab"] = document["teams"].pop("navigation-lab")
        document["teams"]["nav-lab"]["groups"] = ["u19-circuits:navigation"]
        teams = document["projects"]["nhp-navigation"]["teams"]
        teams["nav-lab"] = teams.pop("navigation-lab")

    assert ("level", "nhp-navigation") in found(compare(edit), "nav-lab", project="nhp-navigation")


def test_a_team_that_goes(compare) -> None:
    def remove(document: dict) -> None:
        del document["teams"]["theory-lab"]
        for project in document["projects"].values():
            project["teams"].pop("theory-lab", None)
        document["projects"]["nhp-categorization"]["embargo"] = None
        document["profiles"]["gpu"]["teams"] = ["data-science-core"]

    result = compare(remove)
    # Before the embargo ends, gpu came to nhp-categorization by theory-lab as well.
    assert {each.who for each in result} == {
        ("theory-lab",),
        ("categorization-lab", "theory-lab"),
    }
    together = found(result, "categorization-lab", "theory-lab")
    assert together == {("profile", "gpu"): ("offered", None)}
    levels = {each.project: each.before for each in result if each.kind == "level"}
    assert levels == {
        "nhp-navigation": "read",
        "shared-stimuli": "read",
        "nhp-categorization": "read",
    }
    assert found(result, "theory-lab")["membership", "team theory-lab"] == ("there", None)


def test_limits_and_stores(compare) -> None:
    def edit(document: dict) -> None:
        document["stores"]["main"]["credential_lifetime"] = "1h"
        document["stores"]["main"]["role_arn"] = "arn:aws:iam::1:role/Other"
        document["profiles"]["large"]["price_per_hour"] = 1.5
        document["profiles"]["large"]["memory"] = "128G"
        document["images"]["neuro"]["image"] = "panneuro/notebook:2027.01"
        document["projects"]["nhp-navigation"]["budget"]["usd_per_month"] = 1000
        document["projects"]["nhp-navigation"]["dask"] = {
            "max_workers": 5,
            "per_person": {"max_cores": 8, "max_memory": "32G"},
        }
        document["dask"]["worker_profiles"]["standard"]["price_per_hour"] = 0.1

    assert [
        (each.project, each.kind, each.what, each.before, each.after) for each in compare(edit)
    ] == [
        (
            None,
            "store",
            "store main: role",
            "arn:aws:iam::000000000000:role/PanNeuroData",
            "arn:aws:iam::1:role/Other",
        ),
        (None, "image", "image neuro", "panneuro/notebook:2026.11", "panneuro/notebook:2027.01"),
        (None, "limit", "store main: credential lifetime", "30m", "1h"),
        (None, "limit", "profile large: price", "0.96 USD an hour", "1.5 USD an hour"),
        (None, "limit", "profile large: memory", "64G", "128G"),
        (
            None,
            "limit",
            "worker profile standard: price",
            "0.07 USD an hour",
            "0.1 USD an hour",
        ),
        (
            "nhp-navigation",
            "limit",
            "budget",
            "900 USD a month, then warn",
            "1000 USD a month, then warn",
        ),
        ("nhp-navigation", "limit", "Dask workers", "50", "5"),
        ("nhp-navigation", "limit", "Dask cores of each person", None, "8"),
        ("nhp-navigation", "limit", "Dask memory of each person", None, "32G"),
    ]


def test_titles_are_no_difference(compare) -> None:
    def rename(document: dict) -> None:
        document["title"] = "Other"
        document["projects"]["nhp-navigation"]["title"] = "Other"
        document["teams"]["theory-lab"]["title"] = "Other"

    assert compare(rename) == []


def test_json(compare) -> None:
    def prolong(document: dict) -> None:
        document["projects"]["nhp-categorization"]["embargo"]["until"] = "2027-09-01"

    assert compare(prolong)[0].to_json() == {
        "who": ["theory-lab"],
        "project": "nhp-categorization",
        "kind": "level",
        "what": "nhp-categorization",
        "before": "read",
        "after": None,
        "since": "2027-06-01",
        "until": "2027-09-01",
    }


def test_a_naive_moment_is_refused(example: Collaboration) -> None:
    with pytest.raises(ValueError, match="no time zone"):
        compare_collaborations(example, example, datetime(2027, 1, 1))  # noqa: DTZ001


# For any two collaborations


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Collaboration, Collaboration]:
    """Two collaborations that differ in a project, in profiles or in everything."""
    one, other = draw(collaborations()), draw(collaborations())
    project = draw(st.sampled_from(list(PROJECTS)))
    exchanged = {**one.projects, project: other.projects[project]}
    without = {
        name: each.model_copy(
            update={"reads": tuple(other for other in each.reads if other != project)}
        )
        for name, each in one.projects.items()
        if name != project
    }
    return one, draw(
        st.sampled_from(
            [
                other,
                one.model_copy(update={"projects": exchanged}),
                one.model_copy(update={"projects": without}),
                one.model_copy(update={"profiles": other.profiles}),
            ]
        )
    )


@settings(max_examples=25)
@given(collaborations(), moments)
def test_nothing_differs_from_itself(collaboration: Collaboration, now: datetime) -> None:
    assert compare_collaborations(collaboration, collaboration, now) == []


@settings(max_examples=50)
@given(pairs(), moments)
def test_the_other_way_round_gains_are_losses(
    pair: tuple[Collaboration, Collaboration], now: datetime
) -> None:
    there = compare_collaborations(*pair, now)
    back = compare_collaborations(*reversed(pair), now)
    assert len(set(there)) == len(there)
    assert {replace(each, before=each.after, after=each.before) for each in there} == set(back)


@settings(max_examples=50)
@given(pairs(), moments)
def test_what_is_said_to_differ_does(
    pair: tuple[Collaboration, Collaboration], now: datetime
) -> None:
    for each in compare_collaborations(*pair, now):
        if each.kind not in DIFFER or not each.project:
            continue
        moment = now if each.since is None else datetime.combine(each.since, now.min.time(), UTC)
        old, new = (
            decide_access(collaboration, Person.of("each-person", each.who), each.project, moment)
            for collaboration in pair
        )
        assert value(pair[0], old, each) == each.before != each.after
        assert value(pair[1], new, each) == each.after


@settings(max_examples=50)
@given(
    pairs(),
    moments,
    st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=700)),
    st.frozensets(st.sampled_from(TEAMS)),
)
def test_whoever_notices_a_difference_finds_it_reported(
    pair: tuple[Collaboration, Collaboration],
    now: datetime,
    later: timedelta,
    teams: frozenset[str],
) -> None:
    moment = now + later
    reported = [
        each
        for each in compare_collaborations(*pair, now)
        if teams.issuperset(each.who)
        and (each.since is None or each.since <= moment.date())
        and (each.until is None or each.until > moment.date())
    ]
    for project in PROJECTS:
        old, new = (
            decide_access(collaboration, Person("each-person", teams), project, moment)
            for collaboration in pair
        )
        said = {
            (each.kind, each.what, max(each.before, each.after, key=VALUES.index))
            for each in reported
            if each.project == project
        }
        if old.level != new.level:
            assert ("level", project, max(old.level, new.level, key=VALUES.index)) in said
        for name in {offer.name for offer in old.profiles} ^ {offer.name for offer in new.profiles}:
            assert ("profile", name, "offered") in said
        for name in {offer.name for offer in old.images} ^ {offer.name for offer in new.images}:
            assert ("image", name, "offered") in said
        for prefix in {grant.prefix for grant in (*old.grants, *new.grants)}:
            modes = [mode(pair[0], old, prefix), mode(pair[1], new, prefix)]
            if modes[0] != modes[1]:
                assert ("grant", prefix, max(modes, key=VALUES.index)) in said


def mode(collaboration: Collaboration, access: Access, prefix: str) -> str | None:
    verdict = check_path(collaboration, access, prefix)
    return ("write" if verdict.write else "read") if verdict.read else None


def value(collaboration: Collaboration, access: Access, each: AccessDifference) -> str | None:
    """What an access has of what differs, asked in another way."""
    if each.kind == "level":
        return access.level
    if each.kind == "grant":
        return mode(collaboration, access, each.what)
    offers = access.profiles if each.kind == "profile" else access.images
    return "offered" if each.what in {offer.name for offer in offers} else None
