"""Records of notebooks survive the journey, and a store may hold anything beside them."""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from obstore.store import MemoryStore
from shared_notebooks import CREATED, code, ipynb, png, published

from panneuro_hub.catalog import notebook_records as published_module
from panneuro_hub.catalog import notebook_store
from panneuro_hub.catalog.dataset_records import list_catalog as dataset_listing
from panneuro_hub.catalog.dataset_records import publish_dataset as publish_dataset
from panneuro_hub.catalog.dataset_records import rebuild_catalog
from panneuro_hub.catalog.json_fields import MalformedRecordError, is_visible
from panneuro_hub.catalog.manifest import Manifest
from panneuro_hub.catalog.notebook_records import (
    LARGEST_NOTEBOOK,
    LARGEST_RECORD,
    LAST_NUMBER,
    NotebookEnvironment,
    NotebookRecord,
    find_notebook_problem,
    make_notebook_key,
    parse_notebook_key,
    split_label,
)
from panneuro_hub.catalog.notebook_store import NotebookNotFoundError, NotebookVersionError

NOTEBOOK = ipynb(code("1 + 1"))
OTHER = ipynb(code("2 + 2"))
RECORD = published(NOTEBOOK)

SEGMENTS = st.text("abzAZ019._=+,-", min_size=1, max_size=30).filter(lambda s: s[0] != ".")
NAMES = st.lists(SEGMENTS, min_size=1, max_size=4).map("/".join)
LINES = st.text(st.characters().filter(is_visible), max_size=60)
TEXTS = st.text(st.one_of(st.characters().filter(is_visible), st.sampled_from("\n\t")), max_size=60)
SHA = st.binary(min_size=32, max_size=32).map(bytes.hex)
RECORDS = st.builds(
    NotebookRecord,
    project=st.just("nav"),
    name=NAMES,
    number=st.integers(1, LAST_NUMBER),
    created=st.datetimes(datetime(1972, 1, 1), datetime(9990, 1, 1)).map(  # noqa: DTZ001
        lambda moment: moment.replace(tzinfo=CREATED.tzinfo)
    ),
    created_by=LINES,
    size=st.integers(0, LARGEST_NOTEBOOK),
    sha256=SHA,
    title=LINES,
    description=TEXTS,
    note=TEXTS,
    environment=st.builds(
        NotebookEnvironment,
        image=LINES,
        language=LINES,
        language_version=LINES,
        packages=st.lists(LINES, max_size=3).map(tuple),
    ),
    datasets=st.lists(NAMES.map(lambda name: f"stimuli/{name}"), max_size=3).map(tuple),
    preview_sha256=st.none() | SHA,
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@given(RECORDS)
def test_a_record_survives_the_journey(record: NotebookRecord) -> None:
    assert NotebookRecord.decode(record.encode()) == record


def test_what_is_written_is_what_was_agreed() -> None:
    assert json.loads(RECORD.encode()) == {
        "version": 1,
        "project": "nav",
        "name": "tuning",
        "number": 1,
        "title": "Tuning curves",
        "description": "",
        "note": "",
        "created": "2026-11-02T09:15:00Z",
        "created_by": "ada",
        "bytes": len(NOTEBOOK),
        "sha256": hashlib.sha256(NOTEBOOK).hexdigest(),
        "preview_sha256": None,
        "datasets": ["nav/session-12"],
        "environment": {
            "image": "neuro",
            "language": "python",
            "language_version": "3.12.4",
            "packages": ["numpy==2.1.0"],
        },
    }


def test_keys_of_newer_versions_are_ignored() -> None:
    document = json.loads(RECORD.encode()) | {"new": {"x": [1]}}
    document["environment"]["new"] = 1
    assert NotebookRecord.from_json(document) == RECORD


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"version": 2}, "version 2, and this program knows 1"),
        ({"project": "No project"}, "project must be the name of a project"),
        ({"name": "../x"}, "no dot at its beginning"),
        ({"name": "a@2"}, "'@' in it"),
        ({"number": 0}, "number must be a whole number from 1"),
        ({"number": LAST_NUMBER + 1}, "number must be a whole number from 1"),
        ({"number": True}, "number must be a whole number"),
        ({"created": "yesterday"}, "created must be a time"),
        ({"created_by": "a\nb"}, "created_by has the character"),
        ({"bytes": LARGEST_NOTEBOOK + 1}, "bytes must be a whole number"),
        ({"sha256": "ABC"}, "sha256 must be 64"),
        ({"preview_sha256": "ABC"}, "preview_sha256 must be 64"),
        ({"preview_sha256": 7}, "preview_sha256 must be a text"),
        ({"title": "x" * 501}, "title is longer than 500"),
        ({"title": "\x1b[31m"}, "title has the character"),
        ({"description": "x" * 10_001}, "description is longer"),
        ({"environment": []}, "environment must be an object"),
        ({"environment": {"packages": ["x"] * 3001}}, "more than 3000 entries"),
        ({"environment": {"packages": [1]}}, "packages must be a list of texts"),
        ({"environment": {"image": "x" * 501}}, "image is longer"),
        ({"datasets": ["nav/x"] * 501}, "more than 500 entries"),
        ({"datasets": ["nav"]}, "which names no dataset"),
        ({"datasets": ["nav/../human"]}, "which names no dataset"),
        ({"datasets": ["javascript:alert(1)//x"]}, "which names no dataset"),
    ],
)
def test_what_is_malformed_is_refused_in_words(change: dict[str, Any], why: str) -> None:
    with pytest.raises(MalformedRecordError, match=why):
        NotebookRecord.from_json({**json.loads(RECORD.encode()), **change})


