"""`panneuro share`, `notebooks` and `copy` against a real store, in which anybody may write."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from obstore.exceptions import BaseError
from obstore.store import S3Store
from session_views import because
from transfers import GRANTS, PROJECT, Bench, fill, made_bench
from wire_faults import Request

from panneuro_hub.agent.credential_agent import AgentSettings, CredentialAgent
from panneuro_hub.catalog import notebook_store
from panneuro_hub.catalog.notebook_records import (
    LARGEST_RECORD,
    NOTEBOOKS_FOLDER,
    NotebookRecord,
    make_notebook_key,
)
from panneuro_hub.devstack.seaweedfs import SeaweedFS
from panneuro_hub.service.browse.notebook_renderer import NotebookRenderer
from panneuro_hub.wire import Credential, Grant

READ = Grant(f"s3://lab/{PROJECT}/", "read", because("you are in theory-lab, which reads"), PROJECT)
_PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg=="
)


@pytest.fixture(scope="module")
def ada(seaweedfs: SeaweedFS, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with made_bench(seaweedfs, tmp_path_factory.mktemp("ada")) as made:
        made.empty()
        yield made


@pytest.fixture(scope="module")
def bee(seaweedfs: SeaweedFS, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """Somebody who only reads."""
    folder = tmp_path_factory.mktemp("bee")
    with made_bench(seaweedfs, folder, user="bee", grants=(READ, *GRANTS[1:])) as made:
        yield made


@pytest.fixture(autouse=True)
def empty_shelf(ada: Bench) -> None:
    ada.empty(NOTEBOOKS_FOLDER)


def written(place: Path, *sources: str, title: str = "Tuning curves") -> Path:
    cells: list[dict[str, Any]] = [
        {"cell_type": "markdown", "id": "a", "metadata": {}, "source": f"# {title}"},
        *(
            {
                "cell_type": "code",
                "id": f"b{number}",
                "metadata": {},
                "source": source,
                "execution_count": 1,
                "outputs": [
                    {
                        "output_type": "display_data",
                        "metadata": {},
                        "data": {"image/png": _PIXEL, "text/plain": "<Figure>"},
                    }
                ],
            }
            for number, source in enumerate(sources)
        ),
    ]
    document = {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {"language_info": {"name": "python"}},
        "cells": cells,
    }
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(json.dumps(document), encoding="utf-8")
    return place


def put(bench: Bench, key: str, data: bytes) -> None:
    bench.admin.put_object(Bucket="lab", Key=f"{PROJECT}/{key}", Body=data)


def own_store(bench: Bench) -> S3Store:
    """The project as the session's own keys reach it, without our client."""
    keys: Credential = bench.service.credential()
    return S3Store(
        "lab",
        prefix=f"{PROJECT}/",
        endpoint=bench.service.view.endpoint_url,
        region=bench.service.view.region,
        access_key_id=keys.access_key_id,
        secret_access_key=keys.secret_access_key,
        session_token=keys.session_token,
        client_options={"allow_http": True},
        retry_config={"max_retries": 0},
    )


def test_what_is_shared_is_found_shown_and_copied_by_others(
    ada: Bench, bee: Bench, tmp_path: Path
) -> None:
    ada.json("upload", fill(tmp_path / "data", {"a.bin": 10}), f"{PROJECT}/session-12")
    source = written(
        tmp_path / "Tuning curves.ipynb",
        f"import panneuro_hub.lab as lab\nlab.open('{PROJECT}/session-12/a.bin')",
        "%matplotlib inline\nplaces = ['stimuli/all']",
    )
    dry = ada.json("share", source, PROJECT, "--dry-run")
    assert (dry["number"], dry["is_new"], dry["dry_run"]) == (1, True, True)
    assert ada.json("notebooks", PROJECT)["notebooks"] == []
    shared = ada.json("share", source, PROJECT, "--description", "What neurons\nlike")
    assert (shared["name"], shared["number"], shared["is_new"]) == ("Tuning-curves", 1, True)
    assert (shared["title"], shared["created_by"]) == ("Tuning curves", "ada")
    assert shared["datasets"] == [f"{PROJECT}/session-12"]
    assert shared["preview_sha256"] is not None
    (listed,) = bee.json("notebooks", PROJECT)["notebooks"]
    assert listed == {name: value for name, value in shared.items() if name in listed}
    store = own_store(bee)
    published = notebook_store.find_version(store, PROJECT, "Tuning-curves")
    assert published == NotebookRecord.from_json(listed)
    assert notebook_store.read_notebook(store, published) == source.read_bytes()
    assert (notebook_store.read_preview(store, published) or b"").startswith(b"\x89PNG")
    page = asyncio.run(NotebookRenderer().render(notebook_store.read_notebook(store, published)))
    assert "<title>Tuning curves</title>" in page
    target = tmp_path / "bee"
    target.mkdir()
    for name in ("Tuning-curves.ipynb", "Tuning-curves-1.ipynb"):
        copied = bee.json("copy", f"{PROJECT}/Tuning-curves", target)
        assert Path(copied["path"]) == target / name
        assert (target / name).read_bytes() == source.read_bytes()
    refused = bee.run("copy", f"{PROJECT}/Tuning-curves", target / "Tuning-curves.ipynb")
    assert (refused.returncode, "stays as it is" in refused.stderr) == (1, True)
    assert "notebooks" not in " ".join(
        one["dataset"] for one in bee.json("ls", PROJECT)["datasets"]
    )


