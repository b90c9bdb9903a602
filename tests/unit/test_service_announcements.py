"""What the hub announces is on the service's pages, and nothing in it comes alive."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from small_hub import TOKEN, small_hub
from small_service import small_service
from small_site import Site, body, hub_of, small_site

from panneuro_hub.hub.announcement import select_announcement
from panneuro_hub.service.web.hub_announcements import AnnouncementCache

WORDS = "Maintenance on Sunday, NAME: <a href='/hub/home'>your servers</a> stop"


async def test_every_page_has_it(tmp_path: Path, example_file: Path) -> None:
    async with (
        hub_of({"ada": ["navigation-lab"]}) as hub,
        small_service(hub, tmp_path, example_file) as service,
    ):
        hub.announcement = WORDS
        async with small_site(service) as (url, secret):
            site = Site(url, secret)
            for path in ("/", "/usage"):
                page = body(await site.get_as("ada", path))
                assert "Maintenance on Sunday, ada:" in page, path
                assert '<a href="/hub/home"' in page
            answer = await site.get_as("ada", "/api/access")
            assert "Maintenance" not in body(answer)
            hub.users.pop("ada")
            refused = await site.get_as("ada", "/")
            assert refused.code == 403
            assert "Maintenance" in body(refused)


@pytest.mark.parametrize("status", [404, 500])
async def test_a_hub_without_an_answer_takes_nothing_but_the_announcement(
    status: int, caplog: pytest.LogCaptureFixture
) -> None:
    async with small_hub() as hub:
        hub.status = status
        announcements = AnnouncementCache(hub.url, TOKEN, keep=0)
        for _ in range(3):
            assert await announcements.find_announcement("ada") == ""
        warnings = [one for one in caplog.records if one.levelno >= logging.WARNING]
        assert len(warnings) == (0 if status == 404 else 1)
        hub.status, hub.announcement = 200, WORDS
        assert "Sunday" in await announcements.find_announcement("ada")


@pytest.mark.parametrize(
    "html",
    [
        "<script>alert(1)</script>Sunday",
        "<img src=x onerror=alert(1)>Sunday",
        "<a href='javascript:alert(1)'>Sunday</a>",
        "<style>body { display: none }</style>Sunday",
        "</div><form action='https://evil.example'><input>Sunday",
    ],
)
async def test_nothing_in_it_comes_alive(html: str) -> None:
    async with small_hub() as hub:
        hub.announcement = html
        shown = await AnnouncementCache(hub.url, TOKEN).find_announcement("ada")
    assert "Sunday" in shown
    for alive in ("script", "onerror", "style", "form", "input", "/div"):
        assert alive not in shown


@pytest.mark.parametrize(
    ("template_vars", "expected"),
    [
        ({}, ""),
        ({"announcement": ""}, ""),
        ({"announcement": None}, ""),
        ({"announcement": "words"}, "words"),
        ({"announcement": lambda user: f"for {user}"}, "for ada"),
        ({"announcement": lambda user: None}, ""),
    ],
)
def test_the_announcement_is_what_the_hubs_templates_show(
    template_vars: dict[str, object], expected: str
) -> None:
    assert select_announcement(template_vars, "ada") == expected
