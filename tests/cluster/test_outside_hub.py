"""A hub outside of a cluster whose servers are pods: homes, and an API server out of reach."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from api_proxy import ApiProxy, api_proxy, write_kubeconfig
from deployment import Place
from kube import PATIENCE, Cluster, own_namespace
from started import objects, said, servers, until_nothing_is_left
from testing.waiting import wait_until

from panneuro_hub.devstack.errors import DevstackError
from panneuro_hub.devstack.hub_visitor import HubVisitor, visit_hub
from panneuro_hub.devstack.kernel_client import start_kernel
from tests.hub.hubs import Hub, ground

FIRST, SECOND = "nhp-navigation", "shared-stimuli"
HOME = "/home/researcher"
CONFIG = """
c.JupyterHub.spawner_class = "panneuro"
c.JupyterHub.hub_ip = {address!r}
c.JupyterHub.cleanup_servers = False
c.JupyterHub.tornado_settings = {{"slow_spawn_timeout": 0}}
for each in c.JupyterHub.services:
    if each["name"] == "panneuro":
        each["url"] = each["url"].replace("127.0.0.1", {address!r})
        c.SessionMixin.service_address = each["url"]
c.Spawner.pop("cmd")
c.Spawner.environment = {{}}
c.Spawner.default_url = "/lab"
c.Spawner.poll_interval = 2
c.PanNeuroSpawner.agent_image = {agent!r}
c.PanNeuroSpawner.hopeless_after = 5
c.PanNeuroSpawner.namespace = {namespace!r}
c.KubeSpawner.image_pull_policy = "IfNotPresent"
c.KubeSpawner.start_timeout = 90
c.KubeSpawner.http_timeout = 120
c.KubeSpawner.fs_gid = 1000
c.KubeSpawner.storage_pvc_ensure = True
c.KubeSpawner.storage_capacity = "1Gi"
c.KubeSpawner.storage_access_modes = ["ReadWriteOnce"]
c.KubeSpawner.volumes = [
    {{"name": "home", "persistentVolumeClaim": {{"claimName": "{{pvc_name}}"}}}}
]
c.KubeSpawner.volume_mounts = [{{"name": "home", "mountPath": "/home/researcher"}}]
"""
LEAVE = """
from pathlib import Path
home = Path.home()
startup = home / ".ipython/profile_default/startup"
startup.mkdir(parents=True, exist_ok=True)
(startup / "00-carried.py").write_text("carried = 'by a startup file'")
(home / ".bashrc").write_text("export CARRIED=by-bashrc")
print(sorted(path.name for path in home.iterdir() if "carr" in path.name or path.name == ".bashrc"))
"""
LOOK = """
import subprocess
shown = subprocess.run(["bash", "-ic", "echo $CARRIED"], capture_output=True, text=True).stdout
print(globals().get("carried"), shown.strip() or None)
"""
WRITE_SHARED = """
import errno
from pathlib import Path
shared = Path.home() / "shared"
try:
    (shared / "left.txt").write_text("left")
except OSError as refused:
    print(errno.errorcode[refused.errno])
mounts = Path("/proc/self/mounts").read_text().splitlines()
print(*(line.split()[3].split(",")[0] for line in mounts if line.split()[1] == str(shared)))
"""


@dataclass(frozen=True)
class Outside:
    """The hub, the cluster of its pods, and the way to it."""

    hub: Hub
    cluster: Cluster
    proxy: ApiProxy
    kubeconfig: Path


@pytest.fixture(scope="module")
def outside(
    kubeconfig: str,
    host_address: str,
    images: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Outside]:
    folder = tmp_path_factory.mktemp("outside")
    with (
        own_namespace(kubeconfig) as cluster,
        volumes(cluster, images["agent"], 3),
        api_proxy(cluster) as proxy,
        ground(folder / "ground") as around,
    ):
        config = CONFIG.format(
            address=host_address, agent=images["agent"], namespace=cluster.namespace
        )
        hub = Hub(around, folder / "hub", config)
        hub.service_address = host_address
        hub.edit(lambda document: _use_images(document, images))
        kubeconfig_file = folder / "hub" / ".kube" / "config"
        write_kubeconfig(cluster, proxy, kubeconfig_file)
        with hub:
            yield Outside(hub, cluster, proxy, kubeconfig_file)


def _use_images(document: Any, images: dict[str, str]) -> None:
    document["images"]["neuro"]["image"] = images["notebook"]
    document["profiles"]["small"].update(cpu=2, cpu_guarantee=0.05, memory="512M")


@contextmanager
def volumes(cluster: Cluster, image: str, count: int) -> Iterator[None]:
    """Volumes for claims where the cluster has no storage to give; folders of its node."""
    if Place.of(cluster).has_storage:
        yield
        return
    root = f"/tmp/{cluster.namespace}"
    made = [_volume(f"{cluster.namespace}-{number}", f"{root}/{number}") for number in range(count)]
    folders = " ".join(f"{root}/{number}" for number in range(count))
    cluster.apply(*made)
    try:
        _on_node(cluster, image, "make", f"mkdir -p {folders} && chmod 777 {folders}")
        yield
    finally:
        names = [one["metadata"]["name"] for one in made]
        cluster.kubectl("delete", "persistentvolume", *names, "--wait=false")
        _on_node(cluster, image, "remove", f"rm -rf {root}")


def _volume(name: str, path: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Retain",
            "hostPath": {"path": path},
        },
    }


def _on_node(cluster: Cluster, image: str, name: str, command: str) -> None:
    """Run a command as root in the node's folder for temporary files."""
    cluster.apply(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name},
            "spec": {
                "restartPolicy": "Never",
                "containers": [
                    {
                        "name": "it",
                        "image": image,
                        "imagePullPolicy": "IfNotPresent",
                        "command": ["sh", "-c", command],
                        "securityContext": {"runAsUser": 0},
                        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
                    }
                ],
                "volumes": [{"name": "tmp", "hostPath": {"path": "/tmp"}}],
            },
        }
    )

    def has_ended() -> bool:
        [pod] = [one for one in objects(cluster, "pods") if one["metadata"]["name"] == name]
        assert pod["status"]["phase"] != "Failed", cluster.logs(name)
        return bool(pod["status"]["phase"] == "Succeeded")

    wait_until(has_ended)
    cluster.kubectl("delete", "pod", name)


