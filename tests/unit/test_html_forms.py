"""HTML forms as a person meets them."""

from __future__ import annotations

from html import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from panneuro_hub.devstack.errors import DevstackError
from panneuro_hub.devstack.html_forms import extract_text, find_form, find_forms

PAGE = """
<html><head><style>p { color: red }</style><script>var x = "<form>";</script></head><body>
<form action="/search"><input name="q"></form>
<form action="/hub/spawn?_xsrf=a%3Db" method="POST">
  <input type="hidden" name="_xsrf" value="token">
  <input type="radio" name="project" value="one">
  <input type="radio" name="project" value="two" checked>
  <input type="radio" name="project" value="three" disabled>
  <input type="checkbox" name="news">
  <select name="image"><option value="a">A</option><option value="b" selected>B</option></select>
  <select name="size"><option value="s">S</option><option value="m">M</option></select>
  <textarea name="note">as &lt;before&gt;</textarea>
  <button type="submit">Start &amp; wait</button>
</form></body></html>
"""
ANY_TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=30)


def test_form_sends_what_it_stands_at() -> None:
    form = find_form(PAGE, {"project": "one"})

    assert (form.action, form.method) == ("/hub/spawn?_xsrf=a%3Db", "post")
    assert form.filled({}) == {
        "_xsrf": "token",
        "project": "two",
        "image": "b",
        "size": "s",
        "note": "as <before>",
    }


def test_choices_replace_what_stood() -> None:
    filled = find_form(PAGE, {"project": "one"}).filled(
        {"project": "one", "news": "on", "note": "new"}
    )

    assert (filled["project"], filled["news"], filled["note"]) == ("one", "on", "new")
    assert filled["image"] == "b"


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"profile": "small"}, "no field 'profile'; it has _xsrf, project"),
        ({"project": "four"}, "does not offer 'four' for 'project': one, two"),
        ({"project": "three"}, "does not offer 'three'"),
        ({"_xsrf": "forged"}, "does not offer 'forged' for '_xsrf'"),
    ],
)
def test_what_a_person_cannot_choose_is_refused(choices: dict[str, str], message: str) -> None:
    with pytest.raises(DevstackError, match=message):
        find_form(PAGE, {"project": "one"}).filled(choices)


def test_the_form_that_takes_the_choice_is_found() -> None:
    a_button_each = "".join(
        f'<form action="/{name}"><button name="sub" value="{name}">{name}</button></form>'
        for name in ("ada", "mina")
    )
    own = '<form action="/own"><input name="sub"></form>'

    assert find_form(a_button_each, {"sub": "mina"}).action == "/mina"
    assert find_form(a_button_each + own, {"sub": "zoe"}).action == "/own"
    with pytest.raises(DevstackError, match="does not offer 'zoe' for 'sub': ada"):
        find_form(a_button_each, {"sub": "zoe"})


def test_missing_form_says_what_was_expected() -> None:
    with pytest.raises(DevstackError, match="a form with password, but the page has 2 others"):
        find_form(PAGE, {"password": "x"})


def test_text_is_what_a_person_reads() -> None:
    assert extract_text(PAGE) == "A B S M as <before> Start & wait"
    assert extract_text("<h1>nhp-<wbr>navi_<wbr>x</h1>gation<b>!</b>") == "nhp-navi_x gation !"


@given(st.dictionaries(ANY_TEXT.filter(bool), ANY_TEXT, max_size=5))
def test_any_names_and_values_come_through(fields: dict[str, str]) -> None:
    inputs = "".join(
        f'<input name="{escape(name)}" value="{escape(value)}">' for name, value in fields.items()
    )

    (form,) = find_forms(f"<form>{inputs}</form>")

    assert form.filled({}) == fields


@given(st.text(max_size=200))
def test_any_page_can_be_read(page: str) -> None:
    for form in find_forms(page):
        form.filled({})
    extract_text(page)
