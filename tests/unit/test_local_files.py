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

from panneuro_hub.client.local_files import (
    find_change,
    find_lookalikes,
    find_name_problem,
    make_range_reader,
    open_unchanged,
    read_whole,
    scan_folder,
)
from panneuro_hub.client.path_text import format_path
from panneuro_hub.client.transfer_errors import LocalFileError


def problems(root: Path) -> dict[str, str]:
    """What is refused, by name."""
    return dict(str(problem).split(": ", 1) for problem in scan_folder(root).problems)


def test_files_are_found_by_their_paths(tmp_path: Path) -> None:
    (tmp_path / "sub" / "deep").mkdir(parents=True)
    (tmp_path / "sub" / "deep" / "é ☃.bin").write_bytes(b"123")
    (tmp_path / ".bidsignore").write_text("")
    (tmp_path / "none" / "at" / "all").mkdir(parents=True)
    found = scan_folder(tmp_path)
    assert [(file.path, file.size) for file in found.files] == [
        (".bidsignore", 0),
        ("sub/deep/é ☃.bin", 3),
    ]
    assert found.empty_folders == ["none/at/all"]
    assert found.size == 3
    assert found.problems == []


def test_a_single_file_is_a_dataset_too(tmp_path: Path) -> None:
    (tmp_path / "a.nwb").write_bytes(b"12")
    assert [file.path for file in scan_folder(tmp_path / "a.nwb").files] == ["a.nwb"]


def test_nothing_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(LocalFileError, match="nowhere: no such file"):
        scan_folder(tmp_path / "nowhere")


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
    found = scan_folder(folder)
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
        found = scan_folder(folder)
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
        ("x" * 1025, "longer than 1024 bytes"),
        ("é" * 513, "longer than 1024 bytes"),
    ],
)
def test_names_that_cannot_be_are_refused(name: str, reason: str) -> None:
    assert reason in (find_name_problem(name) or "")


@pytest.mark.parametrize(
    "name",
    ["a b", "é", "e\u0301", "+%20&?#", "a:b*c|d<e>", "...", " x ", "日本語", "😀", ".hidden"],
)
def test_names_that_can_be_are_taken(name: str) -> None:
    assert find_name_problem(name) is None


def test_the_prefix_counts(tmp_path: Path) -> None:
    assert find_name_problem("x" * 1000, "p" * 24) is None
    assert "longer than 1024 bytes" in (find_name_problem("x" * 1000, "p" * 25) or "")


@given(st.text())
def test_any_name_gets_an_answer_that_can_be_printed(name: str) -> None:
    problem = find_name_problem(name)
    assert format_path(name).isprintable() or format_path(name) == ""
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
    [file] = scan_folder(place).files
    assert find_change(file) is None
    with open_unchanged(file) as opened:
        assert read_whole(opened, file, 5) == b"12345"
    with pytest.raises(LocalFileError, match="a: it changed while"), open_unchanged(file) as opened:
        place.write_bytes(b"1234567")
    with pytest.raises(LocalFileError, match="a: it changed while"), open_unchanged(file):
        pytest.fail("it has changed before")
    assert "it changed while" in str(find_change(file))
    [file] = scan_folder(place).files
    os.utime(place, ns=(0, file.mtime_ns + 1))
    assert "it changed while" in str(find_change(file))
    [file] = scan_folder(place).files
    with open_unchanged(file) as opened, pytest.raises(LocalFileError, match="it changed"):
        read_whole(opened, file, 8)
    place.unlink()
    assert "no such file" in str(find_change(file))


def test_a_tree_deeper_than_pythons_stack_is_refused_by_name(tmp_path: Path) -> None:
    os.chdir(tmp_path)
    for _ in range(1200):
        Path("d").mkdir()
        os.chdir("d")
    Path("f.txt").write_text("deep")
    found = scan_folder(tmp_path)
    # Nor can Python's own functions remove it.
    Path("f.txt").unlink()
    for _ in range(1200):
        os.chdir("..")
        Path("d").rmdir()
    assert found.files == []
    [problem] = map(str, found.problems)
    assert problem.startswith("d/d/d/")
    assert problem.endswith("d/d/d: its path is longer than 1024 bytes")
    assert len(problem) < 300


def test_a_link_up_the_tree_does_not_lead_round_for_ever(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "up").symlink_to("..")
    assert problems(tmp_path) == {"a/b/up": "a link to a folder; put the folder itself there"}


def test_a_named_pipe_that_took_a_files_place_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    found = scan_folder(tmp_path)
    (tmp_path / "a").unlink()
    os.mkfifo(tmp_path / "a")
    with pytest.raises(LocalFileError, match="a: it changed"), open_unchanged(found.files[0]):
        pass


def test_a_link_that_took_a_files_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    found = scan_folder(tmp_path)
    (tmp_path / "a").rename(tmp_path / "b")
    (tmp_path / "a").symlink_to("b")
    with pytest.raises(LocalFileError, match="a: "), open_unchanged(found.files[0]):
        pass


def test_what_vanishes_before_it_is_looked_into_is_named(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("123")
    read = make_range_reader(scan_folder(tmp_path))
    assert read("a", 1, 5) == b"23"
    (tmp_path / "a").unlink()
    with pytest.raises(LocalFileError, match="a: no such file"):
        read("a", 0, 5)


def test_names_that_are_one_on_other_disks_are_found(tmp_path: Path) -> None:
    for name in ("Data.txt", "data.txt", "\u00e9", "e\u0301", "other"):
        (tmp_path / name).write_text("")
    found = scan_folder(tmp_path)
    assert len(found.files) == 5
    assert sorted(find_lookalikes(found.files)) == [
        ("Data.txt", "data.txt"),
        ("e\u0301", "\u00e9"),
    ]


def test_a_single_file_has_the_name_that_the_person_wrote(tmp_path: Path) -> None:
    (tmp_path / "content").write_text("1")
    (tmp_path / "link.csv").symlink_to("content")
    found = scan_folder(tmp_path / "link.csv")
    assert [file.path for file in found.files] == ["link.csv"]
    assert make_range_reader(found)("link.csv", 0, 1) == b"1"


def test_long_names_are_shortened() -> None:
    assert format_path("a/" * 400 + "b.txt").endswith("…" + ("a/" * 400 + "b.txt")[-60:])
    assert len(format_path("a/" * 400)) == 200
    assert format_path("\n" * 300).isprintable()
