"""What crosses processes: it survives the journey, and no secret shows."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from panneuro_hub.errors import TicketRefusedError
from panneuro_hub.wire import Credential, Denial, Grant, Reason, SessionView, Ticket
from panneuro_hub.wire.credential import format_time, parse_time
from panneuro_hub.wire.ticket import TicketKind

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
CREDENTIAL = Credential("ASIA1", "secret-key", "session-token", NOW + timedelta(hours=1), NOW)


NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"]))


KINDS: tuple[TicketKind, ...] = get_args(TicketKind)


@given(NAMES.filter(bool), NAMES, st.sampled_from(KINDS))
def test_a_ticket_survives_the_journey(user: str, name: str, kind: TicketKind) -> None:
    ticket = Ticket.new(user, name, kind)
    text = ticket.encode()
    assert text.isascii()
    assert "\n" not in text
    if len(text) <= 4096:
        assert Ticket.decode(text) == ticket
        assert Ticket.decode(text).matches(ticket.digest)


@given(st.text() | st.binary().map(lambda raw: raw.decode("latin-1")))
def test_any_other_text_is_refused(text: str) -> None:
    names = "WyJhIiwgImIiXQ=="
    attempts = (
        *(text, f"pn1.{text}", f"pn1.{text}.x", f"pn1.{names}.{text}"),
        *(f"pn1r.{text}.x", f"pn1r.{names}.{text}", f"{text}.{names}.x"),
    )
    for attempt in attempts:
        try:
            ticket = Ticket.decode(attempt)
        except TicketRefusedError:
            continue
        else:
            assert ticket.user == "a"


def test_a_ticket_made_before_there_were_kinds_is_a_server_s() -> None:
    ticket = Ticket.decode("pn1.WyJhZGEiLCAieCJd.secret")
    assert ticket == Ticket("ada", "x", "secret", "server")
    assert ticket.encode() == "pn1.WyJhZGEiLCAieCJd.secret"
    said = json.dumps(["ada", "x", "secret"]).encode()
    assert ticket.digest == hashlib.sha256(said).hexdigest()


@given(NAMES.filter(bool), NAMES, NAMES.filter(bool))
def test_a_ticket_of_one_kind_never_matches_one_of_the_other(
    user: str, name: str, secret: str
) -> None:
    digests = {Ticket(user, name, secret, kind).digest for kind in KINDS}
    assert len(digests) == len(KINDS)
    # What it says may itself look like a kind.
    served = Ticket("register", user, name, "server")
    for other in (Ticket(user, name, secret, "register"), Ticket(user, name, "", "register")):
        assert not served.matches(other.digest)
        assert not other.matches(served.digest)


def test_a_ticket_matches_only_itself() -> None:
    ticket = Ticket.new("ada", "")
    for other in (
        Ticket.new("ada", ""),
        replace(ticket, user="adb"),
        replace(ticket, name="x"),
        replace(ticket, kind="register"),
        # The same characters, cut elsewhere.
        Ticket("ad", "a", ticket.secret),
    ):
        assert not other.matches(ticket.digest)


def test_secrets_mask_themselves() -> None:
    ticket = Ticket.new("ada", "")
    assert ticket.secret not in repr(ticket) + str(ticket) + f"{ticket}"
    for text in (repr(CREDENTIAL), str(CREDENTIAL), f"{CREDENTIAL}"):
        assert "secret-key" not in text
        assert "session-token" not in text


def test_a_credential_speaks_the_container_protocol() -> None:
    document = CREDENTIAL.to_json()
    assert document == {
        "AccessKeyId": "ASIA1",
        "SecretAccessKey": "secret-key",
        "Token": "session-token",
        "Expiration": "2026-11-22T13:00:00Z",
        "RenewAfter": "2026-11-22T12:00:00Z",
    }
    assert Credential.from_json(json.loads(json.dumps(document))) == CREDENTIAL


@pytest.mark.parametrize(
    "change",
    [{"Expiration": None}, {"Expiration": "soon"}, {"Expiration": "2026-11-22T13:00:00"}],
)
def test_an_expiry_is_what_the_issuer_said(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"expected|time|Invalid") as refused:
        Credential.from_json(CREDENTIAL.to_json() | change)
    assert "secret-key" not in str(refused.value)


def test_a_credential_without_a_part_is_none() -> None:
    for key in ("AccessKeyId", "SecretAccessKey", "Token", "Expiration"):
        document = CREDENTIAL.to_json()
        del document[key]
        with pytest.raises(ValueError, match=f"without {key}"):
            Credential.from_json(document)


@given(st.datetimes(timezones=st.just(UTC), min_value=datetime(1970, 1, 1)))  # noqa: DTZ001
def test_times_keep_their_second(moment: datetime) -> None:
    assert parse_time(format_time(moment)) == moment.replace(microsecond=0)


def test_a_session_view_survives_and_ignores_what_is_new() -> None:
    ended = Reason("using-membership-ended", "p", teams=("t",), ended=date(2026, 1, 2))
    view = SessionView(
        user="ada",
        project="p",
        title="P",
        level="write",
        prefix="s3://b/p/",
        scratch=None,
        endpoint_url=None,
        region="us-west-2",
        prefixes={"p": "s3://b/p/"},
        grants=(Grant("s3://b/p/", "write", (Reason("other", detail="because"),), "p"),),
        denied=(Denial("use", "profile", "gpu", "p", (ended,)),),
    )
    document = json.loads(json.dumps(view.to_json()))
    document["new"] = 1
    document["grants"][0]["new"] = 2
    assert SessionView.from_json(document) == view
