"""Real recordings go into the running demo by `panneuro`, which is killed, resumed, and lied to."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import random
import re
import shutil
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from attacker import Keys, client
from nibabel.testing import data_path
from stored_datasets import bids, long_series, receptor_nwb
from terminal import PANNEURO, Terminal
from test_demo import PATIENCE, PROJECT, demo
from transfers import MIB, same
from wire_faults import Wire

from panneuro_hub.devstack.hub_visitor import HubVisitor, visit_hub
from panneuro_hub.devstack.local_hub import BUCKET
from panneuro_hub.devstack.samples.recordings import find_nitime_data

SUBJECTS = 50
SLOW = 16 * MIB  # bytes a second, while it is killed: to hit what is under way
KILLS = 3
FORMATS = {"nitime": "files", "receptor": "nwb", "rest": "bids"}
SERIES = "sub-01/func/sub-01_task-rest_run-2_bold.nii"
DENIED = 3


class Machine(Terminal):
    """Somebody's own computer: a home folder, in which the login is kept."""

    def __init__(self, home: Path) -> None:
        self.home = home
        ours = ("AWS_", "PANNEURO_", "XDG_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        super().__init__(kept | {"HOME": str(home)})

    async def log_in(self, person: HubVisitor, address: str) -> None:
        """`panneuro login`, allowed in the browser of who is logged in at the hub."""
        self.home.mkdir()
        process = await asyncio.create_subprocess_exec(
            *(PANNEURO, "login", address, "--no-browser"),
            env=self.environment,
            stdout=PIPE,
            stderr=PIPE,
        )
        try:
            await _allow(process, person)
            output, errors = await asyncio.wait_for(process.communicate(), PATIENCE)
        finally:
            if process.returncode is None:
                process.kill()
        assert process.returncode == 0, errors
        assert output.decode().startswith(f"You are {person.name} at {address}")


async def _allow(process: Process, person: HubVisitor) -> None:
    """Open the page that `panneuro login` names, type the code, log in again, and allow it."""
    assert process.stderr is not None
    lines = [(await process.stderr.readline()).decode() for _ in range(2)]
    found = re.search(r"(http\S+)\n.*([A-Z]{4}-[A-Z]{4})", "".join(lines))
    assert found, lines
    await person.decide_login(found[1], found[2])


@dataclass(frozen=True)
class Arrived:
    """What the store has of a dataset: whole files, and parts of others by path and number."""

    files: dict[str, tuple[int, datetime]]
    parts: dict[tuple[str, int], int]

    @property
    def size(self) -> int:
        return sum(size for size, _ in self.files.values()) + sum(self.parts.values())


@dataclass(frozen=True)
class Root:
    """The demo's store, with the keys that may do everything."""

    s3: Any

    def arrived(self, dataset: str) -> Arrived:
        prefix = f"{PROJECT}/{dataset}/"
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        files = {
            one["Key"].removeprefix(prefix): (one["Size"], one["LastModified"])
            for page in pages
            for one in page.get("Contents", [])
        }
        begun = self.s3.list_multipart_uploads(Bucket=BUCKET, Prefix=prefix).get("Uploads", [])
        parts = {}
        for upload in begun:
            listed = self.s3.list_parts(
                Bucket=BUCKET, Key=upload["Key"], UploadId=upload["UploadId"]
            )
            for part in listed.get("Parts", []):
                parts[upload["Key"].removeprefix(prefix), part["PartNumber"]] = part["Size"]
        return Arrived(files, parts)

    def settled(self, dataset: str) -> Arrived:
        """What has arrived, once the store has done all that was asked before a kill."""
        seen = None
        while seen != (seen := self.arrived(dataset)):
            time.sleep(0.3)
        return seen

    def flip(self, key: str, place: int) -> None:
        """Change one bit of an object."""
        content = bytearray(self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())
        content[place % len(content)] ^= 1
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=bytes(content))


def endpoint_of(said: str) -> str:
    """Where the store of a demo answers."""
    found = re.search(r"the object store answers at (\S+)", said)
    assert found, said
    return found[1]


@contextmanager
def root_of(folder: Path, endpoint: str) -> Iterator[Root]:
    """The store of a demo in `folder`, as whoever runs the demo can reach it."""
    identities = json.loads((folder / ".demo/store/s3.json").read_text())["identities"]
    (keys,) = next(one["credentials"] for one in identities if one["name"] == "admin")
    with client(Keys(keys["accessKey"], keys["secretKey"]), endpoint) as s3:
        yield Root(s3)


