"""`panneuro datasets`: the catalog as it is listed, and made anew from the manifests."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from transfers import PROJECT, Bench, made_bench

from panneuro_hub.catalog import (
    DatasetRecord,
    FileRow,
    Manifest,
    make_manifest_key,
    make_record_key,
)
from panneuro_hub.devstack.seaweedfs import SeaweedFS


@pytest.fixture(scope="module")
def bench(seaweedfs: SeaweedFS, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with made_bench(seaweedfs, tmp_path_factory.mktemp("bench")) as made:
        yield made


@pytest.fixture(autouse=True)
def two(bench: Bench) -> Iterator[None]:
    """Two datasets, and nothing else in the project."""
    bench.empty()
    for name in ("one", "2026/two"):
        manifest = Manifest(
            dataset=name,
            project=PROJECT,
            format="files",
            created=datetime(2026, 11, 2, 9, 15, tzinfo=UTC),
            created_by="ada",
            title=name.title(),
            asks_to_wait_until=date(2999, 1, 1),
            files=(FileRow("a.bin", 1000, "0" * 64),),
        )
        put(bench, f"{name}/a.bin", bytes(1000))
        put(bench, make_manifest_key(name), manifest.encode())
        put(bench, make_record_key(name), DatasetRecord.of(manifest).encode())
    yield
    bench.empty()


def put(bench: Bench, key: str, content: bytes) -> None:
    bench.admin.put_object(Bucket="lab", Key=f"{PROJECT}/{key}", Body=content)


def delete(bench: Bench, key: str) -> None:
    bench.admin.delete_object(Bucket="lab", Key=f"{PROJECT}/{key}")


def test_a_project_is_listed_with_who_and_a_request_to_wait(bench: Bench) -> None:
    listed = bench.run("datasets", PROJECT)

    assert listed.returncode == 0, listed.stderr
    first, second = listed.stdout.splitlines()
    assert first.split()[:4] == ["2026/two", "files", "1.0", "kB"]
    assert " ada " in second
    assert second.endswith("One (author asks to wait until 2999-01-01)")
    assert bench.json("datasets", PROJECT) == bench.json("ls", PROJECT)


def test_an_update_keeps_the_request_to_wait_of_an_older_manifest(
    bench: Bench, tmp_path: Path
) -> None:
    """Whoever adds a file does not take back what the author asked for."""
    (tmp_path / "b.bin").write_bytes(b"more")

    updated = bench.run("upload", tmp_path, f"{PROJECT}/one", "--update")

    assert updated.returncode == 0, updated.stderr
    manifest = Manifest.decode(bench.read(make_manifest_key("one")))
    assert [file.path for file in manifest.files] == ["a.bin", "b.bin"]
    assert manifest.asks_to_wait_until == date(2999, 1, 1)


def test_what_is_right_stays(bench: Bench) -> None:
    before = bench.read(make_record_key("one"))

    made = bench.run("datasets", "--rebuild", PROJECT)

    assert made.returncode == 0, made.stderr
    assert made.stdout == f"The catalog of {PROJECT} was right: 2 records.\n"
    assert bench.read(make_record_key("one")) == before


def test_a_lost_damaged_or_foreign_record_is_mended(bench: Bench) -> None:
    right = bench.read(make_record_key("one"))
    delete(bench, make_record_key("one"))
    put(bench, make_record_key("2026/two"), b"{}")
    put(bench, make_record_key("gone"), right)
    assert bench.json("datasets", PROJECT)["troubles"]

    made = bench.run("datasets", PROJECT, "--rebuild")

    assert made.returncode == 0, made.stderr
    assert made.stdout == (
        f"The catalog of {PROJECT} is made anew: 2 records written anew (2026/two, one), "
        "1 record removed that had no dataset, 0 records right already.\n"
    )
    assert bench.read(make_record_key("one")) == right
    listed = bench.json("datasets", PROJECT)
    assert [one["dataset"] for one in listed["datasets"]] == ["2026/two", "one"]
    assert listed["troubles"] == []


def test_programs_are_told_the_same(bench: Bench) -> None:
    delete(bench, make_record_key("one"))

    assert bench.json("datasets", "--rebuild", PROJECT) == {
        "project": PROJECT,
        "written": ["one"],
        "removed": [],
        "kept": 1,
        "unread": 0,
        "troubles": [],
    }


def test_a_damaged_manifest_is_told_and_its_record_stays(bench: Bench) -> None:
    put(bench, make_manifest_key("one"), b"{")
    before = bench.read(make_record_key("one"))

    made = bench.run("datasets", "--rebuild", PROJECT)

    assert made.returncode == 1
    assert made.stdout == (
        f"The catalog of {PROJECT} is made anew: 1 record right already, "
        "1 not looked at, since the manifest cannot be read.\n"
    )
    assert made.stderr == "one/.panneuro/manifest.json: the manifest is not JSON\n"
    assert bench.read(make_record_key("one")) == before
    told = bench.run("datasets", "--rebuild", PROJECT, "--json")
    assert told.returncode == 1
    assert [one["key"] for one in json.loads(told.stdout)["troubles"]] == [make_manifest_key("one")]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--rebuild", "stimuli"), 3, "nothing can be written to stimuli: upload-tests reads"),
        (("--rebuild", "human"), 3, "human cannot be read in this session: "),
        (("human",), 3, "human cannot be read in this session: "),
        (("--rebuild",), 2, "name the project to rebuild the catalog of"),
        (("--rebuild", f"{PROJECT}/one"), 2, f"write the project alone: {PROJECT}"),
        ((f"{PROJECT}/one",), 2, f"write the project alone: {PROJECT}"),
    ],
)
def test_what_cannot_be_done_is_refused_in_words(
    bench: Bench, arguments: tuple[str, ...], code: int, words: str
) -> None:
    before = bench.catalog()

    refused = bench.run("datasets", *arguments)

    assert (refused.returncode, refused.stdout) == (code, "")
    assert words in refused.stderr
    assert "Traceback" not in refused.stderr
    assert bench.catalog() == before
    told = bench.run("datasets", *arguments, "--json")
    assert told.returncode == code
    assert words in json.loads(told.stdout)["message"]