@given(JSON, st.sampled_from(sorted(json.loads(RECORD.encode()))))
def test_no_field_breaks_the_reader(value: Any, field: str) -> None:
    document = {**json.loads(RECORD.encode()), field: value}
    try:
        made = NotebookRecord.decode(json.dumps(document))
    except MalformedRecordError:
        return
    assert NotebookRecord.decode(made.encode()) == made


@given(st.binary(max_size=60))
def test_no_bytes_break_the_reader(data: bytes) -> None:
    with pytest.raises(MalformedRecordError):
        NotebookRecord.decode(data)


@given(NAMES, st.integers(1, LAST_NUMBER))
def test_a_key_leads_back_to_its_version(name: str, number: int) -> None:
    for ending in ("ipynb", "json", "png"):
        key = make_notebook_key(name, number, ending)
        assert parse_notebook_key(key) == (name, number, ending)
        assert key.count("/") == 3


@given(st.text(max_size=40))
def test_other_keys_are_no_version_s(text: str) -> None:
    assert parse_notebook_key(text) is None
    place = parse_notebook_key(f".panneuro/notebooks/{text}")
    assert place is None or make_notebook_key(*place) == f".panneuro/notebooks/{text}"


@pytest.mark.parametrize(
    "key",
    [
        ".panneuro/notebooks/x/0000.json",
        ".panneuro/notebooks/x/1.json",
        ".panneuro/notebooks/x/00001.json",
        ".panneuro/notebooks/x/٠٠٠١.json",
        ".panneuro/notebooks/x/0001.html",
        ".panneuro/notebooks/a/b/0001.json",
        ".panneuro/notebooks/%2e%2e/0001.json",
        ".panneuro/notebooks/a%2fb/0001.json",
        ".panneuro/notebooks/a%402/0001.json",
        ".panneuro/notebooks/<script>/0001.json",
        "x/.panneuro/notebooks/a/0001.json",
    ],
)
def test_a_key_that_is_written_otherwise_is_none(key: str) -> None:
    assert parse_notebook_key(key) is None


def test_a_version_is_named_with_its_number() -> None:
    assert split_label("nav/a@12") == ("nav/a", 12)
    assert split_label("nav/a") == ("nav/a", None)
    assert split_label("nav/a@b") == ("nav/a@b", None)
    assert (
        find_notebook_problem("a@b")
        == "'a@b' has an '@' in it, which begins the number of a version"
    )
    assert find_notebook_problem("") == "a notebook needs a name, such as 'session-12'"


def put(store: MemoryStore, notebook: bytes = NOTEBOOK, **changes: Any) -> NotebookRecord:
    return notebook_store.publish_version(store, notebook, published(notebook, **changes))


def test_versions_come_one_after_the_other_and_stay(store: MemoryStore) -> None:
    first, second = put(store), put(store, OTHER)
    third = put(store, created=CREATED + timedelta(days=1))
    assert [one.number for one in (first, second, third)] == [1, 2, 3]
    put(store, name="2026/other")
    listed = notebook_store.list_notebooks(store, "nav")
    assert listed.problems == ()
    assert [one.name for one in listed.notebooks] == ["2026/other", "tuning"]
    assert listed.notebooks[1].versions == (first, second, third)
    assert listed.notebooks[1].latest == third
    assert notebook_store.read_history(store, "nav", "tuning").notebooks == (listed.notebooks[1],)
    assert notebook_store.read_notebook(store, first) == NOTEBOOK
    assert notebook_store.read_notebook(store, second) == OTHER
    assert notebook_store.find_version(store, "nav", "tuning") == third
    assert notebook_store.find_version(store, "nav", "tuning", 2) == second


