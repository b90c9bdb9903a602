"""Durations and sizes."""

from __future__ import annotations

import re
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from panneuro_hub.collaboration.units import (
    format_duration,
    format_memory,
    parse_duration,
    parse_memory,
)

TEN_YEARS = timedelta(days=3660)
durations = st.integers(1, int(TEN_YEARS.total_seconds())).map(lambda n: timedelta(seconds=n))


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("90s", timedelta(seconds=90)),
        ("30m", timedelta(minutes=30)),
        ("12h", timedelta(hours=12)),
        ("30d", timedelta(days=30)),
        ("007m", timedelta(minutes=7)),
        ("3660d", TEN_YEARS),
    ],
)
def test_durations(text: str, duration: timedelta) -> None:
    assert parse_duration(text) == duration


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("30", "'30' is not a duration; write a whole number and s, m, h or d: 30m"),
        (30, "30 is not a duration; write a whole number and s, m, h or d: 30m"),
        (True, "true is not a duration; write a whole number and s, m, h or d: 30m"),
        (["30m"], "a list is not a duration; write a whole number and s, m, h or d: 30m"),
        ("30 m", "'30 m' is not a duration; write a whole number and s, m, h or d: 30m"),
        ("-30m", "'-30m' is not a duration; write a whole number and s, m, h or d: 30m"),
        ("1.5h", "'1.5h' is not a duration; write a whole number and s, m, h or d: 30m"),
        ("30m\n", "'30m\\n' is not a duration; write a whole number and s, m, h or d: 30m"),
        ("٣m", "'٣m' is not a duration; write a whole number and s, m, h or d: 30m"),
        ("0h", "'0h' is no time at all; write 1s or more"),
        ("3661d", "'3661d' is more than ten years; write less"),
        ("999999999d", "'999999999d' is more than ten years; write less"),
        ("9999999999d", "'9999999999d' is not a duration; write a whole number and s, m, h or d"),
    ],
)
def test_no_durations(value: object, says: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(says)}"):
        parse_duration(value)


@given(durations)
def test_a_duration_survives_being_written(duration: timedelta) -> None:
    assert parse_duration(format_duration(duration)) == duration
    assert parse_duration(duration) == duration


@given(st.sampled_from("smhd"), st.integers(1, 999))
def test_a_written_duration_is_the_shortest(unit: str, count: int) -> None:
    text = f"{count}{unit}"
    assert len(format_duration(parse_duration(text))) <= len(text)


@pytest.mark.parametrize(
    ("value", "size"),
    [
        ("1K", 1024),
        ("512M", 512 * 1024**2),
        ("8G", 8 * 1024**3),
        ("1.5T", 3 * 1024**4 // 2),
        (4096, 4096),
        (1, 1),
    ],
)
def test_sizes(value: object, size: int) -> None:
    assert parse_memory(value) == size


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("8", "'8' is not a size; write a number and K, M, G or T: 8G"),
        ("8GB", "'8GB' is not a size; write a number and K, M, G or T: 8G"),
        ("8 G", "'8 G' is not a size; write a number and K, M, G or T: 8G"),
        ("8g", "'8g' is not a size; write a number and K, M, G or T: 8G"),
        ("-8G", "'-8G' is not a size; write a number and K, M, G or T: 8G"),
        ("8G\n", "'8G\\n' is not a size; write a number and K, M, G or T: 8G"),
        (8.5, "8.5 is not a size; write a number and K, M, G or T: 8G"),
        (True, "true is not a size; write a number and K, M, G or T: 8G"),
        (None, "nothing is not a size; write a number and K, M, G or T: 8G"),
        (date(2027, 1, 31), "2027-01-31 is not a size; write a number and K, M, G or T: 8G"),
        ("0G", "'0G' is no memory at all; write more, such as 8G"),
        ("0.0001K", "'0.0001K' is no memory at all; write more, such as 8G"),
        (0, "0 is no memory at all; write more, such as 8G"),
        (-1, "-1 is no memory at all; write more, such as 8G"),
    ],
)
def test_no_sizes(value: object, says: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(says)}"):
        parse_memory(value)


@given(st.integers(1, 1023), st.sampled_from("KMGT"))
def test_a_round_size_survives_being_written(count: int, unit: str) -> None:
    text = f"{count}{unit}"
    assert format_memory(parse_memory(text)) == text


@given(st.integers(1024, 2**50))
def test_a_written_size_is_near(size: int) -> None:
    assert abs(parse_memory(format_memory(size)) - size) <= size * 0.06


@given(st.text(max_size=12))
def test_every_text_is_a_quantity_or_refused(text: str) -> None:
    for parse in (parse_duration, parse_memory):
        try:
            value = parse(text)
        except ValueError:
            continue
        assert value
