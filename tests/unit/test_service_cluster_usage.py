"""What clusters use: counted by month and in all, shown to whom it concerns."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_hub import SmallHub, member
from small_service import SmallService
from small_site import GATEWAY, Site, body, hub_of, read, run
from testing.clocks import FakeClock

from panneuro_hub.collaboration import Collaboration
from panneuro_hub.names import shorten_names
from panneuro_hub.service.db.monthly_usage import ResourceUsage, format_month
from panneuro_hub.service.db.schema import open_database
from panneuro_hub.service.db.session_store import SessionRecord, SessionStore
from panneuro_hub.service.monitoring.cluster_usage import (
    UsageReport,
    build_project_usages,
    format_usage,
)
from panneuro_hub.service.monitoring.usage_handlers import render_usage
from panneuro_hub.service.web.page_rendering import PageContext
from panneuro_hub.wire.cluster_reports import ClusterReport

pytest_plugins = ["service_fixtures"]

GIB = 1 << 30


# --- counting


LATE = datetime(2026, 11, 30, 23, 50, tzinfo=UTC)


async def test_a_month_is_counted_by_itself(tmp_path: Path) -> None:
    clock = FakeClock(LATE)
    with closing(open_database(f"sqlite:///{tmp_path}/ledger.sqlite")) as database:
        register = SessionStore(database, clock.now)
        session, _ = await register.begin_session(
            "cluster", "ada", "p", "standard", account="a", gateway=GATEWAY, price_per_hour=3.6
        )
        report = [ClusterReport(session.id, "c1", 10, 4.0, GIB)]
        await register.record_report(GATEWAY, report)
        assert await register.sum_month_usage() == {}
        clock.advance(seconds=300)
        await register.record_report(GATEWAY, report)
        assert await register.sum_month_usage() == {
            "p": ResourceUsage(3000, 12000, pytest.approx(3.0))
        }
        clock.advance(seconds=400)  # the next month
        await register.record_report(GATEWAY, report)
        assert await register.sum_month_usage() == {
            "p": ResourceUsage(4000, 16000, pytest.approx(4.0))
        }
        clock.advance(seconds=100)
        await register.end_session(session.id, GATEWAY)
        assert await register.sum_month_usage() == {
            "p": ResourceUsage(5000, 20000, pytest.approx(5.0))
        }
        clock.advance(seconds=100)
        await register.end_session(session.id, GATEWAY)
        total = (await register.sum_usage())["p"]
        assert (total.worker_seconds, total.core_seconds) == (8000, 32000)
        assert total.cost_usd == pytest.approx(8.0)
        clock.advance(days=31)
        assert await register.sum_month_usage() == {}


async def test_months_add_up_to_all(tmp_path: Path) -> None:
    clock = FakeClock(LATE)
    with closing(open_database(f"sqlite:///{tmp_path}/ledger.sqlite")) as database:
        register = SessionStore(database, clock.now)
        sessions = [
            (
                await register.begin_session(
                    "cluster", "ada", it, "standard", account="a", gateway=GATEWAY
                )
            )[0]
            for it in ("p", "p", "q")
        ]
        months: dict[str, dict[str, ResourceUsage]] = {}
        for step in range(40):
            listed = [
                ClusterReport(session.id, f"c{number}", step % (number + 3), 2.0, GIB)
                for number, session in enumerate(sessions)
            ]
            await register.record_report(GATEWAY, listed)
            months[format_month(clock.now())] = await register.sum_month_usage()
            clock.advance(seconds=37)
        assert len(months) == 2
        totals = await register.sum_usage()
        for project in ("p", "q"):
            added = sum(month[project].core_seconds for month in months.values())
            assert added == pytest.approx(totals[project].core_seconds)


def test_the_month_is_utc() -> None:
    late = datetime(2026, 11, 30, 20, tzinfo=ZoneInfo("America/Los_Angeles"))
    assert format_month(late) == "2026-12"


@given(st.sets(st.text("abc.", min_size=1, max_size=6), max_size=8))
def test_short_names_tell_apart(names: set[str]) -> None:
    short = shorten_names(names)
    assert short.keys() == names
    assert len(set(short.values())) == len(names)
    assert all(name.endswith(end) for name, end in short.items())


# --- what is shown


def session(name: str, project: str, person: str = "ada", workers: int = 2) -> SessionRecord:
    return SessionRecord(
        id=f"id-of-{name}",
        kind="cluster",
        person=person,
        project=project,
        profile="standard",
        image="neuro",
        price_per_hour=0.07,
        gateway=GATEWAY,
        name=name,
        ticket="digest-of-the-ticket",
        began=datetime(2026, 11, 22, 9, 30, tzinfo=UTC),
        workers=workers,
        cores=4.0,
        memory=16 * GIB,
    )


def usage(example: Collaboration, *sessions: SessionRecord, cost: float = 12.5) -> UsageReport:
    used = {"nhp-navigation": ResourceUsage(7200, 28800, cost)}
    everything = {"nhp-navigation": ResourceUsage(72000, 288000, 120.0)}
    projects = ["nhp-navigation", "shared-stimuli"]
    uses = build_project_usages(example, projects, sessions, used, everything)
    return UsageReport("ada", datetime(2026, 11, 22, 12, tzinfo=UTC), tuple(uses))


def test_usage_as_json(example: Collaboration) -> None:
    shown = format_usage(
        usage(
            example,
            session("3f2aaa", "nhp-navigation"),
            session("3f2bbb", "nhp-navigation", "tim", 30),
            session("x3f2bbb", "human-intracranial", "mina"),
            session("", "shared-stimuli"),
        )
    )
    assert (shown["user"], shown["month"], shown["at"]) == (
        "ada",
        "2026-11",
        "2026-11-22T12:00:00Z",
    )
    navigation = shown["projects"]["nhp-navigation"]
    assert navigation["clusters"] == [
        {
            "name": "aaa",
            "owner": "ada",
            "worker_profile": "standard",
            "worker_profile_title": "Standard",
            "workers": 2,
            "cores": 8.0,
            "memory_bytes": 32 * GIB,
            "began": "2026-11-22T09:30:00Z",
        },
        {
            "name": "3f2bbb",
            "owner": "tim",
            "worker_profile": "standard",
            "worker_profile_title": "Standard",
            "workers": 30,
            "cores": 120.0,
            "memory_bytes": 480 * GIB,
            "began": "2026-11-22T09:30:00Z",
        },
    ]
    assert (navigation["workers"], navigation["cores"]) == (32, 128.0)
    assert navigation["limits"] == {"workers": 50, "cores": 200.0, "memory_bytes": 800 * GIB}
    assert navigation["free"] == {"workers": 18, "cores": 72.0, "memory_bytes": 288 * GIB}
    assert navigation["this_month"] == {"worker_hours": 2.0, "core_hours": 8.0, "cost_usd": 12.5}
    assert navigation["in_all"] == {"worker_hours": 20.0, "core_hours": 80.0, "cost_usd": 120.0}
    assert navigation["budget"] == {"usd_per_month": 900.0, "spent_on_clusters_usd": 12.5}
    stimuli = shown["projects"]["shared-stimuli"]
    assert stimuli["clusters"][0]["name"] == "starting"
    assert stimuli["budget"] is None
    assert stimuli["this_month"]["cost_usd"] == 0
    assert "human-intracranial" not in shown["projects"]
    assert "digest" not in str(shown)


def test_more_than_there_may_be_leaves_nothing(example: Collaboration) -> None:
    use = usage(example, session("a", "nhp-navigation", workers=70)).projects[0]
    assert use.free.max_workers == 0
    assert use.free.max_cores == 0
    assert use.free.max_memory == 0


def test_the_page_of_usage_as_a_whole(
    example: Collaboration, golden: Callable[[str, str], None]
) -> None:
    sessions = [
        session("3f2aaa", "nhp-navigation"),
        session("3f2bbb", "nhp-navigation", "tomas", 30),
        session("", "shared-stimuli", workers=0),
    ]
    shown = usage(example, *sessions)
    golden("usage-page.html", render_usage(shown, PageContext("/hub/", "/services/panneuro/")))


def test_the_page_of_usage(example: Collaboration) -> None:
    html = render_usage(
        usage(example, session("3f2aaa", "nhp-navigation", "<b>ada</b>")),
        PageContext("/hub/", "/services/p/"),
    )
    assert "&lt;b&gt;ada&lt;/b&gt;" in html
    assert "<b>" not in html
    assert "2 of 50" in html
    assert "8 of 200" in html
    assert "32G of 800G" in html
    assert "None is running." in html  # in the other project
    assert "used up" not in html
    spent = render_usage(usage(example, cost=900.0), PageContext("/hub/", "/services/p/"))
    assert "Clusters alone have used up this month's budget" in spent


# --- to whom


@pytest.fixture
async def hub() -> AsyncIterator[SmallHub]:
    people = {
        "ada": ["navigation-lab"],
        "cat": ["categorization-lab"],
        "root": ["administrative-core"],
        "zoe": [],
    }
    async with hub_of(people) as hub:
        yield hub


async def test_people_see_the_projects_that_are_theirs(service: SmallService, site: Site) -> None:
    await run(service, "c1")
    await run(service, "c2", person="tim", workers=5)
    await run(service, "c3", person="cat", project="nhp-categorization")

    async def seen(person: str) -> dict[str, Any]:
        answer = await site.get_as(person, "/api/usage")
        assert answer.code == 200
        return {name: use["workers"] for name, use in read(answer)["projects"].items()}

    assert await seen("ada") == {"nhp-navigation": 7, "shared-stimuli": 0}
    assert await seen("cat") == {"nhp-categorization": 2, "shared-stimuli": 0}
    assert await seen("root") == {
        "nhp-navigation": 7,
        "nhp-categorization": 2,
        "human-intracranial": 0,
        "shared-stimuli": 0,
    }
    assert await seen("zoe") == {}
    service.hub.users["ada"] = member("ada")
    assert await seen("ada") == {}


async def test_the_page_shows_the_same(service: SmallService, site: Site) -> None:
    await run(service, "c0ffee")
    page = await site.get_as("ada", "/usage")
    assert page.code == 200
    assert "<code>fee</code>" in body(page)
    assert "nhp-categorization" not in body(page)
    assert "script" not in page.headers["Content-Security-Policy"]
    link = 'href="/base/services/panneuro/usage"'
    assert link in body(await site.get_as("ada", "/"))
    assert "so there is nothing to show" in body(await site.get_as("zoe", "/usage"))


@pytest.mark.parametrize("path", ["/api/usage", "/usage", "/", "/api/access"])
async def test_only_people_are_answered(service: SmallService, site: Site, path: str) -> None:
    answer = await site.get_as("a-service", path)
    assert answer.code == 403
    assert "this token is a service" in body(answer)
    nobody = await site.get_as("nobody", path)
    assert nobody.code == (403 if "api" in path else 302)
    service.hub.users.pop("ada")
    gone = await site.get_as("ada", path)
    assert gone.code == 403
    assert "knows nobody called ada" in body(gone)


@pytest.mark.parametrize("path", ["/api/usage", "/usage", "/", "/metrics"])
async def test_a_hub_or_database_that_is_silent(
    service: SmallService, site: Site, path: str
) -> None:
    service.hub.status = 503
    answer = await site.get_as("ada", path)
    assert answer.code == 503
    assert "hub did not say who you are" in body(answer)
    assert "127.0.0.1" not in body(answer)


@pytest.mark.parametrize("path", ["/api/usage", "/usage"])
async def test_a_database_that_is_gone(service: SmallService, site: Site, path: str) -> None:
    await service.database.run_transaction(
        lambda connection: connection.exec_driver_sql("drop table panneuro_months") and None
    )
    answer = await site.get_as("ada", path)
    assert answer.code == 503
    assert answer.headers["Retry-After"] == "5"
    assert "try again soon" in body(answer)
