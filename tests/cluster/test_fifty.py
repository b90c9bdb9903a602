"""Fifty people start at once: every start ends well or in words, and nothing stays behind."""

from __future__ import annotations

import asyncio
import base64
import json
from contextlib import AsyncExitStack

from deployment import Deployment
from started import objects, servers, start, tickets, until_nothing_is_left
from surroundings import MANY
from testing.waiting import wait_until

from panneuro_hub.devstack.errors import DevstackError
from panneuro_hub.devstack.hub_visitor import HubVisitor, visit_hub

PATIENCE = 1200.0  # s, for one answer; the machine may be small
HEALTH = ["python3", "-m", "panneuro_hub.agent.credential_agent", "--health"]
# Shows tickets to the service, as agents do, and prints its answers' statuses.
ASK = """
import json, sys, urllib.error, urllib.request
def status(ticket):
    request = urllib.request.Request(
        "http://panneuro:10143/services/panneuro/api/credentials",
        headers={"Authorization": "panneuro-ticket " + ticket},
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
print(json.dumps([status(ticket) for ticket in json.loads(TICKETS)]))
"""


def ask(hub: Deployment, shown: list[str]) -> list[int]:
    """What the service answers to each of these tickets."""
    program = ASK.replace("TICKETS", repr(json.dumps(shown)))
    said = hub.cluster.run("deployment/hub", "hub", ["python", "-"], program)
    assert said.status == 0, "the service could not be asked"
    return list(json.loads(said.text))


async def outcome(visitor: HubVisitor) -> str:
    """Why the visitor's start failed; nothing where it did not."""
    try:
        await start(visitor, profile="tiny")
    except DevstackError as error:
        return str(error)
    return ""


async def test_fifty_sessions_at_once(hub: Deployment) -> None:
    async with AsyncExitStack() as stack:
        visitors = []
        for person in MANY:
            visitor = await stack.enter_async_context(visit_hub(hub.url, patience=PATIENCE))
            await visitor.log_in(person.name)
            visitors.append(visitor)
        outcomes = await asyncio.gather(*(outcome(visitor) for visitor in visitors))
        failures = [said for said in outcomes if said]
        print(f"{len(outcomes) - len(failures)} of {len(outcomes)} servers started", *failures)
        for said in failures:
            assert said.startswith("the server did not start: Spawn failed: "), said
            assert len(said.split()) > 9, said
        # What failed is gone already, what did not has a ticket and keys.
        wait_until(lambda: len(servers(hub.cluster)) == len(outcomes) - len(failures))
        secrets = objects(hub.cluster, "secrets", "panneuro.org/session")
        assert len(secrets) == len(tickets(hub.cluster)) == len(outcomes) - len(failures) > 0
        for pod in servers(hub.cluster):
            health = hub.cluster.run(pod["metadata"]["name"], "panneuro-agent", HEALTH)
            assert health.status == 0, health.text
        shown = [base64.b64decode(secret["data"]["ticket"]).decode() for secret in secrets]
        assert set(ask(hub, shown)) == {200}
        await asyncio.gather(*(visitor.stop() for visitor in visitors))
    until_nothing_is_left(hub.cluster)
    wait_until(lambda: set(ask(hub, shown)) == {403})
