"""The project in JupyterLab, in a browser: files brought in, a notebook shared, a copy opened."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Browser, Dialog, Page, Route, async_playwright, expect
from test_demo import PATIENCE, PROJECT, demo

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
MS = PATIENCE * 1000
PANEL = ".panneuro-Panel"
UPLOADS = re.compile("/panneuro/api/uploads")
UPLOAD = re.compile(r"/panneuro/api/uploads/[0-9a-f]{32}(\?|$)")
BROKEN_OFF = "drop the same files again"
DROP = """() => {
  const dropped = new DataTransfer();
  const options = { lastModified: 1700000000000 };
  dropped.items.add(new File(['a,b\\n1,2\\n'], '<b>one</b>.csv', options));
  dropped.items.add(new File([new Uint8Array(20_000_000)], 'two.bin', options));
  dropped.items.add(new File(['x'], '.DS_Store', options));
  const event = { dataTransfer: dropped, bubbles: true, cancelable: true };
  document.querySelector('.panneuro-Zone').dispatchEvent(new DragEvent('drop', event));
}"""
DROP_ONE = """() => {
  const dropped = new DataTransfer();
  dropped.items.add(new File(['a,b\\n1,2\\n'], 'one.csv', { lastModified: 1700000000000 }));
  const event = { dataTransfer: dropped, bubbles: true, cancelable: true };
  document.querySelector('.panneuro-Zone').dispatchEvent(new DragEvent('drop', event));
}"""
DROP_SECRET = """() => {
  const dropped = new DataTransfer();
  dropped.items.add(new File(["u = 'https://ada:not-a-real-token@example.org'"], 'fetch.py'));
  const event = { dataTransfer: dropped, bubbles: true, cancelable: true };
  document.querySelector('.panneuro-Zone').dispatchEvent(new DragEvent('drop', event));
}"""
SECRET_NOTEBOOK = {
    "nbformat": 4,
    "nbformat_minor": 5,
    "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3"}},
    "cells": [
        {
            "cell_type": "code",
            "id": "a",
            "metadata": {},
            "source": "url = 'https://ada:not-a-real-token@example.org'",
            "execution_count": None,
            "outputs": [],
        }
    ],
}

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")


@asynccontextmanager
async def person(browser: Browser, address: str, name: str, project: str) -> AsyncIterator[Page]:
    """A server of a person's own, with the panel open."""
    context = await browser.new_context(viewport={"width": 1400, "height": 1000})
    page = await context.new_page()
    await page.goto(f"{address}/hub/oauth_login")
    await page.fill("input[name=sub]", name)
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"{address}/hub/**")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    await page.goto(f"{address}/hub/spawn")
    await page.locator(f"input[name=project][value={project}]").check()
    await page.locator("[type=submit]").first.click()
    await page.wait_for_url(f"{address}/user/{name}/lab/**", timeout=MS)
    await page.wait_for_selector(".jp-NotebookPanel", timeout=MS)
    await page.locator('[data-id="panneuro-project"]').click()
    try:
        yield page
    finally:
        await context.close()
    # Neither fonts nor news: nobody outside learns who works here.
    assert not [url for url in asked if not url.startswith((address, "data:", "blob:"))]


async def bring_in(page: Page) -> None:
    """Drop two files, and see that they become a dataset."""
    await expect(page.locator(".panneuro-Zone")).to_contain_text("Drop files", timeout=MS)
    await page.evaluate(DROP)
    form = page.locator(".panneuro-DatasetForm")
    await expect(form).to_contain_text("2 files, 20.0 MB")
    # Nothing would enforce an embargo on one dataset, so the form offers none.
    await expect(form).to_contain_text(f"Everybody who can read {PROJECT} can open it.")
    await expect(form.get_by_label("Embargo")).to_have_count(0)
    await expect(form).to_contain_text("1 of macOS (.DS_Store)")
    await form.get_by_label("Upload them as well").check()
    await expect(form).to_contain_text("3 files, 20.0 MB")
    await form.get_by_label("Upload them as well").uncheck()
    await form.get_by_label("Dataset").fill("dropped")
    await form.get_by_label("Title").fill("<img src=x onerror=alert(1)>")
    await form.get_by_label("Licence").fill("CC0-1.0")
    await form.get_by_role("button", name="Upload").click()
    told = page.locator(".panneuro-Transfer[data-state=done]")
    await expect(told).to_contain_text("2 of 2 files sent", timeout=MS)
    row = page.locator(".panneuro-Dataset", has_text=f"{PROJECT}/dropped")
    # As text: whoever names a dataset writes no markup into others' pages.
    await expect(row).to_contain_text("<img src=x onerror=alert(1)>", timeout=MS)
    assert await page.locator(f"{PANEL} img").count() == 0