def made_sources(folder: Path) -> dict[str, Path]:
    """The three datasets on somebody's disk, by what they will be called."""
    recordings = shutil.copytree(
        find_nitime_data(), folder / "nitime", ignore=shutil.ignore_patterns("__pycache__")
    )
    nwb = _written(folder / "receptor", receptor_nwb())
    return {"nitime": recordings, "receptor": nwb, "rest": _written(folder / "rest", many_bids())}


def many_bids() -> dict[str, bytes]:
    """nibabel's volumes as a study of many, no two files of which are the same; and a long run."""
    files = bids()
    like = "sub-01/func/sub-01_task-rest_bold"
    bold, about = gzip.decompress(files[f"{like}.nii.gz"]), files[f"{like}.json"]
    anatomy = Path(data_path, "anatomical.nii").read_bytes()
    names = [f"sub-{number:02d}" for number in range(1, SUBJECTS + 1)]
    for name in names:
        files[f"{name}/anat/{name}_T1w.nii"] = _described(anatomy, name)
        packed = gzip.compress(_described(bold, name), compresslevel=1, mtime=0)
        files[f"{name}/func/{name}_task-rest_bold.nii.gz"] = packed
        files[f"{name}/func/{name}_task-rest_bold.json"] = about
    files[SERIES] = long_series()
    files[SERIES.replace(".nii", ".json")] = about
    files["participants.tsv"] = "\n".join(["participant_id", *names, ""]).encode()
    return files


def _described(volume: bytes, text: str) -> bytes:
    """A NIfTI-1 file with another description, which has 80 bytes from byte 148 on."""
    return volume[:148] + text.encode().ljust(80, b"\0") + volume[228:]


def _written(folder: Path, files: dict[str, bytes]) -> Path:
    for path, content in files.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    return folder


def sizes_of(folder: Path) -> dict[str, int]:
    return {
        place.relative_to(folder).as_posix(): place.stat().st_size
        for place in folder.rglob("*")
        if place.is_file()
    }


