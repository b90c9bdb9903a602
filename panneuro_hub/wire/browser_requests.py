"""What browsers say of the requests they make, and what a script on another page cannot say.

Without separate domains, pages of people's servers have the origin of the hub: a script
there can fetch the hub's pages with the person's cookies, and write any `Referer` of the
same origin. It cannot write the headers that begin with ``Sec-Fetch-``.

Source: W3C, "Fetch Metadata Request Headers".
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

OPENER_POLICY = "same-origin"
"""Of ``Cross-Origin-Opener-Policy``: a page that has none keeps no hold on a window of ours."""

SCRIPT_REFUSED = (
    "this page is for people: open it in a browser's tab of its own. A page of a server, a "
    "frame or a script cannot have it"
)

_SAFE = ("GET", "HEAD", "OPTIONS")


def is_page_view(headers: Mapping[str, str], *, frames: bool = False) -> bool:
    """Return whether a browser asks for a page to show in a tab, rather than for a script.

    What says nothing of all this counts as a page view: programs, old browsers, and any
    browser that reaches the hub over plain HTTP.

    Parameters
    ----------
    headers : mapping of str to str
        Of the request; upper and lower case must be the same in it.
    frames : bool
        Whether a page for a frame of another page counts too.
    """
    mode, kind = headers.get("Sec-Fetch-Mode"), headers.get("Sec-Fetch-Dest")
    kinds = ("document", "iframe", "frame") if frames else ("document",)
    # A service worker that passes a page view on says "navigate" and "empty".
    return mode in (None, "navigate") and (kind is None or kind in kinds)


def is_checked_script(headers: Mapping[str, str]) -> bool:
    """Return whether a script asks in a way for which JupyterHub wants a token of its pages.

    It does not where a script asks with ``mode: "no-cors"``, and lets the script read the
    answer where the origin is the same.
    """
    return headers.get("Sec-Fetch-Mode") in ("cors", "same-origin", "websocket")


def is_from_page(headers: Mapping[str, str]) -> bool:
    """Return whether any page led to the request, rather than the person's own typing."""
    return headers.get("Sec-Fetch-Site") not in (None, "none")


def is_same_origin_form(headers: Mapping[str, str]) -> bool:
    """Return whether a browser says that a form of our own origin was sent as a page view.

    Unlike `is_page_view`, silence is a no.
    """
    return (
        headers.get("Sec-Fetch-Mode") == "navigate"
        and headers.get("Sec-Fetch-Dest") == "document"
        and headers.get("Sec-Fetch-Site") == "same-origin"
    )


def is_cross_origin_return(headers: Mapping[str, str]) -> bool:
    """Return whether a browser says that a page of another origin led it here.

    A person comes so from the identity provider. A script of the hub's origin cannot, and
    keeps no window that it opened this way. Silence is a no.
    """
    return (
        headers.get("Sec-Fetch-Mode") == "navigate"
        and headers.get("Sec-Fetch-Dest") == "document"
        and headers.get("Sec-Fetch-Site") in ("cross-site", "same-site")
    )


def is_from_server(method: str, headers: Mapping[str, str], base_path: str) -> bool:
    """Return whether a request that changes something names a page of a server as its origin.

    Parameters
    ----------
    base_path : str
        Where the hub's paths begin, such as ``/``.
    """
    if method in _SAFE:
        return False
    path = urlsplit(headers.get("Referer", "")).path
    return path.startswith(f"{base_path}user/")
