"""A hub on this machine: its settings, and what stays in its folder over starts."""

from __future__ import annotations

from pathlib import Path

from panneuro_hub.devstack.local_hub import make_gateway_settings, prepare_hub_folder
from panneuro_hub.devstack.stack_settings import GatewaySettings, HubSettings

NOTEBOOKS = {"average.ipynb": "{}"}


def hub_settings(folder: str) -> HubSettings:
    return HubSettings(
        folder=folder,
        homes="/homes",
        collaboration="/collaboration.yaml",
        hub_url="http://127.0.0.1:1",
        hub_port=2,
        service_port=3,
        proxy_api_port=4,
        gateway_port=6,
        authenticator={"client_secret": "a secret"},
        service_environment={"AWS_SECRET_ACCESS_KEY": "a secret"},
        renew_after_seconds=5,
        notebook="a.ipynb",
        gateway_command=["dask-gateway-server"],
    )


def test_settings_come_back_and_are_private(tmp_path: Path) -> None:
    file = tmp_path / "settings.json"
    file.write_text("left by an earlier demo")
    file.chmod(0o644)

    hub_settings("/hub").write(file)

    assert HubSettings.read(file) == hub_settings("/hub")
    assert file.stat().st_mode & 0o777 == 0o600
    assert "a secret" not in repr(hub_settings("/hub"))
    assert hub_settings("/hub").ledger_url == "sqlite:////hub/ledger.sqlite"


def test_the_gateway_is_told_where_it_is_and_no_secret(tmp_path: Path) -> None:
    gateway = make_gateway_settings(hub_settings("/demo/hub"), 7)

    gateway.write(tmp_path / "gateway.json")

    assert GatewaySettings.read(tmp_path / "gateway.json") == gateway
    assert gateway == GatewaySettings(
        folder="/demo/gateway",
        collaboration="/collaboration.yaml",
        service_url="http://127.0.0.1:3/services/panneuro",
        port=6,
        api_port=7,
    )
    assert "a secret" not in (tmp_path / "gateway.json").read_text()


def test_homes_outlive_a_demo_and_the_rest_does_not(tmp_path: Path) -> None:
    prepare_hub_folder(tmp_path / "demo", NOTEBOOKS)
    home = tmp_path / "demo/homes/ada/projects/nhp-navigation"
    theirs = home / "average.ipynb"
    assert theirs.read_text() == NOTEBOOKS["average.ipynb"]
    theirs.write_text("edited")
    (home / "own.txt").write_text("own")
    (tmp_path / "demo/hub/jupyterhub.sqlite").write_text("left")
    (tmp_path / "demo/settings.json").write_text("left")

    prepare_hub_folder(tmp_path / "demo", NOTEBOOKS)

    assert theirs.read_text() == "edited"
    assert (home / "own.txt").read_text() == "own"
    assert not (tmp_path / "demo/hub/jupyterhub.sqlite").exists()
    assert not (tmp_path / "demo/settings.json").exists()
    assert (tmp_path / "demo").stat().st_mode & 0o777 == 0o700
