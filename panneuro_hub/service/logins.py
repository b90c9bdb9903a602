"""Logins of people's own machines: asked for there, allowed in a browser, kept as a digest.

A machine asks for a login and shows a short code; its person types the code on the
service's page, logged in at the hub, logs in at the identity provider once more, and then
allows it; the machine, which has been asking with a long secret of its own, gets the token,
once. A login begins sessions in its person's projects, and can do nothing else.

Source: RFC 8628, "OAuth 2.0 Device Authorization Grant", whose flow and advice this follows.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    DateTime,
    String,
    Table,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)

from panneuro_hub.errors import AccessDenied, PanNeuroError
from panneuro_hub.service.database import Database, aware, metadata, naive, utc_now
from panneuro_hub.service.kept import remember
from panneuro_hub.service.owners import Owner
from panneuro_hub.service.register import REGISTER, end_sessions_of

ASKED_FOR = timedelta(minutes=10)
"""How long a code is good for."""

CONFIRM_WITHIN = timedelta(minutes=10)
"""How long a person has from the typed code to the decision."""

LASTS = timedelta(days=30)
"""How long a login is."""

INTERVAL = 5.0
"""Seconds between two questions of a machine that waits."""

LONGEST_HOST = 100  # characters

# No vowels, so that no words come about, and nothing that looks like something else: 20 letters,
# 8 of them, are 2.6e10 codes, of which a few are good at a time.
_LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
_MOST_WAITING = 1000
# Somebody who is logged in at the hub, and looks for the codes of others.
_MOST_WRONG = 10
_WRONG_SECONDS = 600.0
_KEPT = 10_000
_MOST_LOGINS = 50
# Written at most so often: when a login was last used.
_USED_EVERY = timedelta(minutes=10)

State = Literal["waiting", "allowed", "denied", "taken"]

DEVICES = Table(
    "panneuro_login_requests",
    metadata,
    Column("device", String(64), primary_key=True),
    Column("code", String(16), nullable=False, unique=True),
    Column("host", String(LONGEST_HOST), nullable=False),
    Column("began", DateTime, nullable=False),
    Column("expires", DateTime, nullable=False, index=True),
    Column("state", String(16), nullable=False),
    Column("person", String(255)),
    Column("account", String(64)),
)
CONFIRMATIONS = Table(
    "panneuro_login_confirmations",
    metadata,
    # A digest: first of the request's name, then of the key in the form that decides.
    Column("id", String(64), primary_key=True),
    Column("person", String(255), nullable=False),
    Column("account", String(64), nullable=False),
    Column("device", String(64), nullable=False),
    Column("expires", DateTime, nullable=False, index=True),
    Column("state", String(16), nullable=False),
)
LOGINS = Table(
    "panneuro_logins",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("token", String(64), nullable=False, unique=True),
    Column("person", String(255), nullable=False, index=True),
    # Empty in rows of versions that did not know accounts: nobody is served by those.
    Column("account", String(64)),
    Column("host", String(LONGEST_HOST), nullable=False),
    Column("began", DateTime, nullable=False),
    Column("ends", DateTime, nullable=False),
    Column("used", DateTime),
)


class TooMany(PanNeuroError):
    """Somebody asks too often; the text says when to ask again.

    Parameters
    ----------
    message : str
    retry_after : float
        Seconds.
    """

    def __init__(self, message: str, retry_after: float) -> None:
        self.retry_after = retry_after
        super().__init__(message)


class NoLogin(PanNeuroError):
    """A token that is no login's, or not any more."""


@dataclass(frozen=True)
class Asked:
    """What a machine gets that asks for a login; `device_code` is secret."""

    device_code: str
    user_code: str
    expires_in: int
    interval: float


@dataclass(frozen=True)
class Waiting:
    """A request for a login, as its person sees it."""

    user_code: str
    host: str
    began: datetime


@dataclass(frozen=True)
class Confirmation:
    """A step on the way from a typed code to a login.

    Parameters
    ----------
    waiting : Waiting
        What is to be decided.
    key : str
        What the next step must bring; secret.
    """

    waiting: Waiting
    key: str = field(repr=False)


