"""A hub in a pod, its service in pods, servers in pods: the main job on a real cluster."""

from __future__ import annotations

import time

from deployment import Deployment
from started import PROJECT, said, servers, start, tickets
from surroundings import World
from testing.waiting import wait_until

from panneuro_hub.devstack.hub_visitor import HubVisitor
from panneuro_hub.devstack.kernel_client import start_kernel

RECORDING = "nhp-navigation/grasshopper-receptor.zarr"

READ = f"""
import panneuro_hub.lab as lab
print(lab.open_zarr({RECORDING!r}).spike_times.size, "spikes")
"""
REFUSED = """
import obstore
try:
    lab.open_zarr("human-intracranial/event-related-fmri.zarr")
except Exception as refused:
    print("lab:", refused)
from obstore.store import S3Store
try:
    list(S3Store("learning-circuits").list("human-intracranial/"))
except Exception as refused:
    print("store:", "403" in str(refused) or "Forbidden" in str(refused) or type(refused))
"""
NO_SECRET = """
import os, pathlib
print([name for name in os.environ if "SECRET" in name or "TICKET" in name])
print(pathlib.Path("/run/panneuro-ticket").exists(),
      pathlib.Path("/var/run/secrets/kubernetes.io").exists(), os.getuid())
"""


async def test_the_main_job(hub: Deployment, around: World, ada: HubVisitor) -> None:
    lines = await start(ada)
    assert any("nhp-navigation" in line and "manage" in line for line in lines)
    [pod] = servers(hub.cluster)
    labels = pod["metadata"]["labels"]
    assert labels["panneuro.org/project"] == PROJECT
    assert labels["panneuro.org/owner"] == "ada"
    assert len(tickets(hub.cluster)) == 1
    async with start_kernel(ada, await ada.enter()) as python:
        assert await said(python, READ) == "929 spikes"
        refused = await said(python, REFUSED)
        assert "human-intracranial" in refused
        assert "store: True" in refused
        assert (await said(python, NO_SECRET)).split("\n") == ["[]", "False False 1000"]
        # Past the end of the first keys, which the store itself then refuses.
        first = around.sts.ends[-1]
        reads = 0
        while time.time() < first + 5:
            assert await said(python, READ) == "929 spikes"
            reads += 1
        assert reads > 3
        assert around.sts.ends[-1] > first
    await ada.stop()
    wait_until(lambda: not servers(hub.cluster))
    wait_until(lambda: not tickets(hub.cluster))


async def test_an_agent_that_dies_comes_back(hub: Deployment, ada: HubVisitor) -> None:
    await start(ada)
    [pod] = servers(hub.cluster)
    name = pod["metadata"]["name"]
    async with start_kernel(ada, await ada.enter()) as python:
        await said(python, READ)
        kill = "import os; os.kill(1, 15)"
        hub.cluster.run(name, "panneuro-agent", ["python3", "-c", kill])

        def restarted() -> bool:
            [now] = servers(hub.cluster)
            return any(
                status["name"] == "panneuro-agent" and status["restartCount"] and status["ready"]
                for status in now["status"]["containerStatuses"]
            )

        wait_until(restarted)
        assert await said(python, READ) == "929 spikes"


async def test_a_session_outlives_hub_and_service(
    hub: Deployment, around: World, ada: HubVisitor
) -> None:
    await start(ada)
    [before] = servers(hub.cluster)
    async with start_kernel(ada, await ada.enter()) as python:
        await said(python, READ)
        ends = len(around.sts.ends)
        hub.cluster.kubectl("rollout", "restart", "deployment/panneuro", "deployment/hub")
        hub.wait()
        # Everything that gives keys is new: the session is not, and goes on.
        wait_until(lambda: len(around.sts.ends) > ends)
    async with start_kernel(ada, await ada.enter()) as python:
        assert await said(python, READ) == "929 spikes"
    [after] = servers(hub.cluster)
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
