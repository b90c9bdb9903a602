"""Manifests, records and uploads survive the journey; what is malformed is refused with words."""

from __future__ import annotations

import hashlib
import json
import subprocess
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from panneuro_hub.catalog import (
    DatasetRecord,
    FileRow,
    MalformedRecordError,
    Manifest,
    UploadNote,
    digest_files,
    find_dataset_problem,
    find_path_problem,
    make_manifest_key,
    make_record_key,
    make_upload_key,
)
from panneuro_hub.catalog.dataset_keys import (
    LONGEST_DATASET,
    list_enclosing_names,
    parse_dataset_key,
)
from panneuro_hub.catalog.dataset_records import find_size_problem
from panneuro_hub.catalog.json_fields import DIRECTION_CONTROLS, find_text_problem, is_visible
from panneuro_hub.catalog.manifest import FORMATS, FileReplacement
from panneuro_hub.names import StorageLocation

SEGMENTS = st.text("abzAZ019._=+@,-", min_size=1, max_size=30).filter(lambda s: s[0] != ".")
DATASETS = st.lists(SEGMENTS, min_size=1, max_size=4).map("/".join)
ANY_TEXT = st.text(st.characters().filter(is_visible), max_size=60)
ANY_LINES = st.text(
    st.one_of(st.characters().filter(is_visible), st.sampled_from("\n\t")), max_size=60
)
SHA = st.binary(min_size=32, max_size=32).map(bytes.hex)
PATHS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40).filter(
    lambda path: find_path_problem(path) is None
)
A_FILE = st.builds(FileRow, PATHS, st.integers(0, 2**60), SHA)
FILES = st.lists(
    A_FILE,
    max_size=6,
    unique_by=lambda file: file.path,
).map(tuple)
TIMES = st.datetimes(
    datetime(1972, 1, 1),  # noqa: DTZ001
    datetime(9990, 1, 1),  # noqa: DTZ001
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=-9)), timezone(timedelta(hours=5))]),
)
MANIFESTS = st.builds(
    Manifest,
    dataset=DATASETS,
    project=st.just("nav"),
    format=st.sampled_from(FORMATS),
    created=TIMES,
    created_by=ANY_TEXT,
    title=ANY_TEXT,
    description=ANY_LINES,
    readme=ANY_LINES,
    citation=ANY_LINES,
    license=ANY_TEXT,
    asks_to_wait_until=st.none() | st.dates(),
    subjects=st.lists(ANY_TEXT, max_size=3).map(tuple),
    modalities=st.lists(ANY_TEXT, max_size=3).map(tuple),
    files=FILES,
    changing=st.lists(
        st.builds(FileReplacement, A_FILE, ANY_TEXT, TIMES), max_size=3, unique=True
    ).map(tuple),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
A = FileRow("a.csv", 3, hashlib.sha256(b"a\n1").hexdigest())
B = FileRow("b/c.bin", 0, hashlib.sha256(b"").hexdigest())
MANIFEST = Manifest(
    dataset="2026/session-12",
    project="nav",
    format="files",
    created=datetime(2026, 11, 2, 10, 15, 30, 99, tzinfo=timezone(timedelta(hours=1))),
    created_by="ada",
    title="Session 12",
    asks_to_wait_until=date(2027, 6, 1),
    subjects=("m1",),
    files=(B, A),
)


@given(MANIFESTS)
def test_a_manifest_survives_the_journey(manifest: Manifest) -> None:
    assert Manifest.decode(manifest.encode()) == manifest
    record = DatasetRecord.of(manifest)
    assert DatasetRecord.decode(record.encode()) == record
    assert (record.size, record.files_count) == (manifest.size, len(manifest.files))


@given(DATASETS, ANY_TEXT, TIMES, st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1))
def test_an_upload_survives_the_journey(
    dataset: str, by: str, began: datetime, count: int, size: int
) -> None:
    upload = UploadNote(dataset=dataset, by=by, began=began, files_count=count, size=size)
    assert UploadNote.decode(upload.encode()) == upload


def test_what_is_written_is_what_was_agreed() -> None:
    document = json.loads(MANIFEST.encode())
    assert document == {
        "version": 1,
        "dataset": "2026/session-12",
        "project": "nav",
        "format": "files",
        "title": "Session 12",
        "description": "",
        "readme": "",
        "citation": "",
        "license": "",
        "embargo_until": "2027-06-01",
        "subjects": ["m1"],
        "modalities": [],
        "created": "2026-11-02T09:15:30Z",
        "created_by": "ada",
        "bytes": 3,
        "files_count": 2,
        "sha256": digest_files([A, B]),
        "files": [
            {"path": "a.csv", "size": 3, "sha256": A.sha256},
            {"path": "b/c.bin", "size": 0, "sha256": B.sha256},
        ],
    }
    record = json.loads(DatasetRecord.of(MANIFEST).encode())
    del document["files"]
    assert record == document | {"manifest_sha256": hashlib.sha256(MANIFEST.encode()).hexdigest()}


