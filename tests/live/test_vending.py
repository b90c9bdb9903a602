"""Credentials from a real STS, and from one in trouble."""

from __future__ import annotations

import asyncio
import gc
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiobotocore.session import AioSession, get_session
from attacker import Keys, client, signed
from session_views import because
from short_sessions import ShortSessions, lab_store, vendor_session
from sts_faults import (
    BAD_GATEWAY,
    DROPPED,
    EMPTY,
    NO_STS,
    SECRETS,
    FaultySts,
    Reply,
    failure,
    faulty_sts,
    success,
)

from panneuro_hub.collaboration.models import S3Store
from panneuro_hub.devstack.seaweedfs import SeaweedFS
from panneuro_hub.errors import AccessDeniedError, VendingError
from panneuro_hub.names import make_slug
from panneuro_hub.policy import S3_POLICY_LIMIT, build_session_policy
from panneuro_hub.vending import CredentialRequest, VendedCredential, Vending
from panneuro_hub.vending.s3_credentials import S3CredentialMaker
from panneuro_hub.vending.sts_retry import StsRetryPolicy
from panneuro_hub.wire import Credential, Grant

GRANTS = (Grant("s3://lab/vending/", "write", because("member"), "vending"),)


@dataclass
class Patience:
    """Waits in no time, and remembers for how long."""

    waits: list[float] = field(default_factory=list)

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)

    def backoff(self) -> StsRetryPolicy:
        return StsRetryPolicy(sleep=self.sleep, share=lambda: 0.5)


@pytest.fixture
def patience() -> Patience:
    return Patience()


@asynccontextmanager
async def vending(
    session: AioSession | None, patience: Patience | None = None
) -> AsyncIterator[Vending]:
    maker = S3CredentialMaker(session, patience.backoff() if patience else None)
    made = Vending({"s3": maker})
    try:
        yield made
    finally:
        await made.close()
        # What was not closed warns here, and warnings are errors.
        gc.collect()


def request_for(seaweedfs: SeaweedFS, **changes: Any) -> CredentialRequest:
    request = CredentialRequest("ann/", "Ann@uni.example", "vending", lab_store(seaweedfs), GRANTS)
    return replace(request, **changes)


def request_to(sts: FaultySts | str, **changes: Any) -> CredentialRequest:
    url = sts if isinstance(sts, str) else sts.url
    store = S3Store(
        type="s3",
        bucket="lab",
        role_arn="arn:aws:iam::000000000000:role/panneuro-data",
        endpoint_url="http://127.0.0.1:1",
        sts_endpoint_url=url,
        credential_lifetime=timedelta(minutes=20),
    )
    return replace(CredentialRequest("ann/", "ann", "vending", store, GRANTS), **changes)


def some_keys() -> AioSession:
    session = get_session()
    session.set_credentials("AKPLATFORM", "secret-of-the-platform")
    return session


def put_status(url: str, credential: Credential, key: str) -> int:
    return signed(Keys.of(credential), url, "PUT", f"/lab/{key}", body=b"x").status


# --- a real STS ------------------------------------------------------------------------


async def test_keys_from_the_environment_make_credentials_that_work(
    seaweedfs: SeaweedFS, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", seaweedfs.vendor.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", seaweedfs.vendor.secret_key)
    # Meant for somebody else; the collaboration file says where the store is.
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    before = datetime.now(UTC)
    async with vending(None) as vends:
        issued = await vends.credential(request_for(seaweedfs))
    credential = issued.credential
    assert issued.fresh
    assert before + timedelta(minutes=14) < credential.expires
    assert credential.expires <= datetime.now(UTC) + timedelta(minutes=15, seconds=1)
    assert before < credential.renew_after < before + timedelta(minutes=6)
    url = seaweedfs.endpoint_url
    assert await asyncio.to_thread(put_status, url, credential, "vending/x") == 200
    assert await asyncio.to_thread(put_status, url, credential, "other/x") == 403


async def test_the_stores_own_logs_name_person_and_project(seaweedfs: SeaweedFS) -> None:
    async with vending(vendor_session(seaweedfs)) as vends:
        credential = (await vends.credential(request_for(seaweedfs))).credential

    def identity() -> str:
        with client(Keys.of(credential), seaweedfs.endpoint_url, "sts") as sts:
            return str(sts.get_caller_identity()["Arn"])

    arn = await asyncio.to_thread(identity)
    assert arn.endswith(f":assumed-role/panneuro-data/{make_slug('Ann@uni.example', 31)}@vending")


async def test_many_sessions_and_many_workers_cost_one_call_a_session(
    seaweedfs: SeaweedFS,
) -> None:
    async with vending(vendor_session(seaweedfs)) as vends:
        issued = await asyncio.gather(
            *(
                vends.credential(request_for(seaweedfs, session=f"s{number % 4}"))
                for number in range(400)
            )
        )
    assert sum(one.fresh for one in issued) == 4
    assert len({one.credential.access_key_id for one in issued}) == 4


