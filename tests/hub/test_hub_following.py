"""Hub, service and gateway follow the file as a ConfigMap has it, and start while it is broken."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from gateways import DaskGateway
from hubs import Ground
from people import ask, at, start_form
from testing.waiting import wait_until_async

BROKEN = "the collaboration file is broken"
BEFORE = "title: Navigation in virtual reality"


class ConfigMap:
    """A file as the kubelet has it: behind a link to a folder, which a change replaces.

    Parameters
    ----------
    file : Path
        An ordinary file, which becomes a link.
    """

    def __init__(self, file: Path) -> None:
        self.text = file.read_text()
        self._file = file
        self._numbers = itertools.count()
        self._old: Path | None = None
        self.change(self.text)
        file.unlink()
        file.symlink_to(Path("..data") / file.name)

    def change(self, text: str) -> None:
        """Replace the folder, and delete the old one."""
        folder = self._file.with_name(f"..2026_{next(self._numbers)}")
        folder.mkdir()
        (folder / self._file.name).write_text(text)
        link = self._file.with_name("..data_tmp")
        link.symlink_to(folder.name)
        link.rename(self._file.with_name("..data"))
        if self._old is not None:
            (self._old / self._file.name).unlink()
            self._old.rmdir()
        self._old = folder


@dataclass(frozen=True)
class Followers:
    """Hub, service and gateway, and the file that they follow."""

    gateway: DaskGateway
    file: ConfigMap


@pytest.fixture(scope="module")
def followers(ground: Ground, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Followers]:
    made = DaskGateway(ground, tmp_path_factory.mktemp("gateway") / "gateway")
    file = ConfigMap(made.hub.collaboration)
    with made:
        yield Followers(made, file)


async def health(gateway: DaskGateway) -> dict[str, Any]:
    """What the three of them say of the collaboration, by which one says it."""
    urls = {
        "hub": f"{gateway.hub.url}/hub/health",
        "service": f"{gateway.hub.service_url}/health",
        "gateway": f"http://127.0.0.1:{gateway.port}/api/health",
    }
    answers = {name: await ask("GET", url) for name, url in urls.items()}
    assert {answer.status for answer in answers.values()} == {200}, answers
    return {name: answer.json for name, answer in answers.items()}


async def metrics(gateway: DaskGateway, url: str) -> dict[str, float]:
    """What Prometheus would read of the collaboration."""
    authorization = f"token {gateway.hub.watcher_token}"
    answer = await ask("GET", url, authorization=authorization)
    assert answer.status == 200, answer
    found = re.findall(r"^panneuro_collaboration_(\w+) (\S+)$", answer.text, re.MULTILINE)
    return {name: float(value) for name, value in found}


async def until_all_say(gateway: DaskGateway, status: str) -> dict[str, Any]:
    async def said() -> dict[str, Any]:
        answers = await health(gateway)
        return answers if {one["status"] for one in answers.values()} == {status} else {}

    return await wait_until_async(said, f"{status!r} of all three")


async def test_a_start_while_the_file_is_broken(followers: Followers) -> None:
    gateway, file = followers.gateway, followers.file
    hub = gateway.hub
    good = file.text.replace(BEFORE, "title: Mazes")
    pages = (f"{hub.url}/hub/metrics", f"{hub.service_url}/metrics")
    async with at(hub, hub.ground.register("vera", "navigation")) as vera:
        file.change(good)

        async def is_in_force() -> bool:
            offered = (await vera.visitor.open_spawn_page()).text
            return "Mazes" in offered and "Mazes" in str(await vera.access())

        await wait_until_async(is_in_force, "the changed file, at hub and service")
        before = await until_all_say(gateway, "ok")
        assert len({one["version"] for one in before.values()}) == 1
        for page in pages:
            found = await metrics(gateway, page)
            assert (found["valid"], found["problems"], found["saved"]) == (1, 0, 1)

        said = len(hub.log), len(gateway.log)
        broken = good.replace("store: main", "store: no-such-store")
        file.change(broken)
        # Nobody makes a request but the probes of this test, which read no file.
        seen = await until_all_say(gateway, BROKEN)
        for log in (hub.log[said[0] :], gateway.log[said[1] :]):
            assert re.search(rf"{BROKEN}; version [0-9a-f]{{12}} of .* UTC stays in force", log)
        for page in pages:
            found = await metrics(gateway, page)
            assert found["valid"] == 0
            assert found["problems"] == seen["hub"]["problems"] > 0
            assert found["in_force_since_seconds"] > 1.7e9

        hub.stop()
        hub.start()
        gateway.stop()
        gateway.start()
        after = await health(gateway)
        for name, answer in after.items():
            assert (answer["status"], answer["version"]) == (BROKEN, before[name]["version"])
        for name in ("hub", "service"):
            assert after[name]["in_force_since"] == before[name]["in_force_since"]
        assert await is_in_force()
        form = start_form(await vera.visitor.open_spawn_page())
        assert "nhp-navigation" in form.fields["project"].offered
        assert await gateway.offers(vera, "nhp-navigation")

        file.change(good)
        await until_all_say(gateway, "ok")


async def test_the_service_gives_its_version_to_gateways_alone(followers: Followers) -> None:
    hub = followers.gateway.hub
    url = f"{hub.service_url}/api/collaboration"
    async with at(hub, "ada") as ada:
        for authorization in (None, f"token {ada.token}", f"token {hub.watcher_token}"):
            refused = await ask("GET", url, authorization=authorization)
            assert refused.status == 403, refused
            assert "stores" not in refused.text
    given = await ask("GET", url, authorization=f"token {followers.gateway.token}")
    assert given.status == 200
    assert given.json["text"] == hub.collaboration.read_text()
