"""Starts of pods that fail: when they end, what is said, what is left and logged."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from jupyterhub.spawner import SpawnException
from kubernetes_asyncio.client import ApiException, V1ObjectMeta, V1PersistentVolumeClaim, V1Pod
from kubespawner import KubeSpawner
from spawners import config_of, new_spawner
from traitlets.config import Config

from panneuro_hub.hub.account_names import find_account_name_problem
from panneuro_hub.hub.kube_spawner import PanNeuroSpawner
from panneuro_hub.pod import agent_sidecar
from panneuro_hub.wire.session import Session

FULL = "0/1 nodes are available: 1 Insufficient cpu."


class Seen:
    """What a reflector has seen."""

    def __init__(self, *pods: dict[str, Any]) -> None:
        self.pods = {f"hub/{pod['metadata']['name']}": pod for pod in pods}
        self.events: list[dict[str, Any]] = []
        self.first_load_future = asyncio.get_running_loop().create_future()
        self.first_load_future.set_result(None)
        self.watch_task: asyncio.Future[None] | None = None


class Nodes:
    """An API server that lists one node, or may not."""

    def __init__(self, *answers: Callable[[], dict[str, Any]]) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def list_node(self, _preload_content: bool) -> Nodes:
        self.asked += 1
        return self

    async def read(self) -> str:
        answer = self.answers[min(self.asked, len(self.answers)) - 1]
        return json.dumps(answer())


def node(cpu: str) -> Callable[[], dict[str, Any]]:
    return lambda: {"items": [{"status": {"allocatable": {"cpu": cpu}}}]}


def forbidden() -> dict[str, Any]:
    raise ApiException(status=403, reason="Forbidden")


@pytest.fixture
def spawner(example_file: Path, monkeypatch: pytest.MonkeyPatch) -> PanNeuroSpawner:
    config: Config = config_of(example_file, monkeypatch)
    config.KubeSpawner.start_timeout = 600
    config.KubeSpawner.events_enabled = False
    config.SessionMixin.shared_folder = "none"  # nothing to be looked up for it
    config.PanNeuroSpawner.end_orphans = False
    monkeypatch.setattr(KubeSpawner, "reflectors", {})
    made = new_spawner(config)
    made.session = Session.begin("nhp-navigation", "small", None)
    made.pod_name = "jupyter-ada"
    made.hopeless_after = 0
    return made


@pytest.fixture
def stopped(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    names: list[str] = []

    async def stop(self: KubeSpawner, now: bool = False) -> None:
        names.append(self.pod_name)

    monkeypatch.setattr(KubeSpawner, "stop", stop)
    return names


def starts(monkeypatch: pytest.MonkeyPatch, outcome: Any = None) -> list[str]:
    """Let KubeSpawner's own start end so, or go on for ever; what became of it."""
    fate: list[str] = []

    async def start(self: KubeSpawner) -> Any:
        try:
            if isinstance(outcome, Exception):
                raise outcome
            return outcome or await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            fate.append("cancelled")
            raise

    monkeypatch.setattr(KubeSpawner, "_start", start)
    return fate


def sees(spawner: PanNeuroSpawner, **status: Any) -> None:
    assert spawner.session is not None
    labels = {"panneuro.org/session": spawner.session.id, "panneuro.org/profile": "small"}
    asked = {"name": "notebook", "image": "neuro:1", "resources": {"requests": {"cpu": "4"}}}
    pod = {
        "metadata": {"name": spawner.pod_name, "uid": "u", "labels": labels},
        "spec": {"containers": [asked]},
        "status": status,
    }
    KubeSpawner.reflectors[spawner._get_reflector_key("pods")] = Seen(pod)


def unplaced() -> dict[str, Any]:
    said = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": FULL}
    return {"phase": "Pending", "conditions": [said]}


def without_image(reason: str) -> dict[str, Any]:
    waits = {"name": "notebook", "image": "neuro:1", "state": {"waiting": {"reason": reason}}}
    return {"phase": "Pending", "containerStatuses": [waits]}


async def words_of(spawner: PanNeuroSpawner) -> str:
    with pytest.raises(SpawnException) as failed:
        await spawner._start()
    assert failed.value.status_code == 503
    return str(failed.value.jupyterhub_message)


