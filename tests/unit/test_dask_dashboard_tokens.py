"""Views of dashboards: whose they are, how long they stay, and how an address names them."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from testing.clocks import FakeClock

from panneuro_hub.dask.dashboard_tokens import DashboardTokens, add_token, mask_tokens, split_token

NAMES = st.from_regex(r"[A-Za-z0-9_-]{43}", fullmatch=True)
BELOW = st.text().map(lambda text: "/" + text)


def test_a_view_is_of_one_cluster_and_one_person() -> None:
    tokens = DashboardTokens()
    view = tokens.open_token("c1", "ada")
    assert tokens.find_cookie("c1", view) == "ada"
    assert tokens.find_cookie("c2", view) is None
    assert tokens.find_cookie("c1", view[:-1]) is None
    assert tokens.find_cookie("c1", "") is None
    assert tokens.open_token("c1", "ada") == view
    assert len({view, tokens.open_token("c2", "ada"), tokens.open_token("c1", "tomas")}) == 3


def test_a_view_that_is_not_used_ends() -> None:
    clock = FakeClock()
    tokens = DashboardTokens(clock.steady, lifetime=10)
    view = tokens.open_token("c1", "ada")
    for _ in range(3):
        clock.advance(9)
        assert tokens.find_cookie("c1", view) == "ada"
    clock.advance(10)
    assert tokens.find_cookie("c1", view) is None
    new = tokens.open_token("c1", "ada")
    assert new != view
    assert tokens.open_token("c1", "ada") == new
    assert tokens.find_cookie("c1", new) == "ada"


def test_of_too_many_the_least_used_goes() -> None:
    tokens = DashboardTokens(max_tokens=2)
    first, second = tokens.open_token("c1", "ada"), tokens.open_token("c2", "ada")
    assert tokens.find_cookie("c1", first) == "ada"
    third = tokens.open_token("c3", "ada")
    assert [
        tokens.find_cookie("c1", first),
        tokens.find_cookie("c2", second),
        tokens.find_cookie("c3", third),
    ] == [
        "ada",
        None,
        "ada",
    ]


@given(NAMES, BELOW)
def test_what_is_put_into_an_address_comes_out_of_it(name: str, below: str) -> None:
    assert split_token(add_token(name, below)) == (name, below)


@given(st.text() | BELOW | NAMES.map(lambda name: f"/~{name[1:]}/x"))
@example("/~" + "x" * 43)
@example("/a/~" + "x" * 43 + "/b")
def test_an_address_without_a_view_stays_as_it_is(below: str) -> None:
    assert split_token(below) == (None, below)


@given(NAMES, st.sampled_from(["", "/", "/status", "/a?b=c", "?b=c", "/~x"]), st.text(max_size=9))
def test_no_log_names_a_view(name: str, below: str, before: str) -> None:
    said = mask_tokens(f"{before}/clusters/c1/~{name}{below}")
    assert said == f"{before}/clusters/c1/~[secret]{below}"


@pytest.mark.parametrize("below", ["", "?a=b", "status"])
def test_a_view_s_address_ends_before_what_is_below(below: str) -> None:
    assert add_token("x", below) == f"/~x/{below}"
