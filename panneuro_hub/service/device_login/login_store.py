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

from panneuro_hub.errors import AccessDeniedError, PanNeuroError
from panneuro_hub.service.accounts.hub_account import HubAccount
from panneuro_hub.service.cache import put_newest
from panneuro_hub.service.db.engine import Database, metadata, to_aware, to_naive, utc_now
from panneuro_hub.service.db.session_store import end_login_sessions

DEVICE_CODE_LIFETIME = timedelta(minutes=10)
"""How long a code is good for."""

CONFIRMATION_LIFETIME = timedelta(minutes=10)
"""How long a person has from the typed code to the decision."""

LOGIN_LIFETIME = timedelta(days=30)
"""How long a login is."""

POLL_INTERVAL = 5.0
"""Seconds between two questions of a machine that waits."""

MAX_HOST_LENGTH = 100  # characters

# No vowels, so that no words come about, and nothing that looks like something else: 20 letters,
# 8 of them, are 2.6e10 codes, of which a few are good at a time.
_LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
_MOST_WAITING = 1000
# Somebody who is logged in at the hub, and looks for the codes of others.
_MOST_WRONG = 10
_WRONG_SECONDS = 600.0
_MOST_REMEMBERED = 10_000
_MOST_LOGINS = 50
# Written at most so often: when a login was last used.
_USED_EVERY = timedelta(minutes=10)

RequestState = Literal["waiting", "allowed", "denied", "taken"]

