"""The valid versions of a collaboration file, in a database, where the next process finds them.

A pod that starts while the file is broken needs the last valid version, and so does one on
another node: no volume of a pod holds it. The hub keeps it in its own database, the service
in the ledger's. What is read back is checked as strictly as a file.
"""

from __future__ import annotations

from datetime import UTC

from sqlalchemy import (
    Column,
    Connection,
    DateTime,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    delete,
    insert,
    select,
)
from sqlalchemy.dialects.mysql import MEDIUMTEXT

from panneuro_hub.current import CollaborationVersion

_MOST_VERSIONS = 20
# MySQL's plain TEXT ends at 64 KiB; a file may have a megabyte.
_LONG_TEXT = Text().with_variant(MEDIUMTEXT(), "mysql", "mariadb")

VERSIONS = Table(
    "panneuro_collaboration",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("since", DateTime, nullable=False),  # UTC
    Column("name", String(64), nullable=False),
    Column("text", _LONG_TEXT, nullable=False),
)


def newest_version(connection: Connection) -> CollaborationVersion | None:
    """Return the version that came into force last, or `None` if there is none."""
    statement = select(VERSIONS).order_by(VERSIONS.c.id.desc()).limit(1)
    row = connection.execute(statement).mappings().first()
    return (
        None if row is None else CollaborationVersion(row["text"], row["since"].replace(tzinfo=UTC))
    )


def add_version(connection: Connection, version: CollaborationVersion) -> None:
    """Store a version, unless it is the newest already, and forget those of long ago."""
    newest = newest_version(connection)
    if newest is not None and newest.name == version.name:
        return  # another replica has read the same file
    row = {
        "since": version.since.astimezone(UTC).replace(tzinfo=None),
        "name": version.name,
        "text": version.text,
    }
    connection.execute(insert(VERSIONS), row)
    kept = select(VERSIONS.c.id).order_by(VERSIONS.c.id.desc()).limit(_MOST_VERSIONS)
    ids = [number for (number,) in connection.execute(kept)]
    connection.execute(delete(VERSIONS).where(VERSIONS.c.id < min(ids)))