def test_what_is_not_there_is_said(store: MemoryStore) -> None:
    assert notebook_store.list_notebooks(store, "nav") == notebook_store.NotebookListing((), ())
    for number, words in (
        (None, "there is no notebook nav/a"),
        (3, "there is no notebook nav/a@3"),
    ):
        with pytest.raises(NotebookNotFoundError, match=words):
            notebook_store.find_version(store, "nav", "a", number)
    for name in ("..", "a/../b", "", "a@1", "x" * 300):
        with pytest.raises(NotebookNotFoundError):
            notebook_store.find_version(store, "nav", name)
        assert notebook_store.read_history(store, "nav", name).notebooks == ()


def test_doing_it_again_after_a_break_makes_no_second_version(store: MemoryStore) -> None:
    made = put(store)
    assert put(store) == made
    store.delete(make_notebook_key("tuning", 1, "json"))
    assert put(store) == made
    assert [
        one.number for one in notebook_store.list_notebooks(store, "nav").notebooks[0].versions
    ] == [1]


def test_a_version_that_broke_off_is_nobody_else_s(store: MemoryStore) -> None:
    store.put(make_notebook_key("tuning", 1, "ipynb"), OTHER)
    (trouble,) = notebook_store.list_notebooks(store, "nav").problems
    assert str(trouble) == (
        ".panneuro/notebooks/tuning/0001.ipynb: it has no record: its publication is under "
        "way or was interrupted"
    )
    assert put(store).number == 2
    assert bytes(store.get(make_notebook_key("tuning", 1, "ipynb")).bytes()) == OTHER


