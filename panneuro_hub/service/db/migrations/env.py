"""Run migrations within the transaction of `panneuro_hub.service.db.schema`; alembic runs this."""

from __future__ import annotations

from alembic import context

context.configure(**context.config.attributes["configuration"])
with context.begin_transaction():
    context.run_migrations()
