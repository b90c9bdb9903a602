"""The wiring of a dask-gateway-server configuration."""

from __future__ import annotations

from pathlib import Path

import pytest
from dask_gateway_server.app import DaskGateway
from traitlets.config import Config

from panneuro_hub.dask import configure


def test_everything_from_one_call(example_file: Path) -> None:
    c = Config()
    configure(c, example_file, service_url="http://panneuro:10143/services/panneuro")
    assert c == {
        "DaskGateway": {
            "backend_class": "panneuro_hub.dask.kube_backend.PanNeuroKubeBackend",
            "authenticator_class": "panneuro_hub.dask.authenticator.HubAuthenticator",
        },
        "Proxy": {"prefix": "/services/dask-gateway"},
        "ClusterMixin": {
            "prefix": "/services/dask-gateway",
            "collaboration_file": str(example_file),
            "service_url": "http://panneuro:10143/services/panneuro",
        },
    }


@pytest.mark.parametrize("backend", ["local", "kubernetes"])
def test_the_classes_are_what_the_gateway_takes(example_file: Path, backend: str) -> None:
    c = Config()
    configure(c, example_file, backend=backend)
    gateway = DaskGateway(config=c)
    assert gateway.backend_class.__name__.startswith("PanNeuro")
    assert gateway.authenticator_class.__name__ == "HubAuthenticator"


def test_from_the_environment(example_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PANNEURO_COLLABORATION", str(example_file))
    monkeypatch.setenv("PANNEURO_SERVICE_URL", "http://there:1/services/panneuro")
    c = Config()
    configure(c, backend="local")
    assert c.ClusterMixin.collaboration_file == str(example_file)
    assert c.ClusterMixin.service_url == "http://there:1/services/panneuro"


def test_an_authenticator_of_the_admins_stays(example_file: Path) -> None:
    for theirs, then in (
        ("theirs.Authenticator", "theirs.Authenticator"),
        (
            "dask_gateway_server.auth.JupyterHubAuthenticator",
            "panneuro_hub.dask.authenticator.HubAuthenticator",
        ),
    ):
        c = Config()
        c.DaskGateway.authenticator_class = theirs
        configure(c, example_file)
        assert c.DaskGateway.authenticator_class == then


def test_links_of_the_file_stay_links(tmp_path: Path, example_file: Path) -> None:
    """A ConfigMap changes by moving a link: a resolved path would lead to what is deleted then."""
    link = tmp_path / "collaboration.yaml"
    link.symlink_to(example_file)
    c = Config()
    configure(c, link)
    assert c.ClusterMixin.collaboration_file == str(link)


def test_a_broken_file_does_not_stop_the_controller(tmp_path: Path) -> None:
    """It reads this configuration too, and needs no collaboration; the gateway looks itself."""
    broken = tmp_path / "collaboration.yaml"
    broken.write_text("name: x\n")
    c = Config()
    configure(c, broken)
    assert c.ClusterMixin.collaboration_file == str(broken)
