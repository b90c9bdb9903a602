"""Files of tools are left out, named, and brought back where a person wants them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from panneuro_hub.client.excluded_files import (
    EVERYTHING,
    ExcludedFile,
    InclusionPatterns,
    find_tool_kind,
    group_excluded_files,
    summarize_excluded_files,
)
from panneuro_hub.client.local_files import FolderContents, scan_folder
from panneuro_hub.client.transfer_errors import LocalFileError, WrongNameError

KEY = f"MD5E-s5--{'0' * 32}.dat"
NOT_HERE = "the content of this annexed file is not here; fetch it with 'datalad get'"


def write(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text("x")


def paths(found: FolderContents) -> list[str]:
    return [file.path for file in found.files]


def annexed(root: Path, path: str, *, here: bool = True) -> None:
    """Add a file as `git annex add` does."""
    content = root / ".git" / "annex" / "objects" / "aa" / "bb" / KEY / KEY
    if here:
        content.parent.mkdir(parents=True, exist_ok=True)
        content.write_bytes(b"numbs")
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).symlink_to(os.path.relpath(content, (root / path).parent))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        (".git", "version control"),
        (".GIT", "version control"),
        (".hg", "version control"),
        (".svn", "version control"),
        (".gitattributes", "version control"),
        (".gitmodules", "version control"),
        (".datalad", "DataLad"),
        (".DS_Store", "macOS"),
        ("._sub-01_bold.nii.gz", "macOS"),
        ("Thumbs.db", "Windows"),
        ("thumbs.db", "Windows"),
        (".Trash-1000", "the wastebasket"),
        (".ipynb_checkpoints", "Jupyter"),
        ("__pycache__", "Python"),
        (".notes.txt.swp", "editors"),
        ("notes.txt~", "editors"),
        ("~$paper.docx", "editors"),
        (".~lock.table.ods#", "editors"),
    ],
)
def test_files_of_tools_are_known_by_their_names(name: str, kind: str) -> None:
    assert find_tool_kind(name) == kind


@pytest.mark.parametrize(
    "name",
    [
        *("data.csv", ".bidsignore", ".gitignore", ".zarray", ".zgroup", ".zmetadata", "zarr.json"),
        *("git", "sub-01", ".github", "a.swp", "__init__.py", "_x", ".", "CVS", ".env", "a~b"),
        *(".panneuro", "c", "0.0", "README", ".hidden", "Trash", "#1", "$x"),
    ],
)
def test_data_is_not_taken_for_a_tools_file(name: str) -> None:
    assert find_tool_kind(name) is None


def test_what_is_left_out_is_named_and_not_looked_into(tmp_path: Path) -> None:
    write(tmp_path, ".git/config", ".git/objects/1/2", "data.csv", "sub/.DS_Store", "sub/a.csv")
    write(tmp_path, "sub/.ipynb_checkpoints/n-checkpoint.ipynb", "sub/n.ipynb")
    (tmp_path / ".git" / "socket").symlink_to("nowhere")
    found = scan_folder(tmp_path)
    assert paths(found) == ["data.csv", "sub/a.csv", "sub/n.ipynb"]
    assert found.problems == []
    assert set(found.left_out) == {
        ExcludedFile(".git", "version control"),
        ExcludedFile("sub/.DS_Store", "macOS"),
        ExcludedFile("sub/.ipynb_checkpoints", "Jupyter"),
    }


def test_the_plan_counts_by_kind_and_names_some(tmp_path: Path) -> None:
    left_out = [ExcludedFile(f"s{number}/.DS_Store", "macOS") for number in range(5)]
    left_out += [ExcludedFile(".git", "version control")]
    assert summarize_excluded_files(left_out) == (
        "left out: 1 of version control (.git); 5 of macOS (s0/.DS_Store, s1/.DS_Store, "
        "s2/.DS_Store, …). --include NAME brings it back"
    )
    assert group_excluded_files(left_out)[0] == {
        "kind": "version control",
        "count": 1,
        "paths": [".git"],
    }
    assert summarize_excluded_files([]) is None


@pytest.mark.parametrize(
    ("patterns", "sent"),
    [
        ((), []),
        ((".git",), [".git/config", ".git/hooks/a"]),
        ((".GIT/",), [".git/config", ".git/hooks/a"]),
        ((".git/config",), [".git/config"]),
        (("./.git/config",), [".git/config"]),
        ((".git/h*",), [".git/hooks/a"]),
        ((".git/hooks/a", "sub/.DS_Store"), [".git/hooks/a", "sub/.DS_Store"]),
        (("config",), []),
        ((".DS_*",), [".git/.DS_Store", "sub/.DS_Store"][1:]),
        (("*",), [".git/.DS_Store", ".git/config", ".git/hooks/a", "sub/.DS_Store"]),
    ],
)
def test_a_person_brings_back_what_they_want(
    tmp_path: Path, patterns: tuple[str, ...], sent: list[str]
) -> None:
    write(tmp_path, ".git/config", ".git/hooks/a", ".git/.DS_Store", "sub/.DS_Store", "x.csv")
    found = scan_folder(tmp_path, include=InclusionPatterns(patterns))
    assert paths(found) == [*sent, "x.csv"]


def test_a_pattern_that_brings_nothing_back_is_known(tmp_path: Path) -> None:
    write(tmp_path, ".git/config", "x.csv")
    include = InclusionPatterns((".git", "x.csv", ".svn"))
    assert include.unused(scan_folder(tmp_path, include=include).included_again) == [
        "x.csv",
        ".svn",
    ]


@pytest.mark.parametrize("pattern", ["", "/", "./"])
def test_a_pattern_must_name_something(pattern: str) -> None:
    with pytest.raises(WrongNameError, match="names no file"):
        InclusionPatterns((pattern,))


def test_many_stars_take_no_time() -> None:
    assert InclusionPatterns(("*" * 10_000 + "b",)).choose("a" * 10_000) == "none"


_NAME = st.sampled_from(["a", "b.csv", ".git", ".DS_Store", "._a", "__pycache__", "x~", "sub"])


@given(st.sets(st.lists(_NAME, min_size=1, max_size=4).map("/".join), min_size=1, max_size=12))
def test_every_file_is_sent_or_lies_in_what_was_left_out(
    tmp_path_factory: pytest.TempPathFactory, names: set[str]
) -> None:
    root = tmp_path_factory.mktemp("tree")
    files = sorted(one for one in names if not any(other.startswith(f"{one}/") for other in names))
    write(root, *files)
    found = scan_folder(root)
    left_out = [one.path for one in found.left_out]
    inside = [path for path in files if any(f"{path}/".startswith(f"{one}/") for one in left_out)]
    assert sorted([*paths(found), *inside]) == files
    assert not any(find_tool_kind(part) for path in paths(found) for part in path.split("/"))
    assert sorted(paths(scan_folder(root, include=EVERYTHING))) == files


def test_annexed_content_is_sent_once_under_the_files_name(tmp_path: Path) -> None:
    annexed(tmp_path, "sub-01/raw.dat")
    write(tmp_path, ".datalad/config", ".gitattributes")
    found = scan_folder(tmp_path)
    assert [(file.path, file.size) for file in found.files] == [("sub-01/raw.dat", 5)]
    assert found.problems == []
    assert {one.path for one in found.left_out} == {".git", ".datalad", ".gitattributes"}


def test_a_part_of_a_study_has_its_content_as_well(tmp_path: Path) -> None:
    annexed(tmp_path, "sub-01/raw.dat")
    (tmp_path / "other.txt").write_text("not annexed")
    (tmp_path / "sub-01" / "out").symlink_to("../other.txt")
    found = scan_folder(tmp_path / "sub-01")
    assert paths(found) == ["raw.dat"]
    assert [str(one) for one in found.problems] == [
        "out: a link that leads out of the folder; put the file itself there"
    ]
    assert paths(scan_folder(tmp_path / "sub-01" / "raw.dat")) == ["raw.dat"]


def test_content_of_another_repository_is_refused(tmp_path: Path) -> None:
    annexed(tmp_path / "private", "raw.dat")
    (tmp_path / "study" / ".git").mkdir(parents=True)
    (tmp_path / "study" / "raw.dat").symlink_to(
        os.path.relpath((tmp_path / "private" / "raw.dat").resolve(), tmp_path / "study")
    )
    assert [str(one) for one in scan_folder(tmp_path / "study").problems] == [
        "raw.dat: a link that leads out of the folder; put the file itself there"
    ]


@pytest.mark.parametrize("linked", [".git", ".git/annex", ".git/annex/objects"])
def test_a_repository_that_is_a_link_leads_nowhere(tmp_path: Path, linked: str) -> None:
    annexed(tmp_path / "private", "raw.dat")
    (tmp_path / "study" / linked).parent.mkdir(parents=True)
    (tmp_path / "study" / linked).symlink_to(tmp_path / "private" / linked)
    key = ".git/annex/objects/aa/bb"
    (tmp_path / "study" / "raw.dat").symlink_to(f"{key}/{KEY}/{KEY}")
    assert (tmp_path / "study" / "raw.dat").read_bytes() == b"numbs"
    assert [str(one) for one in scan_folder(tmp_path / "study").problems] == [
        "raw.dat: a link that leads out of the folder; put the file itself there"
    ]


def test_annexed_files_whose_content_is_not_here_are_named(tmp_path: Path) -> None:
    annexed(tmp_path, "sub-01/raw.dat", here=False)
    (tmp_path / "unlocked.dat").write_text(f"/annex/objects/{KEY}\n")
    (tmp_path / "notes.txt").write_text("git-annex keeps things in /annex/objects/")
    found = scan_folder(tmp_path)
    assert paths(found) == ["notes.txt"]
    said = [str(one) for one in found.problems]
    assert [text.partition(": ")[0] for text in said] == ["sub-01/raw.dat", "unlocked.dat"]
    assert all(NOT_HERE in text for text in said)
    with pytest.raises(
        LocalFileError, match=r"raw\.dat: the content of this annexed file is not here"
    ):
        scan_folder(tmp_path / "sub-01" / "raw.dat")
