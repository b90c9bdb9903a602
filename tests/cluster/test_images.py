"""The images: what goes into them, and that each works as a pod."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import boto3.session
import pytest
from desk import Desk, as_store
from gcp_storage_emulator.server import create_server
from kube import Cluster
from packaging.utils import canonicalize_name
from session_views import because

from panneuro_hub.devstack.samples.recordings import find_nitime_data
from panneuro_hub.devstack.seaweedfs import SeaweedFS
from panneuro_hub.pod import agent_sidecar
from panneuro_hub.pod.session_environment import build_data_environment
from panneuro_hub.wire import Grant, SessionView

ROOT = Path(__file__).parents[2]
IMAGES = ROOT / "images"
SMOKE = Path(__file__).with_name("smoke")
RAW = ("grasshopper_spike_times1.txt", "grasshopper_stimulus1.txt", "fmri1.nii.gz")
_PINNED = re.compile(
    r"^([a-z0-9][a-z0-9.-]*)==(\S+) \\\n((?:    --hash=sha256:\S+(?: \\)?\n)+)", re.MULTILINE
)
_NAME = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)", re.MULTILINE)


def locked(image: str) -> dict[str, str]:
    """Versions by name, of the packages that the lock has with their hashes."""
    text = (IMAGES / image / "requirements.txt").read_text()
    return {name: version for name, version, _ in _PINNED.findall(text)}


def wanted(image: str, extras: Iterable[str]) -> set[str]:
    """The packages that the lock is made for; our own, as part of an extra, is none."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    texts = (
        (IMAGES / image / "requirements.in").read_text(),
        setup["options"]["install_requires"],
        *(setup["options.extras_require"][extra] for extra in extras),
    )
    named = {canonicalize_name(name) for text in texts for name in _NAME.findall(text)}
    return named - {"panneuro-hub"}


def build(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [environment.pop("root", str(ROOT)) + "/images/build", *words],
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        check=True,
    )


def test_the_agents_image_has_the_modules_that_the_agent_imports_and_no_others() -> None:
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); before = set(sys.modules)\n"
        "import panneuro_hub.agent.credential_agent\n"
        "for name in set(sys.modules) - before:\n"
        "    print(name.partition('.')[0], getattr(sys.modules[name], '__file__', None))\n"
    )
    said = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program, str(ROOT)],
        check=True,
        capture_output=True,
        text=True,
    )
    imported = dict[str, set[str]]()
    for line in said.stdout.splitlines():
        top, _, file = line.partition(" ")
        imported.setdefault(top, set()).add(file.removeprefix(f"{ROOT}/"))
    ours = imported.pop("panneuro_hub")
    assert set(imported) <= sys.stdlib_module_names
    dockerfile = (IMAGES / "agent" / "Dockerfile").read_text()
    assert set(re.findall(r"panneuro_hub/\S+\.py", dockerfile)) == ours


@pytest.mark.parametrize(
    ("image", "extras"),
    [("hub", ("hub", "dask")), ("notebook", ("lab", "jupyterlab", "upload", "cluster", "formats"))],
)
def test_everything_in_a_lock_has_hashes_and_comes_from_no_named_place(
    image: str, extras: tuple[str, ...]
) -> None:
    text = (IMAGES / image / "requirements.txt").read_text()
    assert wanted(image, extras) <= set(locked(image))
    assert len(locked(image)) == len(re.findall(r"^\S+==", text, re.MULTILINE)) > 50
    assert not re.search(r"://|^\s*-(?!-hash=)|\.\./|^/", text, re.MULTILINE)


def test_hub_and_notebook_have_the_same_versions_of_what_both_have() -> None:
    hub, notebook = locked("hub"), locked("notebook")
    assert "jupyterhub" in hub.keys() & notebook.keys()
    assert {name: hub[name] for name in hub.keys() & notebook.keys()} == {
        name: notebook[name] for name in hub.keys() & notebook.keys()
    }


