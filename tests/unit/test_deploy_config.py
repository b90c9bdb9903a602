"""The configuration files of deploy/, run as JupyterHub and the chart run them."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import pytest
from manifests import DEPLOY, ROOT, named, read, written
from traitlets.config import Config

from panneuro_hub.errors import PanNeuroError

SECRETS = {
    "PANNEURO_DATABASE_URL": "postgresql+psycopg://hub:database-password@postgres/hub",
    "PANNEURO_PROXY_PASSWORD": "proxy-password",
    "PANNEURO_SERVICE_TOKEN": "service-token",
}
Run = Callable[..., Config]


@pytest.fixture
def environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, example_file: Path
) -> pytest.MonkeyPatch:
    for name in [name for name in os.environ if name.startswith("PANNEURO_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("JUPYTERHUB_CRYPT_KEY", "00" * 32)
    monkeypatch.setenv("PANNEURO_COLLABORATION", str(example_file))
    monkeypatch.setenv("PANNEURO_SETTINGS", str(tmp_path / "hub.yaml"))
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


@pytest.fixture
def run(environment: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run the configuration, as JupyterHub does, with this hub.yaml."""

    def it(settings: str | None = None) -> Config:
        if settings is not None:
            (tmp_path / "hub.yaml").write_text(settings)
        return executed(DEPLOY / "jupyterhub_config.py", get_config=Config)

    return it


def executed(path: Path, **given: Any) -> Config:
    names: dict[str, Any] = dict(given)
    exec(compile(path.read_text(), path, "exec"), names)
    return names["c"]


def arguments(container: str) -> dict[str, str]:
    """The options of a container of the hub's pod."""
    spec = named(written(), "Deployment", "hub")["spec"]["template"]["spec"]
    (found,) = [one for one in spec["containers"] if one["name"] == container]
    return dict(word.split("=", 1) for word in found["args"] if "=" in word)


def ports(kind: str, name: str) -> list[int]:
    return [port["port"] for port in named(written(), kind, name)["spec"]["ports"]]


# -- the hub of deploy/kustomize ------------------------------------------------------------


def test_hub_and_proxy_mean_the_same_ports_and_files(run: Run) -> None:
    c, traefik = run(), arguments("proxy")
    proxy = c.TraefikFileProviderProxy
    assert proxy.should_start is False
    assert Path(proxy.dynamic_config_file).parent == Path(traefik["--providers.file.directory"])
    api = urlparse(proxy.traefik_api_url)
    # On loopback: whoever reads the routes reads where everybody's servers are.
    assert traefik["--entrypoints.auth_api.address"] == f"127.0.0.1:{api.port}" == api.netloc
    assert proxy.traefik_api_password == "proxy-password"


def test_everybody_finds_the_hub_by_its_service(run: Run) -> None:
    c = run()
    (port,) = ports("Service", "hub")
    assert c.JupyterHub.hub_bind_url == f"http://0.0.0.0:{port}"
    assert c.Spawner.hub_connect_url == f"http://hub:{port}"
    # The proxy is beside it, and a pod may not reach itself by a Service.
    assert c.JupyterHub.hub_connect_url == f"http://127.0.0.1:{port}"


def test_the_service_is_not_started_by_the_hub(run: Run) -> None:
    c = run()
    (service,) = [one for one in c.JupyterHub.services if one["name"] == "panneuro"]
    (port,) = ports("Service", "panneuro")
    assert service["url"] == f"http://panneuro:{port}"
    assert service["api_token"] == "service-token"
    assert "command" not in service
    assert c.SessionMixin.service_address == f"http://panneuro:{port}"


def test_sessions_outlive_the_hub_and_homes_their_owners(run: Run) -> None:
    c = run()
    assert c.JupyterHub.cleanup_servers is False
    assert c.KubeSpawner.storage_pvc_ensure is True
    assert c.KubeSpawner.delete_pvc is False


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_that_is_missing_is_named(
    run: Run, environment: pytest.MonkeyPatch, name: str
) -> None:
    environment.delenv(name)
    with pytest.raises(PanNeuroError, match=rf"{name} is not set.*deploy/secrets"):
        run()


