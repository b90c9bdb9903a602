"""Pods that nobody knows: which are ended, and which are left alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ServerDisconnectedError
from kubespawner import KubeSpawner
from spawners import config_of, new_spawner

from panneuro_hub.hub.kube_spawner import PanNeuroSpawner
from panneuro_hub.hub.orphan_pods import find_orphan_pods
from panneuro_hub.pod.agent_sidecar import make_hub_label
from panneuro_hub.wire.session import Session

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)


HUB = make_hub_label("http://hub:8081/hub/api")
OTHER_HUB = make_hub_label("http://other-hub:8081/hub/api")


def pod(
    name: str, session: str | None, minutes: float, hub: str | None = HUB, **more: Any
) -> dict[str, Any]:
    labels = {"component": "singleuser-server"}
    if session:
        labels["panneuro.org/session"] = session
    if hub:
        labels["panneuro.org/hub"] = hub
    created = (NOW - timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")
    about = {"name": name, "namespace": "hub", "labels": labels, "creationTimestamp": created}
    return {"metadata": about | more}


def test_only_old_pods_of_unknown_sessions_are_ended() -> None:
    pods = [
        pod("known", "a", 90),
        pod("unknown", "b", 90),
        pod("starting", "c", 5),
        pod("somebody-else-s", None, 90),
        pod("ending", "d", 90, deletionTimestamp="2026-11-28T11:59:00Z"),
        pod("of-another-hub", "e", 90, hub=OTHER_HUB),
        pod("of-an-earlier-release", "f", 90, hub=None),
        {
            "metadata": {
                "name": "bare",
                "namespace": "hub",
                "creationTimestamp": "2026-11-27T12:00:00Z",
            }
        },
    ]
    found = find_orphan_pods(pods, HUB, {"a"}, NOW, timedelta(minutes=15))
    assert list(found) == [("hub", "unknown")]


class Seen:
    """What a reflector of all namespaces has seen."""

    def __init__(self, *pods: dict[str, Any]) -> None:
        self.pods = {
            f"{one['metadata']['namespace']}/{one['metadata']['name']}": one for one in pods
        }


class Kubernetes:
    """An API server that loses the connection at each first pod."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    async def delete_namespaced_pod(self, name: str, namespace: str) -> None:
        self.asked.append((namespace, name))
        if len(self.asked) == 1:
            raise ServerDisconnectedError


class Database:
    """A database that has lost all servers."""

    def query(self, *_columns: Any) -> list[tuple[Any]]:
        return []


@pytest.fixture
def spawner(example_file: Path, monkeypatch: pytest.MonkeyPatch) -> PanNeuroSpawner:
    monkeypatch.setattr(KubeSpawner, "reflectors", {})
    made = new_spawner(config_of(example_file, monkeypatch))
    made.user.db = Database()
    made.api = Kubernetes()
    return made


def see(spawner: PanNeuroSpawner, *pods: dict[str, Any]) -> None:
    KubeSpawner.reflectors[spawner._get_reflector_key("pods")] = Seen(*pods)


async def test_a_start_that_is_under_way_is_no_orphan(
    spawner: PanNeuroSpawner, example_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Its start may take longer than the starts of the server that is looked at.
    other = new_spawner(config_of(example_file, monkeypatch))
    other.session = Session.begin("nhp-navigation", "small", None)
    hub = make_hub_label(spawner.hub.api_url)
    see(spawner, pod("starting", other.session.id, 1000000, hub), pod("lost", "x", 1000000, hub))
    await spawner._end_orphans()
    assert spawner.api.asked == [("hub", "lost")]


async def test_one_lost_connection_does_not_end_the_sweep(spawner: PanNeuroSpawner) -> None:
    hub = make_hub_label(spawner.hub.api_url)
    one = pod("one", "x", 1000000, hub, namespace="for-ada")
    two = pod("two", "y", 1000000, hub, namespace="for-ben")
    see(spawner, one, two, pod("of-another-hub", "z", 1000000, OTHER_HUB))
    await spawner._end_orphans()
    assert spawner.api.asked == [("for-ada", "one"), ("for-ben", "two")]


async def test_pods_say_which_hub_made_them(spawner: PanNeuroSpawner) -> None:
    spawner.session = Session.begin("nhp-navigation", "small", None)
    spawner.hub_connect_url = "http://outside:9"
    spawner.hub.api_url = "http://hub:8081/lab/hub/api"
    labels = (await spawner.get_pod_manifest()).metadata.labels
    assert labels["panneuro.org/hub"] == make_hub_label("http://outside:9/lab/hub/api")
