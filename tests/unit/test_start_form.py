"""The start form: what may be picked, what is picked, and nothing alive from outside."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import pytest

from panneuro_hub.access import Person, decide_all_accesses
from panneuro_hub.collaboration import Collaboration
from panneuro_hub.hub.start_form import build_project_options, render_start_form


def test_the_form_of_the_example(
    example: Collaboration, now: datetime, golden: Callable[[str, str], None]
) -> None:
    accesses = decide_all_accesses(example, Person.of("tomas", ["theory-lab"]), now)
    last = {"project": "shared-stimuli", "profile": "large"}
    golden("start-form-theory.html", render_start_form(example, accesses, last))


@pytest.mark.parametrize(
    ("last", "picked"),
    [
        ({}, "nhp-navigation"),
        ({"project": "shared-stimuli"}, "shared-stimuli"),
        ({"project": "human-intracranial"}, "nhp-navigation"),
        ({"project": ["shared-stimuli"]}, "nhp-navigation"),
        ({"project": {}}, "nhp-navigation"),
    ],
)
def test_the_last_choice_is_picked_where_it_still_may_be(
    example: Collaboration, now: datetime, last: dict[str, object], picked: str
) -> None:
    accesses = decide_all_accesses(example, Person.of("ada", ["navigation-lab"]), now)
    options = build_project_options(example, accesses, last)
    assert [option.name for option in options if option.picked] == [picked]


def test_who_comes_to_open_a_copy_finds_its_project_ticked(
    example: Collaboration, now: datetime
) -> None:
    accesses = decide_all_accesses(example, Person.of("ada", ["navigation-lab"]), now)
    last = {"project": "nhp-navigation", "profile": "large"}

    def form(**wanted: str) -> str:
        return " ".join(render_start_form(example, accesses, last, wanted).split())

    page = form(project="shared-stimuli", image="neuro", copy="shared-stimuli/mazes@3")
    assert "copy of the notebook <strong>shared-stimuli/mazes@3</strong>" in page
    assert 'value="shared-stimuli" required checked>' in page
    assert 'value="nhp-navigation" required>' in page
    assert "not offered" not in page
    page = form(project="shared-stimuli", image="old", copy="shared-stimuli/mazes@3")
    assert "It ran in the image old, which is not offered there." in page
    page = form(project="human-intracranial", image="neuro", copy="human-intracranial/x")
    assert "You cannot start one there." in page
    assert 'value="nhp-navigation" required checked>' in page
    page = form(project="shared-stimuli", image="<b>", copy="<script>")
    assert "<script>" not in page
    assert "<b>" not in page
    assert "copy of the notebook" not in form()


def test_every_project_lists_its_own_profiles(example: Collaboration, now: datetime) -> None:
    person = Person.of("mina", ["data-science-core", "human-subjects-trained"])
    options = {
        option.name: [profile.name for profile in option.profiles]
        for option in build_project_options(example, decide_all_accesses(example, person, now), {})
    }
    assert options["nhp-navigation"] == ["small", "large", "gpu"]
    assert options["human-intracranial"] == ["small", "large"]


def test_titles_are_text(example: Collaboration, now: datetime) -> None:
    evil = "<script>alert(1)</script>"
    project = example.projects["nhp-navigation"].model_copy(update={"title": evil})
    profile = example.profiles["small"].model_copy(update={"title": evil, "description": evil})
    collaboration = example.model_copy(
        update={
            "title": evil,
            "projects": {**example.projects, "nhp-navigation": project},
            "profiles": {**example.profiles, "small": profile},
        }
    )
    accesses = decide_all_accesses(collaboration, Person.of("ada", ["navigation-lab"]), now)
    html = render_start_form(collaboration, accesses, {"project": evil})
    assert "<script" not in html
    assert html.count("&lt;script&gt;") >= 4


def test_who_has_no_project_is_told_why(example: Collaboration, now: datetime) -> None:
    html = render_start_form(example, decide_all_accesses(example, Person.of("zoe", []), now), {})
    assert "There is no project that you can start a server in." in html
    assert "you are in no team of learning-circuits" in html
    assert 'name="project"' not in html