def test_keys_of_newer_versions_are_ignored() -> None:
    document = json.loads(MANIFEST.encode()) | {"new": {"x": [1]}}
    document["files"][0]["mtime"] = 12
    assert Manifest.from_json(document) == MANIFEST
    upload = UploadNote(dataset="d", by="ada", began=MANIFEST.created, files_count=1, size=2)
    assert UploadNote.decode(json.dumps(json.loads(upload.encode()) | {"new": 1})) == upload


def test_the_digest_is_one_that_anybody_can_make(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "a.csv").write_bytes(b"a\n1")
    (tmp_path / "b" / "c.bin").write_bytes(b"")
    said = subprocess.run(
        "sha256sum b/c.bin a.csv | LC_ALL=C sort | sha256sum",
        shell=True,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.split()[0] == digest_files([A, B])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"version": 2}, "version 2, and this program knows 1; get a newer"),
        ({"version": True}, "version must be a whole number"),
        ({"version": None}, "version must be"),
        ({"dataset": "../x"}, r"'\.\.' in the dataset's name"),
        ({"dataset": None}, "dataset must be a text"),
        ({"project": "Nav/x"}, "project must be the name of a project"),
        ({"format": "mat"}, "format must be one of bids, nwb, zarr, files"),
        ({"format": ["nwb"]}, "format must be a text"),
        ({"created": "yesterday"}, "created must be a time such as"),
        ({"created": "2026-11-02T09:15:00"}, "created must be a time such as"),
        ({"created": "9999-12-31T23:59:59-23:59"}, "created must be a time"),
        ({"created": "0001-01-01T00:00:00Z"}, "created must be a time from"),
        ({"created_by": 7}, "created_by must be a text"),
        ({"title": "a\nb"}, r"title has the character '\\n' in it"),
        ({"title": "x" * 501}, "title is longer than 500 characters"),
        ({"readme": "x" * 100_001}, "readme is longer"),
        ({"description": "\ud800"}, "description has the character"),
        ({"embargo_until": "soon"}, "embargo_until must be a day such as"),
        ({"embargo_until": 2027}, "embargo_until must be a day"),
        ({"subjects": "m1"}, "subjects must be a list of texts"),
        ({"subjects": [1]}, "subjects must be a list of texts"),
        ({"modalities": ["a\x00"]}, "modalities has the character"),
        ({"files": {}}, "files must be a list"),
        ({"files": ["a.csv"]}, "files must be a list of objects"),
        ({"files": [{"path": "a.csv", "size": -1, "sha256": A.sha256}]}, "size must be"),
        ({"files": [{"path": "a.csv", "size": 1.5, "sha256": A.sha256}]}, "size must be"),
        ({"files": [{"path": "a.csv", "size": True, "sha256": A.sha256}]}, "size must be"),
        ({"files": [{"path": "a.csv", "size": 1, "sha256": "AB"}]}, "sha256 must be 64"),
        ({"files": [{"path": "/a", "size": 1, "sha256": A.sha256}]}, "empty, '.' or '..' part"),
        ({"files": [{"path": ".panneuro/x", "size": 1, "sha256": A.sha256}]}, "own records"),
        ({"files": [{"path": "a", "size": 1, "sha256": A.sha256}] * 2}, "files has 'a' twice"),
        ({"bytes": 4}, "bytes does not match its files"),
        ({"files_count": 3}, "files_count does not match its files"),
        ({"sha256": A.sha256}, "sha256 does not match its files; the manifest is damaged"),
    ],
)
def test_what_is_malformed_is_refused_with_words(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(MalformedRecordError, match=reason):
        Manifest.from_json(json.loads(MANIFEST.encode()) | change)


@given(st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode()))
def test_anything_else_is_malformed(data: bytes) -> None:
    for kind in (Manifest, DatasetRecord, UploadNote):
        with pytest.raises(MalformedRecordError):
            kind.decode(data)


@given(st.sampled_from(sorted(json.loads(MANIFEST.encode()))), JSON)
def test_one_wrong_field_never_crashes(name: str, value: Any) -> None:
    for kind, whole in ((Manifest, MANIFEST), (DatasetRecord, DatasetRecord.of(MANIFEST))):
        document = json.loads(whole.encode()) | {name: value}
        try:
            read = kind.from_json(document)
        except MalformedRecordError:
            continue
        assert kind.decode(read.encode()) == read


def test_a_deep_document_is_malformed() -> None:
    with pytest.raises(MalformedRecordError, match="the manifest is not JSON"):
        Manifest.decode(b"[" * 100_000)


