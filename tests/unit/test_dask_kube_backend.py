"""What the Kubernetes backend writes and reads there; the API is a few dictionaries."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from dask_gateway_server import models
from dask_gateway_server.auth import JupyterHubAuthenticator
from dask_gateway_server.backends.base import Backend, PublicException
from dask_gateway_server.backends.kubernetes.backend import KubeBackend
from kubernetes_asyncio.client import ApiException
from traitlets.config import Config

from panneuro_hub.dask.authenticator import HubAuthenticator
from panneuro_hub.dask.kube_backend import PanNeuroKubeBackend
from panneuro_hub.dask.session_user import SessionUser
from panneuro_hub.errors import PanNeuroError
from panneuro_hub.wire import Ticket
from panneuro_hub.wire.cluster_reports import GatewayUser

# dask-gateway keeps its parts under plain names.
pytestmark = pytest.mark.filterwarnings("ignore::aiohttp.web_exceptions.NotAppKeyWarning")
ADA = SessionUser(GatewayUser("ada", ("navigation-lab",)))
ASKED = {"project": "nhp-navigation"}
HEARTBEAT = {
    "scheduler_address": "tls://a:1", "dashboard_address": "http://a:1", "api_address": "http://a:1",
    "active_workers": [], "closing_workers": [], "closed_workers": [],
}  # fmt: skip


def application() -> web.Application:
    """A gateway's, with the authenticator that dask-gateway has made before."""
    app = web.Application()
    app["authenticator"] = HubAuthenticator()
    return app