def test_settings_win_over_what_is_said_here(run: Run) -> None:
    c = run(
        "KubeSpawner: {storage_capacity: 50Gi, fs_gid: 100}\nJupyterHub: {active_server_limit: 9}"
    )
    assert (c.KubeSpawner.storage_capacity, c.KubeSpawner.fs_gid) == ("50Gi", 100)
    assert c.JupyterHub.active_server_limit == 9
    assert c.KubeSpawner.storage_access_modes == ["ReadWriteOnce"]


def test_services_in_the_settings_are_added_to(run: Run) -> None:
    c = run("JupyterHub: {services: [{name: announcements, url: 'http://news:80'}]}")
    assert {one["name"] for one in c.JupyterHub.services} == {"announcements", "panneuro"}


def test_the_examples_settings_are_ones_that_there_are(run: Run) -> None:
    from jupyterhub.app import JupyterHub
    from oauthenticator.oauth2 import OAuthenticator

    from panneuro_hub.hub.kube_spawner import PanNeuroSpawner

    (example,) = read(DEPLOY / "kustomize" / "example" / "hub.yaml")
    classes: Mapping[str, Any] = {
        "JupyterHub": JupyterHub,
        "OAuthenticator": OAuthenticator,
        "PanNeuroSpawner": PanNeuroSpawner,
        "KubeSpawner": PanNeuroSpawner,
    }
    assert set(example) == set(classes)
    c = run(json.dumps(example))
    for name, cls in classes.items():
        assert set(c[name]) <= set(cls.class_traits(config=True)), name


def test_idle_servers_are_stopped_unless_told_not_to(
    run: Run, environment: pytest.MonkeyPatch
) -> None:
    (culler,) = [one for one in run().JupyterHub.services if one["name"] == "idle-culler"]
    assert "--timeout=3600" in culler["command"]
    assert {"name": "idle-culler"}.items() <= run().JupyterHub.load_roles[0].items()
    environment.setenv("PANNEURO_CULL_AFTER_SECONDS", "0")
    assert [one["name"] for one in run().JupyterHub.services] == ["panneuro"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("a: [", "is no YAML"),
        ("- a", "it must hold settings"),
        ("JupyterHub: 3", "JupyterHub must hold settings"),
        ("JupyterHub:", "JupyterHub must hold settings"),
        ("x", "it must hold settings"),
    ],
)
def test_broken_settings_are_told(run: Run, settings: str, said: str) -> None:
    with pytest.raises(PanNeuroError, match=said):
        run(settings)


def test_empty_settings_are_none(run: Run) -> None:
    assert run("").KubeSpawner.storage_capacity == "10Gi"


# -- the hub of the Zero to JupyterHub chart ------------------------------------------------


def chart_config() -> Config:
    """What the chart's own configuration has set by the time that it runs ours."""
    c = Config()
    c.JupyterHub.spawner_class = "kubespawner.KubeSpawner"
    c.JupyterHub.services = [{"name": "jupyterhub-idle-culler"}]
    c.JupyterHub.load_roles = [{"name": "jupyterhub-idle-culler", "scopes": []}]
    c.CryptKeeper.keys = ["00" * 32]
    return c


def with_the_chart() -> Config:
    def get_config(key: str, default: Any = None) -> Any:
        raise AssertionError(f"{key} was asked: this is the chart's own function")

    path = DEPLOY / "jupyterhub_config.d" / "panneuro.py"
    return executed(path, c=chart_config(), get_config=get_config)


@pytest.mark.usefixtures("environment")
def test_the_charts_hub_becomes_ours() -> None:
    c = with_the_chart()
    assert c.JupyterHub.spawner_class == "panneuro"
    assert [one["name"] for one in c.JupyterHub.services] == ["jupyterhub-idle-culler", "panneuro"]
    assert "jupyterhub-idle-culler" in {one["name"] for one in c.JupyterHub.load_roles}
    assert c.CryptKeeper["keys"] == ["00" * 32]
    assert c.JupyterHub.services[1]["api_token"] == "service-token"


def test_the_charts_hub_needs_the_services_token(environment: pytest.MonkeyPatch) -> None:
    environment.delenv("PANNEURO_SERVICE_TOKEN")
    with pytest.raises(PanNeuroError, match=r"hub\.extraEnv"):
        with_the_chart()


# -- the charts' values ---------------------------------------------------------------------

