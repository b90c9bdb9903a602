"""What is installed for JupyterLab: built of this source, small, and in its place."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import panneuro_hub
from panneuro_hub import jupyter

pytestmark = pytest.mark.slow

ROOT = Path(panneuro_hub.__file__).parents[1]
SOURCE = ROOT / "labextension"
BUILT = ROOT / "panneuro_hub" / "jupyter" / "labextensions" / jupyter.NAME
LARGEST = 200_000  # bytes, all of it

sys.path.insert(0, str(SOURCE))
from made import digest  # noqa: E402


def test_the_build_is_of_this_source() -> None:
    recorded = json.loads((BUILT / "source.json").read_text())["sha256"]
    assert recorded == digest(SOURCE), "the source has changed: run labextension/build"


def test_a_change_of_the_source_is_seen(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "index.ts").write_text("one")
    before = digest(tmp_path)
    (tmp_path / "src" / "index.ts").write_text("two")
    changed = digest(tmp_path)
    (tmp_path / "src" / "index.ts").rename(tmp_path / "src" / "other.ts")
    assert len({before, changed, digest(tmp_path)}) == 3


def test_what_the_build_names_is_there() -> None:
    package = json.loads((BUILT / "package.json").read_text())
    assert package["name"] == jupyter.NAME == jupyter._jupyter_labextension_paths()[0]["dest"]
    assert (BUILT / package["jupyterlab"]["_build"]["load"]).is_file()
    assert (BUILT.parents[1] / jupyter._jupyter_labextension_paths()[0]["src"]) == BUILT


def test_the_build_is_small_and_says_nothing_of_where_it_was_made() -> None:
    files = [path for path in BUILT.rglob("*") if path.is_file()]
    assert not [path for path in files if path.suffix == ".map"]
    assert sum(path.stat().st_size for path in files) < LARGEST
    for path in [*files, SOURCE / "package-lock.json"]:
        text = path.read_text("utf-8")
        assert "node_modules/." not in text or path.name == "package-lock.json"
        assert str(ROOT) not in text, path
        assert not re.search(r'"resolved": *"', text), path


def test_nothing_becomes_markup() -> None:
    for path in SOURCE.glob("src/*.ts"):
        text = path.read_text("utf-8")
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write", text), path


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    parts = ("setup.cfg", "pyproject.toml", "README.md", "LICENSE", "panneuro_hub")
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "--", *parts],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for name in filter(None, listed.splitlines()):
        if (ROOT / name).is_file():
            place = source / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes((ROOT / name).read_bytes())
    subprocess.run(
        [*(sys.executable, "-m", "pip", "wheel", "--no-deps", "--quiet"), "-w", folder, source],
        check=True,
    )
    (made,) = folder.glob("*.whl")
    return made


def test_the_wheel_puts_all_of_it_in_place(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as opened:
        names = {re.sub(r"^[^/]*\.data/data/", "", name) for name in opened.namelist()}
    for path in BUILT.rglob("*"):
        if path.is_file():
            inside = path.relative_to(BUILT).as_posix()
            assert f"share/jupyter/labextensions/panneuro-hub/{inside}" in names
            assert f"panneuro_hub/jupyter/labextensions/panneuro-hub/{inside}" in names
    assert "etc/jupyter/jupyter_server_config.d/panneuro-hub.json" in names
