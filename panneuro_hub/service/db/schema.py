"""The schema of the service's database: its revision, and the way to the newest one.

`prepare_schema` runs before the service uses the database. It creates the tables in an empty
database, upgrades an older schema, and refuses what it does not know. All of an upgrade is one
transaction on PostgreSQL and SQLite, and replicas that start at once do it one after the other.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, create_engine, inspect, make_url
from sqlalchemy.exc import SQLAlchemyError

from panneuro_hub.errors import PanNeuroError, ServiceUnavailableError, SettingsError
from panneuro_hub.service.db.engine import WAIT_SECONDS, Database, hide_password, make_engine

VERSION_TABLE = "panneuro_schema_version"
"""Where the revision is kept; JupyterHub's own ``alembic_version`` may be in the same database."""

UPGRADE_SECONDS = 600.0
"""How long a statement of an upgrade may take, and how long a replica waits for another's."""

SCHEMA_LOCK = 0x70616E6E6575726F
"""Number of PostgreSQL's advisory lock that an upgrade takes: "panneuro" in ASCII."""

_MIGRATIONS = Path(__file__).parent / "migrations"
# What version 0.1 made, which kept no revision.
_FIRST = "0001"
# A hub keeps such a table in its own database, which may be this one.
_SHARED = "panneuro_collaboration"
_log = logging.getLogger("panneuro.service")

# The columns of each table.
_Tables = Mapping[str, frozenset[str]]


class SchemaError(PanNeuroError):
    """The service cannot use the schema of its database; the text says what to do.

    Parameters
    ----------
    message : str
    revision : str or None
        The schema's revision, as far as it has one.
    """

    code = "schema"

    def __init__(self, message: str, revision: str | None = None) -> None:
        self.revision = revision
        super().__init__(message)


class UnknownSchemaError(SchemaError):
    """A newer version wrote the schema."""

    code = "unknown-schema"


class IncompleteSchemaError(SchemaError):
    """Tables are missing, or are not those of the revision."""

    code = "incomplete-schema"


@dataclass(frozen=True)
class SchemaStatus:
    """The revision of a database.

    Parameters
    ----------
    revision : str or None
        `None` for an empty database. A database of version 0.1 has the first revision.
    newest : str
        The revision that this version of the service uses.
    is_recorded : bool
        Whether the database itself names the revision; one of version 0.1 does not.
    pending : tuple of str
        What an upgrade does, in its order: a sentence for each revision.
    """

    revision: str | None
    newest: str
    is_recorded: bool
    pending: tuple[str, ...]

    @property
    def is_current(self) -> bool:
        """Whether the service can use the schema as it is."""
        return self.is_recorded and self.revision == self.newest


def read_schema_status(url: str) -> SchemaStatus:
    """Return the revision of a database, and change nothing.

    Parameters
    ----------
    url : str
        SQLAlchemy URL.

    Raises
    ------
    UnknownSchemaError
        If a newer version wrote the schema.
    IncompleteSchemaError
        If tables are missing, or are not those of the revision.
    ServiceUnavailableError
        If the database cannot be opened.
    """
    if _is_missing_file(url):  # SQLite would make it
        return _describe_revision(None, is_recorded=False)
    with _transaction(url) as connection:
        return _read_status(connection)


def prepare_schema(url: str) -> None:
    """Bring a database to the newest revision, or refuse it; blocks.

    Raises
    ------
    UnknownSchemaError, IncompleteSchemaError, ServiceUnavailable
        As for `read_schema_status`. Nothing is changed then.
    """
    # Nobody waits for the lock at an ordinary start, nor for longer than a connection takes.
    if not read_schema_status(url).is_current:
        upgrade_schema(url)


def upgrade_schema(url: str) -> SchemaStatus:
    """Upgrade a database to the newest revision; return what it was before.

    Of several replicas that do this at once, one does it, and the others wait for it.

    Raises
    ------
    UnknownSchemaError, IncompleteSchemaError, ServiceUnavailable
        As for `read_schema_status`. Nothing is changed then.
    """
    with _transaction(url, UPGRADE_SECONDS) as connection:
        _lock_schema(connection)
        status = _read_status(connection)
        if not status.is_current:
            config = _configure_alembic(connection)
            if status.revision is not None and not status.is_recorded:
                command.stamp(config, status.revision)
            command.upgrade(config, "head")
            before = status.revision if status.is_recorded else None
            _log.info(
                "The database's schema is now at revision %s (before: %s)",
                *(status.newest, before or ("version 0.1" if status.revision else "no tables")),
            )
    return status


def open_database(url: str, wait: float = WAIT_SECONDS) -> Database:
    """Prepare a database, and return what runs transactions in it.

    Parameters
    ----------
    url : str
        SQLAlchemy URL.
    wait : float
        As for `Database`.

    Raises
    ------
    UnknownSchemaError, IncompleteSchemaError, ServiceUnavailable
        As for `prepare_schema`.
    """
    prepare_schema(url)
    return Database(url, wait)


