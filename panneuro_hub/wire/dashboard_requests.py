"""The cookie and headers that the dashboard proxy and the service agree on."""

from __future__ import annotations

from collections.abc import Mapping

DASHBOARD_COOKIE = "panneuro-dashboard"
"""Cookie that identifies a person at one dashboard."""

CLUSTER_HEADER = "X-PanNeuro-Cluster"
"""Header of a response that allows access: the cluster whose dashboard the person may see."""


def is_page_navigation(headers: Mapping[str, str]) -> bool:
    """Return `True` if a browser requests a page, rather than a part of a page or a WebSocket.

    Parameters
    ----------
    headers : mapping of str to str
        Headers of the request, in a mapping that ignores upper and lower case.
    """
    if "Upgrade" in headers:
        return False
    mode = headers.get("Sec-Fetch-Mode")
    # Browsers do not send the header to a hub over plain HTTP.
    return mode == "navigate" if mode else "text/html" in headers.get("Accept", "")