class LateAnswers:
    """A connection on which answers about an upload overtake each other, and one is lost."""

    def __init__(self) -> None:
        self._asked = asyncio.Event()
        self._started = asyncio.Event()
        self._looks = 0

    async def forward_request(self, route: Route) -> None:
        """Pass a request on, and hold back what the browser asked before the start."""
        if route.request.method == "POST":
            await asyncio.wait_for(self._asked.wait(), PATIENCE)
            await route.fulfill(response=await route.fetch())
            self._started.set()
            return
        self._looks += 1
        response = await route.fetch()
        if self._looks == 1:
            assert (await response.json())["state"] == "receiving"
            self._asked.set()
            await asyncio.wait_for(self._started.wait(), PATIENCE)
        if self._looks == 2:
            await route.fulfill(status=502, body="a proxy that is busy")
            return
        await route.fulfill(response=response)


class SlowStart:
    """A connection on which the start takes longer than a look, and its answer is lost."""

    def __init__(self) -> None:
        self.looked = asyncio.Event()
        self.go_on = asyncio.Event()
        self._starts = 0

    async def forward_request(self, route: Route) -> None:
        """Pass a request on; the first start waits for `go_on`, and has no answer."""
        if route.request.method == "GET":
            await route.fulfill(response=await route.fetch())
            self.looked.set()
            return
        self._starts += 1
        if self._starts == 1:
            await asyncio.wait_for(self.go_on.wait(), PATIENCE)
            await route.fetch()
            await route.abort()
            return
        await route.continue_()


async def begin_upload(page: Page, dataset: str) -> None:
    """Drop a file, and send it into a dataset."""
    await page.evaluate(DROP_ONE)
    form = page.locator(".panneuro-DatasetForm")
    await form.get_by_label("Dataset").fill(dataset)
    await form.get_by_role("button", name="Upload").click()


async def upload_with_late_answers(page: Page) -> None:
    """See that an upload ends as what it is, in whatever order the answers come."""
    row = page.locator(".panneuro-Transfer").first
    done = page.locator(".panneuro-Transfer[data-state=done]", has_text=f"{PROJECT}/late")

    await page.route(UPLOAD, LateAnswers().forward_request)
    await begin_upload(page, "late")
    await expect(done).to_contain_text("1 of 1 files sent", timeout=MS)
    await page.unroute(UPLOAD)

    slow = SlowStart()
    await page.route(UPLOAD, slow.forward_request)
    await begin_upload(page, "slow")
    await asyncio.wait_for(slow.looked.wait(), PATIENCE)
    await expect(row).to_contain_text("100 % of 8 B to your server")
    await expect(row).not_to_contain_text(BROKEN_OFF)
    slow.go_on.set()
    await expect(row).to_contain_text("1 of 1 files sent", timeout=MS)
    await page.unroute(UPLOAD)


async def insert(page: Page, dataset: str, *, into: int) -> str:
    """Click a dataset while a cell of the notebook is active; gives the code that came."""
    cells = page.locator(".jp-Notebook .jp-Cell")
    await cells.nth(into).click()
    before = await cells.count()
    await page.locator(".panneuro-Dataset", has_text=dataset).click()
    await expect(cells).to_have_count(before + 1)
    lines = page.locator(".jp-Notebook .jp-Cell.jp-mod-active .cm-line")
    await expect(lines.filter(has_text="open(")).to_have_count(1)
    return "\n".join(line.strip() for line in await lines.all_inner_texts()).strip()