REQUESTS_TABLE = Table(
    "panneuro_login_requests",
    metadata,
    Column("device", String(64), primary_key=True),
    Column("code", String(16), nullable=False, unique=True),
    Column("host", String(MAX_HOST_LENGTH), nullable=False),
    Column("began", DateTime, nullable=False),
    Column("expires", DateTime, nullable=False, index=True),
    Column("state", String(16), nullable=False),
    Column("person", String(255)),
    Column("account", String(64)),
)
CONFIRMATIONS_TABLE = Table(
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
LOGINS_TABLE = Table(
    "panneuro_logins",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("token", String(64), nullable=False, unique=True),
    Column("person", String(255), nullable=False, index=True),
    # Empty in rows of versions that did not know accounts: nobody is served by those.
    Column("account", String(64)),
    Column("host", String(MAX_HOST_LENGTH), nullable=False),
    Column("began", DateTime, nullable=False),
    Column("ends", DateTime, nullable=False),
    Column("used", DateTime),
)


class RateLimitError(PanNeuroError):
    """Somebody asks too often; the text says when to ask again.

    Parameters
    ----------
    message : str
    retry_after : float
        Seconds.
    """

    code = "rate-limited"
    status = 429

    def __init__(self, message: str, retry_after: float) -> None:
        self.retry_after = retry_after
        super().__init__(message)


class InvalidLoginError(PanNeuroError):
    """A token that is no login's, or not any more."""

    code = "invalid-login"
    status = 401


class LoginNotFoundError(PanNeuroError):
    """There is no such login that this person may end."""

    code = "login-not-found"
    status = 404


@dataclass(frozen=True)
class DeviceAuthorization:
    """What a machine gets that asks for a login; `device_code` is secret."""

    device_code: str
    user_code: str
    expires_in: int
    interval: float


@dataclass(frozen=True)
class LoginRequest:
    """A request for a login, as its person sees it."""

    user_code: str
    host: str
    began: datetime


@dataclass(frozen=True)
class LoginConfirmation:
    """A step on the way from a typed code to a login.

    Parameters
    ----------
    request : LoginRequest
        What is to be decided.
    key : str
        What the next step must bring; secret.
    """

    request: LoginRequest
    key: str = field(repr=False)


@dataclass(frozen=True)
class DeviceLogin:
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
    def owner(self) -> HubAccount | None:
        """Whose it is; `None` where it does not say which account's."""
        return None if self.account is None else HubAccount(self.person, self.account)


class DeviceLoginStore:
    """Logins and the requests for them, in the ledger's database.

    Parameters
    ----------
    database : Database
    clock : callable
        The time now (aware, UTC).
    monotonic : callable
        Seconds that only grow.
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
        self._wrong_codes: OrderedDict[str, list[float]] = OrderedDict()

    async def begin_request(self, host: str) -> DeviceAuthorization:
        """Begin: a machine wants a login.

        Parameters
        ----------
        host : str
            What it calls itself; anything, cut to what can be shown.

        Raises
        ------
        RateLimitError
            If too many are waiting already.
        ServiceUnavailable
            If it could not be written.
        """
        device, code = secrets.token_urlsafe(32), _make_user_code()
        now = self._clock()
        row = {
            "device": _hash_secret(device),
            "code": code,
            "host": _clean_host(host),
            "began": to_naive(now),
            "expires": to_naive(now + DEVICE_CODE_LIFETIME),
            "state": "waiting",
        }

        def work(connection: Connection) -> bool:
            connection.execute(
                delete(REQUESTS_TABLE).where(REQUESTS_TABLE.c.expires <= to_naive(now))
            )
            waiting = connection.execute(
                select(func.count()).select_from(REQUESTS_TABLE)
            ).scalar_one()
            if waiting >= _MOST_WAITING:
                return False
            connection.execute(insert(REQUESTS_TABLE), row)
            return True

        if not await self._database.run_transaction(work):
            raise RateLimitError(
                "too many logins are being waited for; try again in some minutes", 60
            )
        return DeviceAuthorization(
            device, code, int(DEVICE_CODE_LIFETIME.total_seconds()), POLL_INTERVAL
        )

    async def begin_confirmation(self, owner: HubAccount, code: str) -> LoginConfirmation:
        """Take a typed code; the key names the request for a fresh login at the provider.

        Raises
        ------
        RateLimitError
            If this person has tried too many codes that there are not.
        AccessDeniedError
            If there is none, or it is over.
        ServiceUnavailable
            If it could not be written.
        """
        found = await self._find(owner.name, code)
        key, now = secrets.token_urlsafe(32), self._clock()
        row = {
            "id": _hash_secret(key),
            "person": owner.name,
            "account": owner.account,
            "device": found["device"],
            "expires": to_naive(now + CONFIRMATION_LIFETIME),
            "state": "requested",
        }

        def work(connection: Connection) -> None:
            table = CONFIRMATIONS_TABLE.c
            connection.execute(delete(CONFIRMATIONS_TABLE).where(table.expires <= to_naive(now)))
            connection.execute(insert(CONFIRMATIONS_TABLE), row)

        await self._database.run_transaction(work)
        return LoginConfirmation(_read_request(found), key)

    async def confirm_request(self, owner: HubAccount, key: str) -> LoginConfirmation:
        """Take note that the person has logged in again; the new key decides, and is given once.

        Raises
        ------
        AccessDeniedError
            If there is no such request of this person, or it has been confirmed before.
        ServiceUnavailable
            If it could not be written.
        """
        deciding = secrets.token_urlsafe(32)
        found = await self._advance_confirmation(
            owner, key, "requested", {"id": _hash_secret(deciding), "state": "confirmed"}
        )
        return LoginConfirmation(_read_request(found), deciding)

    async def decide_request(self, owner: HubAccount, key: str, *, allow: bool) -> None:
        """Allow a request that was confirmed, or deny it; either is final.

        Raises
        ------
        AccessDeniedError
            If there is no such request of this person, or it is over.
        ServiceUnavailable
            If it could not be written.
        """
        found = await self._advance_confirmation(owner, key, "confirmed", {"state": "decided"})
        state: RequestState = "allowed" if allow else "denied"

        def work(connection: Connection) -> int:
            changed = connection.execute(
                update(REQUESTS_TABLE)
                .where(
                    REQUESTS_TABLE.c.device == found["device"], REQUESTS_TABLE.c.state == "waiting"
                )
                .values(state=state, person=owner.name, account=owner.account)
            )
            return int(changed.rowcount)

        if not await self._database.run_transaction(work):
            raise AccessDeniedError("somebody has decided about this code already")

    async def take_token(self, device_code: str) -> tuple[str, DeviceLogin] | None:
        """The token, once, when its person has allowed it; `None` while nobody has.

        Raises
        ------
        RateLimitError
            If this machine asks more often than it was told to.
        AccessDeniedError
            If the person said no, or the request is over.
        ServiceUnavailable
            If it could not be read.
        """
        device = _hash_secret(device_code)
        self._limit_polling(device)
        token, now = secrets.token_urlsafe(32), self._clock()

        def work(connection: Connection) -> tuple[str, DeviceLogin | None]:
            row = (
                connection.execute(
                    select(REQUESTS_TABLE)
                    .where(REQUESTS_TABLE.c.device == device)
                    .with_for_update()
                )
                .mappings()
                .first()
            )
            if row is None or to_aware(row["expires"]) <= now:
                return "over", None
            if row["state"] != "allowed":
                return row["state"], None
            # Once: the row that allows it is gone with the transaction that makes the login.
            connection.execute(delete(REQUESTS_TABLE).where(REQUESTS_TABLE.c.device == device))
            if row["account"] is None:  # allowed by an older version
                return "over", None
            owner = HubAccount(row["person"], row["account"])
            return "allowed", _insert_login(connection, token, owner, row["host"], now)

        state, login = await self._database.run_transaction(work)
        if login is not None:
            return token, login
        if state == "waiting":
            return None
        raise AccessDeniedError(
            "the login was denied in the browser"
            if state == "denied"
            else "this code is over; log in again"
        )

    async def find_login(self, token: str) -> DeviceLogin:
        """Whose login a token is.

        Raises
        ------
        InvalidLoginError
            If it is nobody's, or has ended.
        ServiceUnavailable
            If it could not be read.
        """
        digest, now = _hash_secret(token), self._clock()

        def work(connection: Connection) -> DeviceLogin | None:
            row = (
                connection.execute(select(LOGINS_TABLE).where(LOGINS_TABLE.c.token == digest))
                .mappings()
                .first()
            )
            if row is None:
                return None
            login = _read_login(row)
            if login.ends > now and (login.used is None or now - login.used >= _USED_EVERY):
                connection.execute(
                    update(LOGINS_TABLE)
                    .where(LOGINS_TABLE.c.id == login.id)
                    .values(used=to_naive(now))
                )
            return login

        login = await self._database.run_transaction(work)
        if login is None or login.ends <= now:
            raise InvalidLoginError("this login is not known here, or has ended; log in again")
        return login

    async def list_logins(self, owner: HubAccount) -> list[DeviceLogin]:
        """An account's logins that have not ended, the newest first.

        Raises
        ------
        ServiceUnavailable
            If they could not be read.
        """
        table = LOGINS_TABLE.c
        return await self._select(table.person == owner.name, table.account == owner.account)

    async def list_all_logins(self, person: str = "") -> list[DeviceLogin]:
        """All logins that have not ended, of everybody or of one name; the newest first.

        Raises
        ------
        ServiceUnavailable
            If they could not be read.
        """
        return await self._select(*([LOGINS_TABLE.c.person == person] if person else []))

    async def end_login(self, login_id: str, owner: HubAccount | None = None) -> bool:
        """End a login, and the sessions that it began; return whether there was one.

        Parameters
        ----------
        owner : HubAccount, optional
            Whose it must be.

        Raises
        ------
        ServiceUnavailable
            If it could not be written.
        """
        table = LOGINS_TABLE.c
        theirs = (table.person == owner.name, table.account == owner.account) if owner else ()
        return bool(await self._end(table.id == login_id, *theirs))

    async def end_account_logins(self, owner: HubAccount) -> int:
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
        table = LOGINS_TABLE.c
        theirs = or_(table.account == owner.account, table.account.is_(None))
        return await self._end(table.person == owner.name, theirs)

    async def _end(self, *where: ColumnElement[bool]) -> int:
        now = self._clock()
        return await self._database.run_transaction(
            lambda connection: _end_logins(connection, now, *where)
        )

    async def _select(self, *where: ColumnElement[bool]) -> list[DeviceLogin]:
        now = to_naive(self._clock())
        statement = select(LOGINS_TABLE).where(LOGINS_TABLE.c.ends > now, *where)
        ordered = statement.order_by(LOGINS_TABLE.c.began.desc(), LOGINS_TABLE.c.id)
        return await self._database.run_transaction(
            lambda connection: [_read_login(row) for row in connection.execute(ordered).mappings()]
        )

    async def _advance_confirmation(
        self, owner: HubAccount, key: str, state: str, values: Mapping[str, str]
    ) -> Mapping[Any, Any]:
        """Take one step of a confirmation, once; return the request that it is about."""
        table, now = CONFIRMATIONS_TABLE.c, to_naive(self._clock())
        mine = (
            table.id == _hash_secret(key),
            table.person == owner.name,
            table.account == owner.account,
            table.state == state,
            table.expires > now,
        )

        def work(connection: Connection) -> Mapping[Any, Any] | None:
            device = connection.execute(select(table.device).where(*mine)).scalar()
            changed = connection.execute(update(CONFIRMATIONS_TABLE).where(*mine).values(**values))
            if device is None or changed.rowcount != 1:
                return None
            asked = (REQUESTS_TABLE.c.device == device, REQUESTS_TABLE.c.expires > now)
            return connection.execute(select(REQUESTS_TABLE).where(*asked)).mappings().first()

        found = await self._database.run_transaction(work)
        if found is None or found["state"] != "waiting":
            raise AccessDeniedError(
                "this was confirmed before, or is over; type the code once more"
            )
        return dict(found)

    async def _find(self, person: str, code: str) -> Mapping[Any, Any]:
        now = self._monotonic()
        wrong = [at for at in self._wrong_codes.get(person, ()) if now - at < _WRONG_SECONDS]
        if len(wrong) >= _MOST_WRONG:
            raise RateLimitError("you have tried too many codes; wait ten minutes", _WRONG_SECONDS)
        written = normalize_user_code(code)
        statement = select(REQUESTS_TABLE).where(
            REQUESTS_TABLE.c.code == written, REQUESTS_TABLE.c.state == "waiting"
        )
        found = None
        if written is not None:
            found = await self._database.run_transaction(
                lambda connection: connection.execute(statement).mappings().first()
            )
        if found is None or to_aware(found["expires"]) <= self._clock():
            put_newest(self._wrong_codes, person, [*wrong, now], _MOST_REMEMBERED)
            raise AccessDeniedError(
                "there is no login waiting with this code, or it is over; look at the code again, "
                "or begin again"
            )
        return dict(found)

    def _limit_polling(self, device: str) -> None:
        now = self._monotonic()
        last = self._polled.get(device)
        put_newest(self._polled, device, now, _MOST_REMEMBERED)
        # A little less, since the network may bring two questions closer together.
        if last is not None and now - last < POLL_INTERVAL * 0.8:
            raise RateLimitError(f"ask every {POLL_INTERVAL:g} seconds", POLL_INTERVAL)


def normalize_user_code(code: str) -> str | None:
    """A code as it is kept, ``ABCD-EFGH``, however it was typed; `None` if it is none."""
    letters = "".join(letter for letter in code[:50].upper() if letter not in " -\t")
    if len(letters) != 8 or any(letter not in _LETTERS for letter in letters):
        return None
    return f"{letters[:4]}-{letters[4:]}"


def _make_user_code() -> str:
    letters = "".join(secrets.choice(_LETTERS) for _ in range(8))
    return f"{letters[:4]}-{letters[4:]}"


def _hash_secret(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _clean_host(host: str) -> str:
    plain = "".join(letter for letter in host if letter.isprintable())[:MAX_HOST_LENGTH].strip()
    return plain or "a computer without a name"


def _insert_login(
    connection: Connection, token: str, owner: HubAccount, host: str, now: datetime
) -> DeviceLogin:
    _end_logins(connection, now, LOGINS_TABLE.c.ends <= to_naive(now))
    login = DeviceLogin(
        secrets.token_hex(8), owner.name, host, now, now + LOGIN_LIFETIME, account=owner.account
    )
    connection.execute(
        insert(LOGINS_TABLE),
        {
            "id": login.id,
            "token": _hash_secret(token),
            "person": login.person,
            "account": login.account,
            "host": host,
            "began": to_naive(login.began),
            "ends": to_naive(login.ends),
        },
    )
    older = connection.execute(
        select(LOGINS_TABLE.c.id)
        .where(LOGINS_TABLE.c.person == owner.name)
        .order_by(LOGINS_TABLE.c.began.desc())
        .offset(_MOST_LOGINS)
    ).scalars()
    _end_logins(connection, now, LOGINS_TABLE.c.id.in_(list(older)))
    return login


def _end_logins(connection: Connection, now: datetime, *where: ColumnElement[bool]) -> int:
    """Delete logins, and end the sessions that they began; nothing is left between the two."""
    ids = list(connection.execute(select(LOGINS_TABLE.c.id).where(*where)).scalars())
    if ids:
        connection.execute(delete(LOGINS_TABLE).where(LOGINS_TABLE.c.id.in_(ids)))
        end_login_sessions(connection, ids, now)
    return len(ids)


def _read_request(row: Mapping[Any, Any]) -> LoginRequest:
    return LoginRequest(row["code"], row["host"], to_aware(row["began"]))


def _read_login(row: Mapping[Any, Any]) -> DeviceLogin:
    return DeviceLogin(
        id=row["id"],
        person=row["person"],
        host=row["host"],
        began=to_aware(row["began"]),
        ends=to_aware(row["ends"]),
        used=to_aware(row["used"]) if row["used"] else None,
        account=row["account"],
    )
