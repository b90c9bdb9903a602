"""Spawners of pods, made without a hub and without a cluster."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from kubernetes_asyncio.client import ApiClient
from traitlets.config import Config

from panneuro_hub.hub.kube_spawner import PanNeuroSpawner


def config_of(example_file: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """Of spawners with the example collaboration."""
    # KubeSpawner looks for a cluster when it is made; nothing here talks to one.
    monkeypatch.setattr("kubespawner.spawner.load_config", lambda **_: None)
    monkeypatch.setattr("kubespawner.spawner.shared_client", lambda *_: None)
    c = Config()
    c.SessionMixin.collaboration_file = str(example_file)
    c.SessionMixin.service_address = "http://panneuro:10143"
    c.PanNeuroSpawner.agent_image = "panneuro/agent:test"
    c.KubeSpawner.namespace = "hub"
    c.KubeSpawner.cmd = ["jupyterhub-singleuser"]
    return c


class OrmSpawner:
    server = None
    name = ""
    user_options: dict[str, Any] | None = None


class User:
    id = "1"
    url = "/user/ada/"
    escaped_name = "ada"

    def __init__(self, name: str = "Ada.Monkman@uni.example") -> None:
        self.name = name


class Hub:
    """The hub's addresses.

    Parameters
    ----------
    base_url : str
        Of the whole JupyterHub.
    """

    public_host = "mock_public_host"
    url = "mock_url"
    api_url = "mock_api_url"

    def __init__(self, base_url: str = "/") -> None:
        self.base_url = f"{base_url}hub/"


class Teams:
    """Says that everybody is in two teams' groups."""

    account = "0123456789abcdef0123456789abcdef"

    def account_of(self, user: Any) -> str:
        return self.account

    def trusted_groups(self, user: Any) -> frozenset[str]:
        return frozenset({"u19-circuits:navigation", "u19-circuits:theory"})


def new_spawner(config: Config, hub: Hub | None = None, **kwargs: Any) -> PanNeuroSpawner:
    """Ada's, with nothing decided yet."""
    spawner = PanNeuroSpawner(
        config=config,
        _mock=True,
        user=User(),
        hub=hub or Hub(),
        authenticator=Teams(),
        orm_spawner=OrmSpawner(),
        **kwargs,
    )
    spawner.api_token = "the-api-token"
    spawner.oauth_client_id = "client"
    return spawner


async def build_pod_manifest(spawner: PanNeuroSpawner, **options: str) -> dict[str, Any]:
    """Return the pod of a start with these options, the same for each session and release."""
    await spawner._run_apply_user_options(options)
    assert spawner.session is not None
    spawner.session = replace(spawner.session, id="0123456789abcdef")
    pod = await spawner.get_pod_manifest()
    plain: dict[str, Any] = ApiClient.sanitize_for_serialization(PlainClient(), pod)
    for annotation in ("hub.jupyter.org/jupyterhub-version", "hub.jupyter.org/kubespawner-version"):
        del plain["metadata"]["annotations"][annotation]  # not ours, and new with every release
    return plain


class PlainClient(ApiClient):
    def __init__(self) -> None:
        pass

    def __del__(self) -> None:
        pass
