from __future__ import annotations

from collections.abc import Iterator

import pytest
from postgresql import postgresql
from world import World, made_world

from panneuro_hub.devstack.seaweedfs import SeaweedFS


@pytest.fixture(scope="session")
def seaweedfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedFS]:
    """One hardened S3 server with STS for all live tests; its bucket is ``lab``."""
    with SeaweedFS(tmp_path_factory.mktemp("seaweedfs"), bucket="lab") as store:
        yield store


@pytest.fixture(scope="session")
def world(seaweedfs: SeaweedFS) -> Iterator[World]:
    """Several teams' data in the bucket, and sessions' keys."""
    with made_world(seaweedfs) as made:
        yield made


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """One PostgreSQL for all live tests; tests that cannot have it are skipped."""
    with postgresql() as url:
        yield url
