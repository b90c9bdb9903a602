"""The service and its web application, for modules of tests that have a `hub` of their own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from small_hub import SmallHub
from small_service import SmallService, small_service
from small_site import Site, small_site

from panneuro_hub.service.monitoring.prometheus_metrics import StoreCallMetrics


@pytest.fixture
async def service(hub: SmallHub, tmp_path: Path, example_file: Path) -> AsyncIterator[SmallService]:
    """The service at the module's hub, with the example collaboration."""
    async with small_service(hub, tmp_path, example_file) as service:
        yield service


@pytest.fixture
def calls() -> StoreCallMetrics:
    """What counts the service's calls of stores."""
    return StoreCallMetrics()


@pytest.fixture
async def site(service: SmallService, calls: StoreCallMetrics) -> AsyncIterator[Site]:
    """Its web application."""
    async with small_site(service, calls) as (url, secret):
        yield Site(url, secret)