@pytest_asyncio.fixture
async def url() -> AsyncIterator[str]:
    """Of a server that listens, and says nothing."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_a_start_that_works_is_left_alone(
    spawner: PanNeuroSpawner, stopped: list[str], monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    starts(monkeypatch, url)
    assert await spawner._start() == url
    assert stopped == []


async def test_a_server_that_ends_after_a_moment_has_not_started(
    spawner: PanNeuroSpawner, stopped: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as bound:  # and not listening
        bound.bind(("127.0.0.1", 0))
        starts(monkeypatch, f"http://127.0.0.1:{bound.getsockname()[1]}")
        sees(spawner, **without_image("CrashLoopBackOff"))
        assert "ends as soon as it is started" in await words_of(spawner)
    assert stopped == ["jupyter-ada"]


async def test_a_hopeless_one_ends_and_leaves_nothing(
    spawner: PanNeuroSpawner, stopped: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fate = starts(monkeypatch)
    sees(spawner, **without_image("InvalidImageName"))
    assert (await words_of(spawner)).startswith("the image neuro:1 cannot be pulled")
    assert (fate, stopped) == (["cancelled"], ["jupyter-ada"])
    assert spawner.session is None


async def test_so_does_one_that_jupyterhub_would_end_without_a_word(
    spawner: PanNeuroSpawner, stopped: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    starts(monkeypatch)
    spawner.start_timeout = 1
    assert "did not start within 1 seconds" in await words_of(spawner)
    assert stopped == ["jupyter-ada"]


async def test_what_was_waited_for_is_said_then(
    spawner: PanNeuroSpawner, stopped: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    starts(monkeypatch)
    sees(spawner, **unplaced())
    spawner.api = Nodes(node("8"))
    spawner.start_timeout = 1
    words = await words_of(spawner)
    assert words.startswith("no node has room for the profile small now")
    assert FULL.rstrip(".") in words


async def test_a_pod_of_an_earlier_session_says_nothing_about_this_one(
    spawner: PanNeuroSpawner, stopped: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    starts(monkeypatch)
    sees(spawner, **without_image("InvalidImageName"))
    spawner.session = Session.begin("nhp-navigation", "small", None)
    spawner.start_timeout = 1
    assert "did not start within" in await words_of(spawner)


async def test_nodes_that_may_not_be_seen_are_waited_for(
    spawner: PanNeuroSpawner, stopped: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    starts(monkeypatch)
    sees(spawner, **unplaced())
    nodes = spawner.api = Nodes(forbidden)
    spawner.start_timeout = 3
    assert "no node has room" in await words_of(spawner)
    assert nodes.asked == 1, "once is enough to know that one may not"


async def test_a_profile_that_is_too_large_is_hopeless_after_a_while(
    spawner: PanNeuroSpawner, stopped: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    starts(monkeypatch)
    sees(spawner, **unplaced())
    spawner.api = Nodes(node("2"))
    assert (await words_of(spawner)).startswith("no node of this cluster is large enough")


async def test_what_kubernetes_refuses_is_said_without_repeating_the_pod(
    spawner: PanNeuroSpawner, stopped: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    error = ApiException(status=403)
    error.body = json.dumps(
        {
            "message": 'pods is forbidden: User "hub" cannot create resource "pods" in',
            "details": {"kind": "pods"},
        }
    )
    starts(monkeypatch, error)
    words = await words_of(spawner)
    assert words.startswith("the hub may not create pods in the namespace hub")
    starts(monkeypatch, ApiException(status=500, reason="<html>"))
    assert "Kubernetes did not make" in await words_of(spawner)


async def test_what_kubernetes_does_not_do_in_time_is_told(
    spawner: PanNeuroSpawner, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts(monkeypatch, TimeoutError("pod/hub/jupyter-ada does not have a uid!"))
    with pytest.raises(SpawnException, match="did not do in time what this start needs"):
        await spawner._start()


async def test_a_reflector_that_failed_is_not_asked_again(
    spawner: PanNeuroSpawner, stopped: list[str], monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    failed, good = Seen(), Seen()
    failed.first_load_future = asyncio.get_running_loop().create_future()
    failed.first_load_future.set_exception(ApiException(status=403))
    KubeSpawner.reflectors.update({"failed": failed, "good": good})
    starts(monkeypatch, url)
    await spawner._start()
    assert KubeSpawner.reflectors == {"good": good}


class Refusing:
    """An API server that refuses every pod."""

    status: ClassVar[int] = 403

    async def create_namespaced_pod(self, namespace: str, pod: Any) -> None:
        raise ApiException(status=self.status)


async def test_the_servers_token_is_not_logged(
    spawner: PanNeuroSpawner, caplog: pytest.LogCaptureFixture
) -> None:
    spawner.api = Refusing()
    spawner.log = logging.getLogger("for-the-test")
    pod = V1Pod(metadata=V1ObjectMeta(name="jupyter-ada", annotations={"a": "the-api-token"}))
    with pytest.raises(ApiException):
        await spawner._make_create_pod_request(pod, 3)
    assert "jupyter-ada" in caplog.text
    assert "the-api-token" not in caplog.text


async def test_a_pod_of_the_same_name_goes_and_the_session_stays(
    spawner: PanNeuroSpawner, stopped: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Refusing, "status", 409)
    spawner.api = Refusing()
    session = spawner.session
    pod = V1Pod(metadata=V1ObjectMeta(name="jupyter-ada"))
    assert await spawner._make_create_pod_request(pod, 3) is False
    assert stopped == ["jupyter-ada"]
    assert spawner.session is session is not None


class Homes:
    """An API server in which a home is somebody's already."""

    def __init__(self, owner: str | None) -> None:
        self.owner = owner
        self.api_client = ApiClient

    async def create_namespaced_persistent_volume_claim(self, namespace: str, body: Any) -> None:
        raise ApiException(status=409)

    async def read_namespaced_persistent_volume_claim(self, name: str, namespace: str) -> Any:
        return claim(self.owner)


