"""The valid versions of the collaboration file in a database."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, create_engine, func, select
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.schema import CreateTable

from panneuro_hub.current import CollaborationVersion
from panneuro_hub.version_store import VERSIONS, add_version, newest_version

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    engine = create_engine(f"sqlite:///{tmp_path}/versions.sqlite")
    with engine.begin() as connection:
        VERSIONS.create(connection)
        yield connection
    engine.dispose()


def version(number: int) -> CollaborationVersion:
    return CollaborationVersion(f"name: number-{number}\n", NOON + timedelta(minutes=number))


def count(connection: Connection) -> int:
    return int(connection.execute(select(func.count()).select_from(VERSIONS)).scalar_one())


def test_the_newest_one_comes_back_whole(connection: Connection) -> None:
    assert newest_version(connection) is None
    for number in range(3):
        add_version(connection, version(number))
    assert newest_version(connection) == version(2)


def test_two_replicas_that_read_the_same_file_store_it_once(connection: Connection) -> None:
    add_version(connection, version(1))
    later = CollaborationVersion(version(1).text, NOON + timedelta(hours=1))
    add_version(connection, later)
    assert newest_version(connection) == version(1)
    assert count(connection) == 1


def test_a_version_that_comes_back_is_the_newest_again(connection: Connection) -> None:
    for number in (1, 2, 1):
        add_version(connection, version(number))
    assert newest_version(connection) == version(1)
    assert count(connection) == 3


def test_old_versions_are_forgotten(connection: Connection) -> None:
    for number in range(50):
        add_version(connection, version(number))
    assert newest_version(connection) == version(49)
    assert count(connection) == 20


@pytest.mark.parametrize(
    ("dialect", "column"),
    [
        (sqlite.dialect(), "text TEXT NOT NULL"),
        (postgresql.dialect(), "text TEXT NOT NULL"),
        (mysql.dialect(), "text MEDIUMTEXT NOT NULL"),
    ],
)
def test_every_database_has_room_for_a_whole_file(dialect: object, column: str) -> None:
    assert column in str(CreateTable(VERSIONS).compile(dialect=dialect))
