"""Whatever goes wrong in the gateway, the answer is in words, and no server error."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from aiohttp.web_exceptions import NotAppKeyWarning
from dask_gateway_server.backends.base import PublicException

from panneuro_hub.dask.gateway_routes import answer_errors_plainly, join_lines
from panneuro_hub.errors import AccessDeniedError, ServiceUnavailableError

Answer = tuple[int, Any]
Failing = Callable[[Exception], Awaitable[Answer]]


@pytest.fixture
async def failing() -> AsyncIterator[Failing]:
    """What a person is told when a handler fails so."""
    errors: list[Exception] = []

    async def handler(_: web.Request) -> web.Response:
        raise errors[-1]

    app = web.Application(middlewares=[answer_errors_plainly])
    with pytest.warns(NotAppKeyWarning):
        app["log"] = logging.getLogger("test")
    app.router.add_get("/api/v1/options", handler)
    async with TestServer(app) as server, aiohttp.ClientSession() as session:

        async def tell(error: Exception) -> Answer:
            errors.append(error)
            async with session.get(server.make_url("/api/v1/options")) as answer:
                return answer.status, await answer.json()

        yield tell


def refused(status: int, code: str, sentence: str) -> Answer:
    """Return the answer of a gateway; dask-gateway's client shows people the text of ``error``."""
    return status, {"error": sentence, "message": sentence, "code": code}


async def test_foreseen(failing: Failing) -> None:
    assert await failing(PublicException("a\r\nb")) == refused(422, "unprocessable", "a b")
    assert await failing(AccessDeniedError("no")) == refused(422, "access-denied", "no")
    assert await failing(ServiceUnavailableError("soon")) == refused(
        409, "service-unavailable", "soon"
    )
    assert await failing(web.HTTPNotFound(reason="gone")) == refused(404, "not-found", "gone")
    assert await failing(web.HTTPBadGateway(reason="hub")) == refused(
        409, "service-unavailable", "hub"
    )


@pytest.mark.parametrize("error", [ValueError("secret"), KeyError("x"), RuntimeError("a\nb")])
async def test_unforeseen(failing: Failing, error: Exception) -> None:
    status, said = await failing(error)
    assert status == 409
    assert "the gateway could not do this now" in said["error"]
    assert "secret" not in said["error"]


def test_one_line() -> None:
    assert join_lines(" a\r\n\tb ") == "a b"
    assert len(join_lines("x" * 9999)) == 2001
