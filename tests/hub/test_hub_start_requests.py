"""A second click, and links to another project, while a server starts or runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import quote

import pytest
from hubs import Ground, Hub
from people import Person, at, ensure_stopped, start_form, watch
from slow_provider import SlowUserinfo
from testing.waiting import wait_until_async

from panneuro_hub.devstack.hub_visitor import VisitedPage

FIRST, SECOND = "nhp-navigation", "shared-stimuli"
CONFIG = """
c.PanNeuroGenericOAuthenticator.userdata_url = {url!r}
c.JupyterHub.allow_named_servers = True
"""


@dataclass(frozen=True)
class Slow:
    """A hub, and the provider that may take its time."""

    hub: Hub
    userinfo: SlowUserinfo


@pytest.fixture(scope="module")
def slow(ground: Ground, make_hub: Callable[..., Hub]) -> Iterator[Slow]:
    with (
        SlowUserinfo(f"{ground.provider.url}/userinfo") as userinfo,
        make_hub(CONFIG.format(url=userinfo.userinfo_url)) as hub,
    ):
        yield Slow(hub, userinfo)


async def click(person: Person, page: VisitedPage, project: str, after: float = 0.0) -> VisitedPage:
    await asyncio.sleep(after)
    return await person.visitor.send(page, start_form(page), {"project": project})


async def test_two_clicks_are_one_start_whose_progress_both_show(slow: Slow) -> None:
    async with at(slow.hub, slow.hub.ground.register("dora", "navigation")) as dora:
        page = await dora.visitor.open_spawn_page()
        slow.userinfo.delay = 2.0
        try:
            pages = await asyncio.gather(
                click(dora, page, FIRST), click(dora, page, FIRST), click(dora, page, FIRST, 0.3)
            )
            other = await click(dora, page, SECOND)
            said = await dora.ready()
        finally:
            slow.userinfo.delay = 0.0
        session = await dora.running()
    for shown in pages:
        assert (shown.status, shown.url.path) == (200, "/hub/spawn-pending/dora"), shown
        assert "not running" not in shown.text
    assert other.status == 409
    assert f"Your server is starting in the project {FIRST}, and you asked for {SECOND}" in (
        other.text
    )
    assert "Asking the identity provider which teams you are in" in said
    assert any(line.startswith("Project Navigation in virtual reality") for line in said)
    assert session.project == FIRST
    assert "Traceback" not in slow.hub.log


async def test_who_is_in_no_team_any_more_starts_nothing(slow: Slow) -> None:
    async with at(slow.hub, slow.hub.ground.register("dirk", "navigation")) as dirk:
        page = await dirk.visitor.open_spawn_page()
        slow.hub.ground.register("dirk")
        refused = await click(dirk, page, FIRST)
        assert (await watch(slow.hub, "/users/dirk"))["servers"] == {}
    assert refused.status == 403
    assert "does not confirm your login any more" in refused.text


async def test_a_link_to_another_project_says_so(slow: Slow) -> None:
    copy = quote(f"/user/dana/lab?panneuro-copy={SECOND}/explore/first", safe="")
    links = (f"?opt-project={SECOND}", f"?project={SECOND}", f"/dana?next={copy}")
    async with at(slow.hub, slow.hub.ground.register("dana", "navigation")) as dana:
        await dana.start({"project": FIRST})
        for link in links:
            page = await dana.visitor.open(f"/hub/spawn{link}")
            assert (page.status, page.url.path.startswith("/hub/spawn")) == (409, True), link
            assert f"Your server works in the project {FIRST}, and you asked for {SECOND}" in (
                page.text
            )
            assert 'href="/hub/home"' in page.body
        same = await dana.visitor.open(f"/hub/spawn?opt-project={FIRST}")
        assert same.url.path.startswith("/user/dana/")

        # A named server beside it has a project of its own.
        named = await dana.visitor.open(f"/hub/spawn/dana/other?opt-project={SECOND}")
        named.require_ok("start a named server")

        async def both() -> bool:
            servers = (await watch(slow.hub, "/users/dana"))["servers"]
            return len(servers) == 2 and all(server["ready"] for server in servers.values())

        await wait_until_async(both, "two servers")
        page = await dana.visitor.open(f"/hub/spawn/dana/other?opt-project={FIRST}")
        assert page.status == 409
        assert f"Your server other works in the project {SECOND}" in page.text
        await dana.api("DELETE", "/users/dana/servers/other", {"remove": True})
        await ensure_stopped(dana)
