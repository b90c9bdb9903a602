"""The projects' files in JupyterLab's file browser: real session, keys, service and store."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from shared_files import DRIVE, FILES, shared_files
from tornado.web import HTTPError
from transfers import PROJECT

from panneuro_hub.devstack.seaweedfs import SeaweedFS
from panneuro_hub.jupyter import project_files as module
from panneuro_hub.jupyter.project_files import ProjectFilesManager


@pytest.fixture(scope="module")
def files(
    seaweedfs: SeaweedFS, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ProjectFilesManager]:
    with shared_files(seaweedfs, tmp_path_factory.mktemp("shared")) as (files, _):
        yield files


async def refusal(answer: Any) -> HTTPError:
    with pytest.raises(HTTPError) as refused:
        await answer
    return refused.value


async def test_the_projects_of_the_session_are_there(files: ProjectFilesManager) -> None:
    assert files.projects == {"stimuli": "project-stimuli", PROJECT: f"project-{PROJECT}"}
    # What a browser would add is not.
    assert files.initResource({"url": "s3://somebody-else/", "auth": "none"}, options={}) == []
    assert set(files.projects) == {"stimuli", PROJECT}
    assert (await refusal(files.get("project-human:/x"))).status_code == 404


async def test_a_folder_is_listed_as_it_is(files: ProjectFilesManager) -> None:
    for path in (DRIVE, f"{DRIVE}/"):
        top = {one["name"]: one for one in (await files.get(path))["content"]}
        assert (top["day-1"]["type"], top["note.ipynb"]["type"]) == ("directory", "notebook")
        assert not any(one["writable"] for one in top.values())
        assert ".panneuro" not in top
    inside = (await files.get(f"{DRIVE}/day-1"))["content"]
    assert [(one["name"], one["path"], one["size"]) for one in inside] == [
        ("a b", "day-1/a b", None),
        ("raw.bin", "day-1/raw.bin", 256),
    ]
    assert await files.dir_exists(f"{DRIVE}/day-1")
    assert not await files.dir_exists(f"{DRIVE}/day-2")


async def test_a_file_is_read_under_its_own_name(files: ProjectFilesManager) -> None:
    model = await files.get(f"{DRIVE}/day-1/a b/é.csv")
    assert (model["content"], model["writable"]) == ("a,b\n1,2\n", False)
    assert (await files.get(f"{DRIVE}/day-1/raw.bin"))["format"] == "base64"
    assert (await files.get(f"{DRIVE}/note.ipynb"))["type"] == "notebook"
    assert (await files.get(f"{DRIVE}/note.ipynb", content=False))["content"] is None


async def test_what_is_too_large_is_refused_before_it_is_read(
    files: ProjectFilesManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LARGEST_FILE", 100)
    answer = await refusal(files.get(f"{DRIVE}/day-1/raw.bin"))
    assert (answer.status_code, "use lab.open" in str(answer.log_message)) == (413, True)


@pytest.mark.parametrize(
    "path",
    ["/day-1/none", "/none", "/.panneuro/catalog", "/day-1/.zattrs", "/../stimuli", "/day-1/../x"],
)
async def test_what_is_not_there_is_told(files: ProjectFilesManager, path: str) -> None:
    assert (await refusal(files.get(f"{DRIVE}{path}"))).status_code in (403, 404)


async def test_nothing_is_written_to_a_project(files: ProjectFilesManager) -> None:
    new = {"type": "file", "format": "text", "content": "x"}
    await files.save(new, "mine.txt")
    for answer in (
        files.save(new, f"{DRIVE}/new.txt"),
        files.delete(f"{DRIVE}/note.ipynb"),
        files.rename(f"{DRIVE}/note.ipynb", f"{DRIVE}/other.ipynb"),
        files.rename(f"{DRIVE}/note.ipynb", "mine.ipynb"),
        files.rename("mine.txt", f"{DRIVE}/mine.txt"),
        files.restore_checkpoint("checkpoint", f"{DRIVE}/note.ipynb"),
    ):
        refused = await refusal(answer)
        assert (refused.status_code, "to look at" in str(refused.log_message)) == (403, True)
    assert (await files.get(f"{DRIVE}/note.ipynb"))["size"] == len(FILES["note.ipynb"])


async def test_a_person_s_own_files_are_as_ever(files: ProjectFilesManager) -> None:
    new = {"type": "file", "format": "text", "content": "x"}
    for name in ("own.txt", "with:colon.txt", "project-none:x.txt"):
        await files.save(new, name)
        assert (await files.get(name))["content"] == "x"
        assert await files.file_exists(name)
    await files.rename("own.txt", "renamed.txt")
    await files.delete("renamed.txt")
    assert not await files.file_exists("renamed.txt")


async def test_a_project_s_file_is_copied_to_one_s_own(files: ProjectFilesManager) -> None:
    copied = await files.copy(f"{DRIVE}/note.ipynb", "")
    assert copied["path"].strip("/").endswith(".ipynb")
    assert (await files.get(copied["path"]))["content"]["cells"] == []
