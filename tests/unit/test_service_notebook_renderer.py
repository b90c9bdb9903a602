"""Making a page is a process's work: what it takes is bounded, what it can know is nothing."""

from __future__ import annotations

import asyncio
import json
import sys

import pytest
from hostile_notebooks import checked, no_notebooks, too_much
from shared_notebooks import code, ipynb, markdown

from panneuro_hub.catalog.notebook_records import LARGEST_NOTEBOOK
from panneuro_hub.errors import ServiceUnavailableError
from panneuro_hub.service.browse import notebook_renderer
from panneuro_hub.service.browse.notebook_renderer import (
    NotebookRenderer,
    UnrenderableNotebookError,
)

pytestmark = pytest.mark.slow

# What a page of each says of what it leaves out.
CUT = {
    "long-output": "29,900,000 more characters are not shown",
    "long-lines": "19,900,000 more characters are not shown",
    "long-html": "Not shown: a part that needs scripts",
    "deep-html": "Not shown: elements that are nested too deeply",
    "deep-markdown": "Not shown: elements that are nested too deeply",
    "many-cells": "99,000 more cells are not shown",
    "many-outputs": "99,800 more outputs are not shown",
    "many-streams": "100,000 more characters are not shown",
    "many-pictures": "500 more cells are not shown",
    "large-picture": "Not shown: a picture that is too large",
}
TOO_MUCH = too_much()


@pytest.mark.parametrize("name", TOO_MUCH)
async def test_a_notebook_that_is_too_much_is_cut(name: str) -> None:
    assert len(TOO_MUCH[name]) <= LARGEST_NOTEBOOK
    # On a busy machine a second of computing takes many.
    page = await NotebookRenderer(seconds=500).render(TOO_MUCH[name])
    checked(page)
    assert len(page) < 30_000_000
    assert CUT.get(name, "") in page


@pytest.mark.parametrize("name", ["nothing", "bytes", "deep", "utf-8", "format-3"])
async def test_what_is_no_notebook_is_refused_with_the_reason(name: str) -> None:
    with pytest.raises(UnrenderableNotebookError, match=r"^the notebook"):
        await NotebookRenderer().render(no_notebooks()[name])


async def test_a_file_that_is_too_large_is_not_even_begun() -> None:
    with pytest.raises(UnrenderableNotebookError, match="too large to be shown"):
        await NotebookRenderer(memory=0).render(b" " * (LARGEST_NOTEBOOK + 1))


async def test_what_takes_too_much_memory_ends_there() -> None:
    lists = json.dumps({"nbformat": 4, "cells": [], "x": []}).encode()
    notebook = lists.replace(b'"x": []', b'"x": [' + b"[]," * 9_000_000 + b"[]]")
    assert len(notebook) < LARGEST_NOTEBOOK
    with pytest.raises(UnrenderableNotebookError, match="too much to be made a page"):
        await NotebookRenderer().render(notebook)


async def test_what_takes_too_long_is_ended() -> None:
    with pytest.raises(UnrenderableNotebookError, match="takes too long"):
        await NotebookRenderer(seconds=0.01).render(ipynb(markdown("x")))


async def test_who_stops_waiting_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    began: list[asyncio.subprocess.Process] = []
    begun = asyncio.Event()
    begin = asyncio.create_subprocess_exec

    async def noted(*arguments: object, **more: object) -> asyncio.subprocess.Process:
        began.append(await begin(*arguments, **more))  # type: ignore[arg-type]
        begun.set()
        return began[-1]

    monkeypatch.setattr(asyncio, "create_subprocess_exec", noted)
    renderer = NotebookRenderer(at_once=1, waiting=1)
    task = asyncio.create_task(renderer.render(ipynb(markdown("x"))))
    await asyncio.wait_for(begun.wait(), 60)
    with pytest.raises(ServiceUnavailableError, match="many notebooks are being made ready"):
        await renderer.render(ipynb(markdown("y")))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert began[0].returncode is not None
    assert "y</p>" in await renderer.render(ipynb(markdown("y")))


async def test_the_process_knows_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[dict[str, str]] = []
    begin = asyncio.create_subprocess_exec

    async def noted(*arguments: object, **more: object) -> asyncio.subprocess.Process:
        seen.append(more["env"])  # type: ignore[arg-type]
        return await begin(*arguments, **more)  # type: ignore[arg-type]

    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "secret")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setattr(asyncio, "create_subprocess_exec", noted)
    await NotebookRenderer().render(ipynb(code("1")))
    assert "secret" not in seen[0].values()
    assert {name for name in seen[0] if name.startswith(("AWS", "JUPYTERHUB", "PANNEURO"))} == set()


@pytest.mark.parametrize(
    "program",
    [
        "import os; os._exit(7)",
        "import os; os.kill(os.getpid(), 9)",
        "print('x' * 10_000_000)",
        "import sys; sys.stdin.buffer.read(); sys.exit('no words for people')",
    ],
)
async def test_a_process_that_fails_is_that_notebook_s_failure(
    program: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = asyncio.create_subprocess_exec

    async def other(*_: object, **more: object) -> asyncio.subprocess.Process:
        return await begin(sys.executable, "-c", program, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(notebook_renderer, "_LARGEST_PAGE", 1000)
    monkeypatch.setattr(asyncio, "create_subprocess_exec", other)
    with pytest.raises(
        UnrenderableNotebookError, match=r"^the notebook is too much to be made a page"
    ):
        await NotebookRenderer().render(ipynb(code("1" * 10_000_000)))
