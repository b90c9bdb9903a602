from __future__ import annotations

from datetime import UTC, datetime

import pytest
from collaborations import changed

from panneuro_hub.access import (
    Person,
    TeamPrefix,
    build_session_view,
    decide_access,
    decide_all_accesses,
    list_team_prefixes,
)
from panneuro_hub.collaboration import Collaboration
from panneuro_hub.wire import Denial, Reason

BUCKET = "s3://learning-circuits/"


def test_the_session_as_its_researcher_sees_it(example: Collaboration, now: datetime) -> None:
    access = decide_access(example, Person.of("ann", ["navigation-lab"]), "nhp-navigation", now)
    view = build_session_view(example, access)
    assert (view.user, view.project, view.title) == (
        "ann",
        "nhp-navigation",
        "Navigation in virtual reality",
    )
    assert view.level == "manage"
    assert view.prefix == f"{BUCKET}nhp-navigation/"
    assert view.scratch == f"{BUCKET}scratch/nhp-navigation/ann/"
    assert (view.endpoint_url, view.region) == (None, "us-west-2")
    assert view.prefixes == {
        "nhp-navigation": f"{BUCKET}nhp-navigation/",
        "shared-stimuli": f"{BUCKET}shared-stimuli/",
    }
    assert (view.grants, view.denied) == (access.grants, access.denied)


def test_a_session_whose_access_has_ended(example: Collaboration, now: datetime) -> None:
    access = decide_access(example, Person.of("ann", []), "nhp-navigation", now)
    view = build_session_view(example, access)
    assert (view.level, view.scratch, view.prefixes, view.grants) == (None, None, {}, ())
    assert view.denied


def test_a_session_whose_project_is_gone(example: Collaboration, now: datetime) -> None:
    view = build_session_view(example, decide_access(example, Person.of("ann", []), "gone", now))
    assert (view.title, view.prefix, view.region, view.prefixes) == ("gone", "", "", {})


def test_a_store_with_an_endpoint(example: Collaboration, now: datetime) -> None:
    def open_own_store(document: dict) -> None:
        document["stores"]["main"]["endpoint_url"] = "http://127.0.0.1:9000"

    collaboration = changed(example, open_own_store)
    access = decide_access(collaboration, Person.of("ann", ["theory-lab"]), "nhp-navigation", now)
    assert build_session_view(collaboration, access).endpoint_url == "http://127.0.0.1:9000"


def test_what_a_team_reaches(example: Collaboration, now: datetime) -> None:
    shared = TeamPrefix(f"{BUCKET}shared-stimuli/", "read", "shared-stimuli")
    navigation = TeamPrefix(f"{BUCKET}nhp-navigation/", "read", "nhp-navigation")
    assert list_team_prefixes(example, "theory-lab", now) == [navigation, shared]
    assert list_team_prefixes(example, "human-lab", now) == [
        TeamPrefix(
            f"{BUCKET}human-intracranial/",
            "manage",
            "human-intracranial",
            ("human-subjects-trained",),
        ),
        shared,
    ]
    later = list_team_prefixes(example, "theory-lab", datetime(2027, 6, 1, tzinfo=UTC))
    assert [place.project for place in later] == [
        "nhp-navigation",
        "nhp-categorization",
        "shared-stimuli",
    ]
    assert list_team_prefixes(example, "no-such-team", now) == []
    with pytest.raises(ValueError, match="no time zone"):
        list_team_prefixes(example, "theory-lab", datetime(2027, 6, 1))  # noqa: DTZ001


def test_the_other_projects_and_why_they_are_not_here(
    example: Collaboration, now: datetime
) -> None:
    person = Person.of("mina", ["data-science-core"])
    others = decide_all_accesses(example, person, now)
    denied = {
        denial.project: denial
        for denial in build_session_view(example, others["nhp-navigation"], others).denied
        if denial.action == "read"
    }
    assert denied["nhp-categorization"] == Denial(
        "read",
        "prefix",
        f"{BUCKET}nhp-categorization/",
        "nhp-categorization",
        (
            Reason("not-read-here", "nhp-navigation", other="nhp-categorization"),
            Reason("open-elsewhere", "nhp-categorization", level="write"),
        ),
    )
    assert denied["human-intracranial"].name == f"{BUCKET}human-intracranial/"
    assert denied["human-intracranial"].codes == ("not-in-required-team",)
    assert "shared-stimuli" not in denied
