"""What a listing shows is text, whoever wrote it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from panneuro_hub.catalog import DatasetRecord, FileRow, Manifest
from panneuro_hub.catalog.text_format import format_size
from panneuro_hub.lab.dataset_list import DatasetList, OpenableDataset
from panneuro_hub.lab.text_tables import clean_line, format_html_table, format_table

RECORD = DatasetRecord.of(
    Manifest(
        dataset="day-1",
        project="nav",
        format="nwb",
        created=datetime(2026, 11, 2, tzinfo=UTC),
        created_by="ada",
        title="Day 1",
        subjects=("a", "b", "c", "d", "e"),
        files=(FileRow("x.nwb", 2_500_000, "0" * 64),),
    )
)


def found(record: DatasetRecord | None, name: str = "nav/day-1") -> OpenableDataset:
    return OpenableDataset(name, "nav", record, None, frozen=False, opener=open_nothing)


def open_nothing(name: str, **options: object) -> tuple[str, dict[str, object]]:
    return name, options


class Tags(HTMLParser):
    """Which tags a page has."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.attributes: list[object] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.attributes += attrs


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (999.5, "1.0 kB"),
        (1000, "1.0 kB"),
        (34_560, "34.6 kB"),
        (99_949, "99.9 kB"),
        (99_950, "100 kB"),
        (346_000, "346 kB"),
        (999_499, "999 kB"),
        (999_999, "1.0 MB"),
        (5 * 2**40, "5.5 TB"),
        (10**19, "10000 PB"),
    ],
)
def test_sizes_are_for_people(size: float, text: str) -> None:
    assert format_size(size) == text


@given(st.lists(st.fixed_dictionaries({"a": st.text(), "b": st.text()}), max_size=4))
def test_no_text_comes_alive(rows: list[dict[str, str]]) -> None:
    tags = Tags()
    tags.feed(format_html_table(rows))
    assert tags.seen <= {"table", "thead", "tbody", "tr", "th", "td"}
    assert tags.attributes == []
    lines = format_table(rows)
    assert len(lines) == (len(rows) + 1 if rows else 0)
    assert all(line.isprintable() for line in lines)


@given(st.text())
def test_a_cell_is_one_short_printable_line(text: str) -> None:
    assert clean_line(text).isprintable()
    assert len(clean_line(text)) <= 60


def test_a_hostile_title_stays_text() -> None:
    hostile = replace(RECORD, title="<img src=x onerror=alert(1)>", subjects=("<b>",))
    page = DatasetList([found(hostile)], ["<script>x</script>"])._repr_html_()
    tags = Tags()
    tags.feed(page)
    assert not tags.seen & {"img", "b", "script"}


def test_columns_that_say_nothing_are_left_out() -> None:
    assert repr(DatasetList([found(RECORD)])) == (
        "dataset    title  who  when        size    format  subjects\n"
        "nav/day-1  Day 1  ada  2026-11-02  2.5 MB  nwb     a, b, c and 2 more"
    )
    assert repr(DatasetList([])) == "no datasets"


def test_a_listing_is_a_sequence_by_number_and_by_name() -> None:
    listed = DatasetList([found(RECORD, "nav/b"), found(RECORD, "nav/a")])
    assert [one.name for one in listed] == ["nav/a", "nav/b"]
    assert listed[0] is listed["nav/a"]
    assert [one.name for one in listed[1:]] == ["nav/b"]
    assert len(listed.find("DAY nwb")) == 2
    assert len(listed.find("day zarr")) == 0
    with pytest.raises(KeyError):
        listed["nav/c"]


def test_a_dataset_is_opened_by_its_name_with_the_same_options() -> None:
    assert found(RECORD).open(chunks={}) == ("nav/day-1", {"chunks": {}})


def test_a_request_to_wait_is_shown_until_its_day_and_not_as_an_embargo() -> None:
    assert found(replace(RECORD, asks_to_wait_until=date(2999, 1, 1))).state == (
        "author asks to wait until 2999-01-01"
    )
    assert found(replace(RECORD, asks_to_wait_until=date(2020, 1, 1))).state == ""
