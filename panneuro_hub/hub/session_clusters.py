"""The end of a session's Dask clusters, when its server is stopped."""

from __future__ import annotations

import json
import logging

from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest

from panneuro_hub.wire.service_urls import SESSION_CLUSTERS_PATH

_log = logging.getLogger("JupyterHub.panneuro")
_TIMEOUT_SECONDS = 10.0


async def stop_session_clusters(gateway_url: str, api_token: str, server: str) -> None:
    """Stop the clusters that a session started. A gateway that does not answer stops no server.

    What the gateway did not stop ends when it has been idle for the project's `idle_timeout`.

    Parameters
    ----------
    gateway_url : str
        The gateway, as the hub reaches it.
    api_token : str
        The server's own token, by which the gateway knows the session.
    server : str
        The server's name, for the log.
    """
    request = HTTPRequest(
        f"{gateway_url}{SESSION_CLUSTERS_PATH}",
        method="DELETE",
        headers={"Authorization": f"jupyterhub {api_token}"},
        request_timeout=_TIMEOUT_SECONDS,
        follow_redirects=False,
    )
    try:
        stopped = json.loads((await AsyncHTTPClient().fetch(request)).body)["stopped"]
    except HTTPClientError as error:
        # The text of the error may repeat the request, and so the token.
        _log.warning(
            "The Dask clusters of %s may run on until they are idle: the gateway answers %d",
            *(server, error.code),
        )
    except (OSError, ValueError, LookupError, TypeError) as error:
        _log.warning(
            "The Dask clusters of %s may run on until they are idle: the gateway does not answer "
            "(%s)",
            *(server, type(error).__name__),
        )
    else:
        if stopped:
            _log.info("Stopping Dask clusters with %s: %s", server, ", ".join(stopped))
