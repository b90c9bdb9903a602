"""What a session's process is told of its gateway is what Dask Gateway's client reads."""

from __future__ import annotations

import dask.config
import pytest

from panneuro_hub.collaboration import Collaboration
from panneuro_hub.pod.session_environment import (
    build_choice_environment,
    build_data_environment,
    build_gateway_environment,
)

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
    variables = build_gateway_environment(ADDRESS, PUBLIC, proxy)
    assert client_configuration(variables) == {
        "address": ADDRESS,
        "public-address": PUBLIC,
        "proxy-address": proxy,
        "auth.type": "jupyterhub",
    }


AWS = {
    "AWS_REGION": "us-west-2",
    "AWS_DEFAULT_REGION": "us-west-2",
    "AWS_EC2_METADATA_DISABLED": "true",
    "PANNEURO_PROJECT": "nhp-navigation",
    "PANNEURO_SERVICE_URL": "http://panneuro/",
    "RCLONE_CONFIG_STORE_TYPE": "s3",
    "RCLONE_CONFIG_STORE_PROVIDER": "AWS",
    "RCLONE_CONFIG_STORE_ENV_AUTH": "true",
    "RCLONE_CONFIG_STORE_REGION": "us-west-2",
    "RCLONE_CONFIG_STORE_NO_CHECK_BUCKET": "true",
}


def test_clients_find_a_store_in_aws_and_one_elsewhere(example: Collaboration) -> None:
    store = example.stores["main"]
    assert store.endpoint_url is None
    assert build_data_environment(store, "nhp-navigation", "http://panneuro/") == AWS
    for url, more in (
        ("https://s3.example.org", {}),
        ("http://10.20.30.40:8333", {"AWS_ALLOW_HTTP": "true"}),
    ):
        elsewhere = store.model_copy(update={"endpoint_url": url})
        assert build_data_environment(elsewhere, "nhp-navigation", "http://panneuro/") == {
            **AWS,
            "AWS_ENDPOINT_URL": url,
            "AWS_ENDPOINT_URL_S3": url,
            "RCLONE_CONFIG_STORE_PROVIDER": "Other",
            "RCLONE_CONFIG_STORE_ENDPOINT": url,
            **more,
        }


def test_a_session_is_told_what_it_runs() -> None:
    named = {"PANNEURO_PROFILE": "small", "PANNEURO_IMAGE": "neuro"}
    assert build_choice_environment("small", "neuro") == named


def test_a_session_without_an_image_names_none() -> None:
    assert build_choice_environment("small", None) == {"PANNEURO_PROFILE": "small"}