def test_an_object_cannot_be_made_wrong_either() -> None:
    with pytest.raises(MalformedRecordError, match="time zone"):
        UploadNote(dataset="d", by="ada", began=datetime(2026, 1, 1), files_count=1, size=1)  # noqa: DTZ001
    with pytest.raises(MalformedRecordError, match="more bytes than can be counted"):
        replace(MANIFEST, files=(replace(A, size=2**63 - 1), replace(A, path="b")))
    with pytest.raises(MalformedRecordError, match="control character"):
        FileRow("a\nb", 1, A.sha256)
    with pytest.raises(MalformedRecordError, match="not valid UTF-8"):
        FileRow("a\udcff", 1, A.sha256)


def test_a_request_to_wait_ends_on_its_day() -> None:
    assert MANIFEST.asks_to_wait(date(2027, 5, 31))
    assert not MANIFEST.asks_to_wait(date(2027, 6, 1))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "needs a name"),
        ("a//b", "a '/' too many"),
        ("/a", "a '/' too many"),
        ("a/", "a '/' too many"),
        (".panneuro", "no dot at its beginning"),
        ("a/../b", r"'\.\.' in the dataset's name"),
        ("ä", "letters of English"),
        ("a b", "letters of English"),
        ("a\n", "letters of English"),
        ("a%2Fb", "letters of English"),
        ("a*", "letters of English"),
        ("a/b/c/d/e", "more than 4 parts"),
        ("x" * (LONGEST_DATASET + 1), "longer than 200"),
    ],
)
def test_a_bad_name_is_refused_with_words(name: str, reason: str) -> None:
    problem = find_dataset_problem(name)
    assert problem is not None
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(problem)


@given(DATASETS, DATASETS)
def test_keys_lead_to_one_dataset_each(one: str, other: str) -> None:
    for make in (make_record_key, make_upload_key):
        assert parse_dataset_key(make(one)) == one
        assert "/" not in make(one).removeprefix(".panneuro/").partition("/")[2]
        assert (make(one) == make(other)) == (one == other)
    assert make_manifest_key(one).startswith(f"{one}/")


@given(st.text())
def test_other_keys_lead_to_no_dataset(text: str) -> None:
    for key in (text, f".panneuro/catalog/{text}", f".panneuro/catalog/{text}.json"):
        dataset = parse_dataset_key(key)
        if dataset is not None:
            assert find_dataset_problem(dataset) is None
            assert make_record_key(dataset) == key


@given(st.text())
def test_whatever_is_a_path_can_be_a_key(text: str) -> None:
    if find_path_problem(text) is None:
        place = StorageLocation.parse(f"s3://lab/nav/session/{text}")
        assert place.key == f"nav/session/{text}"
    if find_dataset_problem(text) is None:
        StorageLocation.parse(f"s3://lab/nav/{text}")


def test_a_path_can_lie_in_datasets_of_these_names() -> None:
    assert list(list_enclosing_names("a/b/c")) == ["a/b/c", "a/b", "a"]
    assert list(list_enclosing_names("2026/s 1/x")) == ["2026"]
    assert list(list_enclosing_names("1/2/3/4/5/6")) == ["1/2/3/4", "1/2/3", "1/2", "1"]
    assert list(list_enclosing_names("")) == []


@pytest.mark.parametrize("character", [*DIRECTION_CONTROLS, "\x00", "\x1b", "\n", "\ud800"])
def test_a_text_has_no_character_that_changes_what_is_around_it(character: str) -> None:
    problem = find_text_problem(f"a{character}b", 100)
    assert problem == f"has the character {character!r} in it, which cannot be shown"


def test_texts_of_every_script_are_texts() -> None:
    for text in ("Größe µm", "نشاط الخلايا", "תאי רשת\u200f", "神経活動", "🧠"):
        assert find_text_problem(text, 100) is None


SMALL = Manifest(
    dataset="many",
    project="nav",
    format="bids",
    created=datetime(2026, 11, 2, tzinfo=UTC),
    created_by="ada",
    files=(FileRow("a", 1, "0" * 64),),
)


def test_as_many_subjects_as_large_studies_have() -> None:
    subjects = tuple(f"sub-{number:07d}" for number in range(100_000))
    manifest = replace(SMALL, subjects=subjects)
    assert find_size_problem(manifest) is None
    assert DatasetRecord.decode(DatasetRecord.of(manifest).encode()).subjects == subjects


def test_what_could_not_be_read_again_is_known_before() -> None:
    manifest = len(SMALL.encode())
    record = len(DatasetRecord.of(SMALL).encode())
    assert find_size_problem(SMALL, manifest, record) is None
    assert "a manifest can have" in (find_size_problem(SMALL, manifest - 1, record) or "")
    assert "a record of the catalog can have" in (
        find_size_problem(SMALL, manifest, record - 1) or ""
    )
