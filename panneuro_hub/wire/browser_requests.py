"""Checks of the headers by which browsers describe a request, and which scripts cannot forge.

Without separate domains, pages of people's servers have the origin of the hub: a script
there can fetch the hub's pages with the person's cookies, and write any `Referer` of the
same origin. It cannot write the headers that begin with ``Sec-Fetch-``.

Source: W3C, "Fetch Metadata Request Headers".
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

OPENER_POLICY = "same-origin"
"""Value of ``Cross-Origin-Opener-Policy``: a page without it keeps no reference to our windows."""

SCRIPT_REFUSED = (
    "this page is for people: open it in a browser tab of its own. A page of a server, a "
    "frame or a script cannot open it"
)

_SAFE = ("GET", "HEAD", "OPTIONS")


def is_page_view(headers: Mapping[str, str], *, frames: bool = False) -> bool:
    """Return `True` if a browser requests a page to show in a tab, rather than for a script.

    A request without these headers counts as a page view: programs, old browsers, and any
    browser that reaches the hub over plain HTTP send such requests.

    Parameters
    ----------
    headers : mapping of str to str
        Headers of the request, in a mapping that ignores upper and lower case.
    frames : bool
        Whether a page for a frame of another page counts too.
    """
    mode, kind = headers.get("Sec-Fetch-Mode"), headers.get("Sec-Fetch-Dest")
    kinds = ("document", "iframe", "frame") if frames else ("document",)
    # A service worker that passes a page view on says "navigate" and "empty".
    return mode in (None, "navigate") and (kind is None or kind in kinds)


def is_checked_script(headers: Mapping[str, str]) -> bool:
    """Return `True` if a script sends a request for which JupyterHub requires its XSRF token.

    JupyterHub requires no token for a request with ``mode: "no-cors"``, and a script of the same
    origin can read the response to such a request.
    """
    return headers.get("Sec-Fetch-Mode") in ("cors", "same-origin", "websocket")


def is_from_page(headers: Mapping[str, str]) -> bool:
    """Return `True` if a page led to the request, and the person did not type the address."""
    return headers.get("Sec-Fetch-Site") not in (None, "none")


def is_same_origin_form(headers: Mapping[str, str]) -> bool:
    """Return `True` if a browser says that a form of our own origin was sent as a page view.

    Unlike `is_page_view`, missing headers give `False`.
    """
    return (
        headers.get("Sec-Fetch-Mode") == "navigate"
        and headers.get("Sec-Fetch-Dest") == "document"
        and headers.get("Sec-Fetch-Site") == "same-origin"
    )


def is_cross_origin_return(headers: Mapping[str, str]) -> bool:
    """Return `True` if a browser says that a page of another origin led to the request.

    A person returns from the identity provider in this way. A script of the hub's origin cannot
    make such a request, and keeps no reference to a window that it opened this way. Missing
    headers give `False`.
    """
    return (
        headers.get("Sec-Fetch-Mode") == "navigate"
        and headers.get("Sec-Fetch-Dest") == "document"
        and headers.get("Sec-Fetch-Site") in ("cross-site", "same-site")
    )


def is_from_server(method: str, headers: Mapping[str, str], base_path: str) -> bool:
    """Return `True` if a request that changes something names a page of a server as its origin.

    Parameters
    ----------
    base_path : str
        Start of the hub's paths, such as ``/``.
    """
    if method in _SAFE:
        return False
    path = urlsplit(headers.get("Referer", "")).path
    return path.startswith(f"{base_path}user/")
