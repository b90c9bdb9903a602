"""Dropped files become a dataset; a notebook about it is shared, copied, and refused to others."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import nbformat
import pytest
from playwright.async_api import Browser, Locator, Page, async_playwright, expect
from test_demo import PATIENCE, PROJECT, demo

from panneuro_hub.devstack.hub_visitor import visit_hub
from panneuro_hub.devstack.kernel_client import start_kernel
from panneuro_hub.devstack.samples.recordings import find_nitime_data

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
MS = PATIENCE * 1000
FILES = ("grasshopper_spike_times1.txt", "grasshopper_spike_times2.txt")
DATASET = "spike-times"
ELSEWHERE = "human-intracranial/resting-state"
TITLE = "Spike times of two recordings"
NOTEBOOK = "intervals"
HEADING = "How regular are the spikes?"
NOT_RUN = "[ ]:"  # before a cell
TRIES = 6
WIDE = {"width": 1280, "height": 900}

DROP = """(zone, files) => {
    const transfer = new DataTransfer();
    for (const [name, content] of files) {
        transfer.items.add(new File([content], name, {type: 'text/plain'}));
    }
    for (const kind of ['dragenter', 'dragover', 'drop']) {
        zone.dispatchEvent(
            new DragEvent(kind, {dataTransfer: transfer, bubbles: true, cancelable: true})
        );
    }
}"""

READ_PAST_LAB = """
import panneuro_hub.lab as lab
bucket = lab.session().prefix.split("/")[2]
for path in ({paths}):
    try:
        lab.filesystem().cat_file(f"{{bucket}}/{{path}}")
        print("READ", path)
    except Exception as refusal:
        print("403" if "403" in str(refusal) else repr(refusal))
"""


@dataclass(frozen=True)
class Stage:
    """A browser, the demo's address, and where pictures of what was seen go."""

    browser: Browser
    address: str
    pictures: Path

    @asynccontextmanager
    async def person(self, name: str) -> AsyncIterator[Page]:
        """A page of a browser in which somebody is logged in."""
        async with await self.browser.new_context(viewport=WIDE) as context:
            page = await context.new_page()
            page.set_default_timeout(MS)
            await page.goto(f"{self.address}/hub/oauth_login?next=%2Fhub%2Fhome")
            await page.fill("input[name=sub]", name)
            await page.keyboard.press("Enter")
            await page.wait_for_url(f"{self.address}/hub/home")
            yield page

    def page(self, path: str) -> str:
        """The address of one of the service's pages."""
        return f"{self.address}/services/panneuro/{path}"

    async def picture(self, page: Page, name: str) -> None:
        """Keep a picture, for who looks into a failure."""
        await page.screenshot(path=self.pictures / f"{name}.png")


def write_notebook(home: Path) -> None:
    """A notebook that nobody has run, which uses the dataset that is to come."""
    cells = [
        nbformat.v4.new_markdown_cell(f"# {HEADING}\n\nThe intervals between spikes."),
        nbformat.v4.new_code_cell(
            "import io\n\nimport matplotlib.pyplot as plt\nimport numpy as np\n\n"
            "import panneuro_hub.lab as lab"
        ),
        nbformat.v4.new_code_cell(f'recordings = lab.open("{PROJECT}/{DATASET}")\nrecordings'),
        nbformat.v4.new_code_cell(
            "fig, ax = plt.subplots(figsize=(7, 3), layout='constrained')\n"
            "for name in recordings.find('*.txt'):\n"
            "    spikes = np.loadtxt(io.StringIO(recordings.open(name))) / 1000  # ms\n"
            "    print(f'{name}: {spikes.size} spikes')\n"
            "    ax.hist(np.diff(spikes), np.arange(0, 30, 0.5), histtype='step', label=name)\n"
            "ax.set(xlabel='interval (ms)', ylabel='intervals')\n"
            "ax.legend(frameon=False)\n"
            "plt.show()"
        ),
    ]
    notebook = nbformat.v4.new_notebook(cells=cells)
    notebook.metadata.kernelspec = {
        "display_name": "Python 3",
        "language": "python",
        "name": "python3",
    }
    nbformat.write(notebook, home / f"{NOTEBOOK}.ipynb")


async def start_server(stage: Stage, page: Page, name: str) -> None:
    """Start a server by the form, and come into JupyterLab."""
    await page.goto(f"{stage.address}/hub/spawn")
    await page.locator(f"input[name=project][value={PROJECT}]").check()
    await page.locator("[type=submit]").first.click()
    await page.wait_for_url(f"{stage.address}/user/{name}/lab**")
    await page.wait_for_selector(".jp-NotebookPanel:visible")


