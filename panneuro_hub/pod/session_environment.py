"""Variables by which a session's clients find its data and its clusters; none is secret."""

from __future__ import annotations

from panneuro_hub.collaboration import S3Store

RCLONE_REMOTE = "store"
"""The name that rclone uses for the store of a session's project: ``store:BUCKET/PATH``."""


def build_data_environment(store: S3Store, project: str, service_url: str) -> dict[str, str]:
    """Return the variables by which a session's clients find its data; none is secret.

    The agent adds the address from which the credentials come.

    Sources: AWS SDKs and Tools Reference Guide, "Environment variables"; rclone documentation,
    "Environment Variables" and "Amazon S3 Storage Providers".
    """
    variables = {
        "AWS_DEFAULT_REGION": store.region,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_REGION": store.region,
        "PANNEURO_PROJECT": project,
        "PANNEURO_SERVICE_URL": service_url,
    }
    if store.endpoint_url:
        variables["AWS_ENDPOINT_URL"] = store.endpoint_url
        variables["AWS_ENDPOINT_URL_S3"] = store.endpoint_url
        if store.endpoint_url.startswith("http://"):
            variables["AWS_ALLOW_HTTP"] = "true"
    return variables | _rclone_remote(store)


def _rclone_remote(store: S3Store) -> dict[str, str]:
    """Define the remote ``store:`` for rclone, which has no predefined remotes."""
    settings = {
        "TYPE": "s3",
        "PROVIDER": "Other" if store.endpoint_url else "AWS",
        "ENV_AUTH": "true",  # the keys come from the session's agent
        "REGION": store.region,
        # A session may neither check nor create the bucket itself.
        "NO_CHECK_BUCKET": "true",
    }
    if store.endpoint_url:
        settings["ENDPOINT"] = store.endpoint_url
    return {f"RCLONE_CONFIG_{RCLONE_REMOTE.upper()}_{name}": settings[name] for name in settings}


def build_choice_environment(profile: str, image: str | None) -> dict[str, str]:
    """Return the variables that name a session's profile and image, as the collaboration does."""
    variables = {"PANNEURO_PROFILE": profile}
    if image:
        variables["PANNEURO_IMAGE"] = image
    return variables


def build_gateway_environment(
    address: str, public_address: str, proxy_address: str | None
) -> dict[str, str]:
    """Return the variables by which a session's clients reach the Dask gateway; none is secret.

    A client shows the server's own token, which its process has already.

    Parameters
    ----------
    address : str
        The gateway, as sessions reach it.
    public_address : str
        The gateway, as browsers reach it: dashboards' links begin with it.
    proxy_address : str or None
        The address for connections to schedulers; `None` for the host and port of `address`.

    Source: Dask Gateway documentation, "Configuration Reference" of the client, and Dask
    documentation, "Configuration", for how a variable's name becomes a key.
    """
    variables = {
        "DASK_GATEWAY__ADDRESS": address,
        "DASK_GATEWAY__AUTH__TYPE": "jupyterhub",
        "DASK_GATEWAY__PUBLIC_ADDRESS": public_address,
    }
    if proxy_address:
        variables["DASK_GATEWAY__PROXY_ADDRESS"] = proxy_address
    return variables
