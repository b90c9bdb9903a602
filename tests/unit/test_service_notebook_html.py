"""A notebook from outside becomes a page that does nothing, and says what it leaves out."""

from __future__ import annotations

import re

import pytest
from hostile_notebooks import HTML, LINKS, checked, corpus, no_notebooks
from hypothesis import given, settings
from hypothesis import strategies as st
from shared_notebooks import code, encoded, ipynb, markdown, png, shown

from panneuro_hub.catalog.json_fields import MalformedRecordError
from panneuro_hub.service.browse.notebook_html import (
    NOTEBOOK_POLICY,
    PAGE_STYLE,
    render_notebook_html,
)
from panneuro_hub.service.browse.safe_html import (
    ALLOWED_CLASSES,
    LEFT_OUT_CLASS,
    make_picture_url,
    sanitize_html,
)

_CORPUS = corpus()
_PIECES = st.sampled_from(
    [
        *HTML,
        *LINKS,
        *(
            "<",
            ">",
            '"',
            "'",
            "&",
            "`",
            "</",
            "/>",
            "<!--",
            "-->",
            "]]>",
            "\n\n",
            "    ",
            "$",
            "$$",
        ),
        *("<table>", "<tr>", "<td>", "<style>", "<svg>", "<math>", "<title>", "<select>", "<p>"),
        *("attachment:", "data:", "javascript:", "&#x6A;", "\x00", "\ud800", "\x1b[1m"),
    ]
)


def assert_clean(html: str) -> None:
    """It does nothing, and is what it is to whoever reads it again."""
    again = checked(sanitize_html(html))
    assert checked(html).elements == again.elements
    assert "".join(checked(html).text) == "".join(again.text)


@pytest.mark.parametrize("name", _CORPUS)
def test_a_hostile_notebook_does_nothing(name: str) -> None:
    checked(render_notebook_html(_CORPUS[name]))


@pytest.mark.parametrize("html", HTML)
def test_the_cleaner_alone_holds(html: str) -> None:
    for given_html in (html, html * 3, f"<table><tr><td>{html}", f"<p title='{html}'>"):
        assert_clean(sanitize_html(given_html))


@given(st.lists(_PIECES | st.text(max_size=10), max_size=12).map("".join))
def test_nothing_that_is_put_together_comes_through_the_cleaner(html: str) -> None:
    assert_clean(sanitize_html(html))


@settings(max_examples=60)
@given(st.lists(_PIECES | st.text(max_size=10), max_size=8).map("".join))
def test_nothing_that_is_put_together_comes_alive(text: str) -> None:
    rich = [shown(text_html=text), shown(text_markdown=text), shown(text_plain=text)]
    checked(render_notebook_html(ipynb(markdown(text), code(text, *rich), title=text)))


@pytest.mark.parametrize("name", no_notebooks())
def test_what_is_no_notebook_is_refused_in_words(name: str) -> None:
    with pytest.raises(MalformedRecordError, match=r"^the notebook"):
        render_notebook_html(no_notebooks()[name])


def test_a_page_shows_what_the_notebook_has() -> None:
    made = render_notebook_html(
        ipynb(
            markdown("# Tuning curves\n\nOf *monkey* [one](https://example.org/a?b=1&c=2), $x^2$"),
            code(
                "import numpy as np  # numbers\nprint('x')",
                {"output_type": "stream", "name": "stdout", "text": ["one\n", "two\n"]},
                {"output_type": "stream", "name": "stdout", "text": "three\n"},
                shown(
                    text_html="<table><tr><th scope='col'>rate</th></tr></table>", text_plain="no"
                ),
                shown(image_png=[encoded(png())], text_plain="<Figure>"),
                {
                    "output_type": "error",
                    "ename": "E",
                    "evalue": "v",
                    "traceback": ["\x1b[31mboom"],
                },
            ),
            markdown(
                "![a map](attachment:my%20map.png)",
                attachments={"my map.png": {"image/png": encoded(png(1, 1))}},
            ),
            {"cell_type": "raw", "source": "as <it> is", "metadata": {}},
        )
    )
    seen = checked(made)
    text = " ".join(seen.text)
    for words in (
        "Tuning curves",
        "monkey",
        "x^2",
        "one\ntwo\nthree",
        "rate",
        "boom",
        "as <it> is",
    ):
        assert words in text
    assert "<title>Tuning curves</title>" in made
    assert "<h1>Tuning curves</h1>" in made
    assert '<a href="https://example.org/a?b=1&amp;c=2"' in made
    assert '<span class="kn">import</span>' in made
    assert '<span class="ansi-red-fg">boom</span>' in made
    assert f'src="data:image/png;base64,{encoded(png())}"' in made
    assert f'src="data:image/png;base64,{encoded(png(1, 1))}"' in made
    assert 'alt="a map"' in made
    assert "no" not in text.split()
    assert LEFT_OUT_CLASS not in made.partition("</style>")[2]