@dataclass
class World:
    """A service and a Kubernetes, both as little as the backend needs."""

    tickets: list[Ticket] = field(default_factory=list)
    reports: list[Any] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    stop: list[dict[str, str]] = field(default_factory=list)
    objects: dict[str, dict[str, Any]] = field(default_factory=dict)
    secrets: dict[str, dict[str, Any]] = field(default_factory=dict)
    pods: dict[str, dict[str, Any]] = field(default_factory=dict)
    refuse_secrets: bool = False

    # the service

    async def begin(self, request: web.Request) -> web.Response:
        user = (await request.json())["user"]
        self.tickets.append(Ticket.new(user, f"{len(self.tickets):016}", "register"))
        made = self.tickets[-1]
        return web.json_response({"session": made.name, "ticket": made.encode()}, status=201)

    async def report(self, request: web.Request) -> web.Response:
        self.reports.append((await request.json())["clusters"])
        return web.json_response({"stop": self.stop})

    async def end(self, request: web.Request) -> web.Response:
        self.ended.append(request.match_info["session"])
        return web.Response(status=204)

    # Kubernetes

    async def create_namespaced_custom_object(
        self, _group: str, _version: str, namespace: str, _plural: str, body: dict[str, Any]
    ) -> dict[str, Any]:
        name = body["metadata"]["name"]
        body["metadata"] |= {"namespace": namespace, "uid": f"uid-of-{name}"}
        self.objects[f"{namespace}.{name}"] = json.loads(json.dumps(body))
        return body

    async def patch_namespaced_custom_object(
        self, _group: str, _version: str, namespace: str, _plural: str, name: str, patch: Any
    ) -> None:
        (change,) = patch
        key = change["path"].removeprefix("/spec/")
        self.objects[f"{namespace}.{name}"]["spec"][key] = change["value"]

    async def create_namespaced_secret(self, namespace: str, body: dict[str, Any]) -> None:
        if self.refuse_secrets:
            raise ApiException(status=403, reason=body["stringData"]["ticket"])
        self.secrets[body["metadata"]["name"]] = body

    async def delete_namespaced_secret(self, name: str, _namespace: str) -> None:
        if self.secrets.pop(name, None) is None:
            raise ApiException(status=404)

    def run(self, name: str) -> None:
        """What the controller and the backend's own informer would do."""
        self.objects[name]["status"] = {"phase": "Running"}

    def worker(self, name: str, pod: str, phase: str = "Running") -> None:
        namespace, _, cluster = name.partition(".")
        self.pods[pod] = {
            "metadata": {"namespace": namespace, "labels": {"gateway.dask.org/cluster": cluster}},
            "status": {"phase": phase},
        }


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
async def backend(
    world: World, example_file: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[PanNeuroKubeBackend]:
    async def setup(self: Any, app: web.Application) -> None:
        await Backend.setup(self, app)
        self.custom_client = self.core_client = world
        self.clusters = {}
        self.informer = SimpleNamespace(cache=world.objects)

    async def begin(self: Any) -> None:
        self._pods = SimpleNamespace(cache=world.pods)

    async def cleanup(self: Any) -> None:
        del self._pods
        await Backend.cleanup(self)

    monkeypatch.setattr(KubeBackend, "setup", setup)
    monkeypatch.setattr(KubeBackend, "cleanup", cleanup)
    monkeypatch.setattr(PanNeuroKubeBackend, "follow_pods", begin)
    monkeypatch.setattr(PanNeuroKubeBackend, "cleanup", PanNeuroKubeBackend.__mro__[1].cleanup)
    service = web.Application()
    service.router.add_post("/api/clusters", world.begin)
    service.router.add_put("/api/clusters", world.report)
    service.router.add_delete("/api/clusters/{session}", world.end)
    async with TestServer(service) as server:
        c = Config()
        c.ClusterMixin.collaboration_file = str(example_file)
        c.ClusterMixin.service_url = str(server.make_url("/"))
        c.ClusterMixin.service_token = "t"
        c.KubeClusterConfig.namespace = "hub"
        it = PanNeuroKubeBackend(
            config=c, gateway_instance="hub", gateway_address="x", log=logging.getLogger("test")
        )
        await it.setup(application())
        it._reports.cancel()  # told when a test says so
        yield it
        await it.cleanup()


async def test_a_cluster_is_an_object_and_its_ticket_a_secret_that_goes_with_it(
    backend: PanNeuroKubeBackend, world: World
) -> None:
    name = await backend.start_cluster(ADA, {**ASKED, "environment": {"A": "$(B)"}})
    (ticket,) = world.tickets
    obj = world.objects[name]
    text = json.dumps(obj)
    assert ticket.secret not in text
    assert ticket.encode() not in text
    assert obj["spec"]["config"]["panneuro"] == {
        "session": ticket.name, "project": "nhp-navigation", "profile": "standard",
        "image": "neuro", "started_in": None,
    }  # fmt: skip
    assert obj["spec"]["config"]["environment"]["A"] == "$$(B)"
    assert obj["metadata"]["labels"]["panneuro.org/project"] == "nhp-navigation"
    secret = world.secrets[f"panneuro-ticket-{ticket.name}"]
    assert secret["stringData"] == {"ticket": ticket.encode()}
    short = name.partition(".")[2]
    assert secret["metadata"]["ownerReferences"] == [
        {
            "apiVersion": "gateway.dask.org/v1alpha1",
            "kind": "DaskCluster",
            "name": short,
            "uid": f"uid-of-{short}",
        }
    ]
    volumes = obj["spec"]["config"]["worker_extra_pod_config"]["volumes"]
    assert secret["metadata"]["name"] in [v.get("secret", {}).get("secretName") for v in volumes]


async def test_a_start_that_fails_leaves_no_session(
    backend: PanNeuroKubeBackend, world: World
) -> None:
    world.refuse_secrets = True
    with pytest.raises(PublicException) as refused:
        await backend.start_cluster(ADA, ASKED)
    assert "could not be stored in namespace hub (403)" in str(refused.value)
    (ticket,) = world.tickets
    assert ticket.secret not in repr(refused.getrepr(style="long"))
    assert world.ended == [ticket.name]
    (obj,) = world.objects.values()
    assert obj["spec"]["active"] is False

    async def broken(*_: object) -> None:
        raise RuntimeError("unforeseen")

    world.refuse_secrets = False
    world.create_namespaced_custom_object = broken  # type: ignore[method-assign,assignment]
    with pytest.raises(PublicException, match="could not be started and was removed"):
        await backend.start_cluster(ADA, ASKED)
    assert world.ended == [ticket.name for ticket in world.tickets]


async def test_nothing_begins_for_a_choice_that_is_refused(
    backend: PanNeuroKubeBackend, world: World
) -> None:
    with pytest.raises(PublicException, match="you have no access to human-intracranial"):
        await backend.start_cluster(ADA, {"project": "human-intracranial"})
    assert (world.tickets, world.objects) == ([], {})


def known(world: World) -> dict[str, models.Cluster]:
    """What the backend itself has made of the objects."""
    return {name: models.Cluster(name, "ada", "", {}, {}, None) for name in world.objects}


async def test_limits_count_what_really_runs(backend: PanNeuroKubeBackend, world: World) -> None:
    first, second = [await backend.start_cluster(ADA, ASKED) for _ in range(2)]
    backend.clusters = known(world)
    world.run(first)
    world.run(second)
    await backend.on_cluster_heartbeat(first, {**HEARTBEAT, "count": 45})
    await backend.on_cluster_heartbeat(second, {**HEARTBEAT, "count": 45})
    replicas = [world.objects[name]["spec"]["replicas"] for name in (first, second)]
    assert replicas == [45, 5]
    # Its scheduler says that it has none any more, and its pods are there.
    for number in range(40):
        world.worker(first, f"pod-{number}", "Running" if number else "Pending")
    await backend.on_cluster_heartbeat(first, {**HEARTBEAT, "count": 0})
    await backend.on_cluster_heartbeat(second, {**HEARTBEAT, "count": 45})
    assert world.objects[second]["spec"]["replicas"] == 10
    world.pods.clear()
    await backend._report()
    assert world.objects[second]["spec"]["replicas"] == 45, "who waits gets what is given back"
    with pytest.raises(PublicException, match="count must be a whole number"):
        await backend.on_cluster_heartbeat(first, {**HEARTBEAT, "count": -1})


async def test_after_a_restart_its_own_records_count(
    backend: PanNeuroKubeBackend, world: World
) -> None:
    first, second = [await backend.start_cluster(ADA, ASKED) for _ in range(2)]
    backend.clusters = known(world)
    world.objects[first]["spec"]["replicas"] = 48  # what an earlier gateway gave
    await backend.on_cluster_heartbeat(second, {**HEARTBEAT, "count": 45})
    assert world.objects[second]["spec"]["replicas"] == 2


async def test_what_is_told_and_what_comes_of_it(
    backend: PanNeuroKubeBackend, world: World
) -> None:
    name = await backend.start_cluster(ADA, ASKED)
    (ticket,) = world.tickets
    world.run(name)
    for pod, phase in (("a", "Running"), ("b", "Pending"), ("c", "Succeeded")):
        world.worker(name, pod, phase)
    await backend._report()
    cluster = {
        "session": ticket.name, "name": name, "workers": 1, "cores": 4.0, "memory": 16 * 1024**3,
    }  # fmt: skip
    assert world.reports[-1] == [cluster]
    assert world.ended == []
    world.stop = [{"session": ticket.name, "reason": "ada has left"}]
    await backend._report()
    assert world.objects[name]["spec"]["active"] is False
    assert world.ended == [ticket.name]
    assert world.secrets == {}
    world.stop = []
    await backend._report()
    assert world.reports[-1] == []


async def test_a_project_that_has_left_the_file_has_no_limits_but_none(
    backend: PanNeuroKubeBackend, world: World, tmp_path: Path, example_file: Path
) -> None:
    name = await backend.start_cluster(ADA, ASKED)
    world.objects[name]["spec"]["config"]["panneuro"]["project"] = "gone"
    await backend.on_cluster_heartbeat(name, {**HEARTBEAT, "count": 3})
    assert backend._compute_quota(name, 3).workers == 0


async def test_an_admins_own_options_are_refused(example_file: Path) -> None:
    c = Config()
    c.ClusterMixin.collaboration_file = str(example_file)
    c.ClusterMixin.service_url = "http://127.0.0.1:1"
    c.ClusterMixin.service_token = "t"
    c.Backend.cluster_options = lambda user: None
    backend = PanNeuroKubeBackend(config=c, gateway_instance="hub", gateway_address="x")
    with pytest.raises(PanNeuroError, match="options come from the collaboration file"):
        await backend.setup(application())
    bare = PanNeuroKubeBackend(config=Config(), gateway_instance="hub", gateway_address="x")
    with pytest.raises(PanNeuroError, match="collaboration_file is not set"):
        await bare.setup(application())
    app = application()
    app["authenticator"] = JupyterHubAuthenticator()
    with pytest.raises(PanNeuroError, match="authenticator_class is set"):
        await backend.setup(app)


async def test_a_dashboard_is_behind_its_cluster_s_service(backend: PanNeuroKubeBackend) -> None:
    address = "http://dask-c1.hub:8787"
    backend.clusters["hub.c1"] = SimpleNamespace(dashboard_address=address)
    backend.clusters["hub.c2"] = SimpleNamespace(dashboard_address="")  # begins or has ended
    assert backend.find_dashboard("hub.c1") == address
    assert backend.find_dashboard("hub.c2") is None
    assert backend.find_dashboard("hub.c3") is None
