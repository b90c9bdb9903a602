"""What a download writes, where somebody has put a link in its way."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from panneuro_hub.client.transfer.target_folder import TargetFile, target_file
from panneuro_hub.client.transfer_errors import LocalFileError


@pytest.fixture
def target(tmp_path: Path) -> Path:
    (tmp_path / "target").mkdir()
    return tmp_path / "target"


@pytest.fixture
def victim(tmp_path: Path) -> Iterator[Path]:
    """A file of the person's that nothing may touch."""
    path = tmp_path / "authorized_keys"
    path.write_text("mine")
    before = path.stat()
    yield path
    after = path.stat()
    assert path.read_text() == "mine"
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@contextmanager
def file_of(target: Path, path: str = "a.bin") -> Iterator[TargetFile]:
    with target_file(target, path) as file:
        yield file


def temporary(target: Path, name: str = "a.bin") -> Path:
    """Where a download will write, as anybody can work out."""
    return target / f".panneuro-{hashlib.sha256(name.encode()).hexdigest()[:16]}.part"


@pytest.mark.parametrize("way", ["create", "resume"])
def test_a_link_in_the_place_of_the_temporary_file_is_replaced(
    target: Path, victim: Path, way: str
) -> None:
    temporary(target).symlink_to(victim)
    with file_of(target) as file:
        with getattr(file, way)() as out:
            out.write(b"data")
        file.finish()
    assert (target / "a.bin").read_bytes() == b"data"
    assert [path.name for path in target.iterdir()] == ["a.bin"]


@pytest.mark.parametrize("way", ["create", "resume"])
def test_a_link_that_leads_nowhere_makes_nothing_there(
    target: Path, tmp_path: Path, way: str
) -> None:
    temporary(target).symlink_to(tmp_path / "new")
    with file_of(target) as file, getattr(file, way)() as out:
        out.write(b"data")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("way", ["create", "resume"])
def test_another_name_of_a_file_is_not_written_to(target: Path, victim: Path, way: str) -> None:
    os.link(victim, temporary(target))
    with file_of(target) as file, getattr(file, way)() as out:
        out.write(b"data")
    assert temporary(target).read_bytes() == b"data"


@pytest.mark.parametrize("way", ["create", "resume"])
def test_a_pipe_does_not_hold_it_up(target: Path, way: str) -> None:
    os.mkfifo(temporary(target))
    os.mkfifo(target / "a.bin")
    with file_of(target) as file:
        assert file.exists()
        assert not file.holds(4, hashlib.sha256(b"data").hexdigest())
        with getattr(file, way)() as out:
            out.write(b"data")
        file.finish()
    assert (target / "a.bin").read_bytes() == b"data"


def test_a_folder_in_the_place_of_the_temporary_file_is_an_error_of_the_system(
    target: Path,
) -> None:
    temporary(target).mkdir()
    with file_of(target) as file, pytest.raises(OSError, match=r"directory|permitted"):
        file.create()
    assert temporary(target).is_dir()


def test_what_an_earlier_download_left_is_continued(target: Path) -> None:
    temporary(target).write_bytes(b"begun")
    with file_of(target) as file, file.resume() as out:
        assert out.read() == b"begun"
        out.write(b" and done")
    assert temporary(target).read_bytes() == b"begun and done"


def test_a_link_in_the_place_of_the_file_itself_is_replaced(target: Path, victim: Path) -> None:
    (target / "a.bin").symlink_to(victim)
    with file_of(target) as file:
        assert file.exists()
        with file.create() as out:
            out.write(b"data")
        file.finish()
    assert not (target / "a.bin").is_symlink()
    assert (target / "a.bin").read_bytes() == b"data"


def test_what_is_there_already(target: Path) -> None:
    digest = hashlib.sha256(b"data").hexdigest()
    with file_of(target) as file:
        assert not file.exists()
        assert not file.holds(4, digest)
        (target / "a.bin").write_bytes(b"data")
        assert file.exists()
        assert file.holds(4, digest)
        assert not file.holds(5, digest)
        assert not file.holds(4, hashlib.sha256(b"date").hexdigest())
        (target / "a.bin").unlink()
        (target / "a.bin").symlink_to("nowhere")
        assert file.exists()
        assert not file.holds(4, digest)


@pytest.mark.parametrize("path", ["in/a.bin", "sub/in/a.bin", "in/deep/a.bin"])
def test_no_folder_on_the_way_may_be_a_link(target: Path, tmp_path: Path, path: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (target / "sub").mkdir()
    (target / "in").symlink_to(outside)
    (target / "sub" / "in").symlink_to("../../outside")
    with pytest.raises(LocalFileError, match="in: a link, through which nothing is written"):
        file_of(target, path).__enter__()
    assert list(outside.iterdir()) == []


def test_a_folder_that_becomes_a_link_is_noticed_for_the_next_file(
    target: Path, tmp_path: Path
) -> None:
    with file_of(target, "sub/a.bin") as file, file.create() as out:
        out.write(b"data")
        (target / "sub").rename(target / "moved")
        (target / "sub").symlink_to(tmp_path)
        file.finish()  # into the folder that was opened, wherever it is now
    assert (target / "moved" / "a.bin").read_bytes() == b"data"
    with pytest.raises(LocalFileError, match="sub: a link"):
        file_of(target, "sub/b.bin").__enter__()


def test_a_file_in_the_place_of_a_folder(target: Path) -> None:
    (target / "sub").write_text("no folder")
    with pytest.raises(LocalFileError, match="sub: not a directory"):
        file_of(target, "sub/a.bin").__enter__()


def test_the_folder_that_the_person_names_may_be_a_link(target: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(target)
    with file_of(tmp_path / "link", "sub/a.bin") as file:
        file.create().close()
        file.finish()
    assert (target / "sub" / "a.bin").exists()


def test_no_descriptor_is_left_open(target: Path) -> None:
    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))

    before = descriptors()
    for _ in range(3):
        with file_of(target, "a/b/c.bin") as file, file.resume():
            pass
        (target / "link").unlink(missing_ok=True)
        (target / "link").symlink_to("a")
        with pytest.raises(LocalFileError):
            file_of(target, "link/c.bin").__enter__()
    assert descriptors() == before
