"""The embargo of docs/how-to/embargo.md keeps readers out of the real store until its day."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from attacker import Keys, signed
from own_hub import code_blocks
from ruamel.yaml import YAML
from short_service import ShortService
from short_sessions import lab_store
from terminal import Terminal

from panneuro_hub.access import decide_access, decide_all_accesses
from panneuro_hub.access.access_views import build_session_view
from panneuro_hub.access.types import Access, Person
from panneuro_hub.agent.credential_agent import AgentSettings, CredentialAgent
from panneuro_hub.collaboration import Collaboration, load_file
from panneuro_hub.devstack.seaweedfs import SeaweedFS
from panneuro_hub.vending import CredentialRequest
from panneuro_hub.wire import Ticket

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "collaboration.yaml"
DOCUMENT = ROOT / "docs" / "how-to" / "embargo.md"
PROJECT = "navigation-paper"
DATASET = f"{PROJECT}/rest"
DAY = datetime(2027, 6, 1, tzinfo=UTC)
EVE = DAY - timedelta(microseconds=1)
SECRET = "spikes of the paper"
OPEN = f"""
import panneuro_hub.lab as lab
from panneuro_hub.errors import AccessDeniedError

print("listed", [one.name for one in lab.datasets() if one.project == "{PROJECT}"])
try:
    print("opened", lab.open("{DATASET}/spikes.txt"))
except AccessDeniedError as refusal:
    print("refused", refusal)
"""


@pytest.fixture(scope="module")
def collaboration(seaweedfs: SeaweedFS, tmp_path_factory: pytest.TempPathFactory) -> Collaboration:
    """The example file with the project that docs/how-to/embargo.md tells people to add."""
    (block,) = code_blocks(DOCUMENT, "Add a project with an embargo")
    yaml = YAML(typ="safe")
    document = yaml.load(EXAMPLE.read_text(encoding="utf-8"))
    added = yaml.load(block)["projects"]
    assert list(added) == [PROJECT]
    document["projects"].update(added)
    path = tmp_path_factory.mktemp("collaboration") / "collaboration.yaml"
    with path.open("w", encoding="utf-8") as file:
        yaml.dump(document, file)
    loaded = load_file(path)
    here = lab_store(seaweedfs, scratch=loaded.stores["main"].scratch)
    return loaded.model_copy(update={"stores": {"main": here}})


@dataclass(frozen=True)
class Desk:
    """A person's session on the real store: a terminal, Python, and the credentials."""

    terminal: Terminal
    keys: Keys
    url: str

    def open(self) -> str:
        """What a notebook prints that lists datasets and opens the one under embargo."""
        done = subprocess.run(
            [sys.executable, "-c", OPEN],
            env=self.terminal.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def get(self, key: str) -> tuple[int, bytes]:
        """Read an object with the credentials alone, as any other program could."""
        answer = signed(self.keys, self.url, "GET", f"/lab/{key}")
        return answer.status, answer.body


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sessions")


def access_of(collaboration: Collaboration, team: str, project: str, now: datetime) -> Access:
    return decide_access(collaboration, Person.of(f"one-of-{team}", [team]), project, now)


@contextmanager
def session(
    seaweedfs: SeaweedFS, collaboration: Collaboration, access: Access, folder: Path
) -> Iterator[Desk]:
    """A session with the grants of `access`, and with no others."""
    person, project = access.person, access.project
    view = build_session_view(
        collaboration, access, decide_all_accesses(collaboration, person, access.at)
    )
    ticket = Ticket.new(person.name, "").encode()
    folder.mkdir()
    (folder / "ticket").write_text(ticket)
    store = collaboration.stores["main"]
    request = CredentialRequest(f"{person.name}/", person.name, project, store, access.grants)
    with ShortService(seaweedfs, request, view, ticket, timedelta(minutes=10)) as service:
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("AWS_", "PANNEURO_"))
        } | {
            "PANNEURO_SERVICE_URL": service.url,
            "PANNEURO_TICKET_FILE": str(folder / "ticket"),
            "XDG_CONFIG_HOME": str(folder / "config"),
        }
        agent = CredentialAgent(AgentSettings(service.url, folder / "ticket"))
        agent.start()
        try:
            terminal = Terminal({**environment, **agent.environment()})
            yield Desk(terminal, Keys.of(service.credential()), seaweedfs.endpoint_url)
        finally:
            agent.stop()


