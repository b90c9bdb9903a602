"""`panneuro login` at a real hub, through a browser's page, and what the login is good for."""

from __future__ import annotations

import asyncio
import json
import os
import re
import stat
import sys
from asyncio.subprocess import PIPE, Process
from dataclasses import replace
from pathlib import Path

import pytest
from hubs import Hub
from people import ask, logged_in

from panneuro_hub.devstack.html_forms import FormField, find_form

pytestmark = pytest.mark.asyncio(loop_scope="module")

SERVICE = "/services/panneuro"


def environment(folder: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "PANNEURO_"))}
    return kept | {"XDG_CONFIG_HOME": str(folder / "config"), "HOME": str(folder)}


async def start(folder: Path, *arguments: object) -> Process:
    """`panneuro`, on somebody's own machine."""
    command = [sys.executable, "-m", "panneuro_hub.client", *map(str, arguments)]
    return await asyncio.create_subprocess_exec(
        *command, env=environment(folder), stdout=PIPE, stderr=PIPE
    )


async def run(folder: Path, *arguments: object) -> tuple[int | None, str, str]:
    process = await start(folder, *arguments)
    output, errors = await process.communicate()
    return process.returncode, output.decode(), errors.decode()


async def asked_for(process: Process) -> tuple[str, str]:
    """The page and the code that `panneuro login` prints."""
    assert process.stderr is not None
    lines = [(await process.stderr.readline()).decode() for _ in range(2)]
    page = re.search(r"(http\S+)", lines[0])
    code = re.search(r"([A-Z]{4}-[A-Z]{4})", lines[1])
    assert page, lines
    assert code, lines
    return page[1], code[1]


async def test_a_login_uploads_and_ends(hub: Hub, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "a.txt").write_text("from outside")
    assert (await run(tmp_path, "upload", source, "nhp-navigation/outside"))[0] == 3
    async with logged_in(hub, "ada") as ada:
        process = await start(tmp_path, "login", hub.url, "--no-browser")
        address, code = await asked_for(process)
        assert code not in address
        assert "is logged in now" in (await ada.visitor.decide_login(address, code)).text
        output, _ = await asyncio.wait_for(process.communicate(), 60)
        assert process.returncode == 0
        assert output.decode().startswith("You are ada at ")
        kept = next((tmp_path / "config").rglob("login.json"))
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600
        token = json.loads(kept.read_text())["token"]
        status, output, errors = await run(
            tmp_path, "upload", source, "nhp-navigation/outside", "--title", "Out", "--json"
        )
        assert status == 0, errors
        assert json.loads(output)["sha256"]
        status, output, errors = await run(
            tmp_path, "download", "nhp-navigation/outside", tmp_path / "t"
        )
        assert (tmp_path / "t" / "a.txt").read_text() == "from outside", errors
        status, _, errors = await run(tmp_path, "upload", source, "human-intracranial/mine")
        assert (status, "human-intracranial" in errors) == (3, True)
        status, _, errors = await run(tmp_path, "upload", source, "shared-stimuli/mine")
        assert (status, "nothing can be written" in errors) == (3, True), errors
        assert "nhp-navigation" in (await run(tmp_path, "ls"))[1]
        status, output, _ = await run(tmp_path, "whoami", "--json")
        assert json.loads(output)["user"] == "ada"
        rows = hub.ledger("ada")
        assert any("upload" in row["reason"] for row in rows)
        assert all(token not in str(row) for row in rows)
        assert token not in hub.log
        assert (await run(tmp_path, "logout"))[0] == 0
        assert not kept.exists()
        shown = f"panneuro-login {token}"
        gone = await ask(
            "GET", f"{hub.service_url}/api/login", authorization=f"panneuro-login {token}"
        )
        assert gone.status == 401
        begun = await ask(
            "POST", f"{hub.service_url}/api/uploads", {"project": "nhp-navigation"},
            authorization=shown,
        )  # fmt: skip
        assert begun.status == 401


async def test_a_forged_form_allows_nothing(hub: Hub) -> None:
    asked = (await ask("POST", f"{hub.service_url}/api/login", {"host": "<b>evil"})).json
    async with logged_in(hub, "ada") as ada:
        visitor = ada.visitor
        page = await visitor.open(f"{SERVICE}/login?code={asked['user_code']}")
        assert asked["user_code"] not in page.body
        typed = {"code": asked["user_code"], "do": "code"}
        form = find_form(page.body, typed)
        # A form that says nothing of a fresh login, with the page's own token or another.
        for fields in (
            {"do": "allow", "code": asked["user_code"]},
            {"do": "allow", "code": asked["user_code"], "key": "made-up"},
            {"do": "code", "code": asked["user_code"], "_xsrf": "made-up"},
        ):
            forged = replace(form, fields={}, action=form.action)
            forged.fields.update(form.fields)
            for name, value in fields.items():
                forged.fields[name] = FormField("text", value)
            assert (await visitor.send(page, forged, {})).status == 403, fields
        shown = await visitor.send(page, form, typed)
        assert "&lt;b&gt;evil" in shown.body
        by_token = await ask("GET", f"{hub.service_url}/login", authorization=f"token {ada.token}")
        assert by_token.status == 403
        waiting = await ask(
            "POST", f"{hub.service_url}/api/login/token", {"device_code": asked["device_code"]}
        )
        assert waiting.status == 202
        denied = await visitor.decide_login(f"{hub.url}{SERVICE}/login", asked["user_code"], "deny")
        assert "gets nothing" in denied.text
    await asyncio.sleep(5)  # a machine may ask so often only
    refused = await ask(
        "POST", f"{hub.service_url}/api/login/token", {"device_code": asked["device_code"]}
    )
    assert (refused.status, refused.message) == (403, "the login was denied in the browser")


async def test_nobody_sees_the_page_without_the_hub(hub: Hub) -> None:
    answer = await ask("GET", f"{hub.service_url}/login?code=BCDF-GHJK")
    assert answer.status == 302
    assert "/hub/api/oauth2/authorize" in answer.headers["Location"]
