"""JupyterLab in a browser, in the demo: a cluster by a click, and its dashboard in the lab."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Page, Request, Response, async_playwright, expect
from test_demo import PATIENCE, PROJECT, demo

from panneuro_hub.devstack.worker_limit import compute_worker_limit

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
MS = PATIENCE * 1000
# The provider of identities has a port of its own.
HERE = ("http://127.0.0.1:", "data:", "blob:")


async def start_server(page: Page, address: str) -> None:
    """Log in as ada, and start a server by the form."""
    await page.goto(f"{address}/hub/oauth_login")
    await page.fill("input[name=sub]", "ada")
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"{address}/hub/**")
    await page.goto(f"{address}/hub/spawn")
    await page.locator(f"input[name=project][value={PROJECT}]").check()
    await page.locator("[type=submit]").first.click()
    await page.wait_for_url(f"{address}/user/ada/lab/**", timeout=MS)
    await page.wait_for_selector(".jp-NotebookPanel", timeout=MS)


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")
async def test_the_panel_makes_a_cluster_and_shows_its_dashboard(tmp_path: Path) -> None:
    with demo(tmp_path) as (_, _, address):
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(
                executable_path=CHROMIUM, args=["--no-sandbox"] if os.geteuid() == 0 else []
            )
            context = await browser.new_context()
            page = await context.new_page()
            outside: list[str] = []

            def listen(response: Response) -> None:
                if not response.url.startswith(HERE):
                    outside.append(response.url)

            context.on("response", listen)
            await start_server(page, address)
            # Of JupyterLab's managers, the only one that does not ask PyPI.
            settings = await page.locator("#jupyter-config-data").text_content()
            assert json.loads(settings or "{}")["extensionManager"]["name"] == "read-only"

            await page.locator('[data-id="dask-dashboard-launcher"]').click()
            await page.locator(".dask-DaskClusterManager").get_by_text("New").click()
            listed = page.locator(".dask-ClusterListingItem")
            await expect(listed).to_contain_text("ProjectCluster 1", timeout=MS)
            # The smaller of what the panel asks for and what this machine can run.
            most = min(4, compute_worker_limit())
            await expect(listed).to_contain_text(f"Maximum Workers: {most}")
            await expect(listed).to_be_in_viewport(ratio=0.9)
            await ask_for_too_much(page)
            await page.screenshot(path=tmp_path / "panel.png")
            await join_by_the_code_button(page)

            plot = page.get_by_role("button", name="Task Stream", exact=True)
            await expect(plot).to_be_enabled(timeout=MS)
            await plot.click()
            shown = page.frame_locator(".dask-DaskDashboard-widget iframe")
            # Bokeh draws it from what comes over its websocket.
            await expect(shown.locator(".bk-Figure")).to_be_visible(timeout=MS)
            (frame,) = [each for each in page.frames if each.parent_frame is page.main_frame]
            assert re.fullmatch(
                rf"{re.escape(address)}/services/dask-gateway/clusters/[0-9a-f]{{32}}"
                r"/~[\w-]{43}/individual-task-stream",
                frame.url,
            )
            # In a page of its own: JupyterLab's requests that end with its page are not lost ones.
            await look_around(await context.new_page(), frame.url, tmp_path)
            await browser.close()
            # From the login to the dashboard, nobody outside answered anything.
            assert outside == []
            view = frame.url.split("/")[-2].removeprefix("~")
            log = (tmp_path / ".demo/logs/hub.log").read_text()
            assert "/~[secret]/" in log
            assert view not in log


async def ask_for_too_much(page: Page) -> None:
    """Ask for 99 workers; the panel shows what was granted, and why."""
    await page.get_by_role("button", name="SCALE").click()
    dialog = page.locator(".jp-Dialog")
    await dialog.locator("input[type=number]").last.fill("99")
    await dialog.get_by_role("button", name="SCALE").click()
    said = page.locator(".dask-DaskClusterManager").get_by_role("status")
    words = f"all clusters of this hub together may have {compute_worker_limit()} workers at once"
    await expect(said).to_contain_text(words, timeout=MS)
    await expect(said).to_contain_text(f"Adapting up to {compute_worker_limit()}.")
    await expect(said).to_be_in_viewport()
    listed = page.locator(".dask-ClusterListingItem")
    await expect(listed).to_contain_text(f"Maximum Workers: {compute_worker_limit()}")


async def join_by_the_code_button(page: Page) -> None:
    """Have the panel write its line into the notebook, and run it: the cluster computes."""
    cells = page.locator(".jp-NotebookPanel .jp-CodeCell")
    before = await cells.first.locator(".cm-content").inner_text()
    await cells.first.locator(".cm-content").click()
    await page.get_by_title("Inject client code for").click()
    written = page.locator(".jp-CodeCell.jp-mod-active .cm-content")
    await expect(written).to_contain_text("client = lab.cluster(")
    # The cell that was there is as it was.
    assert await cells.first.locator(".cm-content").inner_text() == before
    await written.click()
    await page.keyboard.press("Control+End")
    await page.keyboard.press("Enter")
    await page.keyboard.type("client.submit(sum, [40, 2]).result()")
    await page.keyboard.press("Control+Enter")
    output = page.locator(".jp-CodeCell.jp-mod-active .jp-OutputArea-output")
    await expect(output.last).to_contain_text("42", timeout=MS)


async def look_around(page: Page, address: str, pictures: Path) -> None:
    """Open the whole dashboard, and go from page to page in it."""
    lost: list[str] = []
    blocked: list[tuple[str, str | None]] = []

    def lose(request: Request) -> None:
        lost.append(request.url)
        if not request.url.startswith(HERE):
            blocked.append((request.url, request.failure))

    page.on("requestfailed", lose)
    page.on("pageerror", lambda error: lost.append(str(error)))
    await page.goto(address.partition("/~")[0] + "/status")
    for tab in ("Workers", "Tasks", "System"):
        await page.get_by_role("link", name=tab, exact=True).click()
        await page.wait_for_url(f"**/{tab.lower()}")
        await expect(page.locator(".bk-Figure, .bk-DataTable").first).to_be_visible(timeout=MS)
    await page.screenshot(path=pictures / "dashboard.png")
    # Nothing of this host may be missing.
    assert lost == []
    # Dask's other pages name a style of another host, which is not to learn of them.
    await page.get_by_role("link", name="Info", exact=True).click()
    await page.wait_for_url("**/info/main/workers.html")
    await expect(page.get_by_text("Workers").first).to_be_visible(timeout=MS)
    assert {urlsplit(url).hostname: why for url, why in blocked} == {"cdnjs.cloudflare.com": "csp"}