async def drop_files(stage: Stage, page: Page) -> None:
    """Drop two files on the panel, say what they are, and see them become a dataset."""
    await page.locator('[data-id="panneuro-project"]').click()
    zone = page.locator(".panneuro-Zone")
    await expect(zone).to_contain_text("Drop files or a folder here")
    await stage.picture(page, "1-panel")
    await zone.evaluate(DROP, [[name, (find_nitime_data() / name).read_text()] for name in FILES])
    form = page.locator(".panneuro-DatasetForm")
    await expect(form).to_contain_text("2 files")
    await form.get_by_label("Dataset").fill(DATASET)
    await form.get_by_label("Title").fill(TITLE)
    await form.get_by_label("Licence").fill("BSD-3-Clause")
    await stage.picture(page, "2-form")
    await form.get_by_role("button", name="Upload").click()
    await expect(page.locator(".panneuro-Transfer[data-state=done]")).to_contain_text(
        "2 of 2 files sent"
    )
    await expect(page.locator(".panneuro-Dataset", has_text=DATASET)).to_contain_text(TITLE)
    await stage.picture(page, "3-uploaded")


async def list_files(stage: Stage, page: Page) -> None:
    """See the project's files in the file browser."""
    await page.locator(f'[data-id="panneuro-shared-{PROJECT}"]').click()
    await expect(page.locator(f"#panneuro-shared-{PROJECT}")).to_contain_text(DATASET)
    await stage.picture(page, "4-files")


async def find_dataset(stage: Stage, page: Page) -> None:
    """Look for it on the service's page, and on its own."""
    await page.goto(stage.page("datasets?q=spike+times"))
    await expect(page.locator("body")).to_contain_text(TITLE)
    await stage.picture(page, "5-datasets")
    await page.get_by_role("link", name=TITLE).first.click()
    for name in FILES:
        await expect(page.locator("body")).to_contain_text(name)
    await stage.picture(page, "6-dataset")


async def run_all_cells(page: Page, shown: Locator) -> None:
    """Ask until it is done: JupyterLab passes over what it is asked while it restores itself."""
    prompt = shown.locator(".jp-CodeCell .jp-InputPrompt").first
    for _ in range(TRIES):
        await page.get_by_text("Run", exact=True).click()
        await page.get_by_text("Run All Cells", exact=True).click()
        with suppress(AssertionError):
            await expect(prompt).not_to_have_text(NOT_RUN, timeout=MS / TRIES)
            return
        await page.keyboard.press("Escape")  # a menu that is still open
    pytest.fail(f"JupyterLab ran nothing when it was asked to {TRIES} times")


async def run_and_share(stage: Stage, page: Page) -> None:
    """Run the notebook, which opens the dataset, and share it with the project."""
    await page.goto(f"{stage.address}/user/ada/lab/tree/{NOTEBOOK}.ipynb")
    shown = page.locator(".jp-NotebookPanel:visible")
    await expect(shown).to_contain_text(HEADING)
    # The indicator alone says "idle" before it knows of a kernel.
    await expect(shown).to_contain_text("Kernel status: Idle")
    await run_all_cells(page, shown)
    await expect(shown).to_contain_text(f"{FILES[1]}: 868 spikes")
    await expect(shown.locator(".jp-OutputArea img")).to_be_visible()
    await stage.picture(page, "7-run")
    await page.locator(".panneuro-ShareButton:visible").click()
    dialog = page.locator(".jp-Dialog")
    await expect(dialog).to_contain_text(f"{PROJECT}/{DATASET}")
    await dialog.get_by_label("Other datasets").fill(ELSEWHERE)
    await stage.picture(page, "8-share")
    await dialog.get_by_role("button", name="Share").click()
    await expect(dialog).to_contain_text(f"{PROJECT}/{NOTEBOOK}@1 is shared")
    await stage.picture(page, "9-shared")
    await dialog.get_by_role("button", name="Close").click()


