"""Keys as other programs leave them, in every listing: skipped or named, and the rest is there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from obstore.store import S3Store
from stored_datasets import open_admin_store
from transfers import PROJECT, Bench, fill, made_bench, same

import panneuro_hub.lab as lab
from panneuro_hub.agent.credential_agent import AgentSettings, CredentialAgent
from panneuro_hub.catalog import (
    FileRow,
    Manifest,
    UploadNote,
    dataset_records,
    make_manifest_key,
    make_record_key,
    make_upload_key,
    notebook_store,
)
from panneuro_hub.catalog.manifest import FileReplacement
from panneuro_hub.catalog.stored_keys import list_stored_keys
from panneuro_hub.devstack.seaweedfs import SeaweedFS

pytestmark = pytest.mark.usefixtures("bench")
MARKERS = ("", "sub/")
UNREADABLE = ("run\t1.csv", "line\nfeed.csv", "bell\x07.csv", "delete\x7f.csv", "dir\x01/a.csv")
READABLE = (
    *("good.csv", "%2e%2e/x.csv", "%ff%fe.csv", "a+b c.csv", " lead.csv", "trail ", "é\u202ex.csv"),
    *("x" * 250, "/".join("d" * 300), "a&b<c>.csv", "next\x85line.csv", "none\ufffe.csv"),
    *("doubled//slash.csv",),  # which SeaweedFS keeps as doubled/slash.csv
)
TEXT = b"x,y\n1,2\n"
PLACES = ("odd", ".panneuro/catalog", ".panneuro/uploads", ".panneuro/notebooks", "2026/whole")
"""Folders that are no dataset, one that is, and what the catalog keeps."""


@pytest.fixture(scope="module")
def bench(seaweedfs: SeaweedFS, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("bench")
    with made_bench(seaweedfs, folder) as made:
        made.empty()
        whole = fill(folder / "whole", {"a.bin": 10, "empty": 0})
        made.json("upload", whole, f"{PROJECT}/2026/whole")
        for place in PLACES:
            for name in MARKERS:
                put(made, f"{place}/{name}", b"")
            for name in (*UNREADABLE, *READABLE):
                put(made, f"{place}/{name}", TEXT)
            made.admin.create_multipart_upload(Bucket="lab", Key=f"{PROJECT}/{place}/a+b\t c.csv")
        # Below the project's own folder: its own key is that of a marker.
        put(made, "", b"")
        yield made
        made.empty()


def put(bench: Bench, key: str, content: bytes) -> None:
    bench.admin.put_object(Bucket="lab", Key=f"{PROJECT}/{key}", Body=content)


@pytest.fixture
def session(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    outside = bench.environment
    agent = CredentialAgent(
        AgentSettings(outside["PANNEURO_SERVICE_URL"], Path(outside["PANNEURO_TICKET_FILE"]))
    )
    agent.start()
    for name, value in {**agent.environment(), "PANNEURO_PROJECT": PROJECT}.items():
        monkeypatch.setenv(name, value)
    yield
    agent.stop()


@pytest.fixture
def store(seaweedfs: SeaweedFS) -> S3Store:
    return open_admin_store(seaweedfs, f"{PROJECT}/")


def test_all_keys_but_markers_are_listed_as_they_are(store: S3Store) -> None:
    found = {key.path.removeprefix("odd/") for key in list_stored_keys(store, "odd")}
    expected = {*UNREADABLE, *READABLE} - {"doubled//slash.csv"}
    assert found - {"doubled/slash.csv", "doubled//slash.csv"} == expected


def test_the_catalog_s_listings_name_what_they_leave_out(store: S3Store) -> None:
    listed = dataset_records.list_catalog(store)
    assert [record.dataset for record in listed.records] == ["2026/whole"]
    told = {trouble.key for trouble in listed.problems}
    for folder in (".panneuro/catalog", ".panneuro/uploads"):
        assert f"{folder}/run\t1.csv" in told
        assert f"{folder}/good.csv" in told
    assert not any(key.endswith("/") for key in told)
    found = notebook_store.list_notebooks(store, PROJECT)
    assert found.notebooks == ()
    assert ".panneuro/notebooks/run\t1.csv" in {trouble.key for trouble in found.problems}


@pytest.mark.parametrize(
    "command", [("datasets", PROJECT), ("ls", PROJECT), ("notebooks", PROJECT)]
)
def test_commands_list_the_rest(bench: Bench, command: tuple[str, ...]) -> None:
    listed = bench.run(*command)
    assert listed.returncode == 0, listed.stderr
    assert "run\\t1.csv" in listed.stderr
    assert "\t" not in listed.stderr
    if "notebooks" not in command:
        assert "2026/whole" in listed.stdout


def test_a_dataset_among_odd_keys_goes_up_and_down(bench: Bench, tmp_path: Path) -> None:
    bench.json("download", f"{PROJECT}/2026/whole", tmp_path / "target")
    assert sorted(place.name for place in (tmp_path / "target").iterdir()) == ["a.bin", "empty"]
    for name in (f"{PROJECT}/odd", f"{PROJECT}/2026/new"):
        source = fill(tmp_path / "source", {"new.bin": 10, "empty": 0})
        assert bench.json("upload", source, name)["files"] == 2
        bench.json("download", name, tmp_path / name)
        assert same(source, tmp_path / name)
        bench.json("upload", fill(source, {"new.bin": 20}), name, "--update")
    bench.empty("2026/new/")
    added = [f"odd/{name}" for name in (".panneuro/manifest.json", "new.bin", "empty")]
    for key in (*added, make_record_key("odd"), make_record_key("2026/new")):
        bench.admin.delete_object(Bucket="lab", Key=f"{PROJECT}/{key}")


@pytest.mark.usefixtures("session")
def test_lab_opens_the_rest() -> None:
    with pytest.warns(UserWarning, match="5 objects in 'upload-tests/odd' are left out"):
        odd = lab.open(f"{PROJECT}/odd")
    expected = {name for name in READABLE if name != "doubled//slash.csv"}
    assert set(odd) - {"doubled/slash.csv"} == expected
    assert list(odd.open("good.csv").columns) == ["x", "y"]
    whole = lab.open(f"{PROJECT}/2026/whole")
    assert list(whole) == ["a.bin", "empty"]
    listed = lab.datasets(PROJECT)
    assert [one.name for one in listed] == [f"{PROJECT}/2026/whole"]
    assert any("run" in note for note in listed.notes)
    with pytest.raises(ValueError, match="control character"):
        lab.open(f"{PROJECT}/odd/run\t1.csv")


def test_a_rebuild_ends_and_names_what_it_leaves(bench: Bench, store: S3Store) -> None:
    rebuilt = bench.run("datasets", PROJECT, "--rebuild")
    assert rebuilt.returncode == 1
    assert "run\\t1.csv: its name has a control character in it" in rebuilt.stderr
    listed = dataset_records.list_catalog(store)
    assert [record.dataset for record in listed.records] == ["2026/whole"]


@pytest.mark.usefixtures("session")
def test_lab_names_what_a_manifest_lists_and_the_store_does_not_have(
    bench: Bench, tmp_path: Path
) -> None:
    source = fill(tmp_path / "source", {"a.bin": 10, "b.bin": 10})
    bench.json("upload", source, f"{PROJECT}/promised")
    bench.admin.delete_object(Bucket="lab", Key=f"{PROJECT}/promised/a.bin")
    with pytest.raises(lab.PathNotFoundError, match=r"manifest of .*/promised lists 'a\.bin'"):
        lab.open(f"{PROJECT}/promised/a.bin")
    manifest = Manifest.decode(bench.read(make_manifest_key("promised")))
    began = manifest.created
    changing = (FileReplacement(FileRow("b.bin", 5, "1" * 64), "bee", began),)
    note = UploadNote(dataset="promised", by="bee", began=began, files_count=1, size=5)
    put(bench, make_manifest_key("promised"), replace(manifest, changing=changing).encode())
    put(bench, make_upload_key("promised"), note.encode())
    for path in ("promised", "promised/b.bin"):
        with pytest.raises(lab.IncompleteUploadError, match=r"half replaced: bee began .* b\.bin"):
            lab.open(f"{PROJECT}/{path}")
    with pytest.warns(UserWarning, match="is being changed"):
        assert len(lab.open(f"{PROJECT}/promised", incomplete=True)) == 2
