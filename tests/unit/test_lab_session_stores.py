"""What does not need a store; reading is tested live, against a real one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from fake_service import FakeService, said
from session_views import view_of

import panneuro_hub.lab as lab
from panneuro_hub.agent.credential_agent import AgentSettings, CredentialAgent
from panneuro_hub.errors import AccessDeniedError, ServiceUnavailableError
from panneuro_hub.wire import Ticket

VIEW = view_of(
    region="eu-west-1",
)


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeService]:
    (tmp_path / "ticket").write_text(Ticket.new("ada", "").encode())
    with FakeService((tmp_path / "ticket").read_text(), view=VIEW) as service:
        service.credential_fault = said(403, "your membership of navigation-lab ended")
        agent = CredentialAgent(AgentSettings(service.url, tmp_path / "ticket"))
        agent.start()
        for name, value in agent.environment().items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        yield service
        agent.stop()


def test_where_keys_are_refused_the_reason_reaches_the_reader(service: FakeService) -> None:
    with pytest.raises(
        ServiceUnavailableError, match="your membership of navigation-lab ended"
    ) as told:
        lab.open_zarr("nav/a.zarr", chunks=None)
    assert "\n" not in str(told.value)
    assert told.value.__cause__ is not None


def test_a_store_is_where_the_session_says(service: FakeService) -> None:
    store = lab.store("nav/day1")
    assert (store.config["bucket"], store.prefix) == ("lab", "nav/day1")
    assert store.config["region"] == "eu-west-1"
    assert store.client_options is None or "allow_http" not in store.client_options


def test_plain_http_is_for_stores_that_are_so(service: FakeService) -> None:
    service.view = replace(VIEW, endpoint_url="http://127.0.0.1:8333")
    store = lab.store()
    assert store.config["endpoint"] == "http://127.0.0.1:8333"
    assert store.client_options == {"allow_http": "true"}


def test_a_place_outside_the_session_makes_no_store(service: FakeService) -> None:
    with pytest.raises(AccessDeniedError, match="human cannot be read"):
        lab.store("human")
