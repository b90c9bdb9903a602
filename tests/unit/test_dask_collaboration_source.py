"""The gateway's collaboration: its file, or the version of the service while the file is broken."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer

from panneuro_hub.dask import collaboration_source
from panneuro_hub.dask.collaboration_source import open_current_collaboration
from panneuro_hub.dask.gateway_service_client import GatewayServiceClient
from panneuro_hub.errors import CollaborationError

LOG = logging.getLogger("the.gateway")
SINCE = "2026-11-20T09:00:00Z"
TOKEN = "the-gateway-s-token"


class StandIn:
    """A service that has a version, or none."""

    def __init__(self, version: dict[str, Any] | None) -> None:
        self.version = version
        self.status = 200
        self.asked: list[str] = []

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.headers["Authorization"])
        if self.status != 200:
            status, self.status = self.status, 200
            return web.json_response({"message": "the hub is away"}, status=status)
        if self.version is None:
            return web.json_response({"message": "not for you"}, status=403)
        return web.json_response(self.version)


@pytest.fixture
def text(example_file: Path) -> str:
    return example_file.read_text()


@pytest_asyncio.fixture
async def stand_in(text: str) -> AsyncIterator[tuple[StandIn, GatewayServiceClient]]:
    made = StandIn({"text": text, "since": SINCE})
    app = web.Application()
    app.router.add_get("/services/panneuro/api/collaboration", made.answer)
    async with TestServer(app) as server:
        service = GatewayServiceClient(str(server.make_url("/services/panneuro")), TOKEN)
        yield made, service
        await service.close()


@pytest.fixture
def broken(tmp_path: Path) -> str:
    path = tmp_path / "collaboration.yaml"
    path.write_text("name: x\n")
    return str(path)


async def test_a_good_file_asks_nobody(
    stand_in: tuple[StandIn, GatewayServiceClient], example_file: Path
) -> None:
    made, service = stand_in
    current = await open_current_collaboration(str(example_file), service, LOG)
    assert current.problem is None
    assert made.asked == []


async def test_a_broken_file_takes_the_version_of_the_service(
    stand_in: tuple[StandIn, GatewayServiceClient], broken: str
) -> None:
    made, service = stand_in
    current = await open_current_collaboration(broken, service, LOG)
    assert made.asked == [f"token {TOKEN}"]
    assert "nhp-navigation" in current.collaboration.projects
    assert current.look().version.since == datetime(2026, 11, 20, 9, tzinfo=UTC)
    assert current.problem is not None


async def test_a_service_that_starts_later_is_waited_for(
    stand_in: tuple[StandIn, GatewayServiceClient], broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collaboration_source, "RETRY_SECONDS", 0.01)
    made, service = stand_in
    made.status = 503
    current = await open_current_collaboration(broken, service, LOG)
    assert len(made.asked) == 2
    assert "nhp-navigation" in current.collaboration.projects


@pytest.mark.parametrize(
    ("version", "words"),
    [
        (None, "not for you"),
        ({}, "the same version"),
        ({"text": 1, "since": "yesterday"}, "the same version"),
        ({"text": "name: y\n", "since": SINCE}, "the last valid version:1: teams"),
    ],
)
async def test_without_a_valid_version_every_error_is_told(
    stand_in: tuple[StandIn, GatewayServiceClient],
    broken: str,
    version: dict[str, Any] | None,
    words: str,
) -> None:
    made, service = stand_in
    made.version = version
    with pytest.raises(CollaborationError) as refused:
        await open_current_collaboration(broken, service, LOG, wait=0)
    text = str(refused.value)
    assert f"{broken}:1: teams: this key is missing" in text
    assert words in text
    assert TOKEN not in text
