"""What version 0.1 stored is read by the present code: its files are in tests/data/stored-0.1.

These files were written by version 0.1. Never write them again with newer code: a change that
makes one of these tests fail needs a way to read the old form.
"""

from __future__ import annotations

import hashlib
import json
import re
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from jupyterhub import orm
from obstore.store import MemoryStore
from spawners import Hub, User, config_of, new_spawner
from sqlalchemy import create_engine
from stored_database import STORED, WRITTEN, check_rows, load_database

from panneuro_hub.catalog import dataset_records, notebook_store
from panneuro_hub.catalog.notebook_records import NotebookEnvironment
from panneuro_hub.client.login import StoredLogin
from panneuro_hub.current import load_collaboration
from panneuro_hub.dask.cluster_config import CHOICE_KEY, STARTED_IN_KEY
from panneuro_hub.dask.session_user import find_cluster_project
from panneuro_hub.hub.account_store import AccountStore
from panneuro_hub.hub.local_spawner import PanNeuroLocalSpawner
from panneuro_hub.hub.start_choice import check_start_choice
from panneuro_hub.pod import agent_sidecar, home_volumes
from panneuro_hub.service.db.engine import make_engine
from panneuro_hub.service.db.schema import open_database
from panneuro_hub.version_store import newest_version
from panneuro_hub.wire import Ticket
from panneuro_hub.wire.api_token import hash_api_token
from panneuro_hub.wire.session import STATE_KEY, Session


def stored(name: str) -> Any:
    return json.loads((STORED / name).read_text(encoding="utf-8"))


# --- tickets and sessions


@pytest.mark.parametrize("one", stored("tickets.json"), ids=lambda one: one["user"] + one["name"])
def test_tickets_are_good_on(one: dict[str, str]) -> None:
    ticket = Ticket.decode(one["text"])
    assert (ticket.user, ticket.name, ticket.kind) == (one["user"], one["name"], one["kind"])
    assert ticket.matches(one["digest"])
    assert ticket.encode() == one["text"]


