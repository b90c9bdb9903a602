from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from aiobotocore.session import get_session
from hypothesis import example, given
from hypothesis import strategies as st

from panneuro_hub.collaboration.models import S3Store
from panneuro_hub.vending.s3_credentials import (
    S3CredentialMaker,
    find_sts_endpoint,
    make_role_session_name,
)
from panneuro_hub.vending.sts_retry import StsRetryPolicy

STORE = S3Store(
    type="s3",
    bucket="lab",
    role_arn="arn:aws:iam::000000000000:role/data",
    region="us-west-2",
    credential_lifetime=timedelta(minutes=30),
)


@given(person=st.text(), project=st.text())
@example(person="x" * 500, project="y" * 500)
def test_any_name_is_a_session_name_that_sts_takes(person: str, project: str) -> None:
    name = make_role_session_name(person, project)
    assert 2 <= len(name) <= 64
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-@")


@given(one=st.tuples(st.text(), st.text()), other=st.tuples(st.text(), st.text()))
def test_different_people_and_projects_have_different_session_names(
    one: tuple[str, str], other: tuple[str, str]
) -> None:
    assert (make_role_session_name(*one) == make_role_session_name(*other)) == (one == other)


@pytest.mark.parametrize(
    ("endpoint", "sts", "expected"),
    [
        (None, None, None),
        ("https://s3.example.org", None, "https://s3.example.org"),
        ("https://s3.example.org", "https://sts.example.org", "https://sts.example.org"),
        (None, "https://sts.example.org", "https://sts.example.org"),
    ],
)
def test_where_sts_is(endpoint: str | None, sts: str | None, expected: str | None) -> None:
    store = STORE.model_copy(update={"endpoint_url": endpoint, "sts_endpoint_url": sts})
    assert find_sts_endpoint(store) == expected


async def test_of_aws_it_is_the_one_of_the_stores_region(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", "https://evil.example.org")
    session = get_session()
    session.set_credentials("AK", "secret")
    maker = S3CredentialMaker(session)
    try:
        client = await maker._client(STORE)
        assert client.meta.endpoint_url == "https://sts.us-west-2.amazonaws.com"
        assert await maker._client(STORE) is client
        assert await maker._client(STORE.model_copy(update={"region": "eu-west-1"})) is not client
    finally:
        await maker.close()


class Passing(Exception):
    """An error that may pass."""


def fails(times: int, error: Exception) -> tuple[Callable[[], Awaitable[str]], list[int]]:
    tries: list[int] = []

    async def attempt() -> str:
        tries.append(1)
        if len(tries) <= times:
            raise error
        return "done"

    return attempt, tries


@given(
    failures=st.integers(0, 10),
    tries=st.integers(1, 8),
    share=st.floats(0, 1, exclude_max=True),
    longest=st.floats(0.1, 10),
)
async def test_tries_are_bounded_and_waits_grow_to_a_bound(
    failures: int, tries: int, share: float, longest: float
) -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    backoff = StsRetryPolicy(
        tries=tries, first=0.1, longest=longest, sleep=sleep, share=lambda: share
    )
    attempt, tried = fails(failures, Passing())
    if failures < tries:
        assert await backoff.run(attempt, lambda _: True) == "done"
    else:
        with pytest.raises(Passing):
            await backoff.run(attempt, lambda _: True)
    assert len(tried) == min(failures + 1, tries)
    assert len(waits) == len(tried) - 1
    assert waits == sorted(waits)
    assert all(0 < wait <= longest for wait in waits)


async def test_what_cannot_pass_is_tried_once() -> None:
    attempt, tried = fails(1, ValueError("for good"))
    with pytest.raises(ValueError, match="for good"):
        await StsRetryPolicy().run(attempt, lambda error: isinstance(error, Passing))
    assert len(tried) == 1
