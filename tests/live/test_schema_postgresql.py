"""The upgrade of the service's database in a real PostgreSQL, where replicas start at once."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing

import pytest
from postgresql import own_database
from sqlalchemy import Connection
from stored_database import check_rows, load_database, schema_differences
from testing.waiting import PATIENCE, wait_until

from panneuro_hub.errors import ServiceUnavailableError
from panneuro_hub.service.db.engine import make_engine
from panneuro_hub.service.db.schema import (
    SCHEMA_LOCK,
    VERSION_TABLE,
    IncompleteSchemaError,
    UnknownSchemaError,
    open_database,
    prepare_schema,
    read_schema_status,
    upgrade_schema,
)

PROGRAM = "from panneuro_hub.cli import main; main()"
UPGRADE = (sys.executable, "-c", PROGRAM, "database", "upgrade")


@pytest.fixture
def url(postgresql_url: str) -> Iterator[str]:
    """An empty database of its own for each test."""
    with own_database(postgresql_url, "of_the_schema") as url:
        yield url


@pytest.fixture
def stored(url: str) -> str:
    """A database of version 0.1."""
    engine = make_engine(url)
    load_database(engine, "postgresql")
    engine.dispose()
    return url


def change(url: str, statement: str) -> None:
    engine = make_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql(statement)
    engine.dispose()


def test_an_empty_database_gets_the_tables_that_the_code_uses(url: str) -> None:
    prepare_schema(url)
    assert read_schema_status(url).is_current
    assert schema_differences(url) == []


async def test_a_database_of_0_1_is_upgraded_and_every_row_is_served(stored: str) -> None:
    assert not read_schema_status(stored).is_current
    with closing(open_database(stored)) as database:
        await check_rows(database, "postgresql")
    assert read_schema_status(stored).is_current
    assert schema_differences(stored) == []


def test_what_is_not_known_is_refused_and_not_changed(stored: str) -> None:
    change(stored, "alter table panneuro_register drop column account")
    with pytest.raises(IncompleteSchemaError, match="panneuro_register lacks account"):
        open_database(stored)
    change(stored, "alter table panneuro_register add column account varchar(64)")
    prepare_schema(stored)
    change(stored, f"update {VERSION_TABLE} set version_num = '9999'")
    with pytest.raises(UnknownSchemaError, match="schema revision 9999"):
        open_database(stored)
    with pytest.raises(UnknownSchemaError, match="schema revision 9999"):
        upgrade_schema(stored)


def test_replicas_that_start_at_once_upgrade_one_after_the_other(stored: str) -> None:
    """They are processes; all of them start, and one does the work."""
    engine = make_engine(stored)
    # They wait for one another here, so that they go on at the same moment.
    with engine.connect() as barrier:
        barrier.exec_driver_sql("select pg_advisory_lock(%s)", (SCHEMA_LOCK,))
        barrier.commit()
        replicas = [
            subprocess.Popen([*UPGRADE, "--ledger", stored], stdout=subprocess.PIPE, text=True)
            for _ in range(2)
        ]
        wait_until(lambda: count_waiting(barrier) == 2, "two replicas wait")
        assert all(replica.poll() is None for replica in replicas)
        barrier.exec_driver_sql("select pg_advisory_unlock(%s)", (SCHEMA_LOCK,))
        barrier.commit()
        said = [replica.communicate(timeout=PATIENCE)[0] for replica in replicas]
    engine.dispose()
    assert [replica.returncode for replica in replicas] == [0, 0]
    assert sorted("nothing to do" in one for one in said) == [False, True]
    assert read_schema_status(stored).is_current


def test_an_upgrade_that_fails_changes_nothing(url: str) -> None:
    """It is one transaction: here, the tables are made, and then the revision is refused."""
    change(url, f"create view {VERSION_TABLE} as select '0001'::text as version_num where false")
    with pytest.raises(ServiceUnavailableError):
        upgrade_schema(url)
    change(url, f"drop view {VERSION_TABLE}")
    assert read_schema_status(url).revision is None
    prepare_schema(url)
    assert read_schema_status(url).is_current


def count_waiting(connection: Connection) -> int:
    """Return how many processes wait for an advisory lock of this database."""
    query = (
        "select count(*) from pg_locks join pg_database on pg_database.oid = pg_locks.database "
        "where locktype = 'advisory' and not granted and datname = current_database()"
    )
    with connection.begin():
        return int(connection.exec_driver_sql(query).scalar_one())