@contextmanager
def _transaction(url: str, patience: float | None = None) -> Iterator[Connection]:
    """Connect for one transaction.

    Parameters
    ----------
    patience : float, optional
        How long the database may take, in seconds, if not for as long as in normal use.
    """
    parsed = _parse_url(url)
    try:
        engine = make_engine(url, patience)
    except (SQLAlchemyError, ImportError) as error:
        # The text of the first may name the URL, and so a password.
        raise SettingsError(
            f"the ledger {hide_password(parsed)} needs a driver for "
            f"{parsed.drivername}, which is not installed; install it, or check --ledger"
        ) from error
    try:
        with engine.begin() as connection:
            yield connection
    except SQLAlchemyError as error:
        raise ServiceUnavailableError(
            f"the ledger {hide_password(parsed)} cannot be opened ({type(error).__name__}); check "
            "--ledger and its database"
        ) from error
    finally:
        engine.dispose()


def _parse_url(url: str) -> URL:
    try:
        return make_url(url)
    except SQLAlchemyError:
        # It may hold a password wherever it is.
        raise SettingsError(
            "the ledger has no address that can be used; write it like sqlite:///ledger.sqlite or "
            "postgresql+psycopg://USER@HOST/DATABASE (--ledger, PANNEURO_LEDGER_URL)"
        ) from None


def _lock_schema(connection: Connection) -> None:
    """Wait until no other replica upgrades the schema, and keep others waiting until the end.

    On SQLite the transaction itself does that.
    """
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({SCHEMA_LOCK})")


def _read_status(connection: Connection) -> SchemaStatus:
    recorded = _read_recorded(connection)
    revision = recorded or _FIRST
    expected = _columns_of(revision)
    tables = _read_columns(connection, expected)
    if recorded is None and not tables.keys() - {_SHARED}:
        return _describe_revision(None, is_recorded=False)
    differences = list(_find_differences(expected, tables, exact=recorded is None))
    if differences:
        what = f"revision {recorded}" if recorded else "version 0.1, which kept no revision"
        raise IncompleteSchemaError(
            f"the tables of the database {_shown(connection)} are not those of {what}: "
            f"{'; '.join(differences)}. Nothing was changed. Put back a backup of the database, or "
            "name an empty database with --ledger",
            recorded,
        )
    return _describe_revision(revision, is_recorded=recorded is not None)


def _read_recorded(connection: Connection) -> str | None:
    """Return the revision that the database names, or `None` if it names none.

    Raises
    ------
    UnknownSchemaError
        If this version does not know it.
    """
    options = {"version_table": VERSION_TABLE}
    found = MigrationContext.configure(connection, opts=options).get_current_heads()
    if not found:
        return None
    scripts = _read_scripts()
    if len(found) == 1 and found[0] in {script.revision for script in scripts.walk_revisions()}:
        return found[0]
    revision = ", ".join(sorted(found))
    raise UnknownSchemaError(
        f"the database {_shown(connection)} has schema revision {revision}, which this version of "
        f"panneuro-hub does not know; its newest is {scripts.get_current_head()}. A newer version "
        "has upgraded the database. Start that version again, or put back the backup that was made "
        "before the upgrade",
        revision,
    )


def _read_columns(connection: Connection, expected: _Tables) -> _Tables:
    """Return the columns of those of the expected tables that are there."""
    inspector = inspect(connection)
    return {
        name: frozenset(column["name"] for column in inspector.get_columns(name))
        for name in set(inspector.get_table_names()) & expected.keys()
    }


def _find_differences(expected: _Tables, tables: _Tables, *, exact: bool) -> Iterator[str]:
    """Yield what is missing, and, if `exact`, which columns nobody knows."""
    for name, columns in sorted(expected.items()):
        if name not in tables:
            yield f"the table {name} is missing"
            continue
        if missing := columns - tables[name]:
            yield f"{name} lacks {', '.join(sorted(missing))}"
        if exact and (unknown := tables[name] - columns):
            yield f"{name} also has {', '.join(sorted(unknown))}"


@functools.cache
def _columns_of(revision: str) -> _Tables:
    """Return the columns that each table has at a revision."""
    engine = create_engine("sqlite://")
    try:
        with engine.begin() as connection:
            command.upgrade(_configure_alembic(connection), revision)
            inspector = inspect(connection)
            return {
                name: frozenset(column["name"] for column in inspector.get_columns(name))
                for name in inspector.get_table_names()
                if name != VERSION_TABLE
            }
    finally:
        engine.dispose()


def _describe_revision(revision: str | None, *, is_recorded: bool) -> SchemaStatus:
    scripts = _read_scripts()
    newest = str(scripts.get_current_head())
    pending = list(scripts.iterate_revisions("head", revision or "base"))
    return SchemaStatus(
        revision,
        newest,
        is_recorded,
        tuple(f"{script.revision}: {script.doc}" for script in reversed(pending)),
    )


def _read_scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_base_configuration())


def _configure_alembic(connection: Connection) -> Config:
    """Return what lets alembic's commands work on a connection, in its transaction."""
    config = _base_configuration()
    config.attributes["configuration"] = {
        "connection": connection,
        "version_table": VERSION_TABLE,
    }
    return config


def _base_configuration() -> Config:
    config = Config()
    # Alembic replaces %(name)s in it.
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    return config


def _is_missing_file(url: str) -> bool:
    parsed = _parse_url(url)
    if parsed.get_backend_name() != "sqlite" or parsed.database in (None, "", ":memory:"):
        return False
    return not Path(str(parsed.database)).exists()


def _shown(connection: Connection) -> str:
    return hide_password(connection.engine.url)
