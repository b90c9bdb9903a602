"""The tables of people's logins and sessions, as the service's first version made them."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection

from panneuro_hub.wire import Ticket

TOKEN, DEVICE = "the old laptop's token", "the old laptop's device code"
TICKET = Ticket("ada", "00112233445566aa", "the-secret-of-the-old-session", "register")

_TABLES = (
    """CREATE TABLE panneuro_register (
    id VARCHAR(64) NOT NULL, kind VARCHAR(16) NOT NULL, person VARCHAR(255) NOT NULL,
    project VARCHAR(63) NOT NULL, profile VARCHAR(63) NOT NULL, image VARCHAR(63),
    price_per_hour DOUBLE PRECISION NOT NULL, gateway VARCHAR(255) NOT NULL,
    name VARCHAR(255) NOT NULL, ticket VARCHAR(64) NOT NULL, began TIMESTAMP NOT NULL,
    expires TIMESTAMP, ended TIMESTAMP, reported TIMESTAMP, workers INTEGER NOT NULL,
    cores DOUBLE PRECISION NOT NULL, memory BIGINT NOT NULL,
    worker_seconds DOUBLE PRECISION NOT NULL, core_seconds DOUBLE PRECISION NOT NULL,
    cost_usd DOUBLE PRECISION NOT NULL, PRIMARY KEY (id))""",
    "CREATE INDEX ix_panneuro_register_person ON panneuro_register (person)",
    """CREATE TABLE panneuro_login_requests (
    device VARCHAR(64) NOT NULL, code VARCHAR(16) NOT NULL, host VARCHAR(100) NOT NULL,
    began TIMESTAMP NOT NULL, expires TIMESTAMP NOT NULL, state VARCHAR(16) NOT NULL,
    person VARCHAR(255), PRIMARY KEY (device), UNIQUE (code))""",
    """CREATE TABLE panneuro_logins (
    id VARCHAR(32) NOT NULL, token VARCHAR(64) NOT NULL, person VARCHAR(255) NOT NULL,
    host VARCHAR(100) NOT NULL, began TIMESTAMP NOT NULL, ends TIMESTAMP NOT NULL,
    used TIMESTAMP, PRIMARY KEY (id), UNIQUE (token))""",
)


def make_old_tables(connection: Connection) -> None:
    """Make the tables, with a login of ada's, a request that she allowed, and an upload."""
    for statement in _TABLES:
        connection.exec_driver_sql(statement)
    began, later = (f"{datetime.now(UTC) + span:%Y-%m-%d %H:%M:%S.%f}" for span in _SPANS)
    for table, values in (
        ("panneuro_logins", ("login1", _digest(TOKEN), "ada", "old laptop", began, later, None)),
        (
            "panneuro_login_requests",
            (_digest(DEVICE), "BCDF-GHJK", "old laptop", began, later, "allowed", "ada"),
        ),
        (
            "panneuro_register",
            (
                *(TICKET.name, "upload", "ada", "nhp-navigation", "", None, 0.0, "", ""),
                *(TICKET.digest, began, later, None, None, 0, 0.0, 0, 0.0, 0.0, 0.0),
            ),
        ),
    ):
        texts = ", ".join(_literal(value) for value in values)
        connection.exec_driver_sql(f"INSERT INTO {table} VALUES ({texts})")


_SPANS = (timedelta(hours=-1), timedelta(hours=1))


def _literal(value: object) -> str:
    if value is None:
        return "NULL"
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else str(value)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