def test_a_page_says_what_it_leaves_out() -> None:
    widget = {"application/vnd.jupyter.widget-view+json".replace("/", "_", 1): {"model_id": "x"}}
    cases = {
        "a widget, which lives in a running notebook": shown(**widget, text_plain="Button()"),
        "a script": shown(application_javascript="alert(1)"),
        "a part that needs scripts": shown(text_html="<div id=x></div><script>draw()</script>"),
        "a drawing in SVG": shown(**{"image_svg+xml": "<svg/>"}),
        "a picture that is too large, or none of its kind": shown(image_png="AAAA"),
        "an output of no known kind": shown(**{"application_x-new": "?"}),
    }
    for words, output in cases.items():
        made = render_notebook_html(ipynb(code("", output)))
        assert f'<p class="left-out">Not shown: {words}; open a copy' in made, words
    assert "Button()" in render_notebook_html(
        ipynb(code("", cases["a widget, which lives in a running notebook"]))
    )


def test_a_title_is_text() -> None:
    made = render_notebook_html(ipynb(markdown("# rates < 5 & </title> <script")))
    assert "<title>rates &lt; 5 &amp; &lt;script</title>" in made
    checked(made)


def test_what_is_operated_is_shown_as_text() -> None:
    operated = shown(text_html="<input type=checkbox><ul><li>Dimensions</ul>", text_plain="Dims: 3")
    made = render_notebook_html(ipynb(code("", operated)))
    assert "Dims: 3" in made
    assert "Dimensions" not in made
    assert LEFT_OUT_CLASS not in made.partition("</style>")[2]
    assert "Dimensions" in render_notebook_html(
        ipynb(code("", shown(text_html=operated["data"]["text/html"])))
    )


def test_the_style_is_the_page_s_own() -> None:
    made = render_notebook_html(ipynb(markdown("x")))
    assert made.count("<style>") == 1
    assert f"<style>{PAGE_STYLE}</style>" in made
    assert "url(" not in PAGE_STYLE
    assert "@import" not in PAGE_STYLE
    for name in re.findall(r"\.([a-z][a-z0-9_-]*)\b(?=[^{}]*{)", PAGE_STYLE):
        assert name in ALLOWED_CLASSES, name


def test_the_policy_lets_nothing_run_and_nothing_be_fetched() -> None:
    rules = dict(rule.strip().partition(" ")[::2] for rule in NOTEBOOK_POLICY.split(";"))
    assert rules["default-src"] == "'none'"
    assert "script-src" not in rules
    assert "allow-scripts" not in rules["sandbox"]
    assert "allow-same-origin" not in rules["sandbox"]
    assert rules["img-src"] == "data:"
    assert re.fullmatch(r"'sha256-[A-Za-z0-9+/]{43}='", rules["style-src"])
    assert rules["base-uri"] == rules["form-action"] == "'none'"


def test_a_picture_is_one_of_its_kind() -> None:
    assert make_picture_url("png", encoded(png())) == f"data:image/png;base64,{encoded(png())}"
    wrapped = "\n".join(encoded(png())[at : at + 20] for at in range(0, 200, 20))
    assert make_picture_url("png", wrapped) == f"data:image/png;base64,{encoded(png())}"
    assert make_picture_url("jpeg", encoded(png())) is None
    assert make_picture_url("svg+xml", encoded(b"<svg/>")) is None
    assert make_picture_url("png", "%%%") is None
    assert make_picture_url("png", "") is None