async def insert_datasets(page: Page) -> None:
    """See that what is inserted runs where it stands, and imports nothing twice."""
    call = f'lab.open("{PROJECT}/dropped")'
    whole = f"import panneuro_hub.lab as lab\n\n{call}"
    # Above the notebook's own import.
    assert await insert(page, f"{PROJECT}/dropped", into=0) == whole
    # Below what was inserted.
    assert await insert(page, f"{PROJECT}/dropped", into=1) == call


async def hear_the_datasets(page: Page) -> None:
    """See what a screen reader finds: a list of buttons that have the datasets' names."""
    listed = page.get_by_role("list", name="Datasets").get_by_role("listitem")
    button = listed.get_by_role("button", name=f"{PROJECT}/dropped")
    await expect(button).to_have_count(1)
    await expect(listed).to_have_count(await page.locator(".panneuro-Dataset").count())


async def lose_the_server(page: Page) -> None:
    """See that the list of uploads says so while nobody answers, and is whole afterwards."""
    await page.route(UPLOADS, lambda route: route.abort())
    upload = page.locator(".panneuro-Transfer")
    await upload.get_by_role("button", name="Remove from list").click()
    await expect(upload).to_contain_text("It stays: this server cannot be reached", timeout=MS)
    await page.reload()
    await expect(page.locator(".panneuro-Transfers")).to_contain_text(
        "Uploads from before cannot be listed: this server cannot be reached", timeout=MS
    )
    await page.unroute(UPLOADS)
    await page.reload()
    await expect(page.locator(".panneuro-Transfer[data-state=done]")).to_be_visible(timeout=MS)
    await expect(page.locator(".panneuro-Transfers")).not_to_contain_text("cannot be listed")


async def hold_secrets_back(page: Page, address: str, home: Path, pictures: Path) -> None:
    """See that what looks like a secret is named, and is sent only where a person says so."""
    await page.locator('[data-id="panneuro-project"]').click()
    await page.evaluate(DROP_SECRET)
    form = page.locator(".panneuro-DatasetForm")
    await form.get_by_label("Dataset").fill("secret")
    await form.get_by_role("button", name="Upload").click()
    told = page.locator(".panneuro-Transfer", has_text=f"{PROJECT}/secret")
    await expect(told).to_contain_text("fetch.py, line 1: a password or token", timeout=MS)
    await expect(told).not_to_contain_text("not-a-real-token")
    await page.screenshot(path=pictures / "secret-upload.png")
    await told.get_by_role("button", name="Upload all the same").click()
    await expect(told).to_contain_text("1 of 1 files sent", timeout=MS)

    (home / "secret.ipynb").write_text(json.dumps(SECRET_NOTEBOOK))
    await page.goto(f"{address}/user/ada/lab/tree/secret.ipynb")
    notebook = page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")
    await expect(notebook).to_contain_text("not-a-real-token", timeout=MS)
    await notebook.locator(".panneuro-ShareButton").click()
    dialog = page.locator(".jp-Dialog")
    warning = dialog.get_by_role("alert")
    await expect(warning).to_contain_text(
        "secret.ipynb, the code of cell 1: a password", timeout=MS
    )
    await expect(warning).not_to_contain_text("not-a-real-token")
    await page.screenshot(path=pictures / "secret-share.png")
    await dialog.locator(".jp-mod-accept").click()
    await expect(dialog).to_contain_text("nothing was sent, since this looks like secrets")
    await dialog.locator(".jp-mod-accept").click()
    await dialog.get_by_label("Share it all the same").check()
    await dialog.locator(".jp-mod-accept").click()
    await expect(dialog).to_contain_text(f"{PROJECT}/secret@1 is shared", timeout=MS)
    await dialog.locator(".jp-mod-accept").click()


async def share(page: Page) -> str:
    """Share the open notebook; gives its page's address."""
    await page.locator(".panneuro-ShareButton").first.click()
    form = page.locator(".panneuro-ShareForm")
    await expect(form).to_contain_text(f"Everybody who can read {PROJECT}", timeout=MS)
    await expect(form).to_contain_text(f"{PROJECT}/dropped")
    await form.get_by_role("textbox", name="Name in").fill("browser/average")
    await form.get_by_label("Note on this version").fill("from a browser")
    await page.locator(".jp-Dialog-button.jp-mod-accept").click()
    link = page.locator(".panneuro-Told a")
    await expect(link).to_be_visible(timeout=MS)
    address = await link.get_attribute("href")
    await page.locator(".jp-Dialog-button.jp-mod-accept").click()
    return address or ""


