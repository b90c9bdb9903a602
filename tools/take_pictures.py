"""Take the pictures of the documentation from a running demo: make pictures.

It starts a demo of its own, on free ports and in a temporary folder, and uses Chromium. Look at
each picture before you commit it.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from playwright.async_api import Page, async_playwright, expect

from panneuro_hub.demo.running_demo import NOTEBOOK, run_demo
from panneuro_hub.devstack.hub_visitor import visit_hub
from panneuro_hub.devstack.kernel_client import start_kernel

PICTURES = Path(__file__).parents[1] / "docs" / "images"
PERSON, PROJECT, CLOSED = "ada", "nhp-navigation", "human-intracranial"
TIMEOUT_MS = 120_000
PREPARE = f"""
import nbformat, pathlib, subprocess
cells = [
    nbformat.v4.new_code_cell("import panneuro_hub.lab as lab\\n\\nlab.datasets()"),
    nbformat.v4.new_code_cell('lab.open("{CLOSED}/session-1")'),
]
notebook = nbformat.v4.new_notebook(cells=cells)
notebook.metadata.kernelspec = dict(display_name="Python 3", language="python", name="python3")
home = pathlib.Path.home()
nbformat.write(notebook, home / "refusal.ipynb")
print(subprocess.run(["panneuro", "share", "{NOTEBOOK}", "--allow-secrets"], cwd=home,
                     capture_output=True, text=True))
"""


async def take_pictures(address: str) -> None:
    """Walk through the demo as one person, and take a picture at each stop."""
    executable = shutil.which("chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable)
        context = await browser.new_context(
            viewport={"width": 1100, "height": 720}, device_scale_factor=1.25
        )
        page = await context.new_page()
        page.set_default_timeout(TIMEOUT_MS)
        await page.goto(f"{address}/hub/oauth_login?next=%2Fhub%2Fspawn")
        await page.fill("input[name=sub]", PERSON)
        await page.keyboard.press("Enter")
        await page.wait_for_url(f"{address}/hub/spawn")
        await page.locator(f"input[name=project][value={PROJECT}]").check()
        await _picture(page, "start")
        await page.locator("[type=submit]").first.click()
        await page.wait_for_url(f"{address}/user/{PERSON}/lab**")
        await page.wait_for_selector(".jp-NotebookPanel:visible")
        await page.locator('[data-id="panneuro-project"]').click()
        await expect(page.locator(".panneuro-Zone")).to_be_visible()
        await _run_all_cells(page)
        plot = page.locator(".jp-OutputArea-output img").first
        await expect(plot).to_be_visible(timeout=TIMEOUT_MS)
        await page.wait_for_timeout(2000)  # the page moves with the cells that still run
        await plot.scroll_into_view_if_needed()
        await _picture(page, "panel")
        await page.keyboard.press("Control+s")
        await page.wait_for_timeout(2000)  # it is saved, with its plot
        await _prepare(address)
        await page.goto(f"{address}/user/{PERSON}/lab/tree/refusal.ipynb?reset")
        await page.wait_for_selector(".jp-NotebookPanel:visible")
        await _run_all_cells(page)
        refusal = page.locator(".jp-OutputArea-output").filter(has_text="AccessDenied")
        await expect(refusal.first).to_be_visible(timeout=TIMEOUT_MS)
        await _picture(page, "refusal")
        await page.goto(f"{address}/services/panneuro/notebooks")
        await page.wait_for_timeout(1000)  # the preview is loaded
        await _picture(page, "notebooks")
        await browser.close()


async def _prepare(address: str) -> None:
    """Write the notebook of the refusal, and share the example, in the running server."""
    async with visit_hub(address) as person:
        await person.log_in(PERSON)
        server = await person.enter()
        async with start_kernel(person, server) as python:
            print(await python.run(PREPARE))


async def _run_all_cells(page: Page) -> None:
    """Ask until it happens: JupyterLab ignores requests while it restores itself."""
    prompt = page.locator(".jp-NotebookPanel:visible .jp-CodeCell .jp-InputPrompt").first
    for _ in range(10):
        await page.get_by_text("Run", exact=True).first.click()
        await page.get_by_text("Run All Cells", exact=True).click()
        with suppress(AssertionError):
            await expect(prompt).not_to_have_text("[ ]:", timeout=TIMEOUT_MS / 10)
            return
        await page.keyboard.press("Escape")  # a menu that is still open
    raise SystemExit("JupyterLab ran nothing")


async def _picture(page: Page, name: str) -> None:
    await page.screenshot(path=PICTURES / f"{name}.png")
    print(f"docs/images/{name}.png")


def main() -> None:
    """Run a demo and take all pictures."""
    with (
        tempfile.TemporaryDirectory(prefix="panneuro-pictures-") as folder,
        run_demo(Path(folder), 300, print) as demo,
    ):
        asyncio.run(take_pictures(demo.hub_url))


if __name__ == "__main__":
    main()
