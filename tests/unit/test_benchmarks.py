"""What the benchmarks compute from what they measure."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs

import pytest
from fake_service import FakeService, said
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import agents, sidecar, start
from benchmarks.bursts import Asked, Burst, ask_at_once, get
from benchmarks.figures import difference_of_medians, percentile, ratio_of_medians, table
from benchmarks.hubs import OURS, STOCK
from benchmarks.kube import Usage
from benchmarks.machine import cpu_seconds
from benchmarks.stand_ins import member_document, ticket
from panneuro_hub.wire import Ticket
from panneuro_hub.wire.hub_member import HubMember

pytestmark = pytest.mark.slow

seconds = st.floats(min_value=0.01, max_value=100)
pairs = st.lists(st.tuples(seconds, seconds), min_size=1, max_size=30)


@pytest.mark.parametrize(
    ("percent", "expected"), [(0, 1.0), (50, 2.0), (75, 3.0), (76, 4.0), (99, 4.0), (100, 4.0)]
)
def test_percentiles(percent: float, expected: float) -> None:
    assert percentile([3.0, 1.0, 4.0, 2.0], percent) == expected


@pytest.mark.parametrize(("values", "percent"), [([], 50), ([1.0], -1), ([1.0], 101)])
def test_no_percentile(values: list[float], percent: float) -> None:
    with pytest.raises(ValueError, match="percentile"):
        percentile(values, percent)


@given(pairs)
def test_an_estimate_lies_within_what_was_measured(measured: list[tuple[float, float]]) -> None:
    ours, theirs = zip(*measured, strict=True)
    ratio = ratio_of_medians(ours, theirs, resamples=50)
    assert ratio.low <= ratio.high
    assert ratio.low >= min(ours) / max(theirs) * (1 - 1e-9)
    assert ratio.high <= max(ours) / min(theirs) * (1 + 1e-9)
    assert ratio == ratio_of_medians(ours, theirs, resamples=50)


def test_what_slows_both_is_no_difference() -> None:
    theirs = [1.0, 1.1, 9.0, 1.2, 7.0, 1.0, 1.3, 8.0, 1.1]
    ratio = ratio_of_medians([2 * one for one in theirs], theirs)
    assert (ratio.value, ratio.low, ratio.high) == (2.0, 2.0, 2.0)
    less = difference_of_medians([one - 0.5 for one in theirs], theirs)
    assert less.low == pytest.approx(-0.5)
    assert less.high == pytest.approx(-0.5)


def test_more_pairs_say_more() -> None:
    ours, theirs = [1.2, 0.9, 1.4, 1.0, 1.3], [1.0, 1.1, 0.8, 1.2, 0.9]
    few, many = ratio_of_medians(ours, theirs), ratio_of_medians(ours * 8, theirs * 8)
    assert few.value == many.value
    assert many.high - many.low < few.high - few.low


def test_pairs_are_pairs() -> None:
    with pytest.raises(ValueError, match="shorter"):
        ratio_of_medians([1.0, 2.0], [1.0])
    with pytest.raises(ValueError, match="no pairs"):
        ratio_of_medians([], [])


def test_a_table_is_aligned() -> None:
    assert table(("a", "bcd"), [("long", "1")]).splitlines() == [
        "| a    | bcd |",
        "| ---- | --- |",
        "| long | 1   |",
    ]


def test_a_summary_counts_what_failed() -> None:
    good = agents.Round(Burst((0.1, 0.3), 0, Counter(), 0.4), Counter(sts=1, hub=1), 0.02)
    bad = agents.Round(Burst((), 3, Counter({"HTTP 403": 2}), 0.2), Counter(hub=1), 0.04)
    figures = agents.summary(agents.ONE_SESSION, 2, [good, bad])
    assert figures["sts_calls"] == [1, 0]
    assert figures["failures"] == {"HTTP 403": 2}
    assert figures["came_again"] == [0, 3]
    assert (figures["p50_ms"], figures["p99_ms"], figures["service_cpu_ms"]) == (100, 300, 30)
    assert agents.summary(agents.CALL_EACH, 2, [bad])["p99_ms"] is None


def test_starts_are_compared_with_those_of_the_same_turn() -> None:
    starts = {
        STOCK: [start.Start(4.0, 0.1, 0.0), start.Start(8.0, 0.3, 0.0)],
        OURS: [start.Start(5.0, 0.2, 0.01), start.Start(10.0, 0.6, 0.01)],
    }
    figures = start.figures(starts, "seconds", STOCK)
    assert (figures["theirs"], figures["ours"]) == (6.0, 7.5)
    assert figures["ratio"] == {"value": 1.25, "low": 1.25, "high": 1.25}
    assert start.figures(starts, "hub_cpu", STOCK)["ratio"]["value"] == pytest.approx(2)


def test_what_a_container_used_between_two_looks() -> None:
    began = datetime(2026, 11, 22, tzinfo=UTC)
    later = Usage(began + timedelta(seconds=50), 1.1, 32 << 20)
    used = sidecar.between(Usage(began, 1.0, 1), later)
    assert used == {"seconds": 50.0, "cpu_millicores": 2.0, "working_set_mib": 32.0}


def test_who_asks_for_what() -> None:
    ground = agents.Ground(1, 2, None)  # type: ignore[arg-type]
    together = agents.requests(ground, agents.ONE_SESSION, 3, "x")
    apart = agents.requests(ground, agents.SESSION_EACH, 3, "x")
    calls = agents.requests(ground, agents.CALL_EACH, 3, "x")
    assert len(set(together)) == 1
    assert len(set(apart)) == len(apart) == 3
    assert {one.port for one in together + apart} == {2}
    assert {one.port for one in calls} == {1}
    form = parse_qs(calls[0].request.decode().partition("\r\n\r\n")[2])
    assert form["Action"] == ["AssumeRoleWithWebIdentity"]


def test_the_stand_in_knows_its_people_as_a_hub_does() -> None:
    (session,) = HubMember.from_json(member_document("somebody")).sessions
    assert Ticket.decode(ticket("somebody").encode()).matches(session.ticket)


def test_a_burst_tells_answers_from_refusals() -> None:
    known = Ticket.new("ada", "").encode()
    with FakeService(known) as service:
        port = int(service.url.split(":")[2].split("/")[0])
        path = f"/{service.url.split('/', 3)[3]}/api/credentials"
        asked = [
            Asked(port, get(path, f"panneuro-ticket {text}")) for text in (known, known, "other")
        ]
        burst = asyncio.run(ask_at_once(asked))
    assert len(burst.latencies) == 2
    assert burst.failures == Counter({"HTTP 403": 1})
    assert max(burst.latencies) <= burst.seconds


async def test_who_is_told_to_come_again_does() -> None:
    known = Ticket.new("ada", "").encode()
    with FakeService(known, fault=said(503, "later", **{"Retry-After": "0"})) as service:
        port = int(service.url.split(":")[2].split("/")[0])
        path = f"/{service.url.split('/', 3)[3]}/api/credentials"
        asking = asyncio.create_task(
            ask_at_once([Asked(port, get(path, f"panneuro-ticket {known}"))])
        )
        await asyncio.to_thread(service.asked, 2)  # so the first was refused
        service.fault = None
        burst = await asking
    assert len(burst.latencies) == 1
    assert burst.again >= 1
    assert not burst.failures


def test_nobody_listens() -> None:
    burst = asyncio.run(ask_at_once([Asked(1, get("/", "x"))]))
    assert burst.failures == Counter({"ConnectionRefusedError": 1})


def test_cpu_of_no_process() -> None:
    with pytest.raises(ProcessLookupError, match="no process"):
        cpu_seconds(2**22 + 1)  # one more than Linux has
