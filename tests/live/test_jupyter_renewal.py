"""JupyterLab's file browser reads on when the keys that it began with have ended."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

from shared_files import DRIVE, shared_files

from panneuro_hub.devstack.seaweedfs import SeaweedFS

LIFETIME = timedelta(seconds=12)


async def test_files_are_read_past_the_end_of_the_first_keys(
    seaweedfs: SeaweedFS, tmp_path: Path
) -> None:
    with shared_files(seaweedfs, tmp_path, LIFETIME) as (files, bench):
        content = (await files.get(f"{DRIVE}/day-1/a b/é.csv"))["content"]
        ended = bench.service.issued[-1].expires + timedelta(seconds=2)
        await asyncio.sleep((ended - datetime.now(UTC)).total_seconds())
        bench.wire.reset()
        assert (await files.get(f"{DRIVE}/day-1/a b/é.csv"))["content"] == content
        assert {one["name"] for one in (await files.get(DRIVE))["content"]} >= {"day-1"}
        # Of the store, and with other keys.
        assert any(
            request.method == "GET" and ".csv" in request.target for request in bench.wire.requests
        )
        assert len(bench.service.issued) > 1