def test_a_running_pod_is_taken_up_with_its_session_and_home(
    example_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spawner = new_spawner(config_of(example_file, monkeypatch))
    state = stored("server-states.json")["pod"]
    spawner.load_state(state)
    session = spawner.session
    assert session is not None
    assert (session.id, session.project) == ("0f1e2d3c4b5a6978", "nhp-navigation")
    assert (session.profile, session.image) == ("small", "neuro")
    ticket = Ticket.decode(stored("tickets.json")[0]["text"])
    assert ticket.matches(session.ticket)
    assert session.api_token == hash_api_token("the-api-token")
    assert spawner.pod_name == state["pod_name"]
    assert spawner.get_state()["pvc_name"] == "claim-ada-2dmonkman"


def test_a_running_process_is_taken_up_with_its_session_and_ticket(
    example_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = config_of(example_file, monkeypatch)
    spawner = PanNeuroLocalSpawner(user=User("ada"), hub=Hub(), orm_spawner=None, config=config)
    spawner.api_token, spawner.oauth_client_id = "the-api-token", "client"
    spawner.load_state(stored("server-states.json")["process"])
    assert spawner.session is not None
    assert (spawner.session.project, spawner.session.image) == ("human-intracranial", None)
    ticket = Ticket.decode(stored("tickets.json")[1]["text"])
    assert ticket.matches(spawner.session.ticket)
    assert spawner.get_env()["PANNEURO_TICKET_FILE"] == "/tmp/panneuro-k3v9x2/ticket"


def test_a_session_from_before_api_tokens_were_kept_is_read() -> None:
    session = Session.from_state(stored("server-states.json")["before-api-tokens"][STATE_KEY])
    assert (session.project, session.api_token) == ("nhp-navigation", "")


@pytest.mark.parametrize("options", stored("user-options.json"))
def test_the_last_choice_starts_the_same_again(
    options: dict[str, str], example_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spawner = new_spawner(config_of(example_file, monkeypatch))
    choice = check_start_choice(options, spawner.accesses(load_collaboration(example_file)))
    assert (choice.project, choice.profile, choice.image) == ("nhp-navigation", "small", "neuro")


def test_homes_pods_and_secrets_are_found_under_the_same_names() -> None:
    """Another name of a claim would be an empty home."""
    names = stored("claims.json")
    who = names["account"], names["person"]
    project = "nhp-navigation"
    assert home_volumes.name_home_claim(*who, "", project) == names["project home"]
    assert (
        home_volumes.name_home_claim(*who, "night", project)
        == names["project home of the server night"]
    )
    assert home_volumes.name_home_claim(*who, "", None) == names["single home"]
    assert home_volumes.name_shared_claim(*who) == names["shared folder"]
    assert home_volumes.build_claim_labels(*who, project) == names["labels"]
    assert agent_sidecar.make_hub_label("http://hub:8081/hub/api") == names["hub"]
    session = Session.from_state(stored("server-states.json")["pod"][STATE_KEY])
    assert agent_sidecar.build_session_labels(session, names["person"]) == names["pod labels"]
    assert agent_sidecar.name_ticket_secret(session.id) == names["secret"]


def test_a_running_cluster_keeps_its_session_and_project() -> None:
    """The gateway finds it in its own database, or in Kubernetes, when it starts again."""
    config = stored("cluster-config.json")
    assert find_cluster_project(SimpleNamespace(config=config)) == "nhp-navigation"
    assert config[CHOICE_KEY][STARTED_IN_KEY] == "0f1e2d3c4b5a6978"
    assert Session(
        config[CHOICE_KEY]["session"],
        *(config[CHOICE_KEY][key] for key in ("project", "profile", "image")),
    ) == Session("00112233445566aa", "nhp-navigation", "standard", "neuro")


# --- a project in its store


@pytest.fixture
def project() -> MemoryStore:
    """Everything below a project's prefix, as uploads and shared notebooks left it."""
    store, folder = MemoryStore(), STORED / "project"
    for path in folder.rglob("*"):
        if path.is_file():
            store.put(path.relative_to(folder).as_posix(), path.read_bytes())
    return store


def test_a_manifest_is_read_with_all_its_files(project: Any) -> None:
    manifest = dataset_records.read_manifest(project, "2026/session-12")
    assert manifest is not None
    assert (manifest.project, manifest.format) == ("nhp-navigation", "bids")
    assert (manifest.created, manifest.created_by) == (WRITTEN, "ada")
    assert (manifest.title, manifest.license) == ("Grid cells, pilot", "CC0-1.0")
    assert (manifest.description, manifest.readme) == ("Two lines\nof text", "Pilot recordings.\n")
    assert manifest.citation == "Monkman 2026"
    assert manifest.asks_to_wait_until == date(2027, 6, 1)
    assert (manifest.subjects, manifest.modalities) == (("01", "02"), ("eeg",))
    assert [file.path for file in manifest.files] == [
        "README",
        "sub-01/données.tsv",
        "sub-01/eeg.json",
    ]
    for file in manifest.files:
        data = (STORED / "project/2026/session-12" / file.path).read_bytes()
        assert (file.size, file.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    [replacement] = manifest.changing
    assert (replacement.file.path, replacement.file.size, replacement.by) == ("README", 4, "eve")
    assert replacement.since == WRITTEN + timedelta(hours=1)


def test_a_manifest_is_written_as_it_was(project: Any) -> None:
    for dataset in ("2026/session-12", "plain"):
        manifest = dataset_records.read_manifest(project, dataset)
        assert manifest is not None
        assert (
            manifest.encode()
            == (STORED / f"project/{dataset}/.panneuro/manifest.json").read_bytes()
        )


def test_the_catalog_is_listed_and_needs_no_rebuild(project: Any) -> None:
    listing = dataset_records.list_catalog(project)
    assert [record.dataset for record in listing.records] == ["2026/session-12", "plain"]
    assert [(upload.dataset, upload.by) for upload in listing.uploads] == [
        ("2026/session-12", "eve"),
        ("next", "ada"),
    ]
    assert listing.uploads[1].began == WRITTEN
    assert (listing.uploads[1].files_count, listing.uploads[1].size) == (3, 12345)
    assert listing.problems == ()
    record = listing.records[0]
    assert (record.size, record.files_count, record.title) == (67, 3, "Grid cells, pilot")
    rebuilt = dataset_records.rebuild_catalog(project)
    assert (rebuilt.written, rebuilt.removed, rebuilt.kept) == ((), (), 2)


def test_shared_notebooks_are_read_with_every_version(project: Any) -> None:
    listing = notebook_store.list_notebooks(project, "nhp-navigation")
    assert listing.problems == ()
    [notebook] = listing.notebooks
    assert notebook.name == "figures/tuning"
    first, second = notebook.versions
    assert (first.number, first.note, second.number, second.note) == (1, "first", 2, "second")
    assert (first.created, first.created_by, first.title) == (WRITTEN, "ada", "Tuning curves")
    assert first.description == "All of figure 2"
    assert first.datasets == ("nhp-navigation/2026/session-12",)
    assert first.environment == NotebookEnvironment(
        image="neuro",
        language="python",
        language_version="3.12.4",
        packages=("numpy==2.1.0", "xarray==2026.4.0"),
    )
    folder = STORED / "project/.panneuro/notebooks/figures%2Ftuning"
    assert notebook_store.read_notebook(project, first) == (folder / "0001.ipynb").read_bytes()
    assert notebook_store.read_preview(project, first) == (folder / "0001.png").read_bytes()
    assert notebook_store.read_preview(project, second) is None
    assert first.encode() == (folder / "0001.json").read_bytes()


# --- databases, and a login on a person's own machine


async def test_every_row_of_the_service_s_database_is_served(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/ledger.sqlite"
    engine = make_engine(url)
    load_database(engine, "sqlite")
    engine.dispose()
    with closing(open_database(url)) as database:
        await check_rows(database, "sqlite")


def test_the_hub_knows_its_accounts_and_the_last_collaboration(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path}/jupyterhub.sqlite")
    orm.Base.metadata.create_all(engine)
    with engine.begin() as connection:
        raw: Any = connection.connection.driver_connection
        raw.executescript((STORED / "hub-sqlite.sql").read_text(encoding="utf-8"))
    with closing(orm.new_session_factory(url=str(engine.url))()) as db:
        db.add_all([orm.User(name=name) for name in ("ada", "eve")])
        db.commit()
        accounts = AccountStore(db)
        accounts.create()
        ada, eve = (record for _, record in accounts.everybody())
        assert ada is not None
        assert ada.account == "f3ececc7113c610683ac92edeb839574"
        assert ada.groups == {"u19-circuits:irb-trained", "u19-circuits:navigation"}
        assert (ada.provider_name, ada.confirmed) == ("ada", WRITTEN)
        assert eve is not None
        assert (eve.groups, eve.confirmed) == (frozenset(), None)
        version = newest_version(db.connection())
        db.get_bind().dispose()
    engine.dispose()
    assert version is not None
    assert (version.name, version.since) == ("dad98a5e5164", WRITTEN)
    file = tmp_path / "collaboration.yaml"
    file.write_text(version.text, encoding="utf-8")
    assert load_collaboration(file).projects["nhp-navigation"].title == "Example's project"


def test_a_computer_stays_logged_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "panneuro").mkdir()
    (tmp_path / "panneuro" / "login.json").write_text((STORED / "login.json").read_text())
    login = StoredLogin.read()
    assert (login.hub, login.user) == ("https://hub.example.org", "ada")
    assert re.fullmatch("T{43}", login.token)
    assert login.expires == datetime(2126, 11, 27, tzinfo=UTC)