def test_sharing_again_makes_a_version_and_keeps_the_others(ada: Bench, tmp_path: Path) -> None:
    source = written(tmp_path / "a.ipynb", "1")
    first = ada.json("share", source, f"{PROJECT}/a", "--description", "kept")
    same = ada.json("share", source, f"{PROJECT}/a")
    assert (same["number"], same["is_new"], same["description"]) == (1, False, "kept")
    before = source.read_bytes()
    written(source, "2", title="Other curves")
    second = ada.json("share", source, f"{PROJECT}/a", "--note", "with 2")
    assert (second["number"], second["title"], second["note"]) == (2, "Other curves", "with 2")
    assert second["description"] == "kept"
    third = ada.json("share", source, f"{PROJECT}/a", "--title", "Said", "--dataset", "human/raw")
    assert (third["number"], third["title"], third["datasets"]) == (3, "Said", ["human/raw"])
    numbers = [one["number"] for one in ada.json("notebooks", PROJECT)["notebooks"]]
    assert numbers == [1, 2, 3]
    table = ada.run("notebooks", PROJECT).stdout
    assert table.startswith(f"{PROJECT}/a@3  {first['created'][:10]}  ada  Said")
    ada.json("copy", f"{PROJECT}/a@1", tmp_path / "old.ipynb")
    assert (tmp_path / "old.ipynb").read_bytes() == before
    missing = ada.run("copy", f"{PROJECT}/a@7", tmp_path / "no.ipynb")
    assert missing.returncode == 1
    assert missing.stderr == f"panneuro: there is no notebook {PROJECT}/a@7\n"
    assert not (tmp_path / "no.ipynb").exists()


def test_in_a_session_it_is_the_session_s_project_and_environment(
    ada: Bench, tmp_path: Path
) -> None:
    source = written(tmp_path / "inside.ipynb", "lab.open('scratch/x')\nlab.open(f'stimuli/{x}')")
    outside = ada.environment
    agent = CredentialAgent(
        AgentSettings(outside["PANNEURO_SERVICE_URL"], Path(outside["PANNEURO_TICKET_FILE"]))
    )
    agent.start()
    inside = {**outside, **agent.environment(), "PANNEURO_PROJECT": PROJECT}
    inside["PANNEURO_IMAGE"] = "neuro"
    del inside["PANNEURO_SERVICE_URL"], inside["PANNEURO_TICKET_FILE"]
    session = replace(ada, environment=inside)
    try:
        shared = session.json("share", source)
        other = session.run("share", source, "stimuli/mine")
        copied = session.json("copy", f"{PROJECT}/inside", tmp_path / "copy.ipynb")
        listed = session.json("notebooks")["notebooks"]
    finally:
        agent.stop()
    assert (shared["project"], shared["name"]) == (PROJECT, "inside")
    assert shared["environment"]["image"] == "neuro"
    assert any(one.startswith("numpy==") for one in shared["environment"]["packages"])
    assert shared["notes"][0] == "it reads your scratch, which nobody else can read"
    assert "it makes names of data while it runs (stimuli/…)" in shared["notes"][1]
    assert copied["number"] == 1
    assert [one["name"] for one in listed] == ["inside"]
    assert other.returncode == 3
    assert "this server works in upload-tests, and writes there only" in other.stderr


def test_who_may_not_write_is_refused_with_the_reason(
    ada: Bench, bee: Bench, tmp_path: Path
) -> None:
    source = written(tmp_path / "a.ipynb", "1")
    bee.wire.reset()
    reader = bee.run("share", source, f"{PROJECT}/a")
    assert (reader.returncode, reader.stdout) == (3, "")
    assert reader.stderr == (
        f"panneuro: nothing can be published in {PROJECT}: you are in theory-lab, which reads\n"
    )
    neighbour = ada.run("share", source, "stimuli/a")
    assert (neighbour.returncode, "upload-tests reads stimuli" in neighbour.stderr) == (3, True)
    unknown = ada.run("share", source, "human/a")
    assert (unknown.returncode, "human cannot be read" in unknown.stderr) == (3, True)
    for name in ("notebooks human", "copy human/a"):
        refused = ada.run(*name.split())
        assert (refused.returncode, "human cannot be read" in refused.stderr) == (3, True)
    assert bee.wire.total() == 0
    # The store refuses it as well, whatever program asks.
    ada.json("share", source, f"{PROJECT}/a")
    store = own_store(bee)
    published = notebook_store.find_version(store, PROJECT, "a")
    again = replace(published, created_by="bee")
    with pytest.raises(BaseError, match="403"):
        notebook_store.publish_version(store, source.read_bytes(), again)
    with pytest.raises(BaseError, match="403"):
        store.put(make_notebook_key("a", 1, "ipynb"), b"other")
    assert ada.read(make_notebook_key("a", 1, "ipynb")) == source.read_bytes()