@pytest.fixture(scope="module", autouse=True)
def uploaded(seaweedfs: SeaweedFS, collaboration: Collaboration, folders: Path) -> None:
    """The dataset, as a writer of the project uploads it while the embargo lasts."""
    data = folders / "data"
    data.mkdir()
    (data / "spikes.txt").write_text(SECRET)
    access = access_of(collaboration, "navigation-lab", PROJECT, EVE)
    with session(seaweedfs, collaboration, access, folders / "writer") as desk:
        done = desk.terminal.run("upload", data, DATASET, "--title", "Rest")
        assert done.returncode == 0, done.stderr
        assert desk.open() == f"listed ['{DATASET}']\nopened {SECRET}\n"


def test_until_the_day_a_reader_is_kept_out(
    seaweedfs: SeaweedFS, collaboration: Collaboration, folders: Path
) -> None:
    """No session in the project, and nothing of it from a session in another project."""
    assert access_of(collaboration, "theory-lab", PROJECT, EVE).grants == ()

    elsewhere = access_of(collaboration, "theory-lab", "nhp-navigation", EVE)
    with session(seaweedfs, collaboration, elsewhere, folders / "before") as desk:
        refusal = f"theory-lab has read in {PROJECT} from 2027-06-01, when its embargo ends"
        listed, refused = desk.open().splitlines()
        assert listed == "listed []"
        assert refused.startswith("refused ")
        assert refusal in refused

        fetched = desk.terminal.run("download", DATASET, folders / "copy")
        assert fetched.returncode == 3
        assert refusal in fetched.stderr
        assert not (folders / "copy").exists()
        searched = desk.terminal.run("datasets")
        assert PROJECT not in searched.stdout

        for key in (
            f"{DATASET}/spikes.txt",
            f"{DATASET}/.panneuro/manifest.json",
            f"?list-type=2&prefix={PROJECT}/",
            f"?list-type=2&prefix={DATASET}/",
            f"?list-type=2&prefix={PROJECT}/.panneuro/",
            f"?list-type=2&prefix={PROJECT[:6]}",
            "?list-type=2",
            "?prefix=&marker=navigation",
        ):
            status, body = desk.get(key)
            assert (status, SECRET.encode() in body) == (403, False), key


def test_on_the_day_the_reader_comes_in(
    seaweedfs: SeaweedFS, collaboration: Collaboration, folders: Path
) -> None:
    access = access_of(collaboration, "theory-lab", PROJECT, DAY)
    assert access.level == "read"
    with session(seaweedfs, collaboration, access, folders / "after") as desk:
        assert desk.open() == f"listed ['{DATASET}']\nopened {SECRET}\n"
        assert desk.get(f"{DATASET}/spikes.txt") == (200, SECRET.encode())


def test_an_upload_with_an_embargo_on_one_dataset_sends_nothing(
    seaweedfs: SeaweedFS, collaboration: Collaboration, folders: Path
) -> None:
    access = access_of(collaboration, "navigation-lab", "nhp-navigation", EVE)
    with session(seaweedfs, collaboration, access, folders / "no-lock") as desk:
        refused = desk.terminal.run(
            "upload", folders / "data", "nhp-navigation/locked", "--embargo", "2027-06-01"
        )
        assert refused.returncode == 2
        assert "nothing would enforce it" in refused.stderr
        assert desk.get("?list-type=2&prefix=nhp-navigation/locked/")[1].count(b"<Key>") == 0
