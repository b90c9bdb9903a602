"""`lab.cluster`, and JupyterLab's Dask panel, against a real gateway that starts real workers."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import dask
import pytest
from dask_gateway.client import GatewayWarning
from distributed import Client
from small_gateways import PATIENCE, ROOT, SmallGateway, small_gateway

import panneuro_hub.lab as lab
from panneuro_hub.demo.processes import free_port
from panneuro_hub.errors import AccessDenied, ServiceUnavailable
from panneuro_hub.lab import clusters
from panneuro_hub.lab.clusters import ProjectCluster
from panneuro_hub.lab.here import NotInSession


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

    with pytest.raises(AccessDenied) as refused:
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
        ("forbidden", AccessDenied, "refuses this: Forbidden"),
        ("away", ServiceUnavailable, "503"),
        ("broken", ServiceUnavailable, "gateway"),
        ("dies", ServiceUnavailable, "failed to start"),
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
        dask.config.set({"gateway.address": f"http://127.0.0.1:{free_port()}"}),
        pytest.raises(ServiceUnavailable, match="cannot be reached"),
    ):
        lab.cluster()


def test_a_hub_without_a_gateway(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PANNEURO_PROJECT", "nhp-navigation")
    with (
        dask.config.set({"gateway.address": None}),
        pytest.raises(ServiceUnavailable, match="this hub has no Dask gateway"),
    ):
        lab.cluster()


def test_outside_a_session(gateway: SmallGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PANNEURO_PROJECT", raising=False)
    with pytest.raises(NotInSession, match="start a server from the hub"):
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

    monkeypatch.setattr(clusters, "ProjectClient", fails)
    with pytest.raises(KeyboardInterrupt):
        lab.cluster()
    assert gateway.running() == {}


def panel_config() -> dict[str, Any]:
    """What the notebook image's Dask is configured with."""
    from dask.config import collect_yaml

    (found,) = collect_yaml([str(ROOT / "images" / "notebook" / "etc" / "dask")])
    return dict(found)


async def test_the_panels_own_manager_starts_and_scales_a_projects_cluster(
    session: None, gateway: SmallGateway
) -> None:
    with warnings.catch_warnings(), dask.config.set(panel_config()):
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
            async with asyncio.timeout(PATIENCE):
                while (now := manager.get_cluster(model["id"])) and now["workers"] < 2:  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
            assert now is not None
            assert now["cores"] == 2

            adapted = manager.adapt_cluster(model["id"], 1, 3)
            assert adapted is not None
            assert adapted["adapt"] == {"minimum": 1, "maximum": 3}
            assert await manager.close_cluster(model["id"])
        assert await asyncio.to_thread(gateway.running) == {}


async def test_the_panel_shows_the_gateways_words(session: None) -> None:
    with ExitStack() as stack:
        stack.enter_context(dask.config.set(panel_config()))
        stack.enter_context(dask.config.set({"labextension.factory.kwargs": {"profile": "huge"}}))
        from dask_labextension.manager import make_cluster

        with pytest.raises(AccessDenied, match="has no worker profile 'huge'"):
            await make_cluster({})


async def test_scaling_that_is_refused_is_logged_where_nobody_awaits_it(
    session: None, caplog: pytest.LogCaptureFixture
) -> None:
    async with ProjectCluster(asynchronous=True) as cluster:
        await cluster.gateway._stop_cluster(cluster.name)
        asked = cluster.adapt(maximum=3)
        with pytest.raises((AccessDenied, ServiceUnavailable)):
            await asked
    assert "keeps its size" in caplog.text
