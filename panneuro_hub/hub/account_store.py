"""The identity provider's answers about each account, in a table that no JupyterHub API writes.

JupyterHub's groups and auth_state can be changed by an admin, or by anybody with the right
scope, through the REST API and the admin page. What a person may do is decided from this
table alone. It is in the hub's own database, and a row goes with its user.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from jupyterhub import orm
from sqlalchemy import (
    Column,
    DateTime,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    delete,
    insert,
    select,
    update,
)
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

# Of our own: JupyterHub's migrations know nothing of it.
_metadata = MetaData()
ACCOUNTS = Table(
    "panneuro_accounts",
    _metadata,
    Column(
        "user_id",
        Integer,
        # A database gives the number of a deleted user to the next one.
        ForeignKey(orm.User.__table__.c.id, ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("name", String(255), nullable=False),
    Column("account", String(32), nullable=False, unique=True),
    Column("provider_name", String(255)),
    Column("groups", Text, nullable=False),
    Column("confirmed", DateTime),
)


@dataclass(frozen=True)
class AccountRecord:
    """The provider's last answer about an account.

    Parameters
    ----------
    account : str
        Identifies the account; random, and never used again for another one.
    provider_name : str or None
        The name that the provider's answer gave at the login, as the hub normalizes it.
    groups : frozenset of str
        The provider's groups, whole.
    confirmed : datetime or None
        When the provider said so (aware); `None` for never.
    """

    account: str
    provider_name: str | None = None
    groups: frozenset[str] = frozenset()
    confirmed: datetime | None = None

    def is_older_than(self, age: timedelta, now: datetime) -> bool:
        """Return `True` if the provider has confirmed nothing within `age`."""
        return self.confirmed is None or now - self.confirmed > age

    def current_groups(self, grace: timedelta, now: datetime) -> frozenset[str]:
        """Return the groups, or none where the last answer is older than `grace`."""
        return frozenset() if self.is_older_than(grace, now) else self.groups


class AccountStore:
    """The table, in a session of the hub's database.

    Parameters
    ----------
    db : sqlalchemy.orm.Session
    """

    def __init__(self, db: Session) -> None:
        self._db = db

    def create(self) -> None:
        """Create the table if it is missing."""
        _metadata.create_all(self._db.get_bind(), tables=[ACCOUNTS])

    def find(self, user: Any) -> AccountRecord:
        """Return the record of a user; the first look makes a new account.

        A user who was renamed gets a new account too: the provider has said nothing of
        the new name.

        Parameters
        ----------
        user : jupyterhub.user.User or jupyterhub.orm.User
        """
        statement = select(ACCOUNTS).where(ACCOUNTS.c.user_id == user.id)
        row = self._db.execute(statement).mappings().first()
        found = None if row is None else _record(row, user.name)
        if found is not None:
            return found
        record = AccountRecord(secrets.token_hex(16))
        new = {"user_id": user.id, "name": user.name, "account": record.account, "groups": "[]"}
        with self._transaction():
            self._db.execute(delete(ACCOUNTS).where(ACCOUNTS.c.user_id == user.id))
            self._db.execute(insert(ACCOUNTS).values(new))
        return record

    def everybody(self) -> list[tuple[str, AccountRecord | None]]:
        """Return the names of all users, with their records; `None` for who has none yet."""
        users = orm.User.__table__
        statement = select(users.c.name.label("user"), ACCOUNTS).select_from(
            users.outerjoin(ACCOUNTS, ACCOUNTS.c.user_id == users.c.id)
        )
        rows = self._db.execute(statement.order_by(users.c.name)).mappings()
        return [(row["user"], _record(row, row["user"])) for row in rows]

    def confirm(self, user: Any, provider_name: str, groups: Iterable[str], now: datetime) -> None:
        """Store what the provider has just said of a user.

        Parameters
        ----------
        provider_name : str
            Whom the answer was about.
        groups : iterable of str
        now : datetime
            Aware.
        """
        self._write(user, provider_name=provider_name, groups=groups, confirmed=now)

    def withdraw(self, user: Any) -> None:
        """Forget what the provider said of a user, who is in no group until the next answer."""
        self._write(user, groups=(), confirmed=None)

    def _write(
        self, user: Any, *, groups: Iterable[str], confirmed: datetime | None, **values: Any
    ) -> None:
        self.find(user)  # makes the row where there is none
        moment = confirmed.astimezone(UTC).replace(tzinfo=None) if confirmed else None
        with self._transaction():
            self._db.execute(
                update(ACCOUNTS)
                .where(ACCOUNTS.c.user_id == user.id)
                .values(groups=json.dumps(sorted(groups)), confirmed=moment, **values)
            )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Commit, or leave the hub's session usable: all the hub shares it."""
        try:
            yield
            self._db.commit()
        except SQLAlchemyError:
            self._db.rollback()
            raise


def _record(row: Mapping[Any, Any], name: str) -> AccountRecord | None:
    """Read a row; `None` where there is none, or it is of another name of the user's."""
    if row["name"] != name:
        return None
    return AccountRecord(
        row["account"],
        row["provider_name"],
        frozenset(json.loads(row["groups"])),
        row["confirmed"].replace(tzinfo=UTC) if row["confirmed"] else None,
    )
