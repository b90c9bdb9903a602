"""Hub and service stop, die and come back while a session goes on working."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import pytest
import pytest_asyncio
from hubs import Hub
from people import Answer, Person, Running, ask, logged_in, show, watch
from testing.waiting import wait_until_async

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONFIG = """
c.JupyterHub.cleanup_servers = False
"""


@dataclass(frozen=True)
class Working:
    """Somebody at work in a hub that comes and goes."""

    hub: Hub
    person: Person
    session: Running

    def newest(self) -> int:
        """The last row of the ledger that is an issue for the session."""
        rows = self.hub.ledger(self.person.name)
        return max(int(row["id"]) for row in rows if row["event"] == "issue")

    async def renews(self) -> None:
        """Wait for the next key that the agent gets."""
        before = self.newest()
        await wait_until_async(lambda: self.newest() > before, "another key")
        assert (await self.person.ask_agent()).status == 200


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def working(make_hub: Callable[..., Hub]) -> AsyncIterator[Working]:
    """Rhea in nhp-navigation."""
    with make_hub(CONFIG) as hub:
        async with logged_in(hub, hub.ground.register("rhea", "navigation")) as rhea:
            session = await rhea.start({"project": "nhp-navigation"})
            await wait_until_async(lambda: hub.ledger("rhea"), "the first key")
            yield Working(hub, rhea, session)


async def test_service_and_hub_die_and_come_back(working: Working) -> None:
    hub, session, ticket = working.hub, working.session, working.session.ticket
    os.kill((await watch(hub, "/services/panneuro"))["pid"], signal.SIGKILL)
    assert (await working.person.ask_agent()).status == 200, "the agent keeps its keys"
    hub.stop()
    assert (await working.person.ask_agent()).status == 200, "the agent keeps its keys"
    hub.start()
    assert (await show(hub, ticket)).status == 200
    again = await working.person.running()
    assert (again.id, again.project, again.pid) == (session.id, session.project, session.pid)
    await working.renews()
    assert {row["session"] for row in hub.ledger("rhea")} == {session.id}
    # Its first hub is gone, and this process has inherited the server: it must bury it too.
    await asyncio.gather(
        working.person.stop(), wait_until_async(lambda: has_ended(session.pid), "the server's end")
    )
    assert not session.folder.exists()
    assert (await working.person.start()).project == session.project


def has_ended(pid: int) -> bool:
    return os.waitpid(pid, os.WNOHANG)[0] == pid


async def test_a_dead_hub_is_no_refusal(working: Working) -> None:
    hub = working.hub
    assert hub.child is not None
    ticket = (await working.person.running()).ticket
    os.kill(hub.child.pid, signal.SIGKILL)

    async def outage() -> Answer | None:
        answer = await show(hub, ticket)
        return None if answer.status == 200 else answer

    answer = await wait_until_async(outage, "an answer that is no key")
    assert answer.status == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert answer.message.startswith("the hub did not say who is in which team (")
    assert (await working.person.ask_agent()).status == 200, "the agent keeps its keys"
    assert not any(row["event"] == "refusal" for row in hub.ledger("rhea"))
    access = await ask(
        "GET", f"{hub.service_url}/api/access", authorization=f"token {working.person.token}"
    )
    assert access.status >= 500
