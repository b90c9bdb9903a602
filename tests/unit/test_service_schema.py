"""The schema of the service's database: upgraded where it is known, refused where it is not."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner
from stored_database import load_database, schema_differences

from panneuro_hub.cli import main
from panneuro_hub.service.db.engine import make_engine
from panneuro_hub.service.db.schema import (
    VERSION_TABLE,
    IncompleteSchemaError,
    SchemaError,
    UnknownSchemaError,
    open_database,
    prepare_schema,
    read_schema_status,
    upgrade_schema,
)

NEWER = f"update {VERSION_TABLE} set version_num = '9999'"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a 100% ledger.sqlite"


@pytest.fixture
def url(path: Path) -> str:
    return f"sqlite:///{path}"


@pytest.fixture
def stored(url: str) -> str:
    """The URL of a database of version 0.1."""
    engine = make_engine(url)
    load_database(engine, "sqlite")
    engine.dispose()
    return url


def change(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def test_an_empty_database_gets_the_tables_that_the_code_uses(url: str, path: Path) -> None:
    assert read_schema_status(url).revision is None
    assert not path.exists()
    prepare_schema(url)
    status = read_schema_status(url)
    assert status.is_current
    assert status.pending == ()
    assert schema_differences(url) == []


def test_a_database_of_0_1_is_recognized_and_upgraded_once(stored: str) -> None:
    status = read_schema_status(stored)
    assert (status.revision, status.is_recorded, status.is_current) == ("0001", False, False)
    before = upgrade_schema(stored)
    assert before == status
    assert read_schema_status(stored).is_current
    assert schema_differences(stored) == []
    assert upgrade_schema(stored).is_current


def test_the_tables_of_a_hub_in_the_same_database_are_no_part_of_it(url: str, path: Path) -> None:
    change(
        path,
        "create table alembic_version (version_num varchar(32) not null)",
        "insert into alembic_version values ('the-hubs')",
        "create table panneuro_accounts (user_id integer)",
        "create table panneuro_collaboration (id integer primary key, since datetime not null, "
        "name varchar(64) not null, text text not null)",
    )
    prepare_schema(url)
    assert read_schema_status(url).is_current
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("select * from alembic_version").fetchall() == [("the-hubs",)]


@pytest.mark.parametrize(
    ("statements", "says"),
    [
        (["drop table panneuro_months"], ["the table panneuro_months is missing"]),
        (
            [
                "alter table panneuro_logins drop column account",
                "drop index ix_panneuro_register_login",
                "alter table panneuro_register drop column login",
            ],
            ["panneuro_logins lacks account", "panneuro_register lacks login"],
        ),
        (
            ["alter table panneuro_ledger add column colour text"],
            ["panneuro_ledger also has colour"],
        ),
    ],
)
def test_tables_that_are_not_those_of_0_1_are_refused(
    stored: str, path: Path, statements: list[str], says: list[str]
) -> None:
    change(path, *statements)
    before = path.read_bytes()
    for function in (prepare_schema, upgrade_schema, read_schema_status, open_database):
        refuse: Callable[[str], object] = function
        with pytest.raises(IncompleteSchemaError) as refused:
            refuse(stored)
        assert all(one in str(refused.value) for one in says)
        assert str(path.parent) in str(refused.value)
    assert path.read_bytes() == before


def test_a_table_that_was_lost_is_refused(stored: str, path: Path) -> None:
    prepare_schema(stored)
    change(path, "drop table panneuro_ledger")
    with pytest.raises(IncompleteSchemaError, match="the table panneuro_ledger is missing"):
        prepare_schema(stored)


@pytest.mark.parametrize("second", [None, "0001"])
def test_a_newer_schema_is_refused(stored: str, path: Path, second: str | None) -> None:
    prepare_schema(stored)
    change(path, NEWER)
    if second is not None:  # more than one, as nothing of ours writes it
        change(path, f"insert into {VERSION_TABLE} values ('{second}')")
    before = path.read_bytes()
    with pytest.raises(UnknownSchemaError, match=r"9999, which .* newest is 0001") as no:
        open_database(stored)
    assert isinstance(no.value, SchemaError)
    assert no.value.revision == ("9999" if second is None else "0001, 9999")
    assert "backup" in str(no.value)
    assert path.read_bytes() == before


def test_the_service_does_not_start_on_a_newer_schema(
    stored: str, path: Path, example_file: Path
) -> None:
    prepare_schema(stored)
    change(path, NEWER)
    hub = {
        "JUPYTERHUB_API_URL": "http://127.0.0.1:9/hub/api",
        "JUPYTERHUB_API_TOKEN": "the-services-token",
        "JUPYTERHUB_SERVICE_PREFIX": "/services/panneuro/",
        "JUPYTERHUB_SERVICE_URL": "http://127.0.0.1:9",
    }
    command = [sys.executable, "-m", "panneuro_hub.service", f"--collaboration={example_file}"]
    done = subprocess.run(
        [*command, f"--ledger={stored}"],
        env={**os.environ, **hub},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert line.startswith("Error: the ")
    assert not done.stdout
    assert str(path.parent) in line
    assert "backup" in line


def run(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["database", *words])
    return done.exit_code, done.output


def test_the_command_shows_and_upgrades_the_schema(stored: str) -> None:
    code, said = run("status", "--ledger", stored)
    assert code == 0
    assert "the tables of version 0.1: schema revision 0001" in said
    assert "record the revision" in said
    assert run("upgrade", "--ledger", stored) == (
        0,
        "The database has schema revision 0001 now.\n",
    )
    code, said = run("status", "--ledger", stored)
    assert "the newest revision" in said
    code, said = run("upgrade", "--ledger", stored)
    assert (code, "nothing to do" in said) == (0, True)


def test_the_command_says_what_an_upgrade_would_do(url: str, path: Path) -> None:
    code, said = run("status", "--ledger", url)
    assert code == 0
    assert "0001: Create the tables as version 0.1 made them." in said
    assert not path.exists()


def test_the_command_refuses_what_the_service_refuses(stored: str, path: Path) -> None:
    prepare_schema(stored)
    change(path, NEWER)
    for word in ("status", "upgrade"):
        code, said = run(word, "--ledger", stored)
        assert code == 1
        assert "9999" in said


@pytest.mark.parametrize("word", ["status", "upgrade"])
def test_the_command_shows_no_password(word: str) -> None:
    ledger = "postgresql+psycopg://me:hunter2@127.0.0.1:9/none?connect_timeout=1"
    code, said = run(word, "--ledger", ledger)
    assert code == 1
    assert "cannot be opened" in said
    assert "hunter2" not in said


@pytest.mark.parametrize(
    "ledger", ["", "ledger.sqlite", "oracle+nothing://x", "sqlite:////no/such/x"]
)
def test_an_address_that_is_none_is_refused_in_words(ledger: str) -> None:
    code, said = run("upgrade", "--ledger", ledger)
    assert code == 1
    assert said.startswith("Error: the ledger")