async def test_less_access_is_other_keys_at_once(seaweedfs: SeaweedFS) -> None:
    less = (Grant("s3://lab/vending/", "read", because("member"), "vending"),)
    async with vending(vendor_session(seaweedfs)) as vends:
        wide = (await vends.credential(request_for(seaweedfs))).credential
        narrow = (await vends.credential(request_for(seaweedfs, grants=less))).credential
    url = seaweedfs.endpoint_url
    assert await asyncio.to_thread(put_status, url, wide, "vending/y") == 200
    assert await asyncio.to_thread(put_status, url, narrow, "vending/y") == 403


async def test_the_longest_lifetime_that_a_collaboration_can_ask_for(seaweedfs: SeaweedFS) -> None:
    store = lab_store(seaweedfs, credential_lifetime=timedelta(hours=12))
    async with vending(vendor_session(seaweedfs)) as vends:
        credential = (await vends.credential(request_for(seaweedfs, store=store))).credential
    assert credential.expires > datetime.now(UTC) + timedelta(hours=11, minutes=59)


async def test_short_sessions_are_renewed_in_time(seaweedfs: SeaweedFS) -> None:
    vends = Vending({"s3": ShortSessions(seaweedfs, timedelta(seconds=20))})
    first: VendedCredential = await vends.credential(request_for(seaweedfs))
    await vends.close()
    now = datetime.now(UTC)
    assert now < first.credential.renew_after < first.credential.expires
    assert first.credential.expires <= now + timedelta(seconds=20)


@pytest.mark.parametrize(
    ("keys", "role", "said"),
    [
        (("AKWRONG", "wrong"), None, "own keys"),
        (None, "arn:aws:iam::000000000000:role/no-such-role", "role/no-such-role"),
        ("admin", None, "trust policy"),
        (None, "short", "role_arn"),
    ],
    ids=["wrong-keys", "no-such-role", "not-trusted", "no-role-at-all"],
)
async def test_what_the_admin_must_put_right_is_said(
    seaweedfs: SeaweedFS, keys: Any, role: str | None, said: str, patience: Patience
) -> None:
    session = vendor_session(seaweedfs)
    if keys:
        session.set_credentials(*(seaweedfs.admin if keys == "admin" else keys))
    store = lab_store(seaweedfs, **({"role_arn": role} if role else {}))
    async with vending(session, patience) as vends:
        with pytest.raises(VendingError, match=said) as caught:
            await vends.credential(request_for(seaweedfs, store=store))
    assert caught.value.retry_after is None
    assert patience.waits == []
    assert "s3://lab/" in str(caught.value)
    assert store.role_arn in str(caught.value)
    assert caught.value.__cause__ is not None


def assert_fit_to_be_shown(error: VendingError) -> None:
    """It names the store, and repeats nothing secret and nothing that the other side wrote."""
    text = str(error)
    assert "s3://lab/" in text
    for hidden in (*SECRETS, "secret-of-the-platform", "Statement", "evil.example", "no concern"):
        assert hidden not in text
    assert not any(hidden in str(error.__cause__) for hidden in SECRETS)


# --- an STS in trouble --------------------------------------------------------------------


CUT_SHORT = Reply(200, success().body.removesuffix("</AssumeRoleResponse>"))
PASSING = {
    "cut-short": CUT_SHORT,
    "throttled": failure(400, "Throttling", "Rate exceeded"),
    "too-many-requests": Reply(429),
    "unavailable": failure(503, "ServiceUnavailable"),
    "internal-error": failure(500, "InternalFailure"),
    "bad-gateway": BAD_GATEWAY,
    "dropped": DROPPED,
}


@pytest.mark.parametrize("trouble", PASSING.values(), ids=PASSING.keys())
async def test_what_may_pass_is_tried_again(trouble: Reply, patience: Patience) -> None:
    async with (
        faulty_sts(trouble, trouble, success()) as sts,
        vending(some_keys(), patience) as vends,
    ):
        issued = await vends.credential(request_to(sts))
    assert issued.credential.access_key_id == "ASIAFROMSTS"
    assert len(sts.asked) == 3
    assert len(patience.waits) == 2
    assert 0 < patience.waits[0] < patience.waits[1]


@pytest.mark.parametrize("trouble", PASSING.values(), ids=PASSING.keys())
async def test_what_does_not_pass_ends_in_words_and_a_time(
    trouble: Reply, patience: Patience
) -> None:
    async with faulty_sts(trouble) as sts, vending(some_keys(), patience) as vends:
        with pytest.raises(VendingError, match="s3://lab/") as caught:
            await vends.credential(request_to(sts))
    assert_fit_to_be_shown(caught.value)
    assert caught.value.retry_after is not None
    assert len(sts.asked) == 4
    assert len(patience.waits) == 3


