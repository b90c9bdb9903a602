"""What is the provider's word about a login, and what only says that it could not be asked."""

from __future__ import annotations

import asyncio
import io
from types import SimpleNamespace
from typing import Any

import pytest
from tornado.httpclient import HTTPClientError, HTTPRequest, HTTPResponse
from tornado.httputil import HTTPHeaders

from panneuro_hub.hub.provider_answers import ProviderAnswer, ProviderQueries, is_unreachable


def answered(status: int, body: bytes = b"", **headers: str) -> HTTPClientError:
    named = HTTPHeaders({name.replace("_", "-"): value for name, value in headers.items()})
    request = HTTPRequest("http://provider")
    return HTTPClientError(status, response=HTTPResponse(request, status, named, io.BytesIO(body)))


@pytest.mark.parametrize(
    "error",
    [
        OSError("unreachable"),
        TimeoutError(),
        ValueError("no JSON"),
        HTTPClientError(599, "time-out"),
        answered(500),
        answered(503),
        answered(429),
        answered(408),
        answered(425),
        answered(403, Retry_After="60"),
        answered(403, X_RateLimit_Remaining="0"),
        answered(400, b'{"error": "temporarily_unavailable"}'),
        answered(401, b'{"error": "invalid_client"}'),
    ],
    ids=str,
)
def test_trouble_says_nothing_about_a_login(error: Exception) -> None:
    assert is_unreachable(error)


@pytest.mark.parametrize(
    "error",
    [
        answered(400, b'{"error": "invalid_grant"}'),
        answered(401),
        answered(403, X_RateLimit_Remaining="12"),
        answered(400, b"[" * 100_000),
        answered(400, b'{"error": ["invalid_client"]}'),
        HTTPClientError(401),
    ],
    ids=lambda error: str(error)[:40],
)
def test_a_refusal_ends_a_login(error: Exception) -> None:
    assert not is_unreachable(error)


class Answers:
    """A provider that gives one answer after the other, when the test lets it."""

    def __init__(self, *kinds: Any) -> None:
        self.kinds = list(kinds)
        self.asked = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def __call__(self, user: Any, handler: Any) -> ProviderAnswer:
        self.asked += 1
        await self.may_answer.wait()
        return ProviderAnswer(self.kinds.pop(0))


async def test_one_question_at_a_time_and_a_pause_after_no_confirmation() -> None:
    now, ada = 0.0, SimpleNamespace(id=1)
    answers = Answers("unreachable", "login-ended", "confirmed", "confirmed")
    queries = ProviderQueries(answers, pause=10, clock=lambda: now)
    answers.may_answer.clear()
    waiting = [asyncio.create_task(queries.ask(ada)) for _ in range(5)]
    await asyncio.sleep(0)
    waiting.pop().cancel()
    answers.may_answer.set()
    assert {answer.kind for answer in await asyncio.gather(*waiting)} == {"unreachable"}
    assert answers.asked == 1, "and who gave up waiting ended it for nobody"
    assert (await queries.ask(ada)).kind == "unreachable"
    now = 11
    assert (await queries.ask(ada)).kind == "login-ended"
    queries.forget(ada)  # they have logged in
    for _ in range(2):
        assert (await queries.ask(ada)).kind == "confirmed"
    assert answers.asked == 4


async def test_a_question_that_breaks_is_asked_again() -> None:
    answers = Answers()
    queries = ProviderQueries(answers)
    for _ in range(2):
        with pytest.raises(IndexError):
            await queries.ask(SimpleNamespace(id=1))
    assert answers.asked == 2