# Of jupyterhub 4.1.0's values.yaml, what ours touch; its schema refuses other keys.
JUPYTERHUB_KEYS: Mapping[str, set[str]] = {
    "": {"hub", "proxy", "singleuser", "ingress", "cull"},
    "hub": {"image", "config", "extraEnv", "extraVolumes", "extraVolumeMounts"},
    "hub.image": {"name", "tag"},
    "proxy": {"service", "chp"},
    "proxy.chp": {"extraCommandLineFlags"},
    "proxy.service": {"type"},
    "singleuser": {
        *("profileList", "defaultUrl", "storage", "fsGid", "extraAnnotations", "extraPodConfig"),
        *("startTimeout", "cloudMetadata", "networkPolicy"),
    },
    "singleuser.storage": {"capacity", "homeMountPath"},
    "singleuser.cloudMetadata": {"blockWithIptables"},
    "singleuser.networkPolicy": {"enabled", "egressAllowRules", "egress"},
    "singleuser.networkPolicy.egressAllowRules": {"cloudMetadataServer", "privateIPs"},
    "ingress": {"enabled", "ingressClassName", "annotations", "hosts", "tls"},
    "cull": {"timeout"},
}
# Of dask-gateway's.
GATEWAY_KEYS: Mapping[str, set[str]] = {
    "": {"gateway", "traefik"},
    "gateway": {"prefix", "auth", "backend"},
    "gateway.auth": {"type"},
    "gateway.backend": {"image", "scheduler", "worker"},
    "gateway.backend.image": {"name", "tag"},
    "gateway.backend.scheduler": {"cores", "memory"},
    "gateway.backend.worker": {"cores", "memory", "threads"},
    "traefik": {"service"},
    "traefik.service": {"type"},
}


@pytest.mark.parametrize(
    ("file", "known"),
    [("zero-to-jupyterhub.yaml", JUPYTERHUB_KEYS), ("dask-gateway.yaml", GATEWAY_KEYS)],
)
def test_values_have_keys_that_the_chart_knows(file: str, known: Mapping[str, set[str]]) -> None:
    (values,) = read(DEPLOY / "helm" / file)
    for path, keys in known.items():
        place: Any = values
        for part in path.split(".") if path else ():
            place = place[part]
        assert set(place) <= keys, path


@pytest.mark.parametrize("file", ["zero-to-jupyterhub.yaml", "dask-gateway.yaml"])
def test_no_python_is_in_values(file: str) -> None:
    text = (DEPLOY / "helm" / file).read_text()
    assert "extraConfig" not in text
    assert "import " not in text


def test_the_charts_proxy_routes_by_host_where_the_hub_does() -> None:
    (values,) = read(DEPLOY / "helm" / "zero-to-jupyterhub.yaml")
    assert values["hub"]["config"]["JupyterHub"]["subdomain_host"]
    assert "--host-routing" in values["proxy"]["chp"]["extraCommandLineFlags"]


def test_values_name_the_secret_and_the_file_that_the_overlay_beside_them_makes() -> None:
    (values,) = read(DEPLOY / "helm" / "zero-to-jupyterhub.yaml")
    (overlay,) = read(DEPLOY / "helm" / "kustomization.yaml")
    fixed = {
        made["name"]
        for made in [*overlay["secretGenerator"], *overlay["configMapGenerator"]]
        if made.get("options", {}).get("disableNameSuffixHash")
    }
    hub = values["hub"]
    named_there = {one["valueFrom"]["secretKeyRef"]["name"] for one in hub["extraEnv"].values()}
    named_there |= {one["configMap"]["name"] for one in hub["extraVolumes"]}
    assert named_there <= fixed


def test_the_charts_sessions_get_no_privileged_container_and_no_metadata() -> None:
    (values,) = read(DEPLOY / "helm" / "zero-to-jupyterhub.yaml")
    singleuser = values["singleuser"]
    assert singleuser["cloudMetadata"]["blockWithIptables"] is False
    assert singleuser["networkPolicy"]["enabled"] is True
    assert not any(singleuser["networkPolicy"]["egressAllowRules"].values())


# -- deploy/secrets -------------------------------------------------------------------------


def made_secrets(folder: Path) -> dict[str, dict[str, str]]:
    subprocess.run([DEPLOY / "secrets", folder], check=True, capture_output=True)
    return {
        name: dict(
            line.split("=", 1)
            for line in (folder / f"{name}.env").read_text().splitlines()
            if not line.startswith("#")
        )
        for name in ("hub", "service", "postgres")
    }


