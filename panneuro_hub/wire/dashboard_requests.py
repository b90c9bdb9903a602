"""What the gate before dashboards and the service that judges for it have agreed on."""

from __future__ import annotations

from collections.abc import Mapping

DASHBOARD_COOKIE = "panneuro-dashboard"
"""Says who somebody is, at one dashboard."""

CLUSTER_HEADER = "X-PanNeuro-Cluster"
"""The cluster whose dashboard somebody may see, in an answer that says yes."""


def is_page_navigation(headers: Mapping[str, str]) -> bool:
    """Whether a person's browser asks for a page, rather than a page for a part or a WebSocket.

    Parameters
    ----------
    headers : mapping of str to str
        Of the request; upper and lower case must be the same in it.
    """
    if "Upgrade" in headers:
        return False
    mode = headers.get("Sec-Fetch-Mode")
    # Browsers are silent about it where the hub is reached over plain HTTP.
    return mode == "navigate" if mode else "text/html" in headers.get("Accept", "")
