"""What an admin sets after `configure`, and cannot work with it, is found when the hub starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from jupyterhub.app import JupyterHub
from traitlets.config import Config

from panneuro_hub.configure import configure
from panneuro_hub.hub.setting_conflicts import SettingConflict, find_conflicts


@pytest.fixture
def c(example_file: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")  # as in a pod
    c = Config()
    c.JupyterHub.authenticator_class = "panneuro-oidc"
    c.JupyterHub.spawner_class = "panneuro"
    configure(
        c,
        example_file,
        dask_gateway_url="http://127.0.0.1:9",
        dask_gateway_command=("dask-gateway-server",),
    )
    return c


def found(c: Config) -> dict[str, SettingConflict]:
    app = JupyterHub(config=c)
    app.db = None  # opened by then, and not looked into
    return {conflict.code: conflict for conflict in find_conflicts(app)}


def test_what_configure_sets_is_no_conflict(c: Config) -> None:
    assert found(c) == {}


def test_a_spawner_of_pods_wants_a_kubernetes(
    c: Config, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST")
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert found(c)["kubernetes-missing"].fatal
    named = tmp_path / "kubeconfig"
    named.write_text("")
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path / 'absent'}:{named}")
    assert found(c) == {}
    monkeypatch.delenv("KUBECONFIG")
    c.JupyterHub.spawner_class = "panneuro-local"
    assert found(c) == {}


def test_what_is_added_to_is_no_conflict(c: Config) -> None:
    c.JupyterHub.services.append({"name": "theirs", "url": "http://127.0.0.1:8"})
    c.JupyterHub.load_roles.append({"name": "theirs", "services": ["theirs"], "scopes": []})
    c.KubeSpawner.profile_list = []  # as the Zero to JupyterHub chart has it
    c.Spawner.pre_spawn_hook = c.Spawner.auth_state_hook = lambda *_arguments: None
    c.KubeSpawner.modify_pod_hook = lambda _spawner, pod: pod
    c.KubeSpawner.after_pod_created_hook = lambda *_arguments: None
    assert found(c) == {}


def _replace_services(c: Config) -> None:
    c.JupyterHub.services = [{"name": "theirs", "url": "http://127.0.0.1:8"}]


def _replace_roles(c: Config) -> None:
    c.JupyterHub.load_roles = [{"name": "theirs", "scopes": []}]


def _narrow_our_role(c: Config) -> None:
    for role in c.JupyterHub.load_roles:
        if role["name"] == "panneuro-service":
            role["scopes"] = ["read:users:name"]


def _close_pages(c: Config) -> None:
    for role in c.JupyterHub.load_roles:
        if role["name"] in ("user", "server"):
            role["scopes"] = ["self"]


def _set(section: str, trait: str, value: Any) -> Any:
    return lambda c: setattr(c[section], trait, value)


@pytest.mark.parametrize(
    ("change", "code", "key", "fatal"),
    [
        (_replace_services, "service-missing", "c.JupyterHub.services", True),
        (_replace_roles, "service-role", "c.JupyterHub.load_roles", True),
        (_narrow_our_role, "service-role", "c.JupyterHub.load_roles", True),
        (_close_pages, "user-role", "c.JupyterHub.load_roles", False),
        (_close_pages, "server-role", "c.JupyterHub.load_roles", False),
        (
            _set("JupyterHub", "spawner_class", "simple"),
            "spawner-class",
            "c.JupyterHub.spawner_class",
            True,
        ),
        (
            _set("JupyterHub", "allow_named_servers", True),
            "named-servers",
            "c.JupyterHub.allow_named_servers",
            False,
        ),
        (
            _set("PanNeuroGenericOAuthenticator", "auth_refresh_strict", False),
            "membership",
            "c.Authenticator.auth_refresh_strict",
            True,
        ),
        (
            _set("KubeSpawner", "profile_list", [{"display_name": "Theirs"}]),
            "profile-list",
            "c.KubeSpawner.profile_list",
            True,
        ),
        (_set("Spawner", "options_form", "<p>"), "options-form", "c.Spawner.options_form", False),
        (
            _set("PanNeuroSpawner", "options_from_form", lambda data: data),
            "options-from-form",
            "c.PanNeuroSpawner.options_from_form",
            False,
        ),
        (
            _set("KubeSpawner", "profile_form_template", "<p>"),
            "unused",
            "c.KubeSpawner.profile_form_template",
            False,
        ),
        (
            _set("Authenticator", "post_auth_hook", lambda *_arguments: None),
            "post-auth-hook",
            "c.Authenticator.post_auth_hook",
            False,
        ),
    ],
)
def test_what_cannot_work_is_found(
    c: Config, change: Any, code: str, key: str, fatal: bool
) -> None:
    change(c)
    conflict = found(c)[code]
    assert (conflict.key, conflict.fatal) == (key, fatal)
    sentence = str(conflict)
    assert sentence.startswith(f"{key} ")
    assert "{" not in sentence


def test_a_sentence_names_what_is_missing(c: Config) -> None:
    _narrow_our_role(c)
    conflict = found(c)["service-role"]
    assert "custom:panneuro:members:read" in conflict.missing
    assert "custom:panneuro:members:read" in str(conflict)
    assert "read:users:name" not in conflict.missing
