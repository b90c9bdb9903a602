"""Views of dashboards: whose they are, how long they stay, and how an address names them."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from testing.clocks import FakeClock

from panneuro_hub.dask.views import Views, named, parted, without_names

NAMES = st.from_regex(r"[A-Za-z0-9_-]{43}", fullmatch=True)
BELOW = st.text().map(lambda text: "/" + text)


def test_a_view_is_of_one_cluster_and_one_person() -> None:
    views = Views()
    view = views.enter("c1", "ada")
    assert views.cookie("c1", view) == "ada"
    assert views.cookie("c2", view) is None
    assert views.cookie("c1", view[:-1]) is None
    assert views.cookie("c1", "") is None
    assert views.enter("c1", "ada") == view
    assert len({view, views.enter("c2", "ada"), views.enter("c1", "tomas")}) == 3


def test_a_view_that_is_not_used_ends() -> None:
    clock = FakeClock()
    views = Views(clock.steady, seconds=10)
    view = views.enter("c1", "ada")
    for _ in range(3):
        clock.advance(9)
        assert views.cookie("c1", view) == "ada"
    clock.advance(10)
    assert views.cookie("c1", view) is None
    new = views.enter("c1", "ada")
    assert new != view
    assert views.enter("c1", "ada") == new
    assert views.cookie("c1", new) == "ada"


def test_of_too_many_the_least_used_goes() -> None:
    views = Views(most=2)
    first, second = views.enter("c1", "ada"), views.enter("c2", "ada")
    assert views.cookie("c1", first) == "ada"
    third = views.enter("c3", "ada")
    assert [views.cookie("c1", first), views.cookie("c2", second), views.cookie("c3", third)] == [
        "ada",
        None,
        "ada",
    ]


@given(NAMES, BELOW)
def test_what_is_put_into_an_address_comes_out_of_it(name: str, below: str) -> None:
    assert parted(named(name, below)) == (name, below)


@given(st.text() | BELOW | NAMES.map(lambda name: f"/~{name[1:]}/x"))
@example("/~" + "x" * 43)
@example("/a/~" + "x" * 43 + "/b")
def test_an_address_without_a_view_stays_as_it_is(below: str) -> None:
    assert parted(below) == (None, below)


@given(NAMES, st.sampled_from(["", "/", "/status", "/a?b=c", "?b=c", "/~x"]), st.text(max_size=9))
def test_no_log_names_a_view(name: str, below: str, before: str) -> None:
    said = without_names(f"{before}/clusters/c1/~{name}{below}")
    assert said == f"{before}/clusters/c1/~[secret]{below}"


@pytest.mark.parametrize("below", ["", "?a=b", "status"])
def test_a_view_s_address_ends_before_what_is_below(below: str) -> None:
    assert named("x", below) == f"/~x/{below}"
