"""Names that can be an account's, and what is said of those that cannot."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from panneuro_hub.hub.account_names import find_account_name_problem


@pytest.mark.parametrize(
    "name",
    [
        "ada",
        "ada.monkman@uni.example",
        "Ünïcödé ✓",
        "-dash-",
        "{username}",
        "quote'\"<b>&%2F",
        "x" * 255,
        "می‌خواهم",  # a joiner between letters is how it is written
    ],
)
def test_unusual_names_are_names(name: str) -> None:
    assert find_account_name_problem(name) is None


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("", "empty"),
        (" \t", "empty"),
        (" ada", "space"),
        ("ada\n", "space"),
        ("ada/admin", "'/'"),
        ("..", "folder"),
        ("%2e", "folder"),
        ("x" * 256, "256 characters, and 255 are the most"),
        ("a\0da", "control character in it (U+0000)"),
        ("line\nbreak", "U+000A"),
        ("line\u2028break", "U+2028"),
        ("half\ud800", "U+D800"),
    ],
)
def test_what_is_wrong_with_the_others_is_said(name: str, says: str) -> None:
    assert says in (find_account_name_problem(name) or "")


@given(st.text())
def test_what_can_be_a_name_can_be_stored_and_stands_on_one_line(name: str) -> None:
    problem = find_account_name_problem(name)
    if problem is None:
        assert name.encode()
        assert name.splitlines() == [name]
        assert "\0" not in name
    else:
        assert problem.isascii()
        assert problem.isprintable()
