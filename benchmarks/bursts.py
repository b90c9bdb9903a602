"""Many programs that ask at the same moment, each on a connection of its own."""

from __future__ import annotations

import asyncio
import resource
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus

from panneuro_hub.agent.refresher import RANDOM_SOURCE, seconds_until_retry

_PATIENCE = 60.0  # s, for one answer


@dataclass(frozen=True)
class Asked:
    """What one program asked for.

    Parameters
    ----------
    port : int
        Of 127.0.0.1.
    request : bytes
        The whole of an HTTP request.
    """

    port: int
    request: bytes


@dataclass(frozen=True)
class Burst:
    """What came of it.

    Parameters
    ----------
    latencies : tuple of float
        Seconds from the beginning of each one's first connection to the end of a good answer.
    again : int
        How often in all somebody was told to come again, and did, as an agent does.
    failures : counter of str
        What happened to those who got no good answer.
    seconds : float
        From the first connection to the last answer.
    """

    latencies: tuple[float, ...]
    again: int
    failures: Counter[str]
    seconds: float


@dataclass(frozen=True)
class _Answer:
    status: int
    retry_after: float | None


@dataclass(frozen=True)
class _Outcome:
    seconds: float | None
    again: int
    failure: str = ""


def get(path: str, authorization: str) -> bytes:
    """The request that `panneuro_hub.agent.service_client` sends, to the letter."""
    return _request(f"GET {path}", f"Authorization: {authorization}", "Accept: application/json")


def post_form(path: str, form: str) -> bytes:
    """A form that is sent, as the AWS SDKs do it."""
    content = "Content-Type: application/x-www-form-urlencoded"
    return _request(f"POST {path}", content, f"Content-Length: {len(form)}") + form.encode()


def _request(what: str, *headers: str) -> bytes:
    lines = [f"{what} HTTP/1.1", "Host: 127.0.0.1", "Accept-Encoding: identity", *headers]
    return "".join(f"{line}\r\n" for line in [*lines, ""]).encode()


def allow_connections(number: int) -> None:
    """Let this process have so many connections.

    Raises
    ------
    ValueError
        If the machine allows no more than fewer.
    """
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = number + 256
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(_soft, wanted), hard))


async def ask_at_once(asked: Sequence[Asked]) -> Burst:
    """Connect all at the same moment; who is told to come again does so."""
    began = time.perf_counter()
    outcomes = await asyncio.gather(*(_ask(one) for one in asked))
    seconds = time.perf_counter() - began
    return Burst(
        tuple(outcome.seconds for outcome in outcomes if outcome.seconds is not None),
        sum(outcome.again for outcome in outcomes),
        Counter(outcome.failure for outcome in outcomes if outcome.failure),
        seconds,
    )


async def _ask(asked: Asked) -> _Outcome:
    again = 0
    began = time.perf_counter()
    try:
        async with asyncio.timeout(_PATIENCE):
            while (answer := await _answer(asked)).status == HTTPStatus.SERVICE_UNAVAILABLE:
                again += 1
                await asyncio.sleep(
                    seconds_until_retry(again, answer.retry_after, RANDOM_SOURCE.random())
                )
    except (OSError, TimeoutError) as problem:
        return _Outcome(None, again, type(problem).__name__)
    if answer.status != HTTPStatus.OK:
        return _Outcome(None, again, f"HTTP {answer.status}")
    return _Outcome(time.perf_counter() - began, again)


async def _answer(asked: Asked) -> _Answer:
    reader, writer = await asyncio.open_connection("127.0.0.1", asked.port)
    try:
        writer.write(asked.request)
        head, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        fields = dict(line.lower().split(": ", 1) for line in lines if line)
        await reader.readexactly(int(fields["content-length"]))
        wait = fields.get("retry-after")
        return _Answer(int(head.split(" ")[1]), float(wait) if wait else None)
    except (asyncio.IncompleteReadError, KeyError, ValueError, IndexError) as problem:
        raise ConnectionError("the answer was cut short") from problem
    finally:
        writer.close()
