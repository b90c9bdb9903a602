"""The collaboration file is followed while everything runs; a broken one changes nothing."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from hubs import PATIENCE, Hub
from people import Person, ask, at, show, start_form
from testing.waiting import wait_until_async


async def offered(person: Person) -> dict[str, list[str]]:
    """What the start form offers, by field."""
    fields = start_form(await person.visitor.open_spawn_page()).fields
    return {name: field.offered for name, field in fields.items()}


async def manages(person: Person) -> bool:
    """Whether the service says that the person manages nhp-navigation."""
    return bool((await person.access())["nhp-navigation"]["level"] == "manage")


async def test_a_team_loses_a_project_and_a_profile_appears(changing_hub: Hub) -> None:
    hub = changing_hub
    pia, rex = (hub.ground.register(name, "navigation") for name in ("pia", "rex"))
    async with at(hub, pia) as chooser, at(hub, rex) as worker:
        session = await worker.start({"project": "nhp-navigation"})
        assert (await show(hub, session.ticket)).status == 200

        def change(document: dict[str, Any]) -> None:
            del document["projects"]["nhp-navigation"]["teams"]["navigation-lab"]
            document["profiles"]["tiny"] = {"title": "Tiny", "cpu": 1, "memory": "1G"}

        with hub.changed(change):

            async def form_follows() -> bool:
                form = await offered(chooser)
                return form["project"] == ["shared-stimuli"]

            async def credentials_follow() -> str:
                answer = await show(hub, session.ticket)
                return "" if answer.status == 200 else answer.message

            async def access_follows() -> bool:
                project = (await chooser.access())["nhp-navigation"]
                return project["level"] is None and not project["grants"]

            await wait_until_async(form_follows, "a form without nhp-navigation")
            assert (await offered(chooser))["profile--shared-stimuli"] == [
                "small",
                "large",
                "tiny",
            ]
            assert (await chooser.request_start({"project": "nhp-navigation"})).status == 403
            await wait_until_async(access_follows, "an answer without nhp-navigation")
            refusal = await wait_until_async(credentials_follow, "a refusal")
            assert refusal.startswith("you have no access to nhp-navigation: you are not in")
            row = hub.ledger("rex")[-1]
            assert (row["event"], row["session"]) == ("refusal", session.id)
            assert row["reason"] == refusal

        async def is_back() -> bool:
            form = await offered(chooser)
            return form["project"] == ["nhp-navigation", "shared-stimuli"]

        await wait_until_async(is_back, "the old form")


async def test_a_broken_file_keeps_the_old_one_and_says_so(changing_hub: Hub) -> None:
    hub = changing_hub
    good = hub.collaboration.read_text()
    async with at(hub, hub.ground.register("tess", "navigation")) as tess:
        await wait_until_async(lambda: manages(tess), "the file as it is")
        before = await offered(tess)
        said = len(hub.log)
        hub.replace(good.replace("store: main", "store: no-such-store"))
        try:
            await wait_until_async(
                health(hub, "the collaboration file is broken"), "the service's complaint"
            )

            async def both_said_so() -> bool:
                assert await offered(tess) == before
                heads = [
                    line
                    for line in hub.log[said:].splitlines()
                    if re.search(
                        "the collaboration file is broken; version .* stays in force", line
                    )
                ]
                return {bool("JupyterHub.panneuro" in head) for head in heads} == {True, False}

            await wait_until_async(both_said_so, "the complaints of the hub and of the service")
            assert re.search(
                rf"{re.escape(str(hub.collaboration))}:\d+: .*no-such-store", hub.log[said:]
            )
            assert await manages(tess)
            await tess.start({"project": "nhp-navigation"})
            await tess.stop()
        finally:
            hub.replace(good.replace("title: Navigation in virtual reality", "title: Repaired"))
        await wait_until_async(health(hub, "ok"), "the service's relief")

        async def is_in_force() -> bool:
            return "Repaired" in (await tess.visitor.open_spawn_page()).text

        await wait_until_async(is_in_force, "the repaired file")
        hub.replace(good)
        assert "the collaboration file is good again; version" in hub.log[said:]


def health(hub: Hub, status: str) -> Callable[[], Any]:
    async def look() -> bool:
        answer = await ask("GET", f"{hub.service_url}/health")
        assert answer.status == 200, answer
        return bool(answer.json["status"] == status)

    return look


async def test_a_hub_does_not_start_with_a_broken_file(make_hub: Callable[..., Hub]) -> None:
    hub = make_hub()
    text = hub.collaboration.read_text()
    lines = text.splitlines()
    text = text.replace("store: main", "store: no-such-store", 1)
    text = text.replace("reads: [shared-stimuli]", "reads: [no-such-project]", 1)
    hub.replace(text)
    with hub.launched() as child:
        await wait_until_async(lambda: child.exit_code is not None, "the hub's end", PATIENCE)
        assert child.exit_code not in (0, None)
    assert "the hub does not start:" in hub.log
    assert "Traceback" not in hub.log
    for was, wrong in (("store: main", "no-such-store"), ("reads: [", "no-such-project")):
        number = next(number for number, line in enumerate(lines, 1) if was in line)
        assert re.search(rf"{re.escape(str(hub.collaboration))}:{number}: .*{wrong}", hub.log)
