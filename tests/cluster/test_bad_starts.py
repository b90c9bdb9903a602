"""Starts that cannot work end soon, in words for a person, and leave nothing behind."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack, aclosing, contextmanager
from typing import Any

import pytest
from deployment import Deployment
from started import (
    choices,
    objects,
    servers,
    start,
    tickets,
    until_nothing_is_left,
)
from surroundings import AWKWARD, HOPELESS_AFTER, UNUSABLE
from testing.waiting import wait_until

from panneuro_hub.devstack.errors import DevstackError
from panneuro_hub.devstack.html_forms import find_form
from panneuro_hub.devstack.hub_visitor import HubVisitor, visit_hub

ASK = "sk an admin of this hub"


async def refused(visitor: HubVisitor, **choice: str) -> str:
    """What the progress page says in the end, and the page of the server as well."""
    with pytest.raises(DevstackError, match="did not start: ") as caught:
        await start(visitor, **choice)
    words = str(caught.value).partition("did not start: Spawn failed: ")[2]
    page = await visitor.open(f"/hub/spawn-pending/{visitor.name}")
    assert page.status in (400, 503), page.text
    assert " ".join(words.split()) in " ".join(page.text.split())
    assert "Traceback" not in page.text
    assert "SpawnException" not in words
    return words


async def test_an_image_that_is_not_there(hub: Deployment, ada: HubVisitor) -> None:
    words = await refused(ada, image="lost")
    assert words.startswith("the image localhost/panneuro/no-such-image:1 cannot be pulled: ")
    assert ASK in words
    until_nothing_is_left(hub.cluster)


async def test_an_image_whose_name_is_none(hub: Deployment, ada: HubVisitor) -> None:
    words = await refused(ada, image="wrong")
    assert words.startswith("the image localhost/Not-An-Image:1 cannot be pulled: that is no name")
    until_nothing_is_left(hub.cluster)


async def test_an_image_that_holds_no_server(hub: Deployment, ada: HubVisitor) -> None:
    words = await refused(ada, image="bare")
    assert "jupyterhub-singleuser" in words
    assert hub.plan.postgres in words
    until_nothing_is_left(hub.cluster)


async def test_a_profile_larger_than_any_node(hub: Deployment, ada: HubVisitor) -> None:
    words = await refused(ada, profile="vast")
    assert words.startswith(
        "no node of this cluster is large enough for the profile vast, which needs "
    )
    assert "64" in words
    assert "Choose a smaller profile" in words
    until_nothing_is_left(hub.cluster)


async def test_a_node_that_an_autoscaler_adds_is_waited_for(
    hub: Deployment, ada: HubVisitor
) -> None:
    """The cluster has none, so that the event which it would make is made here."""
    page = await ada.open_spawn_page()
    wanted = choices("vast")
    await ada.send(page, find_form(page.body, wanted), wanted)
    watching = asyncio.create_task(messages(ada))
    wait_until(lambda: servers(hub.cluster))
    [pod] = servers(hub.cluster)
    hub.cluster.apply(scale_up(pod))
    await asyncio.sleep(2 * HOPELESS_AFTER)  # nothing is to happen in it
    [still] = servers(hub.cluster)
    assert still["metadata"]["uid"] == pod["metadata"]["uid"]
    hub.cluster.kubectl("delete", "event", "scale-up")
    said = await watching
    assert any("A node is being added to the cluster" in line for line in said)
    assert any("No node has room for this server now" in line for line in said)
    assert said[-1].startswith("Spawn failed: no node of this cluster is large enough")
    until_nothing_is_left(hub.cluster)


async def messages(visitor: HubVisitor) -> list[str]:
    """Everything that the progress page says, to the end."""
    async with aclosing(visitor.progress()) as events:
        return [str(event.get("message")) async for event in events]


def scale_up(pod: dict[str, Any]) -> dict[str, Any]:
    """The cluster autoscaler's word that it adds a node for a pod."""
    about = pod["metadata"]
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "scale-up", "namespace": about["namespace"]},
        "involvedObject": {
            "kind": "Pod",
            **{name: about[name] for name in ("name", "namespace", "uid")},
        },
        "reason": "TriggeredScaleUp",
        "message": "pod triggered scale-up: [{large 0->1 (max: 4)}]",
        "type": "Normal",
        "source": {"component": "cluster-autoscaler"},
        "lastTimestamp": about["creationTimestamp"],
    }


async def test_a_pod_that_was_left_behind_is_replaced(
    hub: Deployment, ada: HubVisitor, images: dict[str, str]
) -> None:
    """As by a hub whose database was lost."""
    left = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "jupyter-ada", "labels": {"component": "singleuser-server"}},
        "spec": {
            "containers": [
                {"name": "notebook", "image": images["agent"], "command": ["no-such-program"]}
            ],
            "terminationGracePeriodSeconds": 0,
        },
    }
    hub.cluster.apply(left)
    wait_until(lambda: servers(hub.cluster))
    [before] = servers(hub.cluster)
    await start(ada, profile="tiny")
    [after] = servers(hub.cluster)
    assert after["metadata"]["uid"] != before["metadata"]["uid"]
    assert len(tickets(hub.cluster)) == 1