def test_secrets_fit_together(tmp_path: Path) -> None:
    made = made_secrets(tmp_path)
    hub, service, postgres = made["hub"], made["service"], made["postgres"]
    assert hub["PANNEURO_SERVICE_TOKEN"] == service["JUPYTERHUB_API_TOKEN"]
    for url, owner in (
        (hub["PANNEURO_DATABASE_URL"], "hub"),
        (service["PANNEURO_LEDGER_URL"], "ledger"),
    ):
        parts = urlparse(url)
        assert (parts.username, parts.path) == (owner, f"/{owner}")
        assert parts.password == postgres[f"{owner.upper()}_PASSWORD"]
    assert set(SECRETS) <= set(hub)
    assert len(bytes.fromhex(hub["JUPYTERHUB_CRYPT_KEY"])) == 32
    values = [value for file in made.values() for value in file.values() if value]
    # The token is there twice; everything else is its own, or inside a URL.
    assert len(values) - len(set(values)) == 1


def test_secrets_are_for_this_account_only_and_other_each_time(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    one, two = made_secrets(tmp_path / "one"), made_secrets(tmp_path / "two")
    for file in (tmp_path / "one").iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert not {*one["hub"].values()} & {*two["hub"].values()} - {""}


def test_secrets_are_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "service.env").write_text("mine")
    done = subprocess.run([DEPLOY / "secrets", tmp_path], capture_output=True, text=True)
    assert done.returncode == 1
    assert "service.env is there already" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["service.env"]
    assert (tmp_path / "service.env").read_text() == "mine"


def test_secrets_need_a_folder(tmp_path: Path) -> None:
    for words in ([], [tmp_path / "none"]):
        done = subprocess.run([DEPLOY / "secrets", *words], capture_output=True, text=True)
        assert done.returncode == 2
        assert "deploy/secrets FOLDER" in done.stderr


def test_nothing_here_names_a_file_that_is_not_there() -> None:
    for path in DEPLOY.rglob("kustomization.yaml"):
        (text,) = read(path)
        for name in text["resources"]:
            assert (path.parent / name).exists(), f"{path}: {name}"
    assert (ROOT / "deploy" / "secrets").stat().st_mode & stat.S_IXUSR


# -- docs/how-to/identity-providers.md ------------------------------------------------------


def identity_settings() -> Iterator[Any]:
    text = (ROOT / "docs" / "how-to" / "identity-providers.md").read_text()
    for section in text.split("\n## ")[1:]:
        title, _, rest = section.partition("\n")
        for block in rest.split("```yaml\n")[1:]:
            settings = block.split("```")[0]
            if settings.startswith("JupyterHub:"):
                yield pytest.param(settings, id=title)


@pytest.mark.parametrize("settings", list(identity_settings()))
def test_what_is_said_of_identity_providers_can_be_used(
    run: Run, settings: str, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("OAUTH_CLIENT_SECRET", "client-secret")
    c = run(settings)
    (entry,) = entry_points(
        group="jupyterhub.authenticators", name=c.JupyterHub.authenticator_class
    )
    authenticator = entry.load()(config=c)
    assert authenticator.client_id
    assert authenticator.client_secret == "client-secret"
    assert authenticator.oauth_callback_url == "https://hub.example.org/hub/oauth_callback"
    assert authenticator.authorize_url.startswith("https://")
    assert authenticator.token_url.startswith("https://")
    # Every setting is one that this class takes, and took; CILogon's class writes out what
    # a provider's settings leave unsaid.
    for name in {cls.__name__ for cls in type(authenticator).__mro__} & set(c):
        for trait, value in c[name].items():
            assert authenticator.has_trait(trait), trait
            # `configure` itself sets refresh_pre_spawn twice, for our classes and for others.
            if name in settings and trait not in ("idps", "refresh_pre_spawn"):
                assert getattr(authenticator, trait) == value, trait


def test_every_provider_is_told_of() -> None:
    text = (ROOT / "docs" / "how-to" / "identity-providers.md").read_text()
    for entry in entry_points(group="jupyterhub.authenticators"):
        assert not entry.name.startswith("panneuro-") or f"class: {entry.name}\n" in text