async def open_copy(page: Page, address: str, name: str, notebook: str) -> None:
    """Open a copy as a link from a page does."""
    await page.goto(f"{address}/user/{name}/lab?panneuro-copy={notebook}")
    dialog = page.locator(".jp-Dialog")
    await expect(dialog).to_contain_text(notebook, timeout=MS)
    assert "panneuro-copy" not in page.url
    elsewhere = dialog.get_by_text(f"this server works in {PROJECT}")
    await expect(elsewhere).to_have_count(0 if notebook.startswith(f"{PROJECT}/") else 1)
    await dialog.get_by_role("button", name="Open a copy").click()


async def test_files_come_in_a_notebook_goes_out_and_a_copy_comes_back(tmp_path: Path) -> None:
    homes = tmp_path / ".demo" / "homes"
    with demo(tmp_path) as (_, _, address):
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(
                executable_path=CHROMIUM, args=["--no-sandbox"] if os.geteuid() == 0 else []
            )
            async with person(browser, address, "ada", PROJECT) as page:
                alerts: list[str] = []

                async def listen(dialog: Dialog) -> None:
                    if dialog.type == "beforeunload":  # JupyterLab's own, with an unsaved notebook
                        await dialog.accept()
                    else:
                        alerts.append(dialog.message)
                        await dialog.dismiss()

                page.on("dialog", listen)
                await expect(page.locator(PANEL)).to_contain_text("ada, level manage", timeout=MS)
                await bring_in(page)
                await lose_the_server(page)
                await upload_with_late_answers(page)
                await hear_the_datasets(page)
                await insert_datasets(page)
                shared = await share(page)
                assert shared == f"{address}/services/panneuro/notebooks/{PROJECT}/browser/average"
                await page.screenshot(path=tmp_path / "shared.png")
                await page.locator(f'[data-id="panneuro-shared-{PROJECT}"]').click()
                browser_of_project = page.locator(f"#panneuro-shared-{PROJECT}")
                await expect(browser_of_project).to_contain_text("dropped", timeout=MS)
                await page.screenshot(path=tmp_path / "tree.png")
                own = homes / "ada" / "projects" / PROJECT
                await hold_secrets_back(page, address, own, tmp_path)
                assert alerts == []
            async with person(browser, address, "tomas", PROJECT) as page:
                # Who only reads is told so, and is offered nothing.
                zone = page.locator(".panneuro-Zone")
                await expect(zone).to_contain_text("Nothing can be brought in here:", timeout=MS)
                assert await zone.get_by_role("button").count() == 0
                await page.locator(".panneuro-ShareButton").first.click()
                refusal = page.locator(".jp-Dialog")
                await expect(refusal).to_contain_text(f"You cannot write in {PROJECT}", timeout=MS)
                await page.screenshot(path=tmp_path / "refused.png")
                await open_copy(page, address, "tomas", f"{PROJECT}/browser/average@1")
                tab = page.locator(".lm-DockPanel-tabBar .lm-TabBar-tabLabel")
                opened = tab.filter(has_text=re.compile(r"^average\.ipynb$"))
                await expect(opened).to_be_visible(timeout=MS)
                await page.screenshot(path=tmp_path / "copy.png")
                copy = json.loads(
                    (homes / "tomas" / "projects" / PROJECT / "average.ipynb").read_text()
                )
                sources = ["".join(cell["source"]) for cell in copy["cells"]]
                assert any(f'lab.open("{PROJECT}/dropped")' in source for source in sources)
                await open_copy(page, address, "tomas", "human-intracranial/secret@1")
                await expect(page.locator(".jp-Dialog")).to_contain_text(
                    "human-intracranial", timeout=MS
                )
                await expect(page.locator(".jp-Dialog")).to_contain_text("There is no copy")
            await browser.close()
