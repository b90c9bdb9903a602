"""The service's parts: the ledger, who is in which team, and what is issued."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import pytest
from small_hub import TOKEN, SmallHub, member, small_hub, user
from small_service import SECRET, SmallService

from panneuro_hub.collaboration import Collaboration
from panneuro_hub.current import Current
from panneuro_hub.errors import (
    AccessDeniedError,
    ServiceUnavailableError,
    TicketRefusedError,
    VendingError,
)
from panneuro_hub.service.accounts.access_lookup import AccessLookup
from panneuro_hub.service.accounts.hub_users import HubUsers
from panneuro_hub.service.credentials.issuer import CredentialIssuer
from panneuro_hub.service.db.ledger import Ledger, LedgerEntry, LedgerSession
from panneuro_hub.service.db.schema import open_database
from panneuro_hub.service.refusal_recorder import RefusalRecorder
from panneuro_hub.wire import Ticket

pytest_plugins = ["service_fixtures"]

TICKET = Ticket.new("ada", "")


@pytest.fixture
async def hub() -> AsyncIterator[SmallHub]:
    async with small_hub(ada=user(TICKET)) as hub:
        yield hub


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with closing(open_database(f"sqlite:///{tmp_path}/ledger.sqlite")) as database:
        yield Ledger(database)


# --- the ledger


async def test_a_row_says_who_what_when_and_why(ledger: Ledger) -> None:
    moment = datetime(2026, 11, 22, 12, tzinfo=UTC)
    entry = LedgerEntry(
        event="issue",
        person="ada",
        project="nhp-navigation",
        session="s1",
        reason="you are in navigation-lab",
        grants=(("write", "s3://b/p/"),),
        access_key_id="ASIA1",
        expires=moment + timedelta(minutes=30),
        at=moment,
    )
    await ledger.record_entry(entry)
    await ledger.record_entry(replace(entry, project="another"))
    assert await ledger.list_entries(project="nhp-navigation") == [entry]
    assert [row.project for row in await ledger.list_entries()] == ["another", "nhp-navigation"]


async def test_a_ledger_that_cannot_be_written_says_so(ledger: Ledger, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "ledger.sqlite") as connection:
        connection.execute("drop table panneuro_ledger")
    connection.close()
    with pytest.raises(ServiceUnavailableError, match="nothing is issued without a record"):
        await ledger.record_entry(LedgerEntry("issue", "ada", "p", "s", "r"))


def test_a_ledger_that_cannot_be_opened_names_it_without_its_password() -> None:
    url = "postgresql+psycopg://me:hunter2@127.0.0.1:9/none?connect_timeout=1"
    with pytest.raises(ServiceUnavailableError, match="cannot be opened") as refused:
        open_database(url)
    assert "hunter2" not in str(refused.value)


# --- who is in which team


async def test_a_member_is_kept_for_a_while_only(hub: SmallHub) -> None:
    now = 0.0
    members = HubUsers(hub.url, TOKEN, keep=30, clock=lambda: now)
    await asyncio.gather(*(members.find_member("ada") for _ in range(20)))
    assert hub.asked == 1
    hub.users["ada"] = user(TICKET, "theory-lab")
    now = 29.0
    assert (await members.require_member("ada")).groups == {"u19-circuits:navigation"}
    now = 31.0
    assert (await members.require_member("ada")).groups == {"u19-circuits:theory"}
    assert hub.asked == 2


async def test_a_new_session_is_looked_for_before_it_is_refused(hub: SmallHub) -> None:
    now = 0.0
    members = HubUsers(hub.url, TOKEN, keep=30, clock=lambda: now)
    await members.find_ticket_session(TICKET)
    later = Ticket.new("ada", "")
    hub.users["ada"] = user(later)
    now = 5.0
    assert (await members.find_ticket_session(later))[1].id == "s1"
    with pytest.raises(TicketRefusedError, match="has ended"):
        await members.find_ticket_session(TICKET)


async def test_a_session_that_began_a_moment_ago_is_found(hub: SmallHub) -> None:
    members = HubUsers(hub.url, TOKEN)
    hub.users["ada"] = member("ada", "navigation-lab")
    await members.find_member("ada")  # by the page of their access, say
    hub.users["ada"] = user(TICKET)
    assert (await members.find_ticket_session(TICKET))[1].id == "s1"


# 404: an older hub, or a proxy, that does not know the address.
@pytest.mark.parametrize("status", [403, 404, 500, 503])
async def test_a_hub_that_does_not_answer_is_no_refusal(hub: SmallHub, status: int) -> None:
    hub.status = status
    with pytest.raises(ServiceUnavailableError, match=f"HTTP {status}"):
        await HubUsers(hub.url, TOKEN).find_member("ada")


async def test_an_answer_that_is_no_user_is_no_refusal(hub: SmallHub) -> None:
    hub.users["ada"] = ["not", "a", "user"]
    with pytest.raises(ServiceUnavailableError):
        await HubUsers(hub.url, TOKEN).find_member("ada")


async def test_a_hub_that_is_down_is_no_refusal() -> None:
    with pytest.raises(ServiceUnavailableError):
        await HubUsers("http://127.0.0.1:9", TOKEN).find_member("ada")


async def test_names_stay_in_their_place_in_the_url(hub: SmallHub) -> None:
    assert await HubUsers(hub.url, TOKEN).find_member("../users/ada") is None
    assert await HubUsers(hub.url, TOKEN).find_member("ada?x=/y") is None


# --- what is issued


async def test_a_ticket_becomes_a_credential_and_a_row(service: SmallService) -> None:
    credential = await service.issuer.issue_credential(TICKET.encode())
    assert (await service.issuer.issue_credential(TICKET.encode())) == credential
    [row] = await service.ledger.list_entries()
    assert (row.event, row.person, row.project, row.session) == (
        "issue",
        "ada",
        "nhp-navigation",
        "s1",
    )
    assert row.access_key_id == "ASIA1"
    assert ("write", "s3://learning-circuits/nhp-navigation/") in row.grants
    assert SECRET not in repr(row)


async def test_nothing_is_issued_without_a_row(
    service: SmallService, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(self: Ledger, entry: LedgerEntry) -> None:
        raise ServiceUnavailableError("the ledger cannot be used now")

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "record_entry", broken)
        for _ in range(2):
            with pytest.raises(ServiceUnavailableError):
                await service.issuer.issue_credential(TICKET.encode())
    assert await service.ledger.list_entries() == []
    await service.issuer.issue_credential(TICKET.encode())
    assert [row.event for row in await service.ledger.list_entries()] == ["issue"]


async def test_who_has_lost_access_is_refused_at_once(service: SmallService) -> None:
    await service.issuer.issue_credential(TICKET.encode())
    service.hub.users["ada"] = user(TICKET, "categorization-lab")
    for _ in range(3):
        with pytest.raises(AccessDeniedError, match="you are not in"):
            await service.issuer.issue_credential(TICKET.encode())
    rows = await service.ledger.list_entries()
    assert [row.event for row in rows] == ["refusal", "issue"], "one row for the same refusal"
    assert "you are not in" in rows[0].reason


async def test_other_grants_are_another_credential(service: SmallService) -> None:
    first = await service.issuer.issue_credential(TICKET.encode())
    service.hub.users["ada"] = user(TICKET, "theory-lab")
    second = await service.issuer.issue_credential(TICKET.encode())
    assert first.access_key_id != second.access_key_id


@pytest.mark.parametrize(
    "text",
    ["", "x", "pn1.x.y", "pn1..", "a" * 10_000, TICKET.encode() + "x", "pn1.W10=.x", "é" * 9],
    ids=["none", "x", "no-json", "empty", "long", "longer", "no-secret", "not-ascii"],
)
async def test_what_is_no_ticket_gets_nothing(service: SmallService, text: str) -> None:
    with pytest.raises(TicketRefusedError) as refused:
        await service.issuer.issue_credential(text)
    assert TICKET.secret not in str(refused.value)
    assert service.maker.made == 0
    assert [row.event for row in await service.ledger.list_entries()] == ["refusal"]


async def test_another_s_secret_opens_nothing(service: SmallService) -> None:
    forged = Ticket("ada", "", Ticket.new("ada", "").secret)
    with pytest.raises(TicketRefusedError):
        await service.issuer.issue_credential(forged.encode())
    with pytest.raises(TicketRefusedError):
        await service.issuer.issue_credential(replace(TICKET, name="other").encode())
    with pytest.raises(TicketRefusedError):
        await service.issuer.issue_credential(replace(TICKET, user="nobody").encode())


async def test_tickets_that_name_anybody_fill_nothing(service: SmallService) -> None:
    for number in range(20):
        with pytest.raises(TicketRefusedError):
            await service.issuer.issue_credential(Ticket.new(f"nobody-{number}", "").encode())
    assert [row.person for row in await service.ledger.list_entries()] == [""]


async def test_a_store_that_fails_is_no_refusal(service: SmallService) -> None:
    service.maker.fault = VendingError("the store is busy", retry_after=5)
    with pytest.raises(VendingError):
        await service.issuer.issue_credential(TICKET.encode())
    assert await service.ledger.list_entries() == []


async def test_the_view_of_a_session(service: SmallService) -> None:
    view = await service.issuer.describe_session(TICKET.encode())
    assert (view.user, view.project, view.level) == ("ada", "nhp-navigation", "manage")
    assert "shared-stimuli" in view.prefixes


class Changing:
    """A collaboration file that changes between any two looks, and loses the project."""

    problem = None

    def __init__(self, *states: Collaboration) -> None:
        self._states = list(states)

    @property
    def collaboration(self) -> Collaboration:
        return self._states.pop(0) if len(self._states) > 1 else self._states[0]


async def test_a_file_that_changes_under_way_is_no_fault(
    service: SmallService, example: Collaboration
) -> None:
    projects = dict(example.projects)
    del projects["nhp-navigation"]
    gone = example.model_copy(update={"projects": projects})

    def changing() -> Current:
        return cast(Current, Changing(example, gone))

    def issuer() -> CredentialIssuer:
        return replace(service.issuer, current=changing())

    assert (await issuer().issue_credential(TICKET.encode())).access_key_id == "ASIA1"
    assert (
        await issuer().describe_session(TICKET.encode())
    ).title == "Navigation in virtual reality"
    lookup = AccessLookup(changing(), service.parts.hub_users)
    said, accesses = await lookup.decide_accesses("ada")
    assert said.projects.keys() == accesses.keys()


async def test_a_refusal_is_one_row_a_minute(ledger: Ledger) -> None:
    now = 0.0
    recorder = RefusalRecorder(ledger, clock=lambda: now)

    async def refuse(project: str) -> int:
        session = LedgerSession("s", project)
        await recorder.record_refusal("ada", session, AccessDeniedError(f"not {project}"))
        return len(await ledger.list_entries())

    assert [await refuse(project) for project in ("a", "a", "b")] == [1, 1, 2]
    now = 61.0
    assert await refuse("a") == 3
