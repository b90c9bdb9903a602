"""What Prometheus is told, and who may ask."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families
from small_hub import SmallHub, small_hub
from small_service import Maker, SmallService
from small_site import SCOPES, Site, body, run, small_site
from tornado.httpclient import HTTPResponse

from panneuro_hub.errors import VendingError
from panneuro_hub.service.db.ledger import LedgerCounts, LedgerEntry
from panneuro_hub.service.monitoring.prometheus_metrics import MeasuredMaker, StoreCallMetrics
from panneuro_hub.vending.types import CredentialRequest
from panneuro_hub.wire.cluster_reports import ClusterReport

pytest_plugins = ["service_fixtures"]

PROJECTS = ["nhp-navigation", "nhp-categorization", "human-intracranial", "shared-stimuli"]


@pytest.fixture
async def hub() -> AsyncIterator[SmallHub]:
    async with small_hub() as hub:
        hub.owners = {
            "token-of-prometheus": {"kind": "service", "name": "p", "scopes": ["read:metrics"]},
            "token-of-a-person": {"kind": "user", "name": "ada", "scopes": ["read:metrics"]},
            "token-of-another": {"kind": "service", "name": "x", "scopes": SCOPES},
            "token-of-an-old-hub": {"kind": "service", "name": "x"},
        }
        yield hub


def samples(answer: HTTPResponse) -> dict[tuple[str, str], float]:
    """By name and project, or what else the label says."""
    assert answer.code == 200, body(answer)
    assert answer.headers["Content-Type"].startswith("text/plain")
    return {
        (sample.name, sample.labels.get("project", sample.labels.get("outcome", ""))): sample.value
        for family in text_string_to_metric_families(body(answer))
        for sample in family.samples
    }


async def test_every_project_has_every_metric(site: Site) -> None:
    told = samples(await site.get_as("prometheus", "/metrics"))
    for name in (
        "panneuro_clusters",
        "panneuro_cluster_workers",
        "panneuro_cluster_cores",
        "panneuro_core_hours_total",
        "panneuro_cost_usd_total",
        "panneuro_credentials_issued_total",
        "panneuro_refusals_total",
    ):
        assert [project for of, project in told if of == name] == PROJECTS
        assert {value for (of, _), value in told.items() if of == name} == {0.0}


async def test_what_runs_is_what_the_register_says(service: SmallService, site: Site) -> None:
    session = await run(service, "c1", workers=3)
    await run(service, "c2", person="tim", workers=4)
    ended = await run(service, "c3", project="shared-stimuli")
    await service.register.end_session(ended.id, "dask-gateway")
    told = samples(await site.get_as("a-person", "/metrics"))
    assert told["panneuro_clusters", "nhp-navigation"] == 2
    assert told["panneuro_cluster_workers", "nhp-navigation"] == 7
    assert told["panneuro_cluster_cores", "nhp-navigation"] == 28
    assert told["panneuro_clusters", "shared-stimuli"] == 0
    hour_ago = timedelta(seconds=360)
    service.register._clock = lambda: datetime.now(UTC) + hour_ago
    await service.register.record_report(
        "dask-gateway", [ClusterReport(session.id, "c1", 3, 4.0, 1)]
    )
    told = samples(await site.get_as("prometheus", "/metrics"))
    assert told["panneuro_core_hours_total", "nhp-navigation"] >= 1.2 + 1.6
    assert told["panneuro_cost_usd_total", "nhp-navigation"] == pytest.approx(0.049, abs=0.001)


async def test_the_ledger_is_counted_and_names_are_the_collaboration_s(
    service: SmallService, site: Site
) -> None:
    for event, project in (
        ("issue", "nhp-navigation"),
        ("issue", "nhp-navigation"),
        ("refusal", "nhp-navigation"),
        ("refusal", ""),
        ("refusal", 'evil"} 1\n{'),
    ):
        await service.ledger.record_entry(LedgerEntry(event, "ada", project, "s", "r"))  # type: ignore[arg-type]
    told = samples(await site.get_as("prometheus", "/metrics"))
    assert told["panneuro_credentials_issued_total", "nhp-navigation"] == 2
    assert told["panneuro_refusals_total", "nhp-navigation"] == 1
    assert told["panneuro_refusals_total", ""] == 2
    assert ("panneuro_credentials_issued_total", "") not in told


async def test_rows_are_counted_once_however_they_come(service: SmallService) -> None:
    """An old row is not read again; one that another replica writes late is."""
    now, old = datetime.now(UTC), datetime.now(UTC) - timedelta(hours=1)
    counted = LedgerCounts()
    ages = [old, now, old, old, now, now, old, now]
    for number, at in enumerate(ages, 1):
        await service.ledger.record_entry(LedgerEntry("issue", "ada", "p", "s", "r", at=at))
        counted = await service.ledger.count_entries(counted)
        assert counted.rows == {("p", "issue"): number}
    assert counted.upto > 0
    assert await service.ledger.count_entries(LedgerCounts()) == counted
    # Rows up to there are not looked at any more.
    await service.database.run_transaction(
        lambda connection: connection.exec_driver_sql("delete from panneuro_ledger") and None
    )
    assert (await service.ledger.count_entries(counted)).rows == counted.old


@pytest.mark.parametrize("token", ["another", "an-old-hub", "nobody", ""])
async def test_metrics_are_for_tokens_with_the_scope(site: Site, token: str) -> None:
    answer = await site.get_as(token, "/metrics")
    assert answer.code == 403
    assert "the scope read:metrics" in body(answer)
    assert "panneuro_clusters" not in body(answer)


async def test_metrics_without_any_token(site: Site) -> None:
    for headers in ({}, {"Authorization": "Basic eDp5"}, {"Cookie": "service-panneuro=x"}):
        answer = await site.get("/base/services/panneuro/metrics", **headers)
        assert (answer.code, "Location" in answer.headers) == (403, False)


async def test_calls_of_stores_are_counted_and_timed(calls: StoreCallMetrics, site: Site) -> None:
    class Slow(Maker):
        async def make(self, request: CredentialRequest, rights: str):  # type: ignore[no-untyped-def]
            await asyncio.sleep(0)
            return await super().make(request, rights)

    maker = Slow()
    measured = MeasuredMaker(maker, calls)
    request = CredentialRequest("s", "ada", "p", None, ())  # type: ignore[arg-type]
    assert (await measured.make(request, "")).access_key_id == "ASIA1"
    maker.fault = VendingError("the store is busy")
    with pytest.raises(VendingError):
        await measured.make(request, "")
    told = samples(await site.get_as("prometheus", "/metrics"))
    assert told["panneuro_sts_calls_total", "made"] == 1
    assert told["panneuro_sts_calls_total", "failed"] == 1
    assert told["panneuro_sts_seconds_count", ""] == 2
    assert told["panneuro_sts_seconds_sum", ""] > 0
    assert set(StoreCallMetrics().build_makers()) == {"s3"}


async def test_two_replicas_say_the_same(service: SmallService, site: Site) -> None:
    await run(service, "c1")
    first = samples(await site.get_as("prometheus", "/metrics"))
    async with small_site(service) as (url, secret):
        second = samples(await Site(url, secret).get_as("prometheus", "/metrics"))
    own = {name for name in first if name[0].startswith("panneuro_sts")}
    assert {name: value for name, value in first.items() if name not in own} == {
        name: value for name, value in second.items() if name not in own
    }
