"""Reading YAML: the data, and the line of every key path."""

from __future__ import annotations

import calendar
import json
import math
import re
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from panneuro_hub.collaboration.message_words import KeyPath, format_key_path, quote_value
from panneuro_hub.collaboration.yaml_document import parse_yaml
from panneuro_hub.collaboration.yaml_scalars import resolve_scalar

_TEXTS = st.text(
    st.characters(exclude_categories=["Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"]), max_size=20
)
_LEAVES = _TEXTS | st.integers(-(10**17), 10**17) | st.booleans() | st.dates()
_BRANCHES = st.recursive(
    _LEAVES,
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3)
        | st.dictionaries(_TEXTS, inner, min_size=1, max_size=3)
    ),
    max_leaves=12,
)


def written(value: Any, path: KeyPath, indent: int, lines: dict[KeyPath, int]) -> list[str]:
    """`value` as YAML lines with one key or item a line; notes where each one comes to stand."""
    blanks = "  " * indent
    if isinstance(value, dict):
        parts = [
            (json.dumps(key, ensure_ascii=False) + ":", key, inner) for key, inner in value.items()
        ]
    else:
        parts = [("-", position, inner) for position, inner in enumerate(value)]
    text: list[str] = []
    for mark, part, inner in parts:
        here = (*path, part)
        start = len(text)
        if isinstance(inner, dict | list):
            nested: dict[KeyPath, int] = {}
            below = written(inner, here, indent + 1, nested)
            text += [f"{blanks}{mark}", *below]
            lines.update({place: line + start + 1 for place, line in nested.items()})
            # A list item begins where its first key does.
            lines[here] = start + (2 if mark == "-" else 1)
        else:
            shape = (
                inner.isoformat()
                if isinstance(inner, date)
                else json.dumps(inner, ensure_ascii=False)
            )
            text.append(f"{blanks}{mark} {shape}")
            lines[here] = start + 1
    return text


@given(st.dictionaries(_TEXTS, _BRANCHES, min_size=1, max_size=4))
def test_data_and_lines_come_back(data: dict[str, Any]) -> None:
    lines: dict[KeyPath, int] = {}
    text = "\n".join(written(data, (), 0, lines))
    document = parse_yaml(text, "x.yaml")
    assert document.data == data
    assert document.findings == ()
    assert {path: document.line(path) for path in lines} == lines
    assert dict(document.lines) == lines


def test_missing_keys_are_on_the_line_of_their_parent() -> None:
    document = parse_yaml("# x\n\na:\n  b:\n    - c\n    - {d: 1,\n       e: 2}\n", "x.yaml")
    assert document.line(()) == 1
    assert document.line(("z",)) == 1
    assert document.line(("a",)) == 3
    assert document.line(("a", "z", "y")) == 3
    assert document.line(("a", "b", 0)) == 5
    assert document.line(("a", "b", 1, "e")) == 7
    assert document.line(("a", "b", 1, "z")) == 6
    assert document.line(("a", "b", 9)) == 4


def test_numbers_and_days_keep_how_they_were_written() -> None:
    document = parse_yaml("a: 1.10\nb: 007\nc: [2027-01-31, x, True]\n", "x.yaml")
    assert dict(document.sources) == {
        ("a",): "1.10",
        ("b",): "007",
        ("c", 0): "2027-01-31",
        ("c", 2): "True",
    }


def test_each_key_that_is_there_twice_is_told_and_the_first_counts() -> None:
    document = parse_yaml("a: 1\nb: {c: 1, c: 2}\na:\n  x: 3\na: 4\n", "x.yaml")
    assert document.data == {"a": 1, "b": {"c": 1}}
    assert [(path, message.split(",")[1]) for path, message in document.findings] == [
        (("b", "c"), " on line 2 too; keep one"),
        (("a",), " on line 1 too; keep one"),
        (("a",), " on line 3 too; keep one"),
    ]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", "yes"),
        ("on", "on"),
        ("true", True),
        ("FALSE", False),
        ("tRue", "tRue"),
        ("0o17", "0o17"),
        ("0x1F", "0x1F"),
        ("1_000", "1_000"),
        ("12:30:45", "12:30:45"),
        ("-12", -12),
        ("1e3", 1000.0),
        (".5", 0.5),
        (".inf", ".inf"),
        (".nan", ".nan"),
        ("1.2.3", "1.2.3"),
        ("2027-01-31", date(2027, 1, 31)),
        ("2027-1-31", "2027-1-31"),
        ("2027-01-31 00:00:00", "2027-01-31 00:00:00"),
        ("٣", "٣"),
        ("9" * 18, 10**18 - 1),
        ("9" * 19, 1e19),
        ("9" * 5000, math.inf),
        ("null", None),
        ("", None),
    ],
)
def test_plain_scalars(text: str, value: object) -> None:
    resolved = resolve_scalar(text)
    assert (type(resolved), resolved) == (type(value), value)


@given(st.text(max_size=30))
def test_every_other_scalar_is_resolved(text: str) -> None:
    if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        return
    assert isinstance(resolve_scalar(text), str | int | float | bool | None)


@given(st.from_regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", fullmatch=True, alphabet="0123456789-"))
def test_every_day_is_one_of_the_calendar_or_refused(text: str) -> None:
    year, month, day = (int(part) for part in text.split("-"))
    if year and 1 <= month <= 12 and 1 <= day <= calendar.monthrange(year, month)[1]:
        assert resolve_scalar(text) == date(year, month, day)
    else:
        with pytest.raises(ValueError, match=f"{text} is no day of the calendar"):
            resolve_scalar(text)


def test_key_paths_as_text() -> None:
    path = ("teams", "a-b", "expires", "x.y@z", 3)
    assert format_key_path(path) == "teams.a-b.expires.'x.y@z'[3]"
    assert format_key_path(()) == ""
    assert format_key_path(("\x1b[31m",)) == "'\\x1b[31m'"


@given(st.text())
def test_shown_texts_are_short_and_can_be_printed(text: str) -> None:
    assert quote_value(text).isprintable()
    assert len(quote_value("x" * 100 + text)) == 83
