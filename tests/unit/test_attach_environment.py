"""What a session's process is told of its gateway is what Dask Gateway's client reads."""

from __future__ import annotations

import dask.config
import pytest

from panneuro_hub.attach.environment import choice_environment, gateway_environment

ADDRESS = "http://dask-proxy:8000/services/dask-gateway"
PUBLIC = "/services/dask-gateway"


def client_configuration(variables: dict[str, str]) -> dict[str, object]:
    """What the client finds under ``gateway``, of a process with these variables alone."""
    configuration = dask.config.collect(paths=[], env=variables)
    return {
        key: dask.config.get(f"gateway.{key}", None, config=configuration)
        for key in ("address", "public-address", "proxy-address", "auth.type")
    }


@pytest.mark.parametrize("proxy", ["gateway://dask-proxy:8786", None])
def test_the_client_reads_what_the_session_is_told(proxy: str | None) -> None:
    variables = gateway_environment(ADDRESS, PUBLIC, proxy)
    assert client_configuration(variables) == {
        "address": ADDRESS,
        "public-address": PUBLIC,
        "proxy-address": proxy,
        "auth.type": "jupyterhub",
    }


def test_a_session_is_told_what_it_runs() -> None:
    named = {"PANNEURO_PROFILE": "small", "PANNEURO_IMAGE": "neuro"}
    assert choice_environment("small", "neuro") == named


def test_a_session_without_an_image_names_none() -> None:
    assert choice_environment("small", None) == {"PANNEURO_PROFILE": "small"}
