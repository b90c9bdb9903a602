"""What of a folder can be sent, and what is refused by name."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from panneuro_hub.client.errors import FileProblem
from panneuro_hub.client.files import find, name_problem, read_whole, shown, still, unchanged


def problems(root: Path) -> dict[str, str]:
    """What is refused, by name."""
    return dict(str(problem).split(": ", 1) for problem in find(root).problems)


def test_files_are_found_by_their_paths(tmp_path: Path) -> None:
    (tmp_path / "sub" / "deep").mkdir(parents=True)
    (tmp_path / "sub" / "deep" / "é ☃.bin").write_bytes(b"123")
    (tmp_path / ".bidsignore").write_text("")
    (tmp_path / "none" / "at" / "all").mkdir(parents=True)
    found = find(tmp_path)
    assert [(file.path, file.size) for file in found.files] == [
        (".bidsignore", 0),
        ("sub/deep/é ☃.bin", 3),
    ]
    assert found.empty_folders == ["none/at/all"]
    assert found.size == 3
    assert found.problems == []


def test_a_single_file_is_a_dataset_too(tmp_path: Path) -> None:
    (tmp_path / "a.nwb").write_bytes(b"12")
    assert [file.path for file in find(tmp_path / "a.nwb").files] == ["a.nwb"]


def test_nothing_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileProblem, match="nowhere: no such file"):
        find(tmp_path / "nowhere")


def test_links_are_followed_inside_the_folder_only(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "inner").mkdir(parents=True)
    (tmp_path / "secret").write_text("secret")
    (folder / "inner" / "file").write_text("inside")
    (folder / "good").symlink_to("inner/file")
    (folder / "out").symlink_to("../secret")
    (folder / "absolute").symlink_to("/etc/passwd")
    (folder / "loop").symlink_to("loop")
    (folder / "broken").symlink_to("gone")
    (folder / "folder").symlink_to("inner")
    (folder / "above").symlink_to("..")
    found = find(folder)
    assert [file.path for file in found.files] == ["good", "inner/file"]
    assert problems(folder) == {
        "out": "a link that leads out of the folder; put the file itself there",
        "absolute": "a link that leads out of the folder; put the file itself there",
        "above": "a link that leads out of the folder; put the file itself there",
        "loop": "a link that leads nowhere",
        "broken": "a link that leads nowhere",
        "folder": "a link to a folder; put the folder itself there",
    }


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as door:
        os.chdir(tmp_path)  # the path of a socket is short
        door.bind("socket")
        assert problems(tmp_path) == {
            "pipe": "neither a file nor a folder",
            "socket": "neither a file nor a folder",
        }


@pytest.fixture(autouse=True)
def stay_here() -> Iterator[None]:
    here = Path.cwd()
    yield
    os.chdir(here)


@contextmanager
def nobody(folder: Path) -> Iterator[None]:
    """As an account that may not read everything; who is none already stays it."""
    if os.geteuid() != 0:
        yield
        return
    for above in (folder, *folder.parents):
        if above.stat().st_uid == 0 and above != Path("/") and above.is_relative_to("/tmp/"):
            above.chmod(above.stat().st_mode | 0o111)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir(mode=0o755)
    (folder / "open").write_text("1")
    (folder / "shut").write_text("1")
    (folder / "room").mkdir(mode=0)
    (folder / "shut").chmod(0)
    with nobody(tmp_path):
        found = find(folder)
        said = problems(folder)
    (folder / "room").chmod(0o755)
    assert said["room"] == "permission denied"
    assert [file.path for file in found.files if file.path == "open"] == ["open"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("a\\b", "which stores take for a '/'"),
        ("a\nb", "control character"),
        ("a\x7fb", "control character"),
        ("a\uffffb", "no listing can hold"),
        ("\udcff", "not valid UTF-8"),
        (".panneuro/x", "the catalog keeps"),
        ("x/../y", "'.' or '..' part"),
        ("x" * 901, "longer than 900 bytes"),
        ("é" * 451, "longer than 900 bytes"),
    ],
)
def test_names_that_cannot_be_are_refused(name: str, reason: str) -> None:
    assert reason in (name_problem(name) or "")


@pytest.mark.parametrize(
    "name",
    ["a b", "é", "e\u0301", "+%20&?#", "a:b*c|d<e>", "...", " x ", "日本語", "😀", ".hidden"],
)
def test_names_that_can_be_are_taken(name: str) -> None:
    assert name_problem(name) is None


def test_the_prefix_counts(tmp_path: Path) -> None:
    assert name_problem("x" * 900, "p" * 124) is None
    assert "longer than 1024 bytes" in (name_problem("x" * 900, "p" * 125) or "")


@given(st.text())
def test_any_name_gets_an_answer_that_can_be_printed(name: str) -> None:
    problem = name_problem(name)
    assert shown(name).isprintable() or shown(name) == ""
    if problem is None:
        assert name.encode().decode() == name
        assert "\\" not in name
        assert not name.startswith("/")


def test_bytes_that_are_no_text_are_named(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"bad\xff")).write_text("")
    assert problems(tmp_path) == {"'bad\\udcff'": "its name is not valid UTF-8"}


def test_a_change_is_noticed_before_during_and_after(tmp_path: Path) -> None:
    place = tmp_path / "a"
    place.write_bytes(b"12345")
    [file] = find(place).files
    assert still(file) is None
    with unchanged(file) as opened:
        assert read_whole(opened, file, 5) == b"12345"
    with pytest.raises(FileProblem, match="a: it changed while"), unchanged(file) as opened:
        place.write_bytes(b"1234567")
    with pytest.raises(FileProblem, match="a: it changed while"), unchanged(file):
        pytest.fail("it has changed before")
    assert "it changed while" in str(still(file))
    [file] = find(place).files
    os.utime(place, ns=(0, file.mtime_ns + 1))
    assert "it changed while" in str(still(file))
    [file] = find(place).files
    with unchanged(file) as opened, pytest.raises(FileProblem, match="it changed"):
        read_whole(opened, file, 8)
    place.unlink()
    assert "no such file" in str(still(file))
