"""`panneuro upload` and `download` against a real store, over a wire that does what wires do."""

from __future__ import annotations

import hashlib
import random
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import unquote

import nibabel
import nitime
import pytest
from terminal import PANNEURO
from transfers import FROZEN, MIB, PROJECT, Bench, fill, made_bench, same
from wire_faults import Request

from panneuro_hub.agent.credential_agent import AgentSettings, CredentialAgent
from panneuro_hub.catalog import Manifest, make_manifest_key, make_upload_key
from panneuro_hub.devstack.seaweedfs import SeaweedFS
from panneuro_hub.wording import describe_reason

ROUND = f"{PROJECT}/round"
_PART = re.compile(r"partNumber=([0-9]+)&uploadId=(\w+)|uploadId=(\w+)&partNumber=([0-9]+)")


@pytest.fixture(scope="module")
def bench(seaweedfs: SeaweedFS, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with made_bench(seaweedfs, tmp_path_factory.mktemp("bench")) as made:
        made.empty()
        yield made


@pytest.fixture(autouse=True)
def whole_wire(bench: Bench) -> None:
    bench.wire.mend()
    bench.wire.damage_up = bench.wire.damage_down = lambda _: False
    bench.wire.reset()


def test_what_was_sent_is_fetched_the_same(bench: Bench, tmp_path: Path) -> None:
    source = fill(
        tmp_path / "source",
        {"a.bin": 1000, "empty": 0, "sub/é ☃ +%20&?#.bin": 5000, "large.bin": 40 * MIB + 1},
    )
    (source / "link.bin").symlink_to("a.bin")
    (source / "nothing" / "here").mkdir(parents=True)
    sent = bench.json("upload", source, ROUND, "--title", "Round trip")
    assert (sent["files"], sent["moved_files"], sent["size"]) == (5, 5, 40 * MIB + 1 + 7000)
    assert sent["notes"] == ["the empty folder nothing/here is not kept"]
    manifest = Manifest.decode(bench.read(make_manifest_key("round")))
    assert manifest.sha256 == sent["sha256"]
    assert (manifest.title, manifest.created_by, len(manifest.files)) == ("Round trip", "ada", 5)
    fetched = bench.json("download", ROUND, tmp_path / "target")
    assert fetched["sha256"] == sent["sha256"]
    assert same(source, tmp_path / "target")
    bench.wire.reset()
    assert bench.json("upload", source, ROUND)["moved_files"] == 0
    assert bench.wire.total() == 0
    assert bench.json("download", ROUND, tmp_path / "target")["moved_files"] == 0


def test_in_a_session_it_works_with_the_session_s_keys(bench: Bench, tmp_path: Path) -> None:
    source = fill(tmp_path / "source", {"a.bin": 1000, "large.bin": 20 * MIB})
    outside = bench.environment
    agent = CredentialAgent(
        AgentSettings(outside["PANNEURO_SERVICE_URL"], Path(outside["PANNEURO_TICKET_FILE"]))
    )
    agent.start()
    foreign = {"AWS_ACCESS_KEY_ID": "somebody", "AWS_SECRET_ACCESS_KEY": "else"}
    inside = {**outside, **foreign, **agent.environment(), "PANNEURO_PROJECT": PROJECT}
    del inside["PANNEURO_SERVICE_URL"], inside["PANNEURO_TICKET_FILE"]
    session = replace(bench, environment=inside)
    try:
        session.json("upload", source, f"{PROJECT}/inside")
        session.json("download", f"{PROJECT}/inside", tmp_path / "target")
        other = session.run("upload", source, "stimuli/mine")
    finally:
        agent.stop()
    assert same(source, tmp_path / "target")
    assert other.returncode == 3
    assert "this server works in upload-tests, and writes there only" in other.stderr


def test_real_recordings_arrive(bench: Bench, tmp_path: Path) -> None:
    recordings = Path(nitime.__file__).parent / "data"
    sent = bench.json("upload", recordings, f"{PROJECT}/nitime")
    assert sent["files"] == sum(place.is_file() for place in recordings.rglob("*")) > 5
    bench.json("download", f"{PROJECT}/nitime", tmp_path / "nitime")
    assert same(recordings, tmp_path / "nitime")
    volume = Path(nibabel.__file__).parent / "tests" / "data" / "example4d.nii.gz"
    bench.json("upload", volume, f"{PROJECT}/2026/example4d")
    bench.json("download", f"{PROJECT}/2026/example4d", tmp_path / "volume")
    assert (tmp_path / "volume" / volume.name).read_bytes() == volume.read_bytes()
    listed = bench.json("ls", PROJECT)
    assert {"nitime", "2026/example4d"} <= {one["dataset"] for one in listed["datasets"]}


@pytest.mark.parametrize("seed", range(3))
def test_killed_and_resumed_sends_nothing_twice(bench: Bench, tmp_path: Path, seed: int) -> None:
    sizes = {f"small/{number:03d}.bin": 20_000 for number in range(150)}
    sizes |= {"one.bin": 50 * MIB, "two.bin": 34 * MIB + 123}
    source = fill(tmp_path / "source", sizes, seed)
    whole = sum(sizes.values())
    dataset, chance = f"killed-{seed}", random.Random(seed)
    for _ in range(2):
        before = bench.wire.total()
        # Within what must still come, so that it cannot be done before.
        goal = before + chance.randint(1, whole // 4)
        with bench.running("upload", source, f"{PROJECT}/{dataset}") as process:
            assert bench.wire.wait_for(lambda goal=goal: sum(bench.wire.sent.values()) >= goal)
            process.send_signal(signal.SIGKILL)
            process.wait()
        assert bench.run("download", f"{PROJECT}/{dataset}", tmp_path / "no").returncode == 1
    objects, parts = _settled(bench, dataset)
    assert ".panneuro/manifest.json" not in objects
    bench.wire.reset()
    bench.json("upload", source, f"{PROJECT}/{dataset}")
    files_sent, parts_sent = _puts(bench, dataset)
    assert not files_sent.keys() & objects.keys()
    assert not parts_sent.keys() & parts.keys()
    arrived = sum(objects.values()) + sum(parts.values())
    assert arrived > 0
    assert sum(files_sent.values()) + sum(parts_sent.values()) == whole - arrived
    bench.json("download", f"{PROJECT}/{dataset}", tmp_path / "target")
    assert same(source, tmp_path / "target")
    assert bench.parts(dataset) == {}


def _settled(bench: Bench, dataset: str) -> tuple[dict[str, int], dict[tuple[str, int], int]]:
    """What has arrived, once the store has done all that was asked before the kill."""
    seen = None
    while seen != (seen := (bench.objects(dataset), bench.parts(dataset))):
        time.sleep(0.3)
    return seen


def _puts(bench: Bench, dataset: str) -> tuple[dict[str, int], dict[tuple[str, int], int]]:
    """How much was sent of files that went whole, and of parts, by upload and number."""
    files: dict[str, int] = {}
    parts: dict[tuple[str, int], int] = {}
    for request in bench.wire.requests:
        path = unquote(request.target.partition("?")[0]).removeprefix(f"/lab/{PROJECT}/{dataset}/")
        if request.method != "PUT" or path.startswith(("/", ".panneuro")):
            continue
        if found := _PART.search(request.target):
            key = found[2] or found[3], int(found[1] or found[4])
            parts[key] = parts.get(key, 0) + request.size
        else:
            files[path] = files.get(path, 0) + request.size
    return files, parts


def test_an_upload_that_broke_off_is_seen_as_such(bench: Bench, tmp_path: Path) -> None:
    source = fill(tmp_path / "source", {"one.bin": 60 * MIB})
    with bench.running("upload", source, f"{PROJECT}/broken"):
        assert bench.wire.wait_for(lambda: sum(bench.wire.sent.values()) > 5 * MIB)
    assert make_upload_key("broken").rpartition("/")[2] in bench.catalog()
    refused = bench.run("download", f"{PROJECT}/broken", tmp_path / "target")
    assert refused.returncode == 1
    assert re.search(r"broken is not complete: ada began to upload it on", refused.stderr)
    assert bench.json("ls", PROJECT)["not_complete"][0]["dataset"] == "broken"


@pytest.mark.parametrize("size", [30_000, 40 * MIB], ids=["small", "parts"])
def test_damage_on_the_way_up_is_caught_and_mended(bench: Bench, tmp_path: Path, size: int) -> None:
    source = fill(tmp_path / "source", {"data.bin": size})
    damaged: list[Request] = []

    def once(request: Request) -> bool:
        wanted = request.method == "PUT" and "data.bin" in request.target and not damaged
        if wanted:
            damaged.append(request)
        return wanted

    bench.wire.damage_up = once
    bench.json("upload", source, f"{PROJECT}/mended-{size}")
    assert len(damaged) == 1
    assert bench.read(f"mended-{size}/data.bin") == (source / "data.bin").read_bytes()


def test_damage_on_the_way_up_that_does_not_end_is_said(bench: Bench, tmp_path: Path) -> None:
    source = fill(tmp_path / "source", {"data.bin": 30_000})
    bench.wire.damage_up = lambda request: "data.bin" in request.target
    refused = bench.run("upload", source, f"{PROJECT}/damaged")
    assert refused.returncode == 1
    assert "arrived otherwise than it was sent" in refused.stderr
    assert "data.bin" not in bench.objects("damaged")


@pytest.mark.parametrize("size", [30_000, 40 * MIB], ids=["small", "large"])
def test_damage_on_the_way_down_is_caught(bench: Bench, tmp_path: Path, size: int) -> None:
    source = fill(tmp_path / "source", {"data.bin": size})
    bench.json("upload", source, f"{PROJECT}/down-{size}")
    target = tmp_path / "target"
    damaged: list[Request] = []

    def once(request: Request) -> bool:
        wanted = request.method == "GET" and "data.bin" in request.target and not damaged
        if wanted:
            damaged.append(request)
        return wanted

    bench.wire.damage_down = lambda request: "data.bin" in request.target
    refused = bench.run("download", f"{PROJECT}/down-{size}", target)
    assert refused.returncode == 1
    assert "what comes is not what the manifest says" in refused.stderr
    assert list(target.iterdir()) == []
    bench.wire.damage_down = once
    bench.json("download", f"{PROJECT}/down-{size}", target)
    assert same(source, target)
    assert len(damaged) == 1


def test_a_network_that_is_lost_for_seconds_is_waited_for(bench: Bench, tmp_path: Path) -> None:
    sizes = {f"{number:03d}.bin": 50_000 for number in range(50)} | {"large.bin": 60 * MIB}
    source = fill(tmp_path / "source", sizes)
    with bench.running("upload", source, f"{PROJECT}/lost", "--json") as process:
        assert bench.wire.wait_for(lambda: sum(bench.wire.sent.values()) > 10 * MIB)
        bench.wire.lose()
        time.sleep(3)  # the outage itself
        bench.wire.mend()
        output, _ = process.communicate(timeout=120)
        assert process.returncode == 0, output
    with bench.running("download", f"{PROJECT}/lost", tmp_path / "target", "--json") as process:
        assert bench.wire.wait_for(
            lambda: any(r.method == "GET" and "large.bin" in r.target for r in bench.wire.requests)
        )
        bench.wire.lose()
        time.sleep(2)
        bench.wire.mend()
        output, _ = process.communicate(timeout=120)
        assert process.returncode == 0, output
    assert same(source, tmp_path / "target")


def test_keys_that_end_on_the_way_are_renewed(seaweedfs: SeaweedFS, tmp_path: Path) -> None:
    source = fill(tmp_path / "source", {"large.bin": 100 * MIB, "small.bin": 10})
    with made_bench(seaweedfs, tmp_path, timedelta(seconds=4)) as bench:
        # A wire of some 12 MB/s: longer than two lives of the keys.
        bench.wire.slowly = 12 * MIB
        bench.json("upload", source, f"{PROJECT}/renewed")
        assert len(bench.service.issued) >= 3
        assert bench.read("renewed/large.bin") == (source / "large.bin").read_bytes()


def test_what_may_not_be_written_is_refused_with_the_reason(bench: Bench, tmp_path: Path) -> None:
    source = fill(tmp_path / "source", {"a.bin": 10})
    frozen = bench.run("upload", source, f"{PROJECT}/release/late")
    assert (frozen.returncode, describe_reason(FROZEN) in frozen.stderr) == (3, True)
    assert bench.wire.total() == 0
    neighbour = bench.run("upload", source, "stimuli/mine")
    assert (neighbour.returncode, "upload-tests reads stimuli" in neighbour.stderr) == (3, True)
    unknown = bench.run("upload", source, "human/mine")
    assert (unknown.returncode, "human cannot be read" in unknown.stderr) == (3, True)
    assert bench.wire.total() == 0


def test_nothing_is_overwritten_unless_asked(bench: Bench, tmp_path: Path) -> None:
    source = fill(tmp_path / "source", {"a.bin": 10, "b.bin": 20})
    bench.json("upload", source, f"{PROJECT}/kept")
    before = (source / "a.bin").read_bytes()
    (source / "a.bin").write_bytes(b"other text")
    refused = bench.run("upload", source, f"{PROJECT}/kept")
    assert refused.returncode == 1
    assert "kept is complete, and stays as it is:\n  a.bin: something else is there" in (
        refused.stderr
    )
    (source / "c.bin").write_bytes(b"new")
    more = bench.run("upload", source, f"{PROJECT}/kept")
    assert "c.bin is not in it; --update adds what is new (1 files)" in more.stderr
    assert bench.read("kept/a.bin") == before
    (source / "b.bin").unlink()
    bench.json("upload", source, f"{PROJECT}/kept", "--update")
    manifest = Manifest.decode(bench.read(make_manifest_key("kept")))
    assert [file.path for file in manifest.files] == ["a.bin", "b.bin", "c.bin"]
    assert bench.read("kept/a.bin") == b"other text"


def test_somebody_who_was_first_is_not_overwritten(bench: Bench, tmp_path: Path) -> None:
    """Objects that appear between the look and the writing."""
    source = fill(tmp_path / "source", {"small.bin": 10, "large.bin": 40 * MIB})
    done: list[str] = []

    def first(request: Request) -> bool:
        path = request.target.partition("?")[0]
        if request.method == "PUT" and path.endswith(".bin") and path not in done:
            done.append(path)
            bench.admin.put_object(Bucket="lab", Key=path.removeprefix("/lab/"), Body=b"theirs")
        return False

    bench.wire.damage_up = first
    refused = bench.run("upload", source, f"{PROJECT}/raced")
    assert refused.returncode == 1
    assert "small.bin: something else is there" in refused.stderr
    assert "large.bin: something else is there" in refused.stderr
    assert bench.read("raced/small.bin") == bench.read("raced/large.bin") == b"theirs"
    assert bench.parts("raced") == {}


def test_a_file_that_changes_under_way_is_refused(bench: Bench, tmp_path: Path) -> None:
    source = fill(tmp_path / "source", {"large.bin": 100 * MIB})
    changed: list[Request] = []

    def change(request: Request) -> bool:
        if re.search(r"partNumber=1(&|$)", request.target) and not changed:
            changed.append(request)
            with (source / "large.bin").open("r+b") as file:
                file.write(b"changed")
        return False

    bench.wire.damage_up = change
    refused = bench.run("upload", source, f"{PROJECT}/moving")
    assert refused.returncode == 1
    assert "large.bin: it changed while it was being sent" in refused.stderr
    assert changed
    assert "large.bin" not in bench.objects("moving")
    assert bench.parts("moving") == {}


def test_a_wrong_clock_is_said(bench: Bench, tmp_path: Path) -> None:
    source = fill(tmp_path / "source", {"a.bin": 10})
    code = """
import datetime as real
import botocore.auth
from panneuro_hub.client.transfer import engine_errors
from panneuro_hub.client.command import main

HOUR = real.timedelta(hours=1)

class Late(real.datetime):
    @classmethod
    def now(cls, tz=None):
        return real.datetime.now(tz) - HOUR

right = botocore.auth.get_current_datetime
botocore.auth.get_current_datetime = lambda *args, **given: right(*args, **given) - HOUR
engine_errors.datetime = Late
main()
"""
    refused = subprocess.run(
        [sys.executable, "-c", code, "upload", source, f"{PROJECT}/late"],
        env=bench.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode == 1
    assert "the clock of this machine is 60 minutes behind the store's" in refused.stderr
    assert bench.objects("late") == {}


def test_a_full_disk_leaves_nothing_half_written(bench: Bench, tmp_path: Path) -> None:
    source = fill(tmp_path / "source", {"small.bin": 100, "large.bin": 40 * MIB})
    bench.json("upload", source, f"{PROJECT}/disk")
    target = tmp_path / "target"
    # Writing past this fails as on a full disk; a signal ends who does not expect it.
    refused = subprocess.run(
        [PANNEURO, "download", f"{PROJECT}/disk", target],
        env=bench.environment,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: (
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN),
            resource.setrlimit(resource.RLIMIT_FSIZE, (20 * MIB, 20 * MIB)),
        ),
    )
    assert refused.returncode == 1
    assert "large.bin: file too large" in refused.stderr
    assert [place.name for place in target.iterdir()] == ["small.bin"]


def test_a_download_that_was_killed_goes_on(bench: Bench, tmp_path: Path) -> None:
    source = fill(tmp_path / "source", {"large.bin": 150 * MIB, "small.bin": 10})
    bench.json("upload", source, f"{PROJECT}/resumed")
    target = tmp_path / "target"

    def part() -> int:
        return sum(place.stat().st_size for place in target.glob(".panneuro-*.part"))

    bench.wire.slowly = 60 * MIB
    with bench.running("download", f"{PROJECT}/resumed", target):
        assert bench.wire.wait_for(lambda: part() > 30 * MIB)
    bench.wire.slowly = None
    left = part()
    assert left > 30 * MIB
    assert not (target / "large.bin").exists()
    fetched = bench.json("download", f"{PROJECT}/resumed", target)
    assert fetched["moved_size"] <= 150 * MIB + 10 - left
    assert same(source, target)


def test_no_link_in_the_target_leads_a_download_out(bench: Bench, tmp_path: Path) -> None:
    sizes = {"small.bin": 100, "large.bin": 40 * MIB, "sub/inner.bin": 10, "file.bin": 7}
    source = fill(tmp_path / "source", sizes)
    bench.json("upload", source, f"{PROJECT}/links")
    target, outside = tmp_path / "target", tmp_path / "outside"
    target.mkdir()
    outside.mkdir()
    for name in ("small.bin", "large.bin", "file.bin"):
        (outside / name).write_text("mine")
    # Anybody can work out which names a download uses before a file is whole.
    for name in ("small.bin", "large.bin"):
        digest = hashlib.sha256(name.encode()).hexdigest()[:16]
        (target / f".panneuro-{digest}.part").symlink_to(outside / name)
    (target / "sub").symlink_to(outside)
    refused = bench.run("download", f"{PROJECT}/links", target)
    assert refused.returncode == 1
    assert "sub: a link, through which nothing is written" in refused.stderr
    (target / "sub").unlink()
    (target / "file.bin").unlink()
    (target / "file.bin").symlink_to(outside / "file.bin")
    bench.json("download", f"{PROJECT}/links", target, "--update")
    assert same(source, target)
    assert not any(path.is_symlink() for path in target.rglob("*"))
    assert {path.name: path.read_text() for path in outside.iterdir()} == {
        "small.bin": "mine",
        "large.bin": "mine",
        "file.bin": "mine",
    }
