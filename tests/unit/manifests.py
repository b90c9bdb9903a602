"""The files of deploy/, as an operator's overlay has them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
# Folders with objects in them; an overlay has more files beside them, which are none.
FOLDERS = ("base", "nodes", "service", "postgres", "example")
_NO_OBJECTS = ("kustomization.yaml", "example/hub.yaml", "example/dask.yaml")

Object = dict[str, Any]


def read(path: Path) -> list[Any]:
    """Every YAML document of a file."""
    return [one for one in YAML(typ="safe").load_all(path.read_text(encoding="utf-8")) if one]


def written() -> list[Object]:
    """The objects as they stand in the files."""
    return [
        made
        for folder in FOLDERS
        for path in sorted((DEPLOY / "kustomize" / folder).glob("*.yaml"))
        if not str(path).endswith(_NO_OBJECTS)
        for made in read(path)
    ]


def rendered(folder: Path, overlay: str, namespace: str = "panneuro") -> list[Object]:
    """What kustomize makes of a copy of ``kustomize/example`` or ``helm``."""
    shutil.copytree(DEPLOY, folder)
    place = folder / overlay
    file = place / "kustomization.yaml"
    file.write_text(file.read_text().replace("namespace: panneuro\n", f"namespace: {namespace}\n"))
    shutil.copy(ROOT / "examples" / "collaboration.yaml", place)
    subprocess.run([folder / "secrets", place], check=True, stdout=subprocess.DEVNULL)
    done = subprocess.run(["kubectl", "kustomize", place], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [made for made in YAML(typ="safe").load_all(done.stdout) if made]


def named(objects: list[Object], kind: str, name: str) -> Object:
    """The one object of a kind and name."""
    (found,) = [one for one in objects if one["kind"] == kind and one["metadata"]["name"] == name]
    return found


def of_kind(objects: list[Object], *kinds: str) -> list[Object]:
    """All objects of some kinds."""
    return [one for one in objects if one["kind"] in kinds]
