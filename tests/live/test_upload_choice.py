"""What `panneuro upload` and `share` send of a person's files, and what they refuse by name."""

from __future__ import annotations

import json
import os
import pty
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from terminal import PANNEURO
from transfers import PROJECT, Bench, fill, made_bench

from panneuro_hub.catalog import Manifest, make_manifest_key
from panneuro_hub.devstack.seaweedfs import SeaweedFS

TOKEN = "not-a-real-token"
KEY = f"MD5E-s5--{'0' * 32}.dat"
NOTEBOOK = {
    "nbformat": 4,
    "nbformat_minor": 4,
    "metadata": {},
    "cells": [
        {
            "cell_type": "code",
            "metadata": {},
            "source": f'url = "https://ada:{TOKEN}@example.org"',
            "execution_count": None,
            "outputs": [],
        }
    ],
}


@pytest.fixture(scope="module")
def bench(seaweedfs: SeaweedFS, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with made_bench(seaweedfs, tmp_path_factory.mktemp("choice")) as made:
        made.empty()
        yield made


def written(bench: Bench) -> list[str]:
    """Everything that was written to the store since the last look."""
    found = [one.target for one in bench.wire.requests if one.method in ("PUT", "POST", "DELETE")]
    bench.wire.reset()
    return found


@pytest.fixture(autouse=True)
def new_look(bench: Bench) -> None:
    bench.wire.reset()


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A DataLad study with one annexed file."""
    out = tmp_path / "study"
    content = out / ".git/annex/objects/aa/bb" / KEY / KEY
    content.parent.mkdir(parents=True)
    content.write_bytes(b"numbs")
    (out / ".git/config").write_text(
        f'[remote "origin"]\n\turl = https://user:{TOKEN}@example.org/study\n'
    )
    (out / ".datalad").mkdir()
    (out / ".datalad/config").write_text("[datalad]\n")
    (out / ".gitattributes").write_text("* annex.backend=MD5E\n")
    (out / "sub-01").mkdir()
    (out / "sub-01/.DS_Store").write_bytes(b"\0\0\0\1Bud1")
    (out / "sub-01/raw.dat").symlink_to(os.path.relpath(content, out / "sub-01"))
    return out


def test_a_datalad_study_arrives_without_its_repository(bench: Bench, study: Path) -> None:
    planned = bench.run("upload", study, f"{PROJECT}/study", "--dry-run")
    assert planned.returncode == 0
    for part in ("left out: ", "1 of DataLad (.datalad)", "(.git, .gitattributes)", ".DS_Store"):
        assert part in planned.stderr
    assert written(bench) == []
    sent = bench.json("upload", study, f"{PROJECT}/study")
    assert (sent["files"], sent["size"], sent["secrets"]) == (1, 5, [])
    assert {"kind": "macOS", "count": 1, "paths": ["sub-01/.DS_Store"]} in sent["left_out"]
    assert bench.objects("study").keys() == {"sub-01/raw.dat", ".panneuro/manifest.json"}
    assert bench.read("study/sub-01/raw.dat") == b"numbs"


def test_what_is_left_out_comes_back_and_is_looked_at_for_secrets(
    bench: Bench, study: Path
) -> None:
    dataset = f"{PROJECT}/with-git"
    options = ("--include", ".git", "--include", ".hg")
    refused = bench.run("upload", study, dataset, *options)
    assert refused.returncode == 1
    assert "  .git/config, line 2: a password or token in an address" in refused.stderr
    assert "give --allow-secrets to send them all the same" in refused.stderr
    assert "--include .hg matches nothing that is left out" in refused.stderr
    assert TOKEN not in refused.stderr + refused.stdout
    assert written(bench) == []
    told = bench.run("upload", study, dataset, *options, "--json")
    assert json.loads(told.stdout)["problems"] == [
        ".git/config, line 2: a password or token in an address"
    ]
    planned = bench.json("upload", study, dataset, *options, "--dry-run")
    assert planned["secrets"][0]["path"] == ".git/config"
    assert written(bench) == []
    sent = bench.json("upload", study, dataset, *options, "--allow-secrets")
    assert sent["files"] == 3
    assert ".git/config" in bench.objects("with-git")


@pytest.mark.parametrize(("answer", "code"), [("n", 1), ("y", 0)])
def test_a_person_at_a_terminal_is_asked(
    bench: Bench, tmp_path: Path, answer: str, code: int
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/.env").write_text("TOKEN=x")
    master, slave = pty.openpty()
    with subprocess.Popen(
        [PANNEURO, "upload", str(tmp_path / "data"), f"{PROJECT}/asked-{answer}"],
        env=bench.environment,
        stdin=slave,
        stdout=subprocess.PIPE,
        stderr=slave,
    ) as process:
        os.close(slave)
        said = b""
        while b"all the same? [y/N]" not in said:
            said += os.read(master, 4096)
        assert written(bench) == []
        os.write(master, f"{answer}\n".encode())
        assert process.wait(60) == code
    os.close(master)
    assert b".env: a file of settings that often has keys" in said
    assert bool(written(bench)) == (answer == "y")


def test_a_hostile_tree_is_refused_by_name_before_anything_is_sent(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = fill(tmp_path / "source", {"good.bin": 10, "nul\x01.bin": 1, "a\\b": 1})
    (source / os.fsdecode(b"bad\xff")).write_bytes(b"1")
    (source / "loop").symlink_to("loop")
    (source / "up").symlink_to("..")
    (source / "zero").symlink_to("/dev/zero")
    os.mkfifo(source / "pipe")
    monkeypatch.chdir(source)
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind("socket")
        for _ in range(1200):
            os.mkdir("d")
            os.chdir("d")
        refused = bench.run("upload", source, f"{PROJECT}/hostile", "--json")
        # Python's own functions cannot remove so deep a tree.
        for _ in range(1200):
            os.chdir("..")
            os.rmdir("d")
    assert refused.returncode == 1
    assert refused.stderr == ""
    said = dict(one.split(": ", 1) for one in json.loads(refused.stdout)["problems"])
    assert said.pop(next(name for name in said if name.startswith("d/d/d"))) == (
        "its path is longer than 1024 bytes"
    )
    assert said == {
        "'nul\\x01.bin'": "its name has a control character in it",
        "a\\b": "its name has a '\\' in it, which stores take for a '/'; rename it",
        "'bad\\udcff'": "its name is not valid UTF-8",
        "loop": "a link that leads nowhere",
        "up": "a link that leads out of the folder; put the file itself there",
        "zero": "a link that leads out of the folder; put the file itself there",
        "pipe": "neither a file nor a folder",
        "socket": "neither a file nor a folder",
    }
    assert written(bench) == []


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--title", "x" * 501), "title is longer than 500 characters"),
        (("--license", "x" * 501), "license is longer than 500 characters"),
        (("--citation", "x" * 100_001), "citation is longer than 100000 characters"),
        (("--description", "a\x07b"), "description has the character"),
    ],
)
def test_what_no_manifest_can_hold_is_refused_before_anything_is_sent(
    bench: Bench, tmp_path: Path, options: tuple[str, str], why: str
) -> None:
    source = fill(tmp_path / "source", {"a.bin": 10})
    refused = bench.run("upload", source, f"{PROJECT}/limits", *options)
    assert (refused.returncode, why in refused.stderr) == (1, True), refused.stderr
    assert written(bench) == []


def test_what_a_manifest_can_hold_at_most_is_sent(bench: Bench, tmp_path: Path) -> None:
    source = fill(tmp_path / "source", {"a.bin": 10})
    # The project's and the dataset's name lie before the path, and all of it is one key.
    before = len(f"{PROJECT}/limits/")
    long = "/".join(["y" * 200] * 4 + ["z" * (1024 - before - 4 * 201)])
    fill(source, {long: 1})
    texts = ("--title", "x" * 500, "--license", "x" * 500, "--citation", "x" * 100_000)
    bench.json("upload", source, f"{PROJECT}/limits", *texts)
    manifest = Manifest.decode(bench.read(make_manifest_key("limits")))
    assert (len(manifest.title), len(manifest.files)) == (500, 2)
    fill(source, {f"{long}z": 1})
    bench.wire.reset()
    refused = bench.run("upload", source, f"{PROJECT}/limits", "--update")
    assert refused.returncode == 1
    assert "its path is longer than 1024 bytes" in refused.stderr
    assert written(bench) == []


def test_a_notebook_that_nobody_could_open_is_not_shared(bench: Bench, tmp_path: Path) -> None:
    place = tmp_path / "utf16.ipynb"
    place.write_bytes(json.dumps({**NOTEBOOK, "cells": []}).encode("utf-16"))
    refused = bench.run("share", place, f"{PROJECT}/utf16")
    assert refused.returncode == 1
    assert f"{place}: the notebook is in UTF-16, and must be in UTF-8" in refused.stderr
    assert written(bench) == []


def test_a_notebook_with_a_secret_is_shared_only_where_that_is_said(
    bench: Bench, tmp_path: Path
) -> None:
    place = tmp_path / "n.ipynb"
    place.write_text(json.dumps(NOTEBOOK))
    refused = bench.run("share", place, f"{PROJECT}/secret")
    assert refused.returncode == 1
    assert "n.ipynb, the code of cell 1: a password or token in an address" in refused.stderr
    assert "--allow-secrets" in refused.stderr
    assert TOKEN not in refused.stderr
    planned = bench.json("share", place, f"{PROJECT}/secret", "--dry-run")
    assert [one["place"] for one in planned["secrets"]] == ["the code of cell 1"]
    assert written(bench) == []
    shared = bench.json("share", place, f"{PROJECT}/secret", "--allow-secrets")
    assert shared["is_new"] is True