@contextmanager
def without(hub: Deployment, *lacking: tuple[str, str]) -> Iterator[None]:
    """The hub's Role without some verbs on some resources, until the end of the block."""
    roles = [one for one in hub.objects if one["kind"] == "Role"]
    [role] = [one for one in roles if one["metadata"]["name"] == "hub"]
    rules = [
        {
            **rule,
            "verbs": [
                verb
                for verb in rule["verbs"]
                if not {(kind, verb) for kind in rule["resources"]} & set(lacking)
            ],
        }
        for rule in role["rules"]
    ]
    hub.cluster.apply({**role, "rules": [rule for rule in rules if rule["verbs"]]})
    try:
        yield
    finally:
        hub.cluster.apply(role)


@pytest.mark.parametrize(
    ("lacking", "says"),
    [
        (("pods", "create"), "the hub may not create pods in the namespace "),
        (("secrets", "create"), "could not be stored"),
    ],
    ids=["pods", "secrets"],
)
async def test_a_namespace_without_rights(
    hub: Deployment, ada: HubVisitor, lacking: tuple[str, str], says: str
) -> None:
    with without(hub, lacking):
        words = await refused(ada)
        assert says in words
        assert hub.cluster.namespace in words
        assert ASK in words
        until_nothing_is_left(hub.cluster)
    log = hub.cluster.kubectl("logs", "deployment/hub", "--container=hub", "--tail=400")
    assert "JUPYTERHUB_API_TOKEN" not in log
    await start(ada)


async def test_a_hub_that_sees_no_pods_starts_servers_once_it_may(
    hub: Deployment, ada: HubVisitor
) -> None:
    with without(hub, ("pods", "list"), ("pods", "watch")):
        hub.cluster.kubectl("rollout", "restart", "deployment/hub")
        hub.wait()
        words = await refused(ada)
        assert "the hub may not" in words
        assert ASK in words
    await start(ada)


async def test_names_of_every_kind_have_nothing_in_common(hub: Deployment) -> None:
    """All of them at once, so that what two of them shared would be seen."""
    async with AsyncExitStack() as stack:
        visitors = []
        for person in AWKWARD:
            visitor = await stack.enter_async_context(visit_hub(hub.url, patience=600))
            await visitor.log_in(person.name)
            stack.push_async_callback(visitor.stop)
            visitors.append(visitor)
        names = [visitor.name for visitor in visitors]
        await asyncio.gather(*(start(visitor, profile="tiny") for visitor in visitors))
        for visitor in visitors:  # each finds their own, by an address that nobody else has
            server = await visitor.enter()
            status = await visitor.call("GET", f"{server}api/me")
            assert status["identity"]["username"] == visitor.name
        pods = servers(hub.cluster)
        tickets = objects(hub.cluster, "secrets", "panneuro.org/session")
        assert len(set(names)) == len(names) == len(pods) == len(tickets)
        for kind in ("panneuro.org/owner", "panneuro.org/session", "hub.jupyter.org/username"):
            assert len({pod["metadata"]["labels"][kind] for pod in pods}) == len(names), kind
        assert {pod["metadata"]["annotations"]["hub.jupyter.org/username"] for pod in pods} == set(
            names
        )
        assert {owners(one) for one in tickets} == {(pod["metadata"]["uid"],) for pod in pods}
        assert {mounted(pod) for pod in pods} == {one["metadata"]["name"] for one in tickets}
    until_nothing_is_left(hub.cluster)


def owners(secret: dict[str, Any]) -> tuple[str, ...]:
    return tuple(one["uid"] for one in secret["metadata"]["ownerReferences"])


def mounted(pod: dict[str, Any]) -> str:
    [name] = [one["secret"]["secretName"] for one in pod["spec"]["volumes"] if "secret" in one]
    return str(name)


async def test_names_that_differ_in_case_only_are_one_person(hub: Deployment) -> None:
    async with visit_hub(hub.url) as upper, visit_hub(hub.url) as lower:
        await upper.log_in("Case")
        await lower.log_in("case")
        assert upper.name == lower.name == "case"
        await start(upper, profile="tiny")
        assert await lower.enter() == await upper.enter() == "/user/case/"
        [pod] = servers(hub.cluster)
        assert pod["metadata"]["labels"]["panneuro.org/owner"] == "case"
        await upper.stop()
    until_nothing_is_left(hub.cluster)


@pytest.mark.parametrize("person", UNUSABLE, ids=lambda person: ascii(person.name[:9]))
async def test_a_name_that_cannot_be_used_is_told_so(hub: Deployment, person: Any) -> None:
    async with visit_hub(hub.url) as visitor:
        page = await visitor.try_log_in(person.name)
    assert 400 <= page.status < 500, page.text
    assert "which can be nobody's name on this hub" in page.text
    assert person.name[:3] in page.text