@dataclass(frozen=True)
class Login:
    """A login, without its token.

    Parameters
    ----------
    id : str
        Names it; no secret.
    person, host : str
        Whose it is, and what the machine called itself.
    began, ends : datetime
    used : datetime or None
    account : str or None
        The account that it belongs to; `None` in rows of older versions.
    """

    id: str
    person: str
    host: str
    began: datetime
    ends: datetime
    used: datetime | None = None
    account: str | None = None

    @property
    def owner(self) -> Owner | None:
        """Whose it is; `None` where it does not say which account's."""
        return None if self.account is None else Owner(self.person, self.account)


class Logins:
    """Logins and the requests for them, in the ledger's database.

    Parameters
    ----------
    database : Database
    clock : callable
        The time now (aware, UTC).
    monotonic : callable
        Seconds that only grow.

    Raises
    ------
    ServiceUnavailable
        If the database cannot be opened.
    """

    def __init__(
        self,
        database: Database,
        clock: Callable[[], datetime] = utc_now,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._clock = clock
        self._monotonic = monotonic
        self._polled: OrderedDict[str, float] = OrderedDict()
        self._wrong: OrderedDict[str, list[float]] = OrderedDict()
        database.create(DEVICES, CONFIRMATIONS, LOGINS, REGISTER)

    async def ask(self, host: str) -> Asked:
        """Begin: a machine wants a login.

        Parameters
        ----------
        host : str
            What it calls itself; anything, cut to what can be shown.

        Raises
        ------
        TooMany
            If too many are waiting already.
        ServiceUnavailable
            If it could not be written.
        """
        device, code = secrets.token_urlsafe(32), _new_code()
        now = self._clock()
        row = {
            "device": _digest(device),
            "code": code,
            "host": _shown(host),
            "began": naive(now),
            "expires": naive(now + ASKED_FOR),
            "state": "waiting",
        }

        def work(connection: Connection) -> bool:
            connection.execute(delete(DEVICES).where(DEVICES.c.expires <= naive(now)))
            waiting = connection.execute(select(func.count()).select_from(DEVICES)).scalar_one()
            if waiting >= _MOST_WAITING:
                return False
            connection.execute(insert(DEVICES), row)
            return True

        if not await self._database.run(work):
            raise TooMany("too many logins are being waited for; try again in some minutes", 60)
        return Asked(device, code, int(ASKED_FOR.total_seconds()), INTERVAL)

    async def request_confirmation(self, owner: Owner, code: str) -> Confirmation:
        """Take a typed code; the key names the request for a fresh login at the provider.

        Raises
        ------
        TooMany
            If this person has tried too many codes that there are not.
        AccessDenied
            If there is none, or it is over.
        ServiceUnavailable
            If it could not be written.
        """
        found = await self._find(owner.name, code)
        key, now = secrets.token_urlsafe(32), self._clock()
        row = {
            "id": _digest(key),
            "person": owner.name,
            "account": owner.account,
            "device": found["device"],
            "expires": naive(now + CONFIRM_WITHIN),
            "state": "requested",
        }

        def work(connection: Connection) -> None:
            table = CONFIRMATIONS.c
            connection.execute(delete(CONFIRMATIONS).where(table.expires <= naive(now)))
            connection.execute(insert(CONFIRMATIONS), row)

        await self._database.run(work)
        return Confirmation(_waiting(found), key)

    async def confirm(self, owner: Owner, key: str) -> Confirmation:
        """Take note that the person has logged in again; the new key decides, and is given once.

        Raises
        ------
        AccessDenied
            If there is no such request of this person, or it has been confirmed before.
        ServiceUnavailable
            If it could not be written.
        """
        deciding = secrets.token_urlsafe(32)
        found = await self._step(
            owner, key, "requested", {"id": _digest(deciding), "state": "confirmed"}
        )
        return Confirmation(_waiting(found), deciding)

    async def decide(self, owner: Owner, key: str, *, allow: bool) -> None:
        """Allow a request that was confirmed, or deny it; either is final.

        Raises
        ------
        AccessDenied
            If there is no such request of this person, or it is over.
        ServiceUnavailable
            If it could not be written.
        """
        found = await self._step(owner, key, "confirmed", {"state": "decided"})
        state: State = "allowed" if allow else "denied"

        def work(connection: Connection) -> int:
            changed = connection.execute(
                update(DEVICES)
                .where(DEVICES.c.device == found["device"], DEVICES.c.state == "waiting")
                .values(state=state, person=owner.name, account=owner.account)
            )
            return int(changed.rowcount)

        if not await self._database.run(work):
            raise AccessDenied("somebody has decided about this code already")

    async def take(self, device_code: str) -> tuple[str, Login] | None:
        """The token, once, when its person has allowed it; `None` while nobody has.

        Raises
        ------
        TooMany
            If this machine asks more often than it was told to.
        AccessDenied
            If the person said no, or the request is over.
        ServiceUnavailable
            If it could not be read.
        """
        device = _digest(device_code)
        self._not_too_often(device)
        token, now = secrets.token_urlsafe(32), self._clock()

        def work(connection: Connection) -> tuple[str, Login | None]:
            row = (
                connection.execute(
                    select(DEVICES).where(DEVICES.c.device == device).with_for_update()
                )
                .mappings()
                .first()
            )
            if row is None or aware(row["expires"]) <= now:
                return "over", None
            if row["state"] != "allowed":
                return row["state"], None
            # Once: the row that allows it is gone with the transaction that makes the login.
            connection.execute(delete(DEVICES).where(DEVICES.c.device == device))
            if row["account"] is None:  # allowed by an older version
                return "over", None
            owner = Owner(row["person"], row["account"])
            return "allowed", _begin(connection, token, owner, row["host"], now)

        state, login = await self._database.run(work)
        if login is not None:
            return token, login
        if state == "waiting":
            return None
        raise AccessDenied(
            "the login was denied in the browser"
            if state == "denied"
            else "this code is over; log in again"
        )

    async def holder(self, token: str) -> Login:
        """Whose login a token is.

        Raises
        ------
        NoLogin
            If it is nobody's, or has ended.
        ServiceUnavailable
            If it could not be read.
        """
        digest, now = _digest(token), self._clock()

        def work(connection: Connection) -> Login | None:
            row = (
                connection.execute(select(LOGINS).where(LOGINS.c.token == digest))
                .mappings()
                .first()
            )
            if row is None:
                return None
            login = _login(row)
            if login.ends > now and (login.used is None or now - login.used >= _USED_EVERY):
                connection.execute(
                    update(LOGINS).where(LOGINS.c.id == login.id).values(used=naive(now))
                )
            return login

        login = await self._database.run(work)
        if login is None or login.ends <= now:
            raise NoLogin("this login is not known here, or has ended; log in again")
        return login

    async def of(self, owner: Owner) -> list[Login]:
        """An account's logins that have not ended, the newest first.

        Raises
        ------
        ServiceUnavailable
            If they could not be read.
        """
        table = LOGINS.c
        return await self._select(table.person == owner.name, table.account == owner.account)

    async def every(self, person: str = "") -> list[Login]:
        """All logins that have not ended, of everybody or of one name; the newest first.

        Raises
        ------
        ServiceUnavailable
            If they could not be read.
        """
        return await self._select(*([LOGINS.c.person == person] if person else []))

    async def end(self, login_id: str, owner: Owner | None = None) -> bool:
        """End a login, and the sessions that it began; return whether there was one.

        Parameters
        ----------
        owner : Owner, optional
            Whose it must be.

        Raises
        ------
        ServiceUnavailable
            If it could not be written.
        """
        table = LOGINS.c
        theirs = (table.person == owner.name, table.account == owner.account) if owner else ()
        return bool(await self._end(table.id == login_id, *theirs))

    async def end_of_account(self, owner: Owner) -> int:
        """End all logins of an account, and those of its name that belong to none.

        Returns
        -------
        int
            How many there were.

        Raises
        ------
        ServiceUnavailable
            If it could not be written.
        """
        table = LOGINS.c
        theirs = or_(table.account == owner.account, table.account.is_(None))
        return await self._end(table.person == owner.name, theirs)

    async def _end(self, *where: ColumnElement[bool]) -> int:
        now = self._clock()
        return await self._database.run(lambda connection: _end_logins(connection, now, *where))

    async def _select(self, *where: ColumnElement[bool]) -> list[Login]:
        now = naive(self._clock())
        statement = select(LOGINS).where(LOGINS.c.ends > now, *where)
        ordered = statement.order_by(LOGINS.c.began.desc(), LOGINS.c.id)
        return await self._database.run(
            lambda connection: [_login(row) for row in connection.execute(ordered).mappings()]
        )

    async def _step(
        self, owner: Owner, key: str, state: str, values: Mapping[str, str]
    ) -> Mapping[Any, Any]:
        """Take one step of a confirmation, once; return the request that it is about."""
        table, now = CONFIRMATIONS.c, naive(self._clock())
        mine = (
            table.id == _digest(key),
            table.person == owner.name,
            table.account == owner.account,
            table.state == state,
            table.expires > now,
        )

        def work(connection: Connection) -> Mapping[Any, Any] | None:
            device = connection.execute(select(table.device).where(*mine)).scalar()
            changed = connection.execute(update(CONFIRMATIONS).where(*mine).values(**values))
            if device is None or changed.rowcount != 1:
                return None
            asked = (DEVICES.c.device == device, DEVICES.c.expires > now)
            return connection.execute(select(DEVICES).where(*asked)).mappings().first()

        found = await self._database.run(work)
        if found is None or found["state"] != "waiting":
            raise AccessDenied("this was confirmed before, or is over; type the code once more")
        return dict(found)

    async def _find(self, person: str, code: str) -> Mapping[Any, Any]:
        now = self._monotonic()
        wrong = [at for at in self._wrong.get(person, ()) if now - at < _WRONG_SECONDS]
        if len(wrong) >= _MOST_WRONG:
            raise TooMany("you have tried too many codes; wait ten minutes", _WRONG_SECONDS)
        written = normal_code(code)
        statement = select(DEVICES).where(DEVICES.c.code == written, DEVICES.c.state == "waiting")
        found = None
        if written is not None:
            found = await self._database.run(
                lambda connection: connection.execute(statement).mappings().first()
            )
        if found is None or aware(found["expires"]) <= self._clock():
            remember(self._wrong, person, [*wrong, now], _KEPT)
            raise AccessDenied(
                "there is no login waiting with this code, or it is over; look at the code again, "
                "or begin again"
            )
        return dict(found)

    def _not_too_often(self, device: str) -> None:
        now = self._monotonic()
        last = self._polled.get(device)
        remember(self._polled, device, now, _KEPT)
        # A little less, since the network may bring two questions closer together.
        if last is not None and now - last < INTERVAL * 0.8:
            raise TooMany(f"ask every {INTERVAL:g} seconds", INTERVAL)


def normal_code(code: str) -> str | None:
    """A code as it is kept, ``ABCD-EFGH``, however it was typed; `None` if it is none."""
    letters = "".join(letter for letter in code[:50].upper() if letter not in " -\t")
    if len(letters) != 8 or any(letter not in _LETTERS for letter in letters):
        return None
    return f"{letters[:4]}-{letters[4:]}"


def _new_code() -> str:
    letters = "".join(secrets.choice(_LETTERS) for _ in range(8))
    return f"{letters[:4]}-{letters[4:]}"


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _shown(host: str) -> str:
    plain = "".join(letter for letter in host if letter.isprintable())[:LONGEST_HOST].strip()
    return plain or "a computer without a name"


def _begin(connection: Connection, token: str, owner: Owner, host: str, now: datetime) -> Login:
    _end_logins(connection, now, LOGINS.c.ends <= naive(now))
    login = Login(secrets.token_hex(8), owner.name, host, now, now + LASTS, account=owner.account)
    connection.execute(
        insert(LOGINS),
        {
            "id": login.id,
            "token": _digest(token),
            "person": login.person,
            "account": login.account,
            "host": host,
            "began": naive(login.began),
            "ends": naive(login.ends),
        },
    )
    older = connection.execute(
        select(LOGINS.c.id)
        .where(LOGINS.c.person == owner.name)
        .order_by(LOGINS.c.began.desc())
        .offset(_MOST_LOGINS)
    ).scalars()
    _end_logins(connection, now, LOGINS.c.id.in_(list(older)))
    return login


def _end_logins(connection: Connection, now: datetime, *where: ColumnElement[bool]) -> int:
    """Delete logins, and end the sessions that they began; nothing is left between the two."""
    ids = list(connection.execute(select(LOGINS.c.id).where(*where)).scalars())
    if ids:
        connection.execute(delete(LOGINS).where(LOGINS.c.id.in_(ids)))
        end_sessions_of(connection, ids, now)
    return len(ids)


def _waiting(row: Mapping[Any, Any]) -> Waiting:
    return Waiting(row["code"], row["host"], aware(row["began"]))


def _login(row: Mapping[Any, Any]) -> Login:
    return Login(
        id=row["id"],
        person=row["person"],
        host=row["host"],
        began=aware(row["began"]),
        ends=aware(row["ends"]),
        used=aware(row["used"]) if row["used"] else None,
        account=row["account"],
    )
