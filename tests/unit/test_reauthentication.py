"""A fresh login at the provider: the hub's word for it, and what does not count as one."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from panneuro_hub.errors import AccessDeniedError
from panneuro_hub.hub.fresh_login import find_freshness_problem
from panneuro_hub.wire.reauthentication import ReauthenticationProof, is_request_name

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
MADE = ReauthenticationProof("ada", "r" * 43, NOW)


def test_the_service_reads_what_the_hub_wrote() -> None:
    assert ReauthenticationProof.read(MADE.make_proof("token"), "token") == MADE


@pytest.mark.parametrize("proof", ["", ".", "a.b", "ä.b", "x" * 5000, MADE.make_proof("another")])
def test_what_the_hub_did_not_write_is_refused(proof: str) -> None:
    with pytest.raises(AccessDeniedError, match="does not come from the hub"):
        ReauthenticationProof.read(proof, "token")


@given(st.integers(0, 200), st.characters(codec="ascii"))
def test_a_proof_cannot_be_changed(place: int, letter: str) -> None:
    proof = MADE.make_proof("token")
    place %= len(proof)
    changed = proof[:place] + letter + proof[place + 1 :]
    if changed != proof:
        with pytest.raises(AccessDeniedError):
            ReauthenticationProof.read(changed, "token")


def test_a_request_s_name_is_no_path() -> None:
    assert is_request_name("A" * 43)
    for text in ("", "a" * 19, "a" * 65, "../" * 10, "a" * 30 + "\n"):
        assert not is_request_name(text)


def token(**claims: object) -> dict[str, object]:
    """What a login brings with an ID token of these claims."""
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return {"id_token": f"e30.{body}.signature"}


ASKED = {"prompt": "login", "max_age": "0"}


@pytest.mark.parametrize(
    ("auth_state", "params", "fresh"),
    [
        (token(auth_time=int(NOW.timestamp()) - 60), ASKED, True),
        (token(auth_time=int(NOW.timestamp()) - 3600), ASKED, False),
        (token(auth_time=int(NOW.timestamp()) + 3600), ASKED, False),
        # OpenID Connect: who is asked with max_age says when the person logged in.
        (token(sub="ada"), ASKED, False),
        ({}, ASKED, False),
        (token(auth_time="x"), ASKED, False),
        (token(auth_time=1e30), ASKED, False),
        ({"id_token": "no token"}, ASKED, False),
        ({"id_token": 5}, ASKED, False),
        # Of a provider that has no such claim, the prompt is all there is.
        ({}, {"prompt": "select_account"}, True),
        (token(sub="ada"), {"prompt": "login"}, True),
        (token(auth_time=int(NOW.timestamp()) - 3600), {"prompt": "login"}, False),
    ],
)
def test_freshness(auth_state: dict[str, object], params: dict[str, str], fresh: bool) -> None:
    assert (find_freshness_problem(auth_state, params, NOW) is None) is fresh


def test_a_login_stays_fresh_for_minutes() -> None:
    at = int((NOW - timedelta(minutes=9)).timestamp())
    assert find_freshness_problem(token(auth_time=at), ASKED, NOW) is None
