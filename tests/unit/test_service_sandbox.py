"""A notebook's page in a real browser, with nothing taken out of it: the policy alone holds it."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.async_api import Browser, Page, async_playwright
from small_browser import SmallStore
from small_service import small_service
from small_site import PREFIX, hub_of, small_site

from panneuro_hub.service.browse.notebook_views import NotebookBrowser
from panneuro_hub.service.browse.project_browser import ProjectBrowser
from panneuro_hub.service.browse.project_reader import ProjectReader

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here"),
]

SHOWN = f"{PREFIX}/notebooks/nhp-navigation/evil"
ALONE = f"{PREFIX}/rendered/nhp-navigation/evil"
# Whatever asks for one of these addresses has come alive.
ATTACK = """<!doctype html><html><head>
<meta http-equiv="refresh" content="0; url=/reached/refresh">
<link rel="stylesheet" href="/reached/style"><link rel="prefetch" href="/reached/prefetch">
<link rel="icon" href="/reached/icon"><base href="/reached/base/">
<style>@import "/reached/import"; body { background: url(/reached/background) }
@font-face { font-family: x; src: url(/reached/font) } p { font-family: x }</style>
<script src="/reached/script"></script>
<script>alert(1); fetch("/reached/fetch"); top.document.title = "taken";
document.cookie = "mine=1"; new Image().src = "/reached/image-" + document.cookie;
parent.location = "/reached/parent"; navigator.sendBeacon("/reached/beacon");</script>
</head><body onload="alert(2)">
<p id="text">what there is to read</p>
<img src="/reached/picture" onerror="alert(3)"><img src="x" onerror="alert(4)">
<svg onload="alert(5)"><image href="/reached/svg"/><use href="/reached/use"/></svg>
<iframe src="/reached/frame"></iframe><iframe srcdoc="<script>top.alert(6)</script>"></iframe>
<object data="/reached/object"></object><embed src="/reached/embed">
<video src="/reached/video" autoplay></video><audio src="/reached/audio" autoplay></audio>
<form id="form" action="/reached/form" method="post"><button id="send">send</button></form>
<a id="script" href="javascript:alert(7)">a</a>
<a id="top" href="/reached/top" target="_top">b</a>
<a id="away" href="AWAY/reached/away">c</a>
<details open ontoggle="alert(8)"><summary>d</summary></details>
<input autofocus onfocus="alert(9)"><marquee onstart="alert(10)">e</marquee>
</body></html>"""


@pytest.fixture
async def address(tmp_path: Path, example_file: Path) -> AsyncIterator[str]:
    """The service, which shows one notebook and takes nothing out of it."""
    stored = SmallStore()
    stored.share("nhp-navigation", "evil", ATTACK.encode(), title="Evil")

    away = ""

    async def as_it_is(notebook: bytes) -> str:
        return notebook.decode().replace("AWAY", away)

    people = {"ada": ["navigation-lab"]}
    async with (
        hub_of(people) as hub,
        small_service(hub, tmp_path, example_file) as service,
    ):
        viewing = ProjectReader(
            service.parts.vending, service.parts.refusals, open_store=stored.open
        )
        notebooks = NotebookBrowser(ProjectBrowser(viewing), service.parts.hub_users, as_it_is)
        async with small_site(service, notebooks=notebooks) as (url, _):
            # The same place, and another site to a browser.
            away = url.replace("127.0.0.1", "localhost")
            yield url
        await viewing.close()


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox"] if os.geteuid() == 0 else []
        )
        yield browser
        await browser.close()


class Watched:
    """A page, and what it says by itself."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.dialogs: list[str] = []
        page.on("dialog", self._dialog)

    async def _dialog(self, dialog: Any) -> None:
        self.dialogs.append(dialog.message)
        await dialog.dismiss()


def reached(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the service was asked for by what had come alive; its log has all that it refuses."""
    return [line for line in caplog.messages if "/reached/" in line]


async def opened(
    browser: Browser,
    address: str,
    path: str,
    until: Literal["commit", "networkidle"] = "networkidle",
) -> Watched:
    """A page that ada opens, with a cookie of the site's in the browser."""
    context = await browser.new_context(extra_http_headers={"Authorization": "token token-of-ada"})
    await context.add_cookies([{"name": "precious", "value": "1", "url": address}])
    watched = Watched(await context.new_page())
    await watched.page.goto(f"{address}{path}", wait_until=until)
    return watched


async def test_in_its_frame_a_notebook_is_only_looked_at(
    browser: Browser, address: str, caplog: pytest.LogCaptureFixture
) -> None:
    watched = await opened(browser, address, SHOWN)
    page = watched.page
    await page.locator("iframe").scroll_into_view_if_needed()
    frame = page.frame_locator("iframe")
    assert await frame.locator("#text").inner_text() == "what there is to read"
    for name in ("#send", "#script", "#top", "#away"):
        await frame.locator(name).click()
        await page.wait_for_load_state("networkidle")
    assert watched.dialogs == []
    assert reached(caplog) == []
    assert page.url == f"{address}{SHOWN}"
    assert await page.title() == "Evil"
    cookies = {one["name"] for one in await page.context.cookies()}
    assert "mine" not in cookies


async def test_alone_it_is_of_no_site(
    browser: Browser, address: str, caplog: pytest.LogCaptureFixture
) -> None:
    watched = await opened(browser, address, ALONE)
    page = watched.page
    assert await page.locator("#text").inner_text() == "what there is to read"
    # Chromium's own tools look into it; what it would see itself is of no origin.
    assert await page.evaluate("self.origin") == "null"
    for name in ("#send", "#script"):
        await page.locator(name).click()
        await page.wait_for_load_state("networkidle")
    assert watched.dialogs == []
    assert reached(caplog) == []
    assert page.url == f"{address}{ALONE}"


async def test_the_attack_is_one(
    browser: Browser,
    address: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without the policy it comes alive, and the other tests would see it."""
    monkeypatch.setattr(
        "panneuro_hub.service.browse.notebook_handlers.NOTEBOOK_POLICY", "img-src *"
    )
    watched = await opened(browser, address, ALONE, "commit")
    await watched.page.wait_for_url("**/reached/**")
    assert "1" in watched.dialogs
    said = " ".join(reached(caplog))
    assert "/reached/script" in said
    assert "/reached/picture" in said