def test_what_is_forged_ends_nothing_and_is_not_copied(
    ada: Bench, bee: Bench, tmp_path: Path
) -> None:
    source = written(tmp_path / "a.ipynb", "1")
    ada.json("share", source, f"{PROJECT}/good")
    ada.json("share", source, f"{PROJECT}/replaced")
    record = json.loads(ada.read(make_notebook_key("replaced", 1, "json")))
    put(ada, make_notebook_key("replaced", 1, "ipynb"), source.read_bytes().replace(b"1", b"2"))
    put(ada, make_notebook_key("deep", 1, "json"), b"[" * 100_000)
    put(ada, make_notebook_key("huge", 1, "json"), b" " * (LARGEST_RECORD + 1))
    put(
        ada,
        make_notebook_key("other", 1, "json"),
        json.dumps({**record, "project": "human"}).encode(),
    )
    put(
        ada,
        make_notebook_key("loud", 1, "json"),
        json.dumps({**record, "title": "\x1b[2J"}).encode(),
    )
    put(ada, make_notebook_key("begun", 1, "ipynb"), source.read_bytes())
    put(ada, f"{NOTEBOOKS_FOLDER}%2e%2e%2fx/0001.json", b"{}")
    put(ada, f"{NOTEBOOKS_FOLDER}é ☃ <b>&/0001.json", b"{}")
    listed = bee.json("notebooks", PROJECT)
    assert [one["name"] for one in listed["notebooks"]] == ["good", "replaced"]
    said = "\n".join(listed["troubles"])
    for words in (
        "deep/0001.json: the notebook's record is not JSON",
        "huge/0001.json: it has",
        "other/0001.json: it names the notebook human/replaced@1",
        "loud/0001.json: the notebook 'replaced': title has the character",
        "begun/0001.ipynb: it has no record",
        "%2e%2e%2fx/0001.json: its name is not that of a notebook's version",
        "é ☃ <b>&/0001.json: its name is not that of a notebook's version",
    ):
        assert f"{PROJECT}: {NOTEBOOKS_FOLDER}{words}" in said
    plain = bee.run("notebooks", PROJECT)
    assert plain.returncode == 0
    assert "\x1b" not in plain.stdout + plain.stderr
    for name, words in (
        ("replaced", "somebody has replaced it in the store"),
        ("deep", "no version of upload-tests/deep can be read"),
        ("begun", "no version of upload-tests/begun can be read"),
    ):
        refused = bee.run("copy", f"{PROJECT}/{name}", tmp_path / "no.ipynb")
        assert (refused.returncode, words in refused.stderr) == (1, True), refused.stderr
        assert len(refused.stderr.splitlines()) == 1
    assert not (tmp_path / "no.ipynb").exists()
    # A record that lies in the way is not replaced either.
    assert ada.json("share", source, f"{PROJECT}/deep")["number"] == 2


def test_names_have_any_character_that_names_have(ada: Bench, tmp_path: Path) -> None:
    source = written(tmp_path / "é ☃ x%20&?#<b>.ipynb", "1")
    names = ["2026/a/b/c", "a.b_c=d+e,f-g", "-x", "+", "x" * 200]
    for name in names:
        ada.json("share", source, f"{PROJECT}/{name}")
    assert ada.json("share", source, PROJECT)["name"] == "x-20-b"
    listed = ada.json("notebooks", PROJECT)
    assert set(names) < {one["name"] for one in listed["notebooks"]}
    assert listed["troubles"] == []
    for number, name in enumerate(names):
        copied = ada.json("copy", f"{PROJECT}/{name}", tmp_path / f"{number}.ipynb")
        assert Path(copied["path"]).read_bytes() == source.read_bytes()
    target = tmp_path / "folder"
    target.mkdir()
    assert ada.json("copy", f"{PROJECT}/2026/a/b/c", target)["path"] == str(target / "c.ipynb")


def test_answers_that_get_lost_make_no_second_version(ada: Bench, tmp_path: Path) -> None:
    """The store has done each of the writes, and nobody hears of it."""
    source = written(tmp_path / "a.ipynb", "1")
    lost: list[str] = []

    def cut(request: Request) -> bool:
        path = request.target.partition("?")[0]
        if request.method == "PUT" and path not in lost:
            lost.append(path)
            ada.wire.lose()
            ada.wire.mend()
        return False

    ada.wire.damage_down = cut
    try:
        shared = ada.json("share", source, f"{PROJECT}/lost")
    finally:
        ada.wire.damage_down = lambda _: False
    assert [path.rpartition(".")[2] for path in lost] == ["ipynb", "png", "json"]
    assert shared["number"] == 1
    (only,) = ada.json("notebooks", PROJECT)["notebooks"]
    assert only["number"] == 1