@pytest.mark.parametrize(
    ("changed", "of"),
    [
        ("panneuro_hub/service/app.py", {"hub", "notebook"}),
        ("panneuro_hub/agent/refresher.py", {"agent", "hub", "notebook"}),
        ("images/notebook/requirements.txt", {"notebook"}),
        ("images/notebook/requirements.in", set()),
        ("images/agent/Dockerfile", {"agent"}),
        ("jupyterhub_config.py", {"hub"}),
        ("deploy/jupyterhub_config.d/panneuro.py", {"hub"}),
        ("deploy/dask_gateway_config.py", {"hub"}),
        ("README.md", set()),
    ],
)
def test_an_image_gets_another_name_when_something_in_it_changes(
    changed: str, of: set[str], tmp_path: Path
) -> None:
    for name in ("deploy", "images", "panneuro_hub"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("LICENSE", "README.md", "jupyterhub_config.py", "pyproject.toml", "setup.cfg"):
        shutil.copy(ROOT / name, tmp_path / name)
    before = set(build("--tags", root=str(tmp_path)).stdout.splitlines())
    with (tmp_path / changed).open("a") as file:
        file.write("# changed\n")
    after = set(build("--tags", root=str(tmp_path)).stdout.splitlines())
    assert {line.split()[0] for line in after - before} == of


def test_another_builder_is_told_what_and_from_where(tmp_path: Path) -> None:
    builder = tmp_path / "builder"
    builder.write_text('#!/bin/sh\ncd "$CONTEXT" && find panneuro_hub images && echo "$@"\n')
    builder.chmod(0o700)
    given = {"BUILDER": str(builder), "BUILD_OPTIONS": "--a --b=c", "IMAGE_PREFIX": "r.x/lab"}
    *files, arguments, last = build("agent", **given).stdout.splitlines()
    assert {"panneuro_hub/agent/credential_agent.py", "images/agent/Dockerfile"} <= set(files)
    assert not [file for file in files if "hub/service" in file or "images/hub" in file]
    said = re.fullmatch(r"/\S+/images/agent (r\.x/lab/agent:[0-9a-f]{12}) --a --b=c", arguments)
    assert said
    assert last.startswith(f"{said[1]} is built, in ")
    assert f"agent {said[1]}" == build("--tags", "agent", **given).stdout.strip()


@pytest.fixture(scope="module")
def store(host_address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedFS]:
    """An object store that pods reach, with recordings in it."""
    folder = tmp_path_factory.mktemp("store")
    with SeaweedFS(folder / "seaweedfs", bucket="lab", address=host_address) as seaweedfs:
        key, secret = seaweedfs.admin
        client = boto3.session.Session().client(
            "s3",
            endpoint_url=seaweedfs.endpoint_url,
            region_name=seaweedfs.region,
            aws_access_key_id=key,
            aws_secret_access_key=secret,
        )
        for name in RAW:
            client.upload_file(str(find_nitime_data() / name), "lab", f"recordings/{name}")
        client.put_object(Bucket="lab", Key="others/secret.txt", Body=b"not for this session")
        client.close()
        yield seaweedfs


@pytest.fixture
def desk(host_address: str, store: SeaweedFS) -> Iterator[Desk]:
    """What answers the agent of one session, which may write in one project and read another."""
    view = SessionView(
        user="ada",
        project="work",
        title="Smoke",
        level="write",
        prefix="s3://lab/work/",
        scratch=None,
        endpoint_url=store.endpoint_url,
        region=store.region,
        prefixes={"work": "s3://lab/work/", "recordings": "s3://lab/recordings/"},
        grants=(
            Grant("s3://lab/work/", "write", because("for the test"), "work"),
            Grant("s3://lab/recordings/", "read", because("for the test"), "recordings"),
        ),
        denied=(),
    )
    with Desk(host_address, store, view) as answering:
        yield answering


@pytest.fixture
def google_store(host_address: str) -> Iterator[str]:
    """An emulator of Google Cloud Storage that pods reach; its address."""
    with socket.socket() as probe:
        probe.bind((host_address, 0))
        port = probe.getsockname()[1]
    with create_server(host_address, port, in_memory=True, default_bucket="lab"):
        yield f"http://{host_address}:{port}"


def pull_policy(image: str) -> str:
    """Only an image with a registry in its name can be had from elsewhere."""
    registry = image.partition("/")[0]
    return "IfNotPresent" if "." in registry or ":" in registry else "Never"


def manifest(name: str, *containers: dict[str, Any], volumes: Any = ()) -> dict[str, Any]:
    for container in containers:
        container["imagePullPolicy"] = pull_policy(container["image"])
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "containers": list(containers),
            "volumes": list(volumes),
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 1,
        },
    }