def test_many_at_a_time_get_a_number_each(store: MemoryStore) -> None:
    made = [ipynb(code(str(number))) for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        numbers = list(pool.map(lambda one: put(store, one).number, made))
    assert sorted(numbers) == list(range(1, 9))
    (notebook,) = notebook_store.list_notebooks(store, "nav").notebooks
    assert sorted(notebook_store.read_notebook(store, one) for one in notebook.versions) == sorted(
        made
    )


def test_there_is_an_end_to_versions(store: MemoryStore) -> None:
    store.put(make_notebook_key("tuning", LAST_NUMBER, "json"), b"{}")
    with pytest.raises(NotebookVersionError, match="has 9999 versions"):
        put(store)
    for number in range(1, 21):
        store.put(make_notebook_key("busy", number, "ipynb"), b"{}")
    with pytest.raises(NotebookVersionError, match="others are publishing busy now"):
        put(store, name="busy")


def test_a_record_of_another_notebook_is_not_published(store: MemoryStore) -> None:
    with pytest.raises(MalformedRecordError, match="does not match this notebook"):
        notebook_store.publish_version(store, OTHER, RECORD)
    assert notebook_store.list_notebooks(store, "nav") == notebook_store.NotebookListing((), ())


def test_whatever_lies_there_ends_no_listing(store: MemoryStore) -> None:
    good = put(store)
    foreign = {
        make_notebook_key("tuning", 2, "json"): published(OTHER, number=3).encode(),
        make_notebook_key("tuning", 3, "json"): published(
            OTHER, number=3, project="human"
        ).encode(),
        make_notebook_key("tuning", 4, "json"): published(OTHER, number=4).encode(),
        make_notebook_key("tuning", 5, "json"): b"[" * 100_000,
        make_notebook_key("tuning", 6, "json"): b" " * (LARGEST_RECORD + 1),
        make_notebook_key("tuning", 7, "json"): published(OTHER, number=7).encode(),
        make_notebook_key("tuning", 7, "ipynb"): OTHER + b" ",
        make_notebook_key("tuning", 8, "png"): b"a picture alone is none's",
        ".panneuro/notebooks/readme.txt": b"",
        ".panneuro/notebooks/<b>/0001.json": b"",
    }
    for key, data in foreign.items():
        store.put(key, data)
    listed = notebook_store.list_notebooks(store, "nav")
    assert [one.versions for one in listed.notebooks] == [(good,)]
    said = {one.key.rpartition("/")[2]: one.reason for one in listed.problems}
    assert (
        said["0002.json"]
        == "it names the notebook nav/tuning@3, but its key is that of nav/tuning@2"
    )
    assert said["0003.json"].startswith("it names the notebook human/tuning@3, but its key")
    assert said["0004.json"] == "the notebook itself is not there"
    assert said["0005.json"] == "the notebook's record is not JSON"
    assert "the limit is" in said["0006.json"]
    assert f"has {len(OTHER) + 1} bytes, and its record says {len(OTHER)}" in said["0007.json"]
    assert said["readme.txt"] == "its name is not that of a notebook's version"
    assert len(listed.problems) == 8
    with pytest.raises(MalformedRecordError, match="is not JSON"):
        notebook_store.find_version(store, "nav", "tuning", 5)


def test_no_version_that_can_be_read_is_said_as_such(store: MemoryStore) -> None:
    store.put(make_notebook_key("tuning", 1, "json"), b"{}")
    with pytest.raises(
        MalformedRecordError, match=r"no version of nav/tuning can be read: .*version must be"
    ):
        notebook_store.find_version(store, "nav", "tuning")


def test_a_listing_has_bounds(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(1, 6):
        put(store, ipynb(code(str(number))))
    monkeypatch.setattr(notebook_store, "_MOST_OBJECTS", 4)
    listed = notebook_store.list_notebooks(store, "nav")
    assert sum(len(one.versions) for one in listed.notebooks) == 2
    assert listed.problems[0].reason == "only the first 4 objects of it were read"
    monkeypatch.setattr(notebook_store, "_MOST_OBJECTS", 100)
    monkeypatch.setattr(notebook_store, "_MOST_BYTES", 2 * len(RECORD.encode()) + 10)
    listed = notebook_store.list_notebooks(store, "nav")
    assert sum(len(one.versions) for one in listed.notebooks) == 2
    monkeypatch.setattr(notebook_store, "_MOST_PROBLEMS", 2)
    for number in range(5):
        store.put(f".panneuro/notebooks/{number}.txt", b"")
    assert len(notebook_store.list_notebooks(store, "nav").problems) == 3


def test_a_notebook_that_was_replaced_is_not_given(store: MemoryStore) -> None:
    made = put(store)
    key = make_notebook_key("tuning", 1, "ipynb")
    store.put(key, OTHER)
    with pytest.raises(MalformedRecordError, match="somebody has replaced it in the store"):
        notebook_store.read_notebook(store, made)
    store.put(key, NOTEBOOK + b" " * 2_000_000)
    with pytest.raises(MalformedRecordError, match="the limit is"):
        notebook_store.read_notebook(store, made)
    store.delete(key)
    with pytest.raises(NotebookNotFoundError, match="nav/tuning@1 has been removed"):
        notebook_store.read_notebook(store, made)


def test_a_preview_is_a_picture_or_nothing(store: MemoryStore) -> None:
    picture = png(3, 2)
    sha256 = hashlib.sha256(picture).hexdigest()
    made = notebook_store.publish_version(
        store, NOTEBOOK, published(NOTEBOOK, preview_sha256=sha256), picture
    )
    assert notebook_store.read_preview(store, made) == picture
    assert notebook_store.read_preview(store, published(NOTEBOOK)) is None
    key = make_notebook_key("tuning", 1, "png")
    store.put(key, png(3, 3))
    assert notebook_store.read_preview(store, made) is None
    store.put(key, b"x" * (published_module.LARGEST_PREVIEW + 1))
    assert notebook_store.read_preview(store, made) is None
    store.delete(key)
    assert notebook_store.read_preview(store, made) is None
    html = b"<script>alert(1)</script>"
    evil = published(OTHER, preview_sha256=hashlib.sha256(html).hexdigest(), name="evil")
    assert (
        notebook_store.read_preview(store, notebook_store.publish_version(store, OTHER, evil, html))
        is None
    )


def test_datasets_and_notebooks_do_not_meet(store: MemoryStore) -> None:
    put(store, name="session-12")
    publish_dataset(
        store,
        Manifest(
            dataset="session-12",
            project="nav",
            format="files",
            created=CREATED,
            created_by="ada",
            files=(),
        ),
    )
    before = {meta["path"] for page in store.list() for meta in page}
    assert rebuild_catalog(store).written == ()
    assert {meta["path"] for page in store.list() for meta in page} == before
    datasets = dataset_listing(store)
    assert [one.dataset for one in datasets.records] == ["session-12"]
    assert datasets.problems == ()
    listed = notebook_store.list_notebooks(store, "nav")
    assert [one.name for one in listed.notebooks] == ["session-12"]
    assert listed.problems == ()
