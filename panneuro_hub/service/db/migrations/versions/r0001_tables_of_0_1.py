"""Create the tables as version 0.1 made them.

Version 0.1 kept no revision. Its databases are recognized by these tables, so nothing here ever
changes.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.mysql import MEDIUMTEXT

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create all tables."""
    _create_ledger()
    _create_register()
    _create_logins()
    # A hub in the same database may have made it: it keeps its versions in such a table, too.
    if not sa.inspect(op.get_bind()).has_table("panneuro_collaboration"):
        op.create_table(
            "panneuro_collaboration",
            sa.Column("id", sa.Integer, primary_key=True),
            sa.Column("since", sa.DateTime, nullable=False),
            sa.Column("name", sa.String(64), nullable=False),
            sa.Column(
                "text",
                sa.Text().with_variant(MEDIUMTEXT(), "mysql", "mariadb"),
                nullable=False,
            ),
        )


def _create_ledger() -> None:
    op.create_table(
        "panneuro_ledger",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("at", sa.DateTime, nullable=False),
        sa.Column("event", sa.String(16), nullable=False),
        sa.Column("person", sa.String(255), nullable=False),
        sa.Column("project", sa.String(63), nullable=False),
        sa.Column("session", sa.String(64), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("grants", sa.JSON, nullable=False),
        sa.Column("access_key_id", sa.String(255)),
        sa.Column("expires", sa.DateTime),
    )
    _create_indexes("panneuro_ledger", "at", "person", "project")


def _create_register() -> None:
    op.create_table(
        "panneuro_register",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("person", sa.String(255), nullable=False),
        sa.Column("account", sa.String(64)),
        sa.Column("login", sa.String(32)),
        sa.Column("project", sa.String(63), nullable=False),
        sa.Column("profile", sa.String(63), nullable=False),
        sa.Column("image", sa.String(63)),
        sa.Column("price_per_hour", sa.Double, nullable=False),
        sa.Column("gateway", sa.String(255), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("ticket", sa.String(64), nullable=False),
        sa.Column("began", sa.DateTime, nullable=False),
        sa.Column("expires", sa.DateTime),
        sa.Column("ended", sa.DateTime),
        sa.Column("reported", sa.DateTime),
        sa.Column("workers", sa.Integer, nullable=False),
        sa.Column("cores", sa.Double, nullable=False),
        sa.Column("memory", sa.BigInteger, nullable=False),
        sa.Column("worker_seconds", sa.Double, nullable=False),
        sa.Column("core_seconds", sa.Double, nullable=False),
        sa.Column("cost_usd", sa.Double, nullable=False),
    )
    _create_indexes("panneuro_register", "person", "login", "project", "gateway", "name", "ended")
    op.create_table(
        "panneuro_months",
        sa.Column("session", sa.String(64), primary_key=True),
        sa.Column("month", sa.String(7), primary_key=True),
        sa.Column("project", sa.String(63), nullable=False),
        sa.Column("worker_seconds", sa.Double, nullable=False),
        sa.Column("core_seconds", sa.Double, nullable=False),
        sa.Column("cost_usd", sa.Double, nullable=False),
    )
    _create_indexes("panneuro_months", "month")


def _create_logins() -> None:
    op.create_table(
        "panneuro_login_requests",
        sa.Column("device", sa.String(64), primary_key=True),
        sa.Column("code", sa.String(16), nullable=False, unique=True),
        sa.Column("host", sa.String(100), nullable=False),
        sa.Column("began", sa.DateTime, nullable=False),
        sa.Column("expires", sa.DateTime, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("person", sa.String(255)),
        sa.Column("account", sa.String(64)),
    )
    _create_indexes("panneuro_login_requests", "expires")
    op.create_table(
        "panneuro_login_confirmations",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("person", sa.String(255), nullable=False),
        sa.Column("account", sa.String(64), nullable=False),
        sa.Column("device", sa.String(64), nullable=False),
        sa.Column("expires", sa.DateTime, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
    )
    _create_indexes("panneuro_login_confirmations", "expires")
    op.create_table(
        "panneuro_logins",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("token", sa.String(64), nullable=False, unique=True),
        sa.Column("person", sa.String(255), nullable=False),
        sa.Column("account", sa.String(64)),
        sa.Column("host", sa.String(100), nullable=False),
        sa.Column("began", sa.DateTime, nullable=False),
        sa.Column("ends", sa.DateTime, nullable=False),
        sa.Column("used", sa.DateTime),
    )
    _create_indexes("panneuro_logins", "person")


def _create_indexes(table: str, *columns: str) -> None:
    for column in columns:
        op.create_index(f"ix_{table}_{column}", table, [column])
