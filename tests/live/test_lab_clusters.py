"""`lab.cluster`, and JupyterLab's Dask panel, against a real gateway that starts real workers."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import subprocess
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Iterator
from concurrent.futures import CancelledError
from contextlib import ExitStack
from typing import Any

import dask
import pytest
from dask_gateway.client import GatewayWarning
from distributed import Client, KilledWorker, progress
from distributed.diagnostics.progressbar import ProgressWidget
from small_gateways import PATIENCE, ROOT, SmallGateway, small_gateway
from testing.waiting import wait_until, wait_until_async

import panneuro_hub.lab as lab
from panneuro_hub.devstack.processes import find_free_port
from panneuro_hub.errors import AccessDeniedError, ServiceUnavailableError
from panneuro_hub.lab import project_clusters
from panneuro_hub.lab.cluster_security import load_security
from panneuro_hub.lab.current_session import NotInSessionError
from panneuro_hub.lab.gateway_errors import ClusterEndedError, ClusterNotFoundError
from panneuro_hub.lab.project_clusters import ProjectCluster
from panneuro_hub.lab.worker_memory import WorkerMemoryWarning


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallGateway]:
    with (
        small_gateway(tmp_path_factory.mktemp("gateway")) as gateway,
        dask.config.set(
            {"gateway.address": gateway.url, "gateway.proxy-address": gateway.proxy_address}
        ),
    ):
        yield gateway


@pytest.fixture
def session(gateway: SmallGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PANNEURO_PROJECT", "nhp-navigation")
    monkeypatch.setenv("PANNEURO_IMAGE", "neuro")


def test_a_cluster_is_ready_to_compute_and_ends_with_its_client(
    session: None, gateway: SmallGateway
) -> None:
    with lab.cluster(workers=2, profile="standard", environment={"COLOUR": "green"}) as client:
        assert isinstance(client, Client)
        assert Client.current() is client
        ((name, options),) = gateway.running().items()
        assert options == {
            "project": "nhp-navigation",
            "profile": "standard",
            "image": "neuro",
            "environment": {"COLOUR": "green"},
        }
        # Nobody asked for a worker: the work does.
        assert client.submit(os.getenv, "COLOUR").result(timeout=PATIENCE) == "green"
        assert name in client.dashboard_link
    assert gateway.running() == {}
    assert client.status == "closed"
    client.close()


def test_progress_is_a_widget_in_a_notebook(session: None) -> None:
    with lab.cluster(workers=1) as client:
        futures = client.map(abs, range(3))
        shown = progress(futures, notebook=True, multi=False)
        assert isinstance(shown, ProgressWidget)
        assert client.gather(futures) == [0, 1, 2]
        shown.widget.close()


def test_it_keeps_the_workers_that_it_was_told_to(session: None) -> None:
    client = lab.cluster(workers=2, minimum=2)
    try:
        client.wait_for_workers(2, timeout=PATIENCE)
    finally:
        client.shutdown()
    assert client.cluster.status == "closed"


def test_more_than_is_left_is_said_in_the_gateways_words(session: None) -> None:
    with (
        pytest.warns(GatewayWarning, match="would exceed resource limit of 4 workers"),
        lab.cluster(workers=30),
    ):
        pass


def test_a_running_cluster_is_listed_joined_and_ended_by_its_name(
    session: None, gateway: SmallGateway
) -> None:
    assert lab.clusters() == []
    with lab.cluster(workers=1) as client:
        (listed,) = lab.clusters()
        assert listed.name == client.cluster.name
        assert listed.status == "running"
        assert repr(listed).startswith(f"<cluster {listed.name}: running since ")
        for name in (listed.name, listed.name[-5:]):
            with lab.cluster(name) as joined:
                assert joined.submit(sum, [1, 2]).result(timeout=PATIENCE) == 3
            # Leaving it leaves it to its owner.
            assert [*gateway.running()] == [listed.name]
        with listed.join() as joined:
            assert joined.cluster.name == listed.name
        for wrong in ("nosuchcluster", ""):
            with pytest.raises(ClusterNotFoundError, match=listed.name):
                lab.cluster(wrong)
        with pytest.raises(ValueError, match="with its name alone"):
            lab.cluster(listed.name, profile="standard")
        listed.stop()
        assert gateway.running() == {}
    with pytest.raises(ClusterNotFoundError, match="none of yours is running"):
        lab.cluster(listed.name)


def test_who_joins_a_cluster_can_end_it(session: None, gateway: SmallGateway) -> None:
    with lab.cluster(workers=1) as client:
        lab.cluster(client.cluster.name).shutdown()
        assert gateway.running() == {}


def test_a_client_with_the_address_alone_gets_the_certificate(session: None) -> None:
    configured = panel_config()["distributed"]["client"]
    settings = {f"distributed.client.{key}": value for key, value in configured.items()}
    with dask.config.set(settings), lab.cluster(workers=1) as client:
        address = client.cluster.scheduler_address
        # As dask-labextension writes it.
        with Client(address, set_as_default=False) as plain:
            assert plain.submit(sum, [1, 2]).result(timeout=PATIENCE) == 3
        # Not by a Client: Dask leaves the loop of one that is refused open, and warns later.
        with pytest.raises(AccessDeniedError, match="nosuchcluster"):
            load_security({"address": f"{address.rpartition('/')[0]}/nosuchcluster"})
    assert load_security({"address": "tls://127.0.0.1:8786"}) is None


def test_a_cluster_that_was_closed_says_so(session: None, recwarn: pytest.WarningsRecorder) -> None:
    client = lab.cluster(workers=1)
    client.close()
    for call in (
        lambda: client.cluster.scale(1),
        lambda: client.cluster.adapt(maximum=1),
        client.cluster.get_client,
    ):
        with pytest.raises(ClusterEndedError, match="was closed here"):
            call()
    with pytest.raises(ClusterEndedError, match="this client was closed"):
        client.submit(sum, [1, 2])
    gc.collect()
    assert [str(warning.message) for warning in recwarn] == []


def test_a_cluster_that_ended_elsewhere_says_why(session: None, gateway: SmallGateway) -> None:
    client = lab.cluster(workers=1, minimum=1)
    waiting = client.submit(time.sleep, PATIENCE)
    client.wait_for_workers(1, timeout=PATIENCE)

    def end() -> None:
        gateway.stop(client.cluster.name)
        # It does not wait for a scheduler that never comes back.
        with pytest.raises(CancelledError, match="nobody used it"):
            waiting.result(timeout=PATIENCE)
        wait_until(lambda: client.status == "closed", "the end of the client")
        wait_until(has_ended, "the end of the cluster")

    def has_ended() -> bool:
        try:
            client.cluster.scale(1)
        except ClusterEndedError:
            return True
        except ServiceUnavailableError:  # the cluster's own connection is about to break as well
            return False
        return False

    with pytest.warns(GatewayWarning, match="nobody used it"):
        end()
    for call in (lambda: client.submit(sum, [1]), lambda: client.cluster.scale(1)):
        with pytest.raises(ClusterEndedError, match="nobody used it"):
            call()
    client.close()


def test_a_refused_connection_leaves_nothing_that_hangs(session: None) -> None:
    with lab.cluster(workers=1) as client:
        gc.disable()
        try:
            for name in ("nosuchcluster", "x"):
                with pytest.raises(ClusterNotFoundError):
                    lab.cluster(name)
                with pytest.raises(AccessDeniedError):
                    ProjectCluster.from_name(name)
            # Where dask-gateway's own client would wait for itself.
            client.loop.add_callback(gc.collect)
            assert len(lab.clusters()) == 1
        finally:
            gc.enable()


def test_an_abandoned_cluster_that_is_collected_in_its_own_loop_is_ended(
    session: None, gateway: SmallGateway
) -> None:
    made = [ProjectCluster()]
    loop = made[0].loop
    dropped = threading.Event()

    def drop() -> None:
        made.clear()
        gc.collect()
        dropped.set()

    loop.add_callback(drop)
    assert dropped.wait(PATIENCE)
    wait_until(lambda: not gateway.running(), "the end of the cluster")


def test_a_worker_that_is_killed_for_its_memory_is_named_as_such(session: None) -> None:
    def eat_memory() -> int:
        kept = [bytearray(b"x") * (10 * 2**20) for _ in range(120)]
        time.sleep(PATIENCE)
        return len(kept)

    with (
        lab.cluster(
            workers=1, minimum=1, environment={"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0"}
        ) as client,
        pytest.warns(WorkerMemoryWarning, match="killed for using more memory"),
        pytest.raises(KilledWorker),
    ):
        client.submit(eat_memory).result(timeout=PATIENCE)


def test_it_ends_with_the_interpreter(session: None, gateway: SmallGateway) -> None:
    script = "from panneuro_hub import lab\nclient = lab.cluster(workers=1)\nprint(client.cluster)"
    ran = subprocess.run(
        [sys.executable, "-c", script],
        env={
            "PATH": os.defpath,
            "PYTHONPATH": str(ROOT),
            "PANNEURO_PROJECT": "nhp-navigation",
            **gateway.environment,
        },
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert ran.returncode == 0, ran.stderr
    assert "Traceback" not in ran.stderr
    assert ran.stdout.strip()
    assert gateway.running() == {}


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_refusal_has_the_gateways_words_and_nothing_else(
    session: None, gateway: SmallGateway, asynchronous: bool
) -> None:
    async def wait() -> None:
        await ProjectCluster(profile="huge", asynchronous=True)

    def make() -> None:
        asyncio.run(wait()) if asynchronous else lab.cluster(profile="huge")

    with pytest.raises(AccessDeniedError) as refused:
        make()
    assert str(refused.value) == "nhp-navigation has no worker profile 'huge'; it has: standard"
    shown = "".join(traceback.format_exception(refused.value))
    assert "aiohttp" not in shown
    assert "dask_gateway" not in shown.replace("test_lab_clusters", "")
    assert refused.value.__cause__ is None
    assert refused.value.__context__ is None
    assert gateway.running() == {}


@pytest.mark.parametrize(
    ("profile", "kind", "words"),
    [
        ("forbidden", AccessDeniedError, "refuses this: Forbidden"),
        ("away", ServiceUnavailableError, "503"),
        ("broken", ServiceUnavailableError, "gateway"),
        ("dies", ServiceUnavailableError, "failed to start"),
    ],
)
def test_what_goes_wrong_is_one_error_of_ours(
    session: None, profile: str, kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind, match=words) as problem:
        lab.cluster(profile=profile)
    assert type(problem.value) is kind
    assert "Authorization" not in repr(problem.value)
    assert problem.value.__context__ is None


def test_a_gateway_out_of_reach(session: None) -> None:
    with (
        dask.config.set({"gateway.address": f"http://127.0.0.1:{find_free_port()}"}),
        pytest.raises(ServiceUnavailableError, match="cannot be reached"),
    ):
        lab.cluster()


def test_a_hub_without_a_gateway(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PANNEURO_PROJECT", "nhp-navigation")
    with (
        dask.config.set({"gateway.address": None}),
        pytest.raises(ServiceUnavailableError, match="this hub has no Dask gateway"),
    ):
        lab.cluster()


def test_outside_a_session(gateway: SmallGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PANNEURO_PROJECT", raising=False)
    with pytest.raises(NotInSessionError, match="start a server from the hub"):
        lab.cluster()


@pytest.mark.parametrize(("minimum", "workers"), [(0, 0), (-1, 4), (5, 4), (-2, -1)])
def test_sizes_that_are_none(session: None, minimum: int, workers: int) -> None:
    with pytest.raises(ValueError, match="let workers be 1 or more"):
        lab.cluster(workers, minimum=minimum)


def test_a_start_that_fails_half_way_leaves_no_cluster(
    session: None, gateway: SmallGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(project_clusters, "ProjectClient", fails)
    with pytest.raises(KeyboardInterrupt):
        lab.cluster()
    assert gateway.running() == {}


def panel_config() -> dict[str, Any]:
    """What the notebook image's Dask is configured with."""
    from dask.config import collect_yaml, merge

    return dict(merge(*collect_yaml([str(ROOT / "images" / "notebook" / "etc" / "dask")])))


