"""A real PostgreSQL of this machine, for as long as the tests run."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url

from panneuro_hub.devstack.processes import find_free_port


def program(name: str) -> str | None:
    """A PostgreSQL program; Debian keeps them out of PATH."""
    versions = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)
    return shutil.which(name) or (str(versions[0]) if versions else None)


@contextmanager
def postgresql() -> Iterator[str]:
    """Its SQLAlchemy URL; skips the test where there is none on this machine."""
    initdb, postgres = program("initdb"), program("postgres")
    if not initdb or not postgres:
        pytest.skip("no PostgreSQL on this machine; Debian's package is postgresql")
    # PostgreSQL refuses to run as root: its own user does it then, who must reach the folder.
    user = "postgres" if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="panneuro-postgresql-") as name:
        folder = Path(name)
        if user:
            shutil.chown(folder, user)
        yield from _running(folder, initdb, postgres, user)


@contextmanager
def own_database(postgresql_url: str, name: str) -> Iterator[str]:
    """Make an empty database in a PostgreSQL, and give its URL."""
    admin = create_engine(postgresql_url, isolation_level="AUTOCOMMIT")
    try:
        with admin.connect() as connection:
            connection.exec_driver_sql(f"create database {name}")
        yield make_url(postgresql_url).set(database=name).render_as_string(hide_password=False)
        with admin.connect() as connection:
            connection.exec_driver_sql(f"drop database {name} with (force)")
    finally:
        admin.dispose()


def _running(folder: Path, initdb: str, postgres: str, user: str | None) -> Iterator[str]:
    options = ["--auth=trust", "--username=ledger", "--no-sync", "--encoding=UTF8"]
    subprocess.run([initdb, "-D", folder / "data", *options], user=user, check=True, cwd=folder)
    port = find_free_port()
    settings = [f"port={port}", "listen_addresses=127.0.0.1", f"unix_socket_directories={folder}"]
    settings += ["fsync=off", "log_min_messages=log"]  # of errors the tests hear themselves
    arguments = [part for setting in settings for part in ("-c", setting)]
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
    try:
        yield f"postgresql+psycopg://ledger@127.0.0.1:{port}/postgres"
    finally:
        server.terminate()
        server.communicate(timeout=30)
