"""Where a session's clients find its data: variables, and no secret among them."""

from __future__ import annotations

from panneuro_hub.collaboration import S3Store


def environment(store: S3Store, project: str, service_url: str) -> dict[str, str]:
    """The variables that tell a session's clients where its data is; no secret.

    The agent adds where the credentials come from.

    Source: AWS SDKs and Tools Reference Guide, "Environment variables".
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
    return variables
