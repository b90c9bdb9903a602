"""`tools/release` writes the version and the day of a release, and refuses what is none."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


def release(folder: Path, version: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, ROOT / "tools" / "release", "--edit-only", "--root", folder]
    return subprocess.run([*command, version], capture_output=True, text=True, check=False)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The two files that a release edits, as they are."""
    for name in ("setup.cfg", "CHANGELOG.md"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    return tmp_path


def test_a_release_has_its_version_and_its_day(checkout: Path) -> None:
    before = (checkout / "setup.cfg").read_text("utf-8")
    done = release(checkout, "7.1.0rc2")
    assert done.returncode == 0, done.stderr
    assert "(not released yet)" not in (checkout / "CHANGELOG.md").read_text("utf-8")
    heading = r"^## 7\.1\.0rc2 \(\d{4}-\d\d-\d\d\)$"
    assert re.search(heading, (checkout / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    lines = set((checkout / "setup.cfg").read_text("utf-8").splitlines())
    assert lines - set(before.splitlines()) == {"version = 7.1.0rc2"}
    again = release(checkout, "7.2.0")
    assert "add one" in again.stderr
    assert again.returncode == 1


def test_what_is_no_version_is_refused(checkout: Path) -> None:
    done = release(checkout, "next")
    assert done.returncode == 1
    assert "is not a version" in done.stderr
    assert (checkout / "setup.cfg").read_bytes() == (ROOT / "setup.cfg").read_bytes()
