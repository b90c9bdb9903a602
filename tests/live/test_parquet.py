"""Tables of many files, as Dask writes and reads them, with a session's own keys."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest
from session_views import because, view_of
from short_service import ShortService
from short_sessions import lab_store

from panneuro_hub.agent.credential_agent import AgentSettings, CredentialAgent
from panneuro_hub.devstack.seaweedfs import SeaweedFS
from panneuro_hub.vending import CredentialRequest
from panneuro_hub.wire import Grant, Ticket

GRANTS = (
    Grant("s3://lab/spikes/", "write", because("you are in navigation-lab"), "spikes"),
    Grant("s3://lab/tables/", "read", because("you are in navigation-lab"), "spikes"),
)
PROGRAM = """
import sys
import dask.dataframe as dd
import pandas as pd

place = sys.argv[1]
spikes = pd.DataFrame({"neuron": [1, 2, 1, 3], "time": [0.1, 0.2, 0.3, 0.4]})
dd.from_pandas(spikes, npartitions=2).to_parquet(f"s3://lab/{place}/spikes.parquet")
again = dd.read_parquet(f"s3://lab/{place}/spikes.parquet")
print(again.npartitions, again.groupby("neuron").time.sum().compute().to_dict())
"""


@pytest.fixture
def environment(seaweedfs: SeaweedFS, tmp_path: Path) -> Iterator[dict[str, str]]:
    ticket = Ticket.new("ada", "").encode()
    (tmp_path / "ticket").write_text(ticket)
    request = CredentialRequest("ada/", "ada", "spikes", lab_store(seaweedfs), GRANTS)
    view = view_of(
        "spikes",
        title="Spikes",
        level="write",
        endpoint_url=seaweedfs.endpoint_url,
        region=seaweedfs.region,
        grants=GRANTS,
    )
    lifetime = timedelta(minutes=15)
    with ExitStack() as stack:
        service = stack.enter_context(ShortService(seaweedfs, request, view, ticket, lifetime))
        agent = CredentialAgent(AgentSettings(service.url, tmp_path / "ticket"))
        agent.start()
        stack.callback(agent.stop)
        yield {
            **agent.environment(),
            "PATH": os.defpath,
            "HOME": str(tmp_path),
            "AWS_REGION": seaweedfs.region,
            "AWS_DEFAULT_REGION": seaweedfs.region,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL": seaweedfs.endpoint_url,
        }


def run(environment: dict[str, str], place: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, place],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_dask_writes_and_reads_a_table_where_the_session_may(environment: dict[str, str]) -> None:
    ran = run(environment, "spikes")
    assert ran.stdout.strip() == "2 {1: 0.4, 2: 0.2, 3: 0.4}", ran.stderr


@pytest.mark.parametrize("place", ["tables", "others"])
def test_and_nowhere_else(environment: dict[str, str], place: str) -> None:
    ran = run(environment, place)
    assert ran.returncode == 1
    assert "PermissionError" in ran.stderr
    assert ran.stdout == ""