def send_with_kills(
    ada: Machine, root: Root, wire: Wire, source: Path, chance: random.Random
) -> None:
    """Send a folder by one command, given again after each SIGKILL at some point."""
    dataset, sizes = source.name, sizes_of(source)
    whole = sum(sizes.values())
    command = ("upload", source, f"{PROJECT}/{dataset}", "--title", "Resting state")
    arrived = Arrived({}, {})
    wire.slowly = SLOW
    for _ in range(KILLS):
        wire.reset()
        # Within what must still come, so that it cannot be done before.
        goal = chance.randint(1, max(1, (whole - arrived.size) // 2))
        with ada.running(*command) as process:
            assert wire.wait_for(lambda goal=goal: sum(wire.sent.values()) >= goal, PATIENCE)
            assert process.poll() is None
            process.kill()
        before, arrived = arrived, root.settled(dataset)
        print(f"killed at {goal} B: there are {len(arrived.files)} files, {arrived.parts}")
        assert before.files.items() <= arrived.files.items()
        assert not sent_files(wire, dataset).keys() & before.files.keys()
        assert ".panneuro/manifest.json" not in arrived.files
    assert arrived.size > 0
    wire.slowly = None
    refused = ada.run("download", f"{PROJECT}/{dataset}", source.with_name("too-early"))
    assert refused.returncode == 1
    assert f"{dataset} is not complete: ada began to upload it on" in refused.stderr
    wire.reset()
    sent = ada.json(*command)
    assert (sent["files"], sent["size"]) == (len(sizes), whole)
    # Of what was on its way when the last one was killed, more may have come since.
    assert 0 < sent["moved_files"] <= len(sizes) - len(arrived.files)
    assert 0 < sent["moved_size"] <= whole - arrived.size
    assert sum(sent_files(wire, dataset).values()) == sent["moved_size"]
    after = root.settled(dataset)
    assert arrived.files.items() <= after.files.items()
    assert after.parts == {}
    again = ada.json(*command, "--no-check")
    assert (again["moved_files"], again["moved_size"]) == (0, 0)


def sent_files(wire: Wire, dataset: str) -> dict[str, int]:
    """How many bytes of which files went over the wire."""
    found: dict[str, int] = {}
    folder = f"/{BUCKET}/{PROJECT}/{dataset}/"
    for request in wire.requests:
        path = unquote(request.target.partition("?")[0])
        if request.method == "PUT" and path.startswith(folder):
            name = path.removeprefix(folder)
            found[name] = found.get(name, 0) + request.size
    return {name: size for name, size in found.items() if not name.startswith(".panneuro/")}


def put_wire_between(wire: Wire, endpoint: str, folder: Path, person: Machine) -> None:
    """Give the collaboration's store the wire's address, which the running hub follows."""
    collaboration = folder / ".demo/collaboration.yaml"
    text = collaboration.read_text()
    assert endpoint in text
    edited = collaboration.with_suffix(".new")
    edited.write_text(text.replace(endpoint, wire.url))
    edited.replace(collaboration)
    deadline = time.monotonic() + PATIENCE
    while not wire.requests:
        assert time.monotonic() < deadline
        person.json("ls", PROJECT)


def see_all_complete(person: Machine, sources: dict[str, Path], target: Path) -> None:
    """They are listed as what they are, and come back byte by byte."""
    listed = person.json("ls", PROJECT)
    assert (listed["not_complete"], listed["troubles"]) == ([], [])
    records = {one["dataset"]: one for one in listed["datasets"]}
    for name, source in sources.items():
        assert (records[name]["format"], records[name]["created_by"]) == (FORMATS[name], "ada")
        person.json("download", f"{PROJECT}/{name}", target / name)
        assert same(source, target / name)
    assert len(records["rest"]["subjects"]) == SUBJECTS


def damage_is_caught(
    ada: Machine, reader: Machine, root: Root, sources: dict[str, Path], chance: random.Random
) -> None:
    """One bit of one object of each dataset is other in the store, and `download` names it."""
    for name, source in sources.items():
        path = chance.choice(sorted(sizes_of(source)))
        print(f"changed: {name}/{path}")
        root.flip(f"{PROJECT}/{name}/{path}", chance.randrange(1 << 30))
        target = reader.home / "damaged" / name
        refused = reader.run("download", f"{PROJECT}/{name}", target)
        assert refused.returncode == 1, refused.stdout
        assert f"{path}: what comes is not what the manifest says (SHA-256)" in refused.stderr
        assert "1 of " in refused.stderr
        assert sizes_of(target).keys() == sizes_of(source).keys() - {path}
        # Who has it still can mend it, by sending this one file.
        mended = ada.json("upload", source, f"{PROJECT}/{name}", "--update", "--no-check")
        assert mended["moved_files"] == 1
        assert reader.json("download", f"{PROJECT}/{name}", target)["moved_files"] == 1
        assert same(source, target)


def be_refused(stranger: Machine, source: Path) -> None:
    """Who has no access is told so, by each command."""
    name = f"{PROJECT}/{source.name}"
    for command in (
        ("ls", PROJECT),
        ("ls", name),
        ("download", name, stranger.home / "stolen"),
        ("upload", source, f"{PROJECT}/planted"),
    ):
        refused = stranger.run(*command)
        assert refused.returncode == DENIED, refused
        assert refused.stdout == ""
        assert "you are not in navigation-lab" in refused.stderr
        assert "Traceback" not in refused.stderr
    assert not (stranger.home / "stolen").exists()
    assert PROJECT not in {one["project"] for one in stranger.json("ls")}


async def made_machine(folder: Path, name: str, address: str) -> Machine:
    """The computer of somebody who has given `panneuro login` and allowed it."""
    machine = Machine(folder / name)
    async with visit_hub(address) as person:
        await person.log_in(name)
        await machine.log_in(person, address)
    return machine


async def test_recordings_go_into_the_demo_and_come_back(tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"the seed of all chance is {seed}")
    chance = random.Random(seed)
    sources = made_sources(tmp_path / "sources")
    with ExitStack() as stack:
        _, said, address = stack.enter_context(demo(tmp_path))
        endpoint = endpoint_of(said)
        root = stack.enter_context(root_of(tmp_path, endpoint))
        wire = stack.enter_context(Wire(int(endpoint.rpartition(":")[2])))
        ada, tomas, grace = await asyncio.gather(
            *(made_machine(tmp_path, name, address) for name in ("ada", "tomas", "grace"))
        )
        put_wire_between(wire, endpoint, tmp_path, ada)
        send_with_kills(ada, root, wire, sources["rest"], chance)
        for name in ("nitime", "receptor"):
            sent = ada.json("upload", sources[name], f"{PROJECT}/{name}")
            assert sent["moved_files"] == len(sizes_of(sources[name]))
        see_all_complete(tomas, sources, tmp_path / "fetched")
        damage_is_caught(ada, tomas, root, sources, chance)
        be_refused(grace, sources["rest"])
        assert root.arrived("planted") == Arrived({}, {})