async def test_the_panels_own_manager_starts_and_scales_a_projects_cluster(
    session: None, gateway: SmallGateway
) -> None:
    panel = panel_config()["labextension"]
    with warnings.catch_warnings(), dask.config.set({"labextension": panel}):
        # Its manager is made when it is imported; here it is used in a loop that runs.
        warnings.filterwarnings("ignore", "There is no current event loop", DeprecationWarning)
        from dask_labextension.manager import DaskClusterManager

        async with DaskClusterManager() as manager:
            model = await manager.start_cluster()
            assert model["name"] == "ProjectCluster 1"
            assert model["adapt"] == {"minimum": 0, "maximum": 4}
            assert model["workers"] == 0
            json.dumps(model)
            ((name, options),) = (await asyncio.to_thread(gateway.running)).items()
            assert options["project"] == "nhp-navigation"
            assert name in model["dashboard_link"]

            scaled = await manager.scale_cluster(model["id"], 2)
            assert scaled is not None
            assert "adapt" not in scaled
            now = await wait_until_async(
                lambda: (now := manager.get_cluster(model["id"])) and now["workers"] == 2 and now,
                "the second worker",
            )
            assert now["cores"] == 2

            adapted = manager.adapt_cluster(model["id"], 1, 3)
            assert adapted is not None
            assert adapted["adapt"] == {"minimum": 1, "maximum": 3}
            assert await manager.close_cluster(model["id"])
        assert await asyncio.to_thread(gateway.running) == {}


async def test_the_panel_shows_the_gateways_words(session: None) -> None:
    with ExitStack() as stack:
        stack.enter_context(dask.config.set({"labextension": panel_config()["labextension"]}))
        stack.enter_context(dask.config.set({"labextension.factory.kwargs": {"profile": "huge"}}))
        from dask_labextension.manager import make_cluster

        with pytest.raises(AccessDeniedError, match="has no worker profile 'huge'"):
            await make_cluster({})


async def test_scaling_that_is_refused_is_logged_where_nobody_awaits_it(
    session: None, caplog: pytest.LogCaptureFixture
) -> None:
    async with ProjectCluster(asynchronous=True) as cluster:
        await cluster.gateway._stop_cluster(cluster.name)
        asked = cluster.adapt(maximum=3)
        with pytest.raises((AccessDeniedError, ServiceUnavailableError)):
            await asked
    assert "keeps its size" in caplog.text