def in_project(project: str) -> dict[str, str]:
    return {
        "project": project,
        f"profile--{project}": "small",
    }


@asynccontextmanager
async def visiting(outside: Outside, name: str) -> AsyncIterator[HubVisitor]:
    async with visit_hub(outside.hub.url, patience=300) as visitor:
        await visitor.log_in(outside.hub.ground.register(name, "navigation"))
        yield visitor
        await visitor.stop()
    until_nothing_is_left(outside.cluster)


async def test_code_of_one_project_does_not_run_in_another(outside: Outside) -> None:
    async with visiting(outside, "hana") as hana:
        form = (await hana.open_spawn_page()).text
        assert "Each project has a home folder of its own." in form
        await hana.start(in_project(FIRST))
        async with start_kernel(hana, await hana.enter()) as python:
            assert await said(python, LEAVE) == "['.bashrc']"
            assert await said(python, WRITE_SHARED) == "EROFS\nro"
        # It is in the home of this project, and would run in its next session.
        async with start_kernel(hana, await hana.enter()) as python:
            assert await said(python, LOOK) == "by a startup file by-bashrc"
        await hana.stop()
        await hana.start(in_project(SECOND))
        async with start_kernel(hana, await hana.enter()) as python:
            assert await said(python, LOOK) == "None None"
    claims = objects(outside.cluster, "persistentvolumeclaims")
    projects = {one["metadata"]["labels"]["panneuro.org/project"] for one in claims}
    assert projects == {FIRST, SECOND}


async def test_a_home_without_a_volume_is_named(outside: Outside) -> None:
    if Place.of(outside.cluster).has_storage:
        pytest.skip("this cluster makes a volume for every claim")
    async with visit_hub(outside.hub.url, patience=300) as visitor:
        for name in ("hugo", "ines"):  # one volume is left, for one of them
            await visitor.log_in(outside.hub.ground.register(name, "navigation"))
            try:
                await visitor.start(in_project(FIRST))
            except DevstackError as refused:
                words = str(refused)
                break
            await visitor.stop()
            await visitor.log_out()
        else:
            raise AssertionError("there was a volume for everybody")
    assert "there is no volume yet for the claim home-" in words
    assert "unbound immediate PersistentVolumeClaims" in words
    assert "smaller profile" not in words
    until_nothing_is_left(outside.cluster)


async def test_a_server_outlives_a_restart_without_kubernetes(outside: Outside) -> None:
    hub, cluster = outside.hub, outside.cluster
    async with visiting(outside, "hana") as hana:
        await hana.start(in_project(FIRST))
        [before] = servers(cluster)
        hub.stop()
        outside.proxy.cut()
        hub.start()
        try:
            keys = len(hub.ledger("hana"))
            wait_until(lambda: len(hub.ledger("hana")) > keys + 2)  # it is a session still
            assert {row["event"] for row in hub.ledger("hana")} == {"issue"}
            known = await hana.call("GET", "/hub/api/users/hana")
            assert known["servers"][""]["ready"], known
            async with start_kernel(hana, await hana.enter()) as python:
                assert await said(python, "print(6 * 7)") == "42"
        finally:
            outside.proxy.restore()
        [after] = servers(cluster)
        assert after["metadata"]["uid"] == before["metadata"]["uid"]
        assert "Kubernetes does not say whether the server hana runs" in hub.log
        # And it is the hub's again: what happens to it is noticed.
        cluster.kubectl("delete", "pod", after["metadata"]["name"], "--grace-period=1")

        async with asyncio.timeout(PATIENCE):
            # The hub has no event for a server that is gone.
            while (await hana.call("GET", "/hub/api/users/hana"))["servers"]:  # noqa: ASYNC110
                await asyncio.sleep(0.5)


async def test_a_certificate_that_is_not_trusted_ends_the_progress(outside: Outside) -> None:
    hub = outside.hub
    hub.stop()
    write_kubeconfig(outside.cluster, outside.proxy, outside.kubeconfig, is_trusted=False)
    hub.start()
    try:
        async with visit_hub(hub.url, patience=60) as visitor:
            await visitor.log_in(hub.ground.register("hana", "navigation"))
            with pytest.raises(DevstackError, match="did not start: ") as caught:
                await visitor.start(in_project(FIRST))
    finally:
        hub.stop()
        write_kubeconfig(outside.cluster, outside.proxy, outside.kubeconfig)
        hub.start()
    assert "the hub does not trust the certificate of the Kubernetes API: " in str(caught.value)