async def test_when_nobody_listens(patience: Patience) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        async with vending(some_keys(), patience) as vends:
            with pytest.raises(VendingError, match="did not answer") as caught:
                await vends.credential(request_to(url))
    assert caught.value.retry_after is not None
    assert len(patience.waits) == 3


LASTING = {
    "denied": (failure(403, "AccessDenied"), "trust policy"),
    "unknown-keys": (failure(403, "InvalidClientTokenId"), "own keys"),
    "expired-keys": (failure(403, "ExpiredToken"), "own keys"),
    "session-too-long": (failure(400, "ValidationError"), "credential_lifetime"),
    "policy-too-large": (failure(400, "PackedPolicyTooLarge"), "fewer prefixes"),
    "clock": (failure(403, "RequestTimeTooSkewed"), "clock"),
    "never-heard-of": (failure(418, "Teapot"), "Teapot"),
    "a-code-that-is-none": (failure(403, "see http://evil.example/ {now}"), "HTTP 403"),
    "no-sts": (NO_STS, "sts_endpoint_url"),
    "nothing-in-it": (EMPTY, "sts_endpoint_url"),
    "over-already": (success(timedelta(seconds=-5)), "clocks"),
}


@pytest.mark.parametrize(("trouble", "said"), LASTING.values(), ids=LASTING.keys())
async def test_what_cannot_pass_is_not_tried_again(
    trouble: Reply, said: str, patience: Patience
) -> None:
    async with faulty_sts(trouble) as sts, vending(some_keys(), patience) as vends:
        with pytest.raises(VendingError, match=said) as caught:
            await vends.credential(request_to(sts))
    if said != "clocks":  # that one the cache finds out, whatever the store
        assert_fit_to_be_shown(caught.value)
    assert caught.value.retry_after is None
    assert len(sts.asked) == 1
    assert patience.waits == []


async def test_without_keys_of_its_own_it_asks_nobody(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, patience: Patience
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    async with faulty_sts(success()) as sts, vending(None, patience) as vends:
        with pytest.raises(VendingError, match="no keys of its own") as caught:
            await vends.credential(request_to(sts))
    assert caught.value.retry_after is None
    assert sts.asked == []


async def test_sts_is_asked_for_exactly_this(patience: Patience) -> None:
    async with faulty_sts(success()) as sts, vending(some_keys(), patience) as vends:
        await vends.credential(request_to(sts, person="x" * 500))
    (asked,) = sts.asked
    assert asked["Action"] == "AssumeRole"
    assert asked["RoleArn"] == "arn:aws:iam::000000000000:role/panneuro-data"
    assert asked["DurationSeconds"] == "1200"
    assert asked["Policy"] == build_session_policy(GRANTS)
    assert json.dumps(json.loads(asked["Policy"]), separators=(",", ":")) == asked["Policy"]
    assert 2 <= len(asked["RoleSessionName"]) <= 64
    assert asked["RoleSessionName"].endswith("@vending")


async def test_no_grants_and_no_policy_ask_nobody(patience: Patience) -> None:
    async with faulty_sts(success()) as sts:
        maker = S3CredentialMaker(some_keys(), patience.backoff())
        request = request_to(sts, grants=())
        with pytest.raises(AccessDeniedError):
            maker.rights(request)
        with pytest.raises(AccessDeniedError):
            await maker.make(request, "")
        await maker.close()
    assert sts.asked == []


async def test_a_policy_that_is_too_long_is_refused_before_sts_is_asked(
    patience: Patience,
) -> None:
    many = tuple(
        Grant(f"s3://lab/{'x' * 40}-{number}/", "read", because("many"), "vending")
        for number in range(60)
    )
    async with faulty_sts(success()) as sts, vending(some_keys(), patience) as vends:
        with pytest.raises(VendingError, match=f"STS accepts {S3_POLICY_LIMIT}") as caught:
            await vends.credential(request_to(sts, grants=many))
    assert caught.value.retry_after is None
    assert sts.asked == []


@pytest.mark.parametrize(
    "prefix", ["s3://another-bucket/vending/", "s3://lab/vending/*/", "s3://lab/${aws:username}/"]
)
async def test_a_grant_that_is_no_place_in_the_store_is_refused(
    prefix: str, patience: Patience
) -> None:
    grants = (*GRANTS, Grant(prefix, "read", because("oddly"), "vending"))
    async with faulty_sts(success()) as sts, vending(some_keys(), patience) as vends:
        with pytest.raises(VendingError):
            await vends.credential(request_to(sts, grants=grants))
    assert sts.asked == []
