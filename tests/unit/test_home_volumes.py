"""Homes: names that never meet, and folders that nothing leads out of."""

from __future__ import annotations

from itertools import combinations, product
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from panneuro_hub.errors import PanNeuroError
from panneuro_hub.hub.local_spawner import make_private_folder
from panneuro_hub.names import is_name
from panneuro_hub.pod.home_volumes import (
    HomePlan,
    build_claim_labels,
    build_shared_mount,
    build_shared_volume,
    make_home_path,
    make_shared_path,
    name_home_claim,
    name_shared_claim,
)

WHO = st.text(st.characters(exclude_characters="/"), min_size=1, max_size=80)
PROJECT = st.from_regex(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", fullmatch=True)
ACCOUNT = st.from_regex(r"[0-9a-f]{32}", fullmatch=True)
PLACE = st.tuples(ACCOUNT, WHO, st.one_of(st.just(""), WHO), st.one_of(st.none(), PROJECT))


@given(PLACE, PLACE)
def test_different_homes_have_different_claims(
    one: tuple[str, str, str, str | None], two: tuple[str, str, str, str | None]
) -> None:
    assert is_name(name_home_claim(*one))
    assert (name_home_claim(*one) == name_home_claim(*two)) == (one == two)
    assert name_home_claim(*one) != name_shared_claim(*two[:2])


def test_names_that_could_be_taken_for_each_other() -> None:
    people, projects = ("a", "a-b", "A-b", "a.b"), ("b", "c", "b-c", "a-b")
    servers = ("", "b", "c", "b-c")
    names = {
        name_home_claim("1", person, server, project)
        for person, server, project in product(people, servers, (*projects, None))
    }
    assert len(names) == len(people) * len(servers) * (len(projects) + 1)
    assert all(one != two for one, two in combinations(names, 2))


def test_a_later_account_of_the_same_name_has_other_homes() -> None:
    assert name_home_claim("1", "ada", "", "one") != name_home_claim("2", "ada", "", "one")
    assert name_shared_claim("1", "ada") != name_shared_claim("2", "ada")


@pytest.mark.parametrize(
    ("shared", "read_only"), [("read-only", True), ("read-write", False)], ids=str
)
def test_the_shared_folder_is_mounted_as_the_admin_says(shared: str, read_only: bool) -> None:
    plan = HomePlan(shared=shared)
    assert build_shared_mount("/home/researcher/shared", plan)["readOnly"] is read_only
    source = build_shared_volume("claim", plan)["persistentVolumeClaim"]
    assert source == {"claimName": "claim", "readOnly": read_only}
    assert "emptyDir" in build_shared_volume(None, plan)


def test_labels_by_which_admins_find_homes() -> None:
    assert build_claim_labels("1f", "Ada@uni", "one") == {
        "panneuro.org/owner": build_claim_labels("", "Ada@uni", None)["panneuro.org/owner"],
        "panneuro.org/account": "1f",
        "panneuro.org/project": "one",
    }


@pytest.mark.parametrize("project", ["..", ".", "", "a/b", "../x", "/etc", "A", "a\0"])
def test_no_project_leads_out_of_a_folder(project: str) -> None:
    with pytest.raises(ValueError, match="is not the name of a project"):
        make_home_path(PurePosixPath("/homes/ada"), project)


def test_a_folder_is_made_below_what_is_no_link(tmp_path: Path) -> None:
    base = tmp_path / "ada"
    home = Path(make_home_path(base, "one"))
    make_private_folder(base, home)
    make_private_folder(base, home)
    assert home.is_dir()
    assert Path(make_shared_path(base)) == base / "shared"


def test_a_link_in_the_place_of_a_home_is_refused(tmp_path: Path) -> None:
    base, elsewhere = tmp_path / "ada", tmp_path / "elsewhere"
    elsewhere.mkdir()
    base.mkdir()
    (base / "projects").symlink_to(elsewhere)
    with pytest.raises(PanNeuroError, match="is not a folder"):
        make_private_folder(base, Path(make_home_path(base, "one")))
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        (HomePlan(), "Each project has a home folder of its own. The folder shared in it"),
        (HomePlan(shared="read-write"), "be read and written"),
        (HomePlan(shared="none"), "Each project has a home folder of its own."),
        (HomePlan("person"), "All your projects have one home folder."),
        (HomePlan("person", "read-write"), "sessions of your other projects find and run"),
    ],
)
def test_what_the_start_form_says(plan: HomePlan, words: str) -> None:
    assert words in plan.describe()