class ApiClient:
    """What is sent to the API server, as it would be sent."""

    @staticmethod
    def sanitize_for_serialization(one: Any) -> Any:
        return {"metadata": {"annotations": one.metadata.annotations}}


def claim(owner: str | None) -> V1PersistentVolumeClaim:
    annotations = {"hub.jupyter.org/username": owner} if owner else None
    return V1PersistentVolumeClaim(metadata=V1ObjectMeta(name="claim-ada", annotations=annotations))


@pytest.mark.parametrize(
    ("owner", "is_taken"),
    [("Ada.Monkman@uni.example", True), (None, True), ("ada-monkman@uni.example", False)],
)
async def test_a_home_is_taken_only_where_it_is_ones_own(
    spawner: PanNeuroSpawner, owner: str | None, is_taken: bool
) -> None:
    spawner.api = Homes(owner)
    if is_taken:
        assert await spawner._make_create_pvc_request(claim(None), 3)
    else:
        with pytest.raises(SpawnException, match="home") as failed:
            await spawner._make_create_pvc_request(claim(None), 3)
        assert owner not in failed.value.jupyterhub_message


async def test_nobody_elses_pod_is_stopped(spawner: PanNeuroSpawner, stopped: list[str]) -> None:
    spawner.api = Refusing()
    sees(spawner)
    [pod] = KubeSpawner.reflectors[spawner._get_reflector_key("pods")].pods.values()
    pod["metadata"]["annotations"] = {"hub.jupyter.org/username": "ada-monkman@uni.example"}
    with pytest.raises(SpawnException, match="another account's"):
        await spawner._make_create_pod_request(V1Pod(metadata=V1ObjectMeta(name="x")), 3)
    assert stopped == []


names = st.text(min_size=1, max_size=80).filter(lambda name: not find_account_name_problem(name))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names, names)
def test_different_people_have_nothing_of_the_same_name(
    spawner: PanNeuroSpawner, one: str, other: str
) -> None:
    assume(one != other)
    assert not all_names(spawner, one) & all_names(spawner, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ada", "ada"),
        ("a.b", "a-b"),
        ("a--b", "a-b"),
        ("x" * 70, "x" * 71),
        ("ada", "ada---1a2b3c4d"),
    ],
)
def test_nor_do_those_that_are_alike(spawner: PanNeuroSpawner, one: str, other: str) -> None:
    assert not all_names(spawner, one) & all_names(spawner, other)


def all_names(spawner: PanNeuroSpawner, person: str) -> set[tuple[str, str]]:
    """What a person's pod, home and labels are called."""
    spawner.user.name = person
    session = Session.begin("nhp-navigation", "small", None)
    return {
        ("pod", spawner._expand_user_properties(spawner.pod_name_template)),
        ("home", spawner._expand_user_properties(spawner.pvc_name_template)),
        ("owner", agent_sidecar.build_session_labels(session, person)["panneuro.org/owner"]),
        ("session", session.id),
        ("username", spawner._build_common_labels({})["hub.jupyter.org/username"]),
    }


# -- what Kubernetes does not say -------------------------------------------------------------


async def test_any_error_of_a_start_is_told_in_a_sentence(
    spawner: PanNeuroSpawner, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_self: object) -> str:
        raise ConnectionRefusedError("with a token in its text")

    monkeypatch.setattr(KubeSpawner, "_start", fail)
    with pytest.raises(SpawnException) as caught:
        await spawner._start()
    assert "the Kubernetes API does not answer (ConnectionRefusedError)" in str(caught.value)
    assert "token" not in str(caught.value)


async def test_a_server_of_which_nothing_is_known_counts_as_running(
    spawner: PanNeuroSpawner, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_self: object) -> int:
        raise ConnectionRefusedError

    monkeypatch.setattr(KubeSpawner, "poll", fail)
    with pytest.raises(ConnectionRefusedError):
        await spawner.poll()  # there is no server of which anything could be said
    monkeypatch.setattr(PanNeuroSpawner, "server", object())
    assert await spawner.poll() is None


async def test_a_watch_that_was_given_up_begins_again(spawner: PanNeuroSpawner) -> None:
    given_up, good = Seen(), Seen()
    given_up.watch_task = asyncio.get_running_loop().create_future()
    given_up.watch_task.set_result(None)
    good.watch_task = asyncio.get_running_loop().create_future()
    KubeSpawner.reflectors.update({"given up": given_up, "good": good})
    spawner._forget_failed_reflectors()
    assert KubeSpawner.reflectors == {"good": good}