def agent(image: str, desk: Desk) -> dict[str, Any]:
    """The agent as in every session; ready when it holds keys."""
    probe = {
        "exec": {"command": ["python3", "-m", "panneuro_hub.agent.credential_agent", "--health"]}
    }
    return {
        **agent_sidecar.build_agent_container(image, desk.url),
        "readinessProbe": {**probe, "periodSeconds": 1, "timeoutSeconds": 30},
    }


def ticket(desk: Desk, name: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name},
        "stringData": {"ticket": desk.ticket.encode()},
    }


def http_ready(path: str, port: int) -> dict[str, Any]:
    return {"httpGet": {"path": path, "port": port}, "periodSeconds": 1, "timeoutSeconds": 30}


def test_the_agents_image_hands_out_keys_and_has_no_more_than_it_needs(
    cluster: Cluster, images: dict[str, str], desk: Desk
) -> None:
    pod = manifest(
        "agent",
        agent(images["agent"], desk),
        volumes=agent_sidecar.build_session_volumes("agent-ticket"),
    )
    with cluster.pod(pod, ticket(desk, "agent-ticket")):
        program = (SMOKE / "agent.py").read_text()
        said = cluster.run("agent", "panneuro-agent", ["python3", "-"], program)
    assert said.status == 0, said.text
    assert "python 3.13" in said.text


def test_the_hubs_image_starts_a_hub_with_its_service_and_proxy(
    cluster: Cluster, images: dict[str, str]
) -> None:
    example = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "collaboration"},
        "data": {"collaboration.yaml": (ROOT / "examples" / "collaboration.yaml").read_text()},
    }
    hub = {
        "name": "hub",
        "image": images["hub"],
        "env": [{"name": "PANNEURO_COLLABORATION", "value": "/etc/panneuro/collaboration.yaml"}],
        "volumeMounts": [{"name": "collaboration", "mountPath": "/etc/panneuro"}],
        "securityContext": agent_sidecar.NOTEBOOK_SECURITY,
        "readinessProbe": http_ready("/hub/health", 8000),
    }
    volume = {"name": "collaboration", "configMap": {"name": "collaboration"}}
    with cluster.pod(manifest("hub", hub, volumes=[volume]), example):
        said = cluster.run("hub", "hub", ["python", "-"], (SMOKE / "hub.py").read_text())
        assert said.status == 0, f"{said.text}\n{cluster.logs('hub')}"
    assert f"jupyterhub {locked('hub')['jupyterhub']}\n" in said.text


def test_every_library_of_the_notebooks_image_computes_on_data_in_the_store(
    cluster: Cluster,
    images: dict[str, str],
    desk: Desk,
    store: SeaweedFS,
    google_store: str,
) -> None:
    variables = {
        **build_data_environment(as_store(store), "work", desk.url),
        **agent_sidecar.build_client_environment(),
        "GOOGLE_STORE": google_store,
        # The emulator has no gRPC, by which gcsfs would ask what kind of bucket it is.
        "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false",
        "JUPYTER_TOKEN": "for-the-test",
    }
    notebook = {
        "name": "notebook",
        "image": images["notebook"],
        "env": [{"name": name, "value": value} for name, value in variables.items()],
        "volumeMounts": [agent_sidecar.build_token_mount()],
        "securityContext": agent_sidecar.NOTEBOOK_SECURITY,
        "readinessProbe": http_ready("/api", 8888),
    }
    volumes = agent_sidecar.build_session_volumes("notebook-ticket")
    pod = manifest("notebook", notebook, agent(images["agent"], desk), volumes=volumes)
    with cluster.pod(pod, ticket(desk, "notebook-ticket")):
        program = (SMOKE / "notebook.py").read_text()
        # From a file: Dask's workers are new processes, which read it again.
        command = ["sh", "-c", "cat > /tmp/smoke.py && python /tmp/smoke.py"]
        said = cluster.run("notebook", "notebook", command, program)
    assert said.status == 0, said.text
    computed = dict(re.findall(r"^ok (\S+) (\S+)$", said.text, re.MULTILINE))
    assert wanted("notebook", ["lab", "jupyterlab"]) <= computed.keys()
    del computed["panneuro-hub"]  # of these files, and in no lock
    assert computed.items() <= locked("notebook").items()
