"""How pages look in a browser: on a phone and a desk, in light and dark, and to a screen reader."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import nbformat
import pytest
from conftest import GOLDEN
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from playwright.async_api import Page, async_playwright

from panneuro_hub.service.browse import notebook_html
from panneuro_hub.service.device_login.login_pages import (
    AllLoginsView,
    LoginPageView,
    render_all_logins,
    render_decision,
    render_login,
)
from panneuro_hub.service.device_login.login_store import DeviceLogin, LoginRequest
from panneuro_hub.service.web.page_rendering import PageContext, render_problem

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
AROUND = PageContext("/hub/", "/services/panneuro/")
NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
HUB_STYLE = Path(sys.prefix, "share/jupyterhub/static/css/style.min.css")

# What is wider than the page, unless it scrolls in a box of its own, and what is hard to read.
FAULTS = """() => {
  const faults = [];
  const root = document.documentElement;
  const wider = root.scrollWidth - root.clientWidth;
  if (wider > 0) faults.push(`wider by ${wider}`);
  const parse = text => {
    const [r, g, b, a = 1] = text.match(/[\\d.]+/g).map(Number);
    return [r, g, b, a];
  };
  const over = (top, below) =>
    [0, 1, 2].map(i => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);
  const light = c => {
    const [r, g, b] = c.slice(0, 3).map(v => {
      v /= 255;
      return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const dark = matchMedia('(prefers-color-scheme: dark)').matches;
  const canvas = dark ? [18, 18, 18, 1] : [255, 255, 255, 1];
  const words = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (words.nextNode()) {
    const element = words.currentNode.parentElement;
    if (!words.currentNode.data.trim() || !element.checkVisibility()) continue;
    if (element.closest('style, [aria-hidden=true]')) continue;
    const chain = [];
    for (let one = element; one; one = one.parentElement) chain.unshift(one);
    const ground = chain.reduce(
      (below, one) => over(parse(getComputedStyle(one).backgroundColor), below), canvas);
    const style = getComputedStyle(element);
    const ink = parse(style.color);
    ink[3] *= chain.reduce((all, one) => all * Number(getComputedStyle(one).opacity), 1);
    const [a, b] = [light(over(ink, ground)), light(ground)];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    if (ratio < (large ? 3 : 4.5)) {
      faults.push(`${ratio.toFixed(2)}: ${words.currentNode.data.trim().slice(0, 40)}`);
    }
  }
  return faults;
}"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here"),
]


def login() -> DeviceLogin:
    return DeviceLogin("1", "ada", "a-laptop-with-a-long-name.example.org", NOW, NOW, NOW)


def notebook() -> bytes:
    """A notebook with every colour of code, and a failure that is wider than a phone."""
    failure = "\x1b[31mred\x1b[0m \x1b[32mgreen\x1b[0m \x1b[33myellow\x1b[0m \x1b[34mblue\x1b[0m"
    code = new_code_cell(
        "# a comment\nimport numpy as np\nclass A:\n    x = 1 + len('text')",
        execution_count=1,
        outputs=[new_output("error", ename="E", evalue="e", traceback=[failure, "wide " * 60])],
    )
    table = (
        "| " + " | ".join("abcdefghijkl") + " |\n" + "|---" * 12 + "|\n" + "| wide-cell " * 12 + "|"
    )
    cells = [new_markdown_cell(f"# Title\n\n{'long' * 60}\n\n{table}"), code]
    return nbformat.writes(new_notebook(cells=cells)).encode()


def pages() -> dict[str, str]:
    """The service's pages, with what there is on them at most."""
    waiting = LoginRequest("ABCD-EFGH", "laptop", NOW)
    view = LoginPageView("ada", [login()], "x", "/login", is_admin=True, problem="no such code")
    made = {
        "problem": render_problem("This cannot be shown", "no access: " + "reason " * 30),
        "allowed": render_decision(AROUND, allowed=True),
        "denied": render_decision(AROUND, allowed=False),
        "login": render_login(view, AROUND),
        "confirm": render_login(
            LoginPageView("ada", [], "x", "/login", is_admin=False, request=waiting, key="k"),
            AROUND,
        ),
        "notebook": notebook_html.render_notebook_html(notebook()),
        "logins": render_all_logins(AllLoginsView("pat", "", [login()], "x", "/logins"), AROUND),
    }
    return made | {
        path.stem: path.read_text("utf-8") for path in sorted(GOLDEN.glob("*page*.html"))
    }


def hub_pages() -> dict[str, str]:
    """The start form, in JupyterHub's own style."""
    style = HUB_STYLE.read_text("utf-8")
    return {
        path.stem: (
            '<!doctype html><html lang="en"><meta name="viewport" content="width=device-width">'
            f"<style>{style}</style><body><div class='container'><form>{path.read_text('utf-8')}"
            "<input type=submit class='btn btn-jupyter form-control' value=Start></form></div>"
        )
        for path in sorted(GOLDEN.glob("start-form*.html"))
    }


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox"] if os.geteuid() == 0 else []
        )
        yield await browser.new_page()
        await browser.close()


async def test_pages_are_readable_on_a_phone_and_in_the_dark(page: Page) -> None:
    faults = {}
    for scheme in ("light", "dark"):
        await page.emulate_media(color_scheme=scheme)
        for name, content in [*pages().items(), *hub_pages().items()]:
            await page.set_content(content)
            await page.evaluate("theme => document.documentElement.dataset.bsTheme = theme", scheme)
            for width in (375, 1280):
                await page.set_viewport_size({"width": width, "height": 800})
                found = await page.evaluate(FAULTS)
                if found:
                    faults[name, scheme, width] = found
    assert faults == {}


async def test_a_success_is_no_alert_and_a_problem_is_one(page: Page) -> None:
    await page.set_content(pages()["allowed"])
    assert await page.get_by_role("alert").count() == 0
    status = page.get_by_role("status")
    assert "logged in now" in await status.inner_text()
    green = await status.evaluate("one => getComputedStyle(one).borderLeftColor")
    await page.set_content(pages()["problem"])
    problem = page.get_by_role("alert")
    assert "no access" in (await problem.inner_text()).lower()
    assert await problem.evaluate("one => getComputedStyle(one).borderLeftColor") != green
