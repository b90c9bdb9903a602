"""`configure` makes a configuration a PanNeuro hub, and leaves the admin's own alone."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from jupyterhub.app import JupyterHub
from traitlets.config import Config
from traitlets.config.loader import PyFileConfigLoader

from panneuro_hub import secret_env
from panneuro_hub.configure import configure
from panneuro_hub.errors import PanNeuroError

ROOT = Path(__file__).parent.parent.parent


def test_a_bare_configuration(example_file: Path) -> None:
    c = Config()
    configure(c, example_file)
    assert c.JupyterHub.spawner_class == "panneuro"
    assert c.SessionMixin.collaboration_file == c.TeamsMixin.collaboration_file == str(example_file)
    assert c.SessionMixin.service_address == "http://127.0.0.1:10143"
    [service] = c.JupyterHub.services
    assert service["name"] == "panneuro"
    assert service["command"][:3] == [sys.executable, "-m", "panneuro_hub.service"]
    assert c.Authenticator.auth_refresh_strict
    assert c.Authenticator.refresh_pre_spawn


def test_what_the_admin_has_set_stays(example_file: Path) -> None:
    c = Config()
    c.JupyterHub.spawner_class = "panneuro-local"
    c.JupyterHub.services = [{"name": "theirs"}]
    c.JupyterHub.load_roles = [
        {"name": "user", "scopes": ["self", "list:users"]},
        {"name": "theirs", "scopes": []},
    ]
    c.CryptKeeper.keys = ["x" * 32]
    configure(c, example_file)
    assert c.JupyterHub.spawner_class == "panneuro-local"
    assert [service["name"] for service in c.JupyterHub.services] == ["theirs", "panneuro"]
    roles = {role["name"]: role for role in c.JupyterHub.load_roles}
    assert set(roles) == {"user", "theirs", "panneuro-service"}
    assert roles["user"]["scopes"] == ["self", "list:users", "access:services!service=panneuro"]
    assert c["CryptKeeper"]["keys"] == ["x" * 32]


def test_the_admin_s_own_pages_come_first(example_file: Path) -> None:
    for own in ([], ["/etc/pages"]):
        c = Config()
        if own:
            c.JupyterHub.template_paths = list(own)
        configure(c, example_file)
        hub = JupyterHub(config=c)
        theirs = [path for path in hub.template_paths if "/share/" in path]
        *before, ours = hub.template_paths[: len(hub.template_paths) - len(theirs)]
        assert before == own
        assert (Path(ours) / "admin.html").is_file()


def test_the_service_s_role_may_change_nothing(example_file: Path) -> None:
    c = Config()
    configure(c, example_file)
    [role] = [role for role in c.JupyterHub.load_roles if role["name"] == "panneuro-service"]
    assert role["scopes"] == ["custom:panneuro:members:read", "read:users:name"]
    assert set(c.JupyterHub.custom_scopes) == {"custom:panneuro:members:read"}


def test_the_platform_s_keys_go_to_the_service_alone(example_file: Path) -> None:
    c = Config()
    configure(
        c,
        example_file,
        service_environment={"AWS_SECRET_ACCESS_KEY": "platform-secret"},
        ledger_url="postgresql://a:database-secret@b/c",
        renew_after_seconds=20,
    )
    [service] = c.JupyterHub.services
    assert service["command"][-2:] == ["--renew-after", "20"]
    # JupyterHub writes both, as they are, into its database.
    assert "platform-secret" not in repr(c)
    assert "database-secret" not in repr(c)
    environment = dict(service["environment"])
    secret_env.load_secret_environment(environment)
    assert environment["AWS_SECRET_ACCESS_KEY"] == "platform-secret"
    assert environment["PANNEURO_LEDGER_URL"] == "postgresql://a:database-secret@b/c"
    file = Path(environment[secret_env.SECRET_FILE_VARIABLE])
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_a_service_whose_private_file_is_gone_says_so(tmp_path: Path) -> None:
    secret_env.load_secret_environment({})
    with pytest.raises(PanNeuroError, match="start the hub again"):
        secret_env.load_secret_environment(
            {secret_env.SECRET_FILE_VARIABLE: str(tmp_path / "gone")}
        )


def test_a_service_of_its_own_is_not_started(
    example_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PANNEURO_SERVICE_TOKEN", "t" * 32)
    c = Config()
    configure(c, example_file, service_url="http://panneuro:10143")
    [service] = c.JupyterHub.services
    assert service["api_token"] == "t" * 32
    assert "command" not in service
    assert c.SessionMixin.service_address == "http://panneuro:10143"


def roles_of(c: Config) -> dict[str, list[str]]:
    return {role["name"]: role["scopes"] for role in c.JupyterHub.load_roles}


def test_a_gateway_of_its_own_is_known_to_the_hub(
    example_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PANNEURO_DASK_GATEWAY_URL", "http://dask-proxy:8000/")
    monkeypatch.setenv("PANNEURO_DASK_GATEWAY_TOKEN", "t" * 32)
    monkeypatch.setenv("PANNEURO_DASK_PROXY_ADDRESS", "gateway://dask-proxy:8786")
    c = Config()
    configure(c, example_file)
    services = {service["name"]: service for service in c.JupyterHub.services}
    assert services["dask-gateway"]["url"] == "http://dask-proxy:8000/"
    assert services["dask-gateway"]["api_token"] == "t" * 32
    assert "command" not in services["dask-gateway"]
    assert c.SessionMixin.gateway_address == "http://dask-proxy:8000/"
    assert c.SessionMixin.gateway_proxy_address == "gateway://dask-proxy:8786"
    use = "access:services!service=dask-gateway"
    assert roles_of(c)["user"] == ["self", use, "access:services!service=panneuro"]
    assert roles_of(c)["server"] == ["users:activity!user", "access:servers!server", use]
    assert not [scope for scopes in roles_of(c).values() for scope in scopes if scope == "inherit"]


def test_a_gateway_that_the_hub_starts(example_file: Path) -> None:
    c = Config()
    c.JupyterHub.load_roles = [{"name": "server", "scopes": ["users:activity!user"]}]
    command = ("dask-gateway-server", "-f", "gateway.py")
    configure(c, example_file, dask_gateway_url="http://127.0.0.1:9", dask_gateway_command=command)
    [gateway] = [each for each in c.JupyterHub.services if each["name"] == "dask-gateway"]
    assert gateway["command"] == list(command)
    assert "api_token" not in gateway
    assert roles_of(c)["server"] == ["users:activity!user", "access:services!service=dask-gateway"]
    assert "gateway_proxy_address" not in c.SessionMixin


def test_without_a_gateway_nobody_is_told_of_one(example_file: Path) -> None:
    c = Config()
    configure(c, example_file)
    # Not "dask" alone, which may be in the path of the file.
    for word in ("dask-gateway", "gateway_url", "gateway_proxy_address"):
        assert word not in repr(c)
    assert "server" not in roles_of(c)


def test_a_gateway_without_a_token_is_an_error_in_words(example_file: Path) -> None:
    with pytest.raises(PanNeuroError, match="set PANNEURO_DASK_GATEWAY_TOKEN"):
        configure(Config(), example_file, dask_gateway_url="http://127.0.0.1:9")


def test_links_of_the_file_stay_links(tmp_path: Path, example_file: Path) -> None:
    """A ConfigMap changes by moving a link: a resolved path would lead to what is deleted then."""
    link = tmp_path / "collaboration.yaml"
    link.symlink_to(example_file)
    c = Config()
    configure(c, link)
    assert c.SessionMixin.collaboration_file == c.TeamsMixin.collaboration_file == str(link)
    [service] = c.JupyterHub.services
    assert str(link) in service["command"]


def test_a_relative_file_is_one_for_all_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    c = Config()
    configure(c, "etc/../collaboration.yaml")
    assert c.SessionMixin.collaboration_file == "/collaboration.yaml"


def test_the_root_configuration_loads(example_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PANNEURO_COLLABORATION", str(example_file))
    monkeypatch.setenv("PANNEURO_AUTHENTICATOR", "panneuro-github")
    c = PyFileConfigLoader("jupyterhub_config.py", str(ROOT)).load_config()
    assert c.JupyterHub.authenticator_class == "panneuro-github"
    assert c.JupyterHub.spawner_class == "panneuro"