async def look_at_gallery(stage: Stage, page: Page) -> None:
    """Find the notebook in the gallery, and read it as it was run."""
    await page.goto(stage.page("notebooks"))
    await expect(page.locator("body")).to_contain_text(HEADING)
    await stage.picture(page, "10-gallery")
    await page.get_by_role("link", name=HEADING).first.click()
    await page.wait_for_url(stage.page(f"notebooks/{PROJECT}/{NOTEBOOK}**"))
    frame = page.frame_locator("iframe")
    await expect(frame.locator("body")).to_contain_text("868 spikes")
    await expect(frame.locator("img").first).to_be_visible()
    who_cannot = page.locator("#who-cannot")
    await expect(who_cannot).to_contain_text("human-intracranial: ada")
    await expect(who_cannot).to_contain_text("nhp-navigation does not read human-intracranial")
    await stage.picture(page, "11-notebook")


async def open_copy(stage: Stage, page: Page, name: str) -> None:
    """From the notebook's page, through the start form, to a copy in one's own server."""
    await page.get_by_role("link", name=re.compile("open a copy", re.IGNORECASE)).first.click()
    await page.wait_for_url(f"{stage.address}/hub/spawn/**")
    await expect(page.locator(f"input[name=project][value={PROJECT}]")).to_be_checked()
    await stage.picture(page, "12-start-for-copy")
    await page.locator("[type=submit]").first.click()
    dialog = page.locator(".jp-Dialog")
    await expect(dialog).to_contain_text(f"{PROJECT}/{NOTEBOOK}@1")
    await expect(dialog).to_contain_text("Open a copy?")
    await stage.picture(page, "13-copy-asked")
    await dialog.get_by_role("button", name="Open a copy").click()
    shown = page.locator(".jp-NotebookPanel:visible")
    await expect(shown).to_contain_text(HEADING)
    await expect(shown).to_contain_text("868 spikes")
    assert page.url.startswith(f"{stage.address}/user/{name}/lab")
    await stage.picture(page, "14-copy")


async def be_refused_by_page(stage: Stage, page: Page) -> None:
    """Neither notebook nor dataset is shown, and the page says why and whom to ask."""
    for path in (f"notebooks/{PROJECT}/{NOTEBOOK}", f"datasets/{PROJECT}/{DATASET}"):
        answer = await page.goto(stage.page(path))
        assert answer is not None
        assert answer.status == 403
        body = page.locator("body")
        await expect(body).to_contain_text("you are not in navigation-lab")
        await expect(body).to_contain_text("Ask Monkey navigation laboratory.")
        assert HEADING not in await body.inner_text()
        assert TITLE not in await body.inner_text()
        await stage.picture(page, f"15-refused-{path.partition('/')[0]}")
    for path in ("rendered", "previews", "copies"):
        answer = await page.request.get(stage.page(f"{path}/{PROJECT}/{NOTEBOOK}"))
        assert answer.status == 403
    await page.goto(stage.page("notebooks"))
    await expect(page.locator("body")).to_contain_text("Navigation in virtual reality")
    await expect(page.locator("body")).not_to_contain_text(HEADING)
    await stage.picture(page, "16-gallery-of-another")


async def be_refused_by_store(address: str, name: str, project: str) -> None:
    """Asked past everything that is ours, the store itself gives nothing."""
    paths = (
        f"{PROJECT}/{DATASET}/{FILES[0]}",
        f"{PROJECT}/.panneuro/notebooks/{NOTEBOOK}/0001.ipynb",
        f"{PROJECT}/.panneuro/catalog/{DATASET}.json",
    )
    async with visit_hub(address) as person:
        await person.log_in(name)
        await person.start({"project": project, f"profile--{project}": "small"})
        async with start_kernel(person, await person.enter()) as python:
            source = READ_PAST_LAB.format(paths=", ".join(map(repr, paths)))
            assert (await python.run(source)).text.split() == ["403"] * len(paths)


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")
async def test_data_comes_in_and_a_notebook_about_it_goes_round(tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    expect.set_options(timeout=MS)
    with demo(tmp_path) as (_, _, address):
        write_notebook(tmp_path / ".demo/homes/ada/projects" / PROJECT)
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(
                executable_path=CHROMIUM, args=["--no-sandbox"] if os.geteuid() == 0 else []
            )
            stage = Stage(browser, address, pictures)
            async with stage.person("ada") as page:
                await start_server(stage, page, "ada")
                await drop_files(stage, page)
                await list_files(stage, page)
                await find_dataset(stage, page)
                await run_and_share(stage, page)
                await look_at_gallery(stage, page)
            async with stage.person("tomas") as page:
                await look_at_gallery(stage, page)
                await open_copy(stage, page, "tomas")
            async with stage.person("grace") as page:
                await be_refused_by_page(stage, page)
            await be_refused_by_store(address, "grace", "human-intracranial")
            await browser.close()
