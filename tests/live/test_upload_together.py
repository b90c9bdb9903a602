"""Uploads into one dataset at the same time, and updates that are cut off in the middle."""

from __future__ import annotations

import hashlib
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import unquote

import pytest
from session_views import because
from transfers import PROJECT, Bench, fill, made_bench, same
from wire_faults import Request

from panneuro_hub.catalog import (
    DatasetRecord,
    Manifest,
    make_manifest_key,
    make_record_key,
    make_upload_key,
)
from panneuro_hub.devstack.seaweedfs import SeaweedFS
from panneuro_hub.wire import Grant


@pytest.fixture(scope="module")
def bench(seaweedfs: SeaweedFS, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with made_bench(seaweedfs, tmp_path_factory.mktemp("bench")) as made:
        made.empty()
        yield made
        made.empty()


@pytest.fixture(autouse=True)
def whole_wire(bench: Bench) -> None:
    bench.wire.mend()
    bench.wire.damage_up = bench.wire.damage_down = lambda _: False
    bench.wire.reset()


def is_manifest(request: Request, dataset: str) -> bool:
    return request.method == "PUT" and request.target.startswith(
        f"/lab/{PROJECT}/{make_manifest_key(dataset)}"
    )


def meeting_at(dataset: str, number: int) -> Callable[[Request], bool]:
    """Hold the first manifests until so many have been written, each from what was there before."""
    meeting = threading.Barrier(number)
    left = threading.Semaphore(number)

    def hold(request: Request) -> bool:
        if is_manifest(request, dataset) and left.acquire(blocking=False):
            meeting.wait(timeout=120)
        return False

    return hold


def together(bench: Bench, *commands: tuple[object, ...]) -> list[tuple[int, str]]:
    with ExitStack() as stack:
        running = [
            stack.enter_context(bench.running("upload", *command, "--json")) for command in commands
        ]
        ended = [process.communicate(timeout=240)[0] for process in running]
        return [
            (process.returncode, output) for process, output in zip(running, ended, strict=True)
        ]


def manifest_of(bench: Bench, dataset: str) -> Manifest:
    return Manifest.decode(bench.read(make_manifest_key(dataset)))


def true_to_objects(bench: Bench, dataset: str) -> bool:
    """Whether every file of a manifest is what the store has."""
    manifest = manifest_of(bench, dataset)
    return not manifest.changing and all(
        hashlib.sha256(bench.read(f"{dataset}/{file.path}")).hexdigest() == file.sha256
        for file in manifest.files
    )


def half(folder: Path, name: str, number: int = 150) -> Path:
    return fill(folder / name, {f"{name}/{count:03d}.bin": 100 for count in range(number)})


def test_two_uploads_at_once_lose_nothing(bench: Bench, tmp_path: Path) -> None:
    one, other = half(tmp_path, "one"), half(tmp_path, "other")
    bench.wire.damage_up = meeting_at("together", 2)
    ended = together(bench, (one, f"{PROJECT}/together"), (other, f"{PROJECT}/together"))
    assert [code for code, _ in ended] == [0, 0], ended
    assert len(manifest_of(bench, "together").files) == 300
    assert DatasetRecord.decode(bench.read(make_record_key("together"))).files_count == 300
    assert true_to_objects(bench, "together")
    notes = bench.admin.list_objects_v2(
        Bucket="lab", Prefix=f"{PROJECT}/{make_upload_key('together')}"
    )
    assert notes["KeyCount"] == 0
    assert bench.json("download", f"{PROJECT}/together", tmp_path / "target")["files"] == 300


def test_updates_at_once_lose_nothing(bench: Bench, tmp_path: Path) -> None:
    bench.json("upload", fill(tmp_path / "first", {"a.bin": 10}), f"{PROJECT}/updated")
    sources = [half(tmp_path, f"part-{number}", 20) for number in range(5)]
    bench.wire.damage_up = meeting_at("updated", 5)
    ended = together(bench, *((one, f"{PROJECT}/updated", "--update") for one in sources))
    assert [code for code, _ in ended] == [0] * 5, ended
    assert len(manifest_of(bench, "updated").files) == 101
    assert DatasetRecord.decode(bench.read(make_record_key("updated"))).files_count == 101
    assert true_to_objects(bench, "updated")


def test_one_of_two_titles_is_refused(bench: Bench, tmp_path: Path) -> None:
    one, other = half(tmp_path, "one", 5), half(tmp_path, "other", 5)
    bench.wire.damage_up = meeting_at("titled", 2)
    ended = together(
        bench,
        (one, f"{PROJECT}/titled", "--title", "One"),
        (other, f"{PROJECT}/titled", "--title", "Other"),
    )
    assert sorted(code for code, _ in ended) == [0, 1], ended
    [refused] = [output for code, output in ended if code]
    assert "became complete meanwhile, by ada's upload of 2" in refused


def test_the_same_new_file_is_refused_to_one(bench: Bench, tmp_path: Path) -> None:
    one, other = half(tmp_path, "one", 5), half(tmp_path, "other", 5)
    for place, content in ((one, b"one"), (other, b"other")):
        (place / "same.bin").write_bytes(content)
    meeting = threading.Barrier(2)

    def hold(request: Request) -> bool:
        if request.method == "PUT" and request.target.endswith("/same.bin"):
            meeting.wait(timeout=120)
        return False

    bench.wire.damage_up = hold
    ended = together(bench, (one, f"{PROJECT}/same"), (other, f"{PROJECT}/same"))
    assert sorted(code for code, _ in ended) == [0, 1], ended
    [refused] = [output for code, output in ended if code]
    assert "same.bin: something else is there" in refused
    assert re.search(r"\((ada began another upload|it became complete meanwhile, by ada)", refused)
    assert true_to_objects(bench, "same")


def test_the_same_file_is_replaced_by_one(bench: Bench, tmp_path: Path) -> None:
    bench.json("upload", fill(tmp_path / "first", {"a.bin": 10, "b.bin": 10}), f"{PROJECT}/rivals")
    one = fill(tmp_path / "one", {"a.bin": 10, "one.bin": 10}, seed=1)
    other = fill(tmp_path / "other", {"a.bin": 10, "other.bin": 10}, seed=2)
    bench.wire.damage_up = meeting_at("rivals", 2)
    ended = together(
        bench,
        (one, f"{PROJECT}/rivals", "--update"),
        (other, f"{PROJECT}/rivals", "--update"),
    )
    assert sorted(code for code, _ in ended) == [0, 1], ended
    [refused] = [output for code, output in ended if code]
    assert "a.bin" in refused
    assert re.search(r"ada('s upload of| began to replace)", refused)
    assert true_to_objects(bench, "rivals")


def frozen(bench: Bench, dataset: str) -> None:
    """Freeze a dataset for the keys that are made from now on, and let the keys in use end."""
    grants = (
        *bench.service.request.grants,
        Grant(f"s3://lab/{PROJECT}/{dataset}/", "read", because("frozen now"), PROJECT),
    )
    bench.service.request = replace(bench.service.request, grants=grants)
    ends = max(bench.service.ends.values()).timestamp()
    time.sleep(max(0.0, ends - time.time()) + 1)


@pytest.fixture
def short(seaweedfs: SeaweedFS, tmp_path: Path) -> Iterator[Bench]:
    """A session whose keys last for seconds."""
    (tmp_path / "short").mkdir()
    with made_bench(seaweedfs, tmp_path / "short", timedelta(seconds=8)) as made:
        yield made


def test_a_freeze_before_the_first_file_is_replaced_changes_nothing(
    short: Bench, tmp_path: Path
) -> None:
    old = fill(tmp_path / "old", {f"{number}.bin": 100 for number in range(9)})
    short.json("upload", old, f"{PROJECT}/early")
    new = fill(tmp_path / "new", {f"{number}.bin": 100 for number in range(9)}, seed=1)
    done: list[Request] = []

    def freeze(request: Request) -> bool:
        if is_manifest(request, "early") and not done:
            done.append(request)
            frozen(short, "early")
        return False

    short.wire.damage_up = freeze
    refused = short.run("upload", new, f"{PROJECT}/early", "--update")
    assert (refused.returncode, done != []) == (3, True), refused.stderr
    assert true_to_objects(short, "early")
    short.json("download", f"{PROJECT}/early", tmp_path / "target")
    assert same(old, tmp_path / "target")


def test_an_update_that_is_cut_off_while_it_replaces_says_which_files(
    short: Bench, tmp_path: Path
) -> None:
    names = {f"{number:02d}.bin": 100 for number in range(40)}
    old = fill(tmp_path / "old", names)
    short.json("upload", old, f"{PROJECT}/cut")
    new = fill(tmp_path / "new", names, seed=1)
    rights = short.service.request
    finished: list[str] = []
    freezing = threading.Lock()

    def freeze(request: Request) -> bool:
        if request.method != "POST" or "/cut/" not in request.target:
            return False
        path = unquote(request.target.partition("?")[0])
        if "uploadId=" in request.target:
            with freezing:
                finished.append(path)
                if len(finished) == 5:
                    frozen(short, "cut")
        return False

    short.wire.damage_up = freeze
    refused = short.run("upload", new, f"{PROJECT}/cut", "--update")
    assert refused.returncode in (1, 3), refused.stderr
    assert "cut is half replaced, and its manifest says so" in refused.stderr
    manifest = manifest_of(short, "cut")
    told = {one.file.path: one.file.sha256 for one in manifest.changing}
    kinds = set()
    for file in manifest.files:
        there = hashlib.sha256(short.read(f"cut/{file.path}")).hexdigest()
        assert there in (file.sha256, told[file.path])
        kinds.add(there == file.sha256)
    assert kinds == {True, False}
    fetched = short.run("download", f"{PROJECT}/cut", tmp_path / "target")
    assert fetched.returncode == 1
    assert "is not complete: ada began" in fetched.stderr
    short.admin.delete_object(Bucket="lab", Key=f"{PROJECT}/{make_upload_key('cut')}")
    fetched = short.run("download", f"{PROJECT}/cut", tmp_path / "target")
    assert "cut is half replaced: ada began to replace files on" in fetched.stderr
    assert "00.bin" in fetched.stderr
    rebuilt = short.run("datasets", PROJECT, "--rebuild")
    assert rebuilt.returncode == 1
    assert "ada began to replace files on" in rebuilt.stderr

    short.service.request = rights
    short.wire.damage_up = lambda _: False
    time.sleep(8)  # until the keys of the frozen session end
    short.json("upload", new, f"{PROJECT}/cut", "--update")
    assert true_to_objects(short, "cut")
    short.json("download", f"{PROJECT}/cut", tmp_path / "target")
    assert same(new, tmp_path / "target")


def test_a_killed_update_leaves_the_old_dataset_or_says_so(bench: Bench, tmp_path: Path) -> None:
    sizes = {"large.bin": 40 << 20, "small.bin": 100}
    old = fill(tmp_path / "old", sizes)
    bench.json("upload", old, f"{PROJECT}/killed-update")
    new = fill(tmp_path / "new", sizes, seed=1)
    with bench.running("upload", new, f"{PROJECT}/killed-update", "--update"):
        assert bench.wire.wait_for(
            lambda: sum(size for name, size in bench.wire.sent.items() if "partN" in name) > 9 << 20
        )
    assert true_to_objects(bench, "killed-update")
    bench.json("upload", new, f"{PROJECT}/killed-update", "--update")
    bench.json("download", f"{PROJECT}/killed-update", tmp_path / "target")
    assert same(new, tmp_path / "target")


def test_files_that_were_removed_meanwhile_are_named(bench: Bench, tmp_path: Path) -> None:
    source = fill(tmp_path / "source", {f"{number:02d}.bin": 100 for number in range(40)})
    removed: list[str] = []

    def remove(request: Request) -> bool:
        path = request.target.partition("?")[0]
        there = bench.objects("removed") if "/removed/" in path and not removed else {}
        if request.method == "PUT" and "01.bin" in there:
            removed.append(path)
            bench.admin.delete_object(Bucket="lab", Key=f"{PROJECT}/removed/01.bin")
        return False

    bench.wire.damage_up = remove
    bench.wire.slowly = 20_000
    refused = bench.run("upload", source, f"{PROJECT}/removed")
    bench.wire.slowly = None
    assert removed
    assert refused.returncode == 1, refused.stdout
    assert "removed is not complete: 1 of its files are not in the store" in refused.stderr
    assert "01.bin: it is not there" in refused.stderr
    assert ".panneuro/manifest.json" not in bench.objects("removed")
    bench.wire.damage_up = lambda _: False
    bench.json("upload", source, f"{PROJECT}/removed")
    assert true_to_objects(bench, "removed")


def test_missing_files_of_a_complete_dataset_are_named(bench: Bench, tmp_path: Path) -> None:
    source = fill(tmp_path / "source", {"a.bin": 10, "b.bin": 10, "c.bin": 10})
    bench.json("upload", source, f"{PROJECT}/gone")
    bench.admin.delete_object(Bucket="lab", Key=f"{PROJECT}/gone/b.bin")
    rebuilt = bench.run("datasets", PROJECT, "--rebuild")
    assert rebuilt.returncode == 1
    assert "it lists 1 files that are not in the store: b.bin" in rebuilt.stderr
    more = fill(tmp_path / "more", {"d.bin": 10})
    refused = bench.run("upload", more, f"{PROJECT}/gone", "--update")
    assert refused.returncode == 1
    assert "b.bin: it is not there" in refused.stderr
    bench.json("upload", source, f"{PROJECT}/gone")
    bench.json("upload", more, f"{PROJECT}/gone", "--update")
    assert true_to_objects(bench, "gone")
    assert len(manifest_of(bench, "gone").files) == 4
