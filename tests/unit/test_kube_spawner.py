"""Whole pods of PanNeuroSpawner, as they would be sent."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from jupyterhub.spawner import SpawnException
from kubernetes_asyncio.client import ApiClient
from kubespawner import KubeSpawner
from spawners import Hub, PlainClient, build_pod_manifest, config_of, new_spawner
from traitlets.config import Config

from panneuro_hub.errors import PanNeuroError
from panneuro_hub.hub.kube_spawner import PanNeuroSpawner
from panneuro_hub.pod import agent_sidecar
from panneuro_hub.wire import Ticket
from panneuro_hub.wire.api_token import hash_api_token
from panneuro_hub.wire.session import Session


@pytest.fixture
def config(example_file: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    return config_of(example_file, monkeypatch)


@pytest.fixture
def spawner(config: Config) -> PanNeuroSpawner:
    return new_spawner(config)


async def manifest(spawner: PanNeuroSpawner, **options: str) -> dict[str, Any]:
    return await build_pod_manifest(spawner, **{"project": "nhp-navigation"} | options)


@pytest.mark.parametrize("profile", ["small", "gpu"])
async def test_the_whole_pod(
    spawner: PanNeuroSpawner, profile: str, golden: Callable[[str, str], None]
) -> None:
    pod = await manifest(spawner, profile=profile)
    golden(f"pod-{profile}.json", json.dumps(pod, indent=2, sort_keys=True) + "\n")


async def test_no_secret_is_in_the_pod(spawner: PanNeuroSpawner) -> None:
    spawner.ticket = Ticket.new("ada", "")
    text = json.dumps(await manifest(spawner))
    assert spawner.ticket.secret not in text
    assert "AWS_SECRET_ACCESS_KEY" not in text


async def test_only_the_agent_mounts_the_ticket(spawner: PanNeuroSpawner) -> None:
    pod = await manifest(spawner)
    mounts = {
        container["name"]: [mount["name"] for mount in container["volumeMounts"]]
        for container in pod["spec"]["containers"]
    }
    assert mounts["panneuro-agent"] == ["panneuro-token", "panneuro-ticket"]
    assert "panneuro-ticket" not in mounts["notebook"]


async def test_the_next_start_has_nothing_left_of_the_last(spawner: PanNeuroSpawner) -> None:
    await manifest(spawner, profile="gpu")
    pod = await manifest(spawner, profile="small")
    notebook = pod["spec"]["containers"][0]
    assert "nodeSelector" not in pod["spec"]
    assert notebook["resources"]["limits"] == {"cpu": 2, "memory": 8 * 1024**3}


async def test_what_the_admin_set_stays(config: Config) -> None:
    config.KubeSpawner.node_selector = {"zone": "a"}
    config.KubeSpawner.volumes = [{"name": "home", "persistentVolumeClaim": {"claimName": "x"}}]
    config.KubeSpawner.extra_containers = [{"name": "theirs", "image": "theirs:1"}]
    config.KubeSpawner.extra_labels = {"theirs": "yes"}
    config.KubeSpawner.environment = {"THEIRS": "1", "AWS_ACCESS_KEY_ID": "AKIAPLATFORM"}
    pod = await manifest(new_spawner(config), profile="gpu")
    assert pod["spec"]["nodeSelector"] == {"zone": "a", "hub.jupyter.org/node-purpose": "gpu"}
    assert [c["name"] for c in pod["spec"]["containers"]] == [
        "notebook",
        "theirs",
        "panneuro-agent",
    ]
    assert pod["spec"]["volumes"][0]["name"] == "home"
    assert pod["metadata"]["labels"]["theirs"] == "yes"
    environment = {entry["name"] for entry in pod["spec"]["containers"][0]["env"]}
    assert "THEIRS" in environment
    assert "AWS_ACCESS_KEY_ID" not in environment, "the platform's keys would win"


async def test_addresses_are_below_the_hub_s_base_url(config: Config) -> None:
    config.SessionMixin.gateway_address = "http://dask-proxy:8000"
    pod = await manifest(new_spawner(config, Hub("/jhub/")))
    notebook, agent = (
        {entry["name"]: entry["value"] for entry in container["env"]}
        for container in pod["spec"]["containers"]
    )
    service = "http://panneuro:10143/jhub/services/panneuro"
    assert notebook["PANNEURO_SERVICE_URL"] == agent["PANNEURO_SERVICE_URL"] == service
    gateway = "/jhub/services/dask-gateway"
    assert notebook["DASK_GATEWAY__ADDRESS"] == f"http://dask-proxy:8000{gateway}"
    assert notebook["DASK_GATEWAY__PUBLIC_ADDRESS"] == gateway


async def test_dashboards_are_at_the_hub_s_host_where_servers_have_domains(config: Config) -> None:
    config.SessionMixin.gateway_address = "http://dask-proxy:8000"
    hub = Hub("/jhub/")
    hub.public_host = "https://hub.example"
    spawner = new_spawner(config, hub)
    spawner.user.url = "https://ada.hub.example/jhub/user/ada/"
    pod = await manifest(spawner)
    notebook = {entry["name"]: entry["value"] for entry in pod["spec"]["containers"][0]["env"]}
    gateway = "/jhub/services/dask-gateway"
    assert notebook["DASK_GATEWAY__PUBLIC_ADDRESS"] == f"https://hub.example{gateway}"
    assert notebook["DASK_GATEWAY__ADDRESS"] == f"http://dask-proxy:8000{gateway}"


async def test_a_session_is_told_where_the_gateway_is_if_there_is_one(config: Config) -> None:
    plain = await manifest(new_spawner(config))
    assert "DASK" not in json.dumps(plain)
    config.SessionMixin.gateway_address = "http://dask-proxy:8000/"
    config.SessionMixin.gateway_proxy_address = "gateway://dask-proxy:8786"
    pod = await manifest(new_spawner(config))
    variables = {entry["name"]: entry["value"] for entry in pod["spec"]["containers"][0]["env"]}
    assert variables["DASK_GATEWAY__ADDRESS"] == "http://dask-proxy:8000/services/dask-gateway"
    assert variables["DASK_GATEWAY__PROXY_ADDRESS"] == "gateway://dask-proxy:8786"
    assert variables["DASK_GATEWAY__PUBLIC_ADDRESS"].endswith("services/dask-gateway")
    assert (variables["PANNEURO_PROFILE"], variables["PANNEURO_IMAGE"]) == ("small", "neuro")
    config.SessionMixin.gateway_public_url = "https://hub.example/services/dask-gateway"
    pod = await manifest(new_spawner(config))
    assert "https://hub.example/services/dask-gateway" in json.dumps(pod)


async def test_what_an_admins_hook_sets_at_a_start_stays_too(spawner: PanNeuroSpawner) -> None:
    spawner.node_selector = {"zone": "b"}  # as group_overrides and auth_state_hook do
    pod = await manifest(spawner, profile="gpu")
    assert pod["spec"]["nodeSelector"] == {"zone": "b", "hub.jupyter.org/node-purpose": "gpu"}
    pod = await manifest(spawner, profile="small")
    assert pod["spec"]["nodeSelector"] == {"zone": "b"}


async def test_kubespawner_looks_for_no_profile_of_its_own(spawner: PanNeuroSpawner) -> None:
    await manifest(spawner, profile="small")
    image = spawner.image
    await spawner.load_user_options()
    assert spawner.image == image
    with pytest.raises(ValueError, match="small"):
        await KubeSpawner.load_user_options(spawner)


def test_a_profile_list_beside_ours_is_refused(config: Config) -> None:
    config.KubeSpawner.profile_list = [{"display_name": "x"}]
    with pytest.raises(PanNeuroError, match="profiles come from the collaboration file"):
        new_spawner(config)


async def test_the_admins_hook_runs_after_ours(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    config.KubeSpawner.after_pod_created_hook = lambda spawner, pod: seen.append("theirs")
    spawner = new_spawner(config)

    async def secret(pod: dict[str, Any]) -> None:
        seen.append("ours")

    monkeypatch.setattr(spawner, "_create_secret", secret)
    ticket = Ticket.new("ada", "")
    for _ in range(2):  # the same wrapper starts again
        await spawner.store_ticket(ticket)
        await spawner.after_pod_created_hook(spawner, {})
    assert seen == ["ours", "theirs", "ours", "theirs"]


@pytest.mark.parametrize(
    ("options", "status", "words"),
    [
        ({"project": "human-intracranial"}, 403, "no access to human-intracranial"),
        ({"image--unlisted-choice": "evil:1"}, 400, "unknown option"),
        ({"project": ["a"]}, 400, "project must be one name"),
        ({"project": "nhp-navigation", "kubespawner_override": {}}, 400, "unknown option"),
    ],
)
async def test_a_forged_choice_is_the_visitors_fault(
    spawner: PanNeuroSpawner, options: dict[str, Any], status: int, words: str
) -> None:
    await spawner._run_apply_user_options({"project": "nhp-navigation", "profile": "large"})
    with pytest.raises(SpawnException) as refused:
        await spawner._run_apply_user_options(options)
    assert refused.value.status_code == status
    assert words in refused.value.jupyterhub_message
    good = {"project": "nhp-navigation", "profile": "large", "image": "neuro"}
    assert spawner.user_options == spawner.orm_spawner.user_options == good


async def test_a_start_leaves_what_was_checked_for_the_next_one(
    spawner: PanNeuroSpawner, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def start(self: KubeSpawner) -> str:
        return "http://10.0.0.1:8888"

    monkeypatch.setattr(KubeSpawner, "start", start)
    monkeypatch.setattr(PanNeuroSpawner, "token_scopes", lambda _: {"access:servers!server=x/"})
    await spawner._run_apply_user_options({"project": "nhp-navigation", "profile": "large"})
    with pytest.raises(SpawnException, match="could leave the project: it has access:servers!se"):
        await spawner.start()
    monkeypatch.setattr(PanNeuroSpawner, "token_scopes", lambda _: set())
    assert await spawner.start() == "http://10.0.0.1:8888"
    assert spawner.session is not None
    assert spawner.session.api_token == hash_api_token(spawner.api_token)
    assert spawner.api_token not in json.dumps(spawner.get_state())
    good = {"project": "nhp-navigation", "profile": "large", "image": "neuro"}
    assert spawner.user_options == spawner.orm_spawner.user_options == good


async def test_nothing_starts_that_was_not_decided(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def start(self: KubeSpawner) -> None:
        raise AssertionError("KubeSpawner.start was reached")

    monkeypatch.setattr(KubeSpawner, "start", start)
    with pytest.raises(SpawnException, match="no project was decided"):
        await new_spawner(config).start()


def test_the_session_survives_a_restart_of_the_hub(config: Config) -> None:
    spawner = new_spawner(config)
    ticket = Ticket.new("ada", "")
    spawner.session = Session.begin("nhp-navigation", "small", None).with_ticket(ticket)
    state = spawner.get_state()
    assert ticket.secret not in json.dumps(state)
    again = new_spawner(config)
    again.load_state(state)
    assert again.session == spawner.session
    again.clear_state()
    assert "panneuro" not in again.get_state()


def test_the_secret_goes_with_its_pod() -> None:
    ticket = Ticket.new("ada", "")
    owner = {"kind": "Pod", "name": "jupyter-ada", "uid": "u"}
    secret = agent_sidecar.build_ticket_secret("panneuro-ticket-1", ticket, {"a": "b"}, owner)
    assert secret["metadata"]["ownerReferences"] == [owner]
    assert Ticket.decode(secret["stringData"]["ticket"]) == ticket


async def test_a_new_pod_is_noticed_before_its_ticket_is_asked_for(
    spawner: PanNeuroSpawner, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, Any] = {}
    monkeypatch.setattr(KubeSpawner, "pod_reflector", SimpleNamespace(pods=seen))
    key = f"{spawner.namespace}/{spawner.pod_name}"

    async def request(_self: KubeSpawner, pod: SimpleNamespace, _timeout: float) -> bool:
        if pod.made:
            loop = asyncio.get_running_loop()
            loop.call_later(0.03, seen.__setitem__, key, {"metadata": {"uid": "1"}})
        return bool(pod.made)

    monkeypatch.setattr(KubeSpawner, "_make_create_pod_request", request)
    assert not await spawner._make_create_pod_request(SimpleNamespace(made=False), 1)
    assert not seen
    assert await spawner._make_create_pod_request(SimpleNamespace(made=True), 1)
    assert key in seen


def claim_of(pod: dict[str, Any]) -> str:
    [home] = [one for one in pod["spec"]["volumes"] if one["name"] == "home"]
    return str(home["persistentVolumeClaim"]["claimName"])


async def test_each_project_has_a_home_of_its_own(config: Config) -> None:
    config.KubeSpawner.storage_pvc_ensure = True
    config.KubeSpawner.volumes = [
        {"name": "home", "persistentVolumeClaim": {"claimName": "{pvc_name}"}}
    ]
    spawner = new_spawner(config)
    one = claim_of(await manifest(spawner))
    labels = spawner.get_pvc_manifest().metadata.labels
    assert labels["panneuro.org/project"] == "nhp-navigation"
    two = claim_of(await manifest(spawner, project="shared-stimuli"))
    assert one != two
    assert one == claim_of(await manifest(new_spawner(config)))
    # What KubeSpawner remembers would be the home of the next project.
    assert "pvc_name" not in spawner.get_state()


async def test_an_earlier_home_stays_the_account_s(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    config.KubeSpawner.storage_pvc_ensure = True
    config.KubeSpawner.volumes = [
        {"name": "home", "persistentVolumeClaim": {"claimName": "{pvc_name}"}}
    ]
    spawner = new_spawner(config)
    spawner.load_state({"pvc_name": "claim-ada", "kubespawner_version": "7.1.0"})
    assert claim_of(await manifest(spawner)) != "claim-ada"
    assert spawner.get_state()["pvc_name"] == "claim-ada"
    config.SessionMixin.home_scope = "person"
    single = new_spawner(config)
    single.load_state(spawner.get_state())
    pod = await manifest(single)
    assert claim_of(pod) == "claim-ada"
    assert "panneuro-shared" not in {one["name"] for one in pod["spec"]["volumes"]}
    # A later account of the same name has no such state, and so gets another one.
    first = claim_of(await manifest(new_spawner(config)))
    assert first.startswith("home-")
    monkeypatch.setattr("spawners.Teams.account", "f" * 32)
    assert first != claim_of(await manifest(new_spawner(config)))


async def test_a_home_that_the_admin_makes_keeps_its_name(config: Config) -> None:
    config.KubeSpawner.storage_pvc_ensure = False
    config.KubeSpawner.pvc_name_template = "made-for-{username}"
    config.KubeSpawner.volumes = [
        {"name": "home", "persistentVolumeClaim": {"claimName": "{pvc_name}"}}
    ]
    config.SessionMixin.home_scope = "person"
    assert claim_of(await manifest(new_spawner(config))).startswith("made-for-ada")


async def test_a_home_of_all_projects_is_labelled_with_none(config: Config) -> None:
    config.KubeSpawner.storage_pvc_ensure = True
    config.SessionMixin.home_scope = "person"
    spawner = new_spawner(config)
    await manifest(spawner)
    labels = spawner.get_pvc_manifest().metadata.labels
    assert "panneuro.org/owner" in labels
    assert "panneuro.org/project" not in labels


class SlowHomes:
    """An API server that makes a claim at the second request only."""

    def __init__(self) -> None:
        self.claims: list[Any] = []
        self.api_client = SimpleNamespace(
            sanitize_for_serialization=partial(ApiClient.sanitize_for_serialization, PlainClient())
        )

    async def create_namespaced_persistent_volume_claim(self, namespace: str, body: Any) -> None:
        self.claims.append(body)
        if len(self.claims) == 1:
            raise TimeoutError

    async def read_namespaced_persistent_volume_claim(self, name: str, namespace: str) -> Any:
        return self.claims[-1]


async def test_the_shared_folder_is_tried_again_and_is_of_no_project(config: Config) -> None:
    config.KubeSpawner.storage_pvc_ensure = True
    config.SessionMixin.shared_folder = "read-write"
    spawner = new_spawner(config)
    await manifest(spawner)
    spawner.api = homes = SlowHomes()
    await spawner.prepare_claims()
    assert len(homes.claims) == 2
    [name] = {claim.metadata.name for claim in homes.claims}
    assert name.startswith("shared-")
    assert "panneuro.org/project" not in homes.claims[-1].metadata.labels
