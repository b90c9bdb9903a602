"""The ledger in a real PostgreSQL, which larger hubs and several replicas need."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from panneuro_hub.demo.processes import free_port
from panneuro_hub.errors import ServiceUnavailable
from panneuro_hub.service.ledger import Entry, Ledger

MOMENT = datetime(2026, 11, 22, 12, tzinfo=UTC)
ENTRY = Entry(
    event="issue",
    person="ada",
    project="nhp-navigation",
    session="s1",
    reason="you are in navigation-lab — with 'quotes' and \N{GREEK SMALL LETTER MU}",
    grants=(("write", "s3://b/p/"), ("read", "s3://b/q/")),
    access_key_id="ASIA1",
    expires=MOMENT + timedelta(minutes=30),
    at=MOMENT,
)


def program(name: str) -> str | None:
    """A PostgreSQL program; Debian keeps them out of PATH."""
    versions = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)
    return shutil.which(name) or (str(versions[0]) if versions else None)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    initdb, postgres = program("initdb"), program("postgres")
    if not initdb or not postgres:
        pytest.skip("no PostgreSQL on this machine; Debian's package is postgresql")
    # PostgreSQL refuses to run as root: its own user does it then.
    folder = tmp_path_factory.mktemp("postgresql")
    user = "postgres" if os.geteuid() == 0 else None
    if user:
        for each in (folder, *folder.parents[:2]):
            each.chmod(0o755)
        shutil.chown(folder, user)
    options = ["--auth=trust", "--username=ledger", "--no-sync", "--encoding=UTF8"]
    subprocess.run([initdb, "-D", folder / "data", *options], user=user, check=True, cwd=folder)
    port = free_port()
    settings = [f"port={port}", "listen_addresses=127.0.0.1", f"unix_socket_directories={folder}"]
    arguments = [part for setting in (*settings, "fsync=off") for part in ("-c", setting)]
    server = subprocess.Popen(
        [postgres, "-D", folder / "data", *arguments],
        user=user,
        cwd=folder,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert server.stderr is not None
    for line in server.stderr:
        if "ready to accept connections" in line:
            break
    yield f"postgresql+psycopg://ledger@127.0.0.1:{port}/postgres"
    server.terminate()
    server.communicate(timeout=30)


async def test_rows_come_back_as_they_went_in(url: str) -> None:
    with closing(Ledger(url)) as ledger:
        await ledger.record(ENTRY)
        assert await ledger.entries(project="nhp-navigation") == [ENTRY]


async def test_two_replicas_write_one_ledger(url: str) -> None:
    """Both make the table if it is not there, and no row of either is lost."""
    with closing(Ledger(url)) as one, closing(Ledger(url)) as other:
        before = len(await one.entries())
        await asyncio.gather(*(ledger.record(ENTRY) for ledger in (one, other) for _ in range(20)))
        assert len(await one.entries()) == before + 40


async def test_a_ledger_that_went_away_says_so(url: str) -> None:
    with closing(Ledger(url)) as ledger:
        with ledger._engine.begin() as connection:
            connection.exec_driver_sql("alter table panneuro_ledger rename to elsewhere")
        with pytest.raises(ServiceUnavailable, match="nothing is issued without a record"):
            await ledger.record(ENTRY)
        with ledger._engine.begin() as connection:
            connection.exec_driver_sql("alter table elsewhere rename to panneuro_ledger")
        await ledger.record(ENTRY)
