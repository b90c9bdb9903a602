"""Checks and comparisons of the addresses of S3-compatible stores."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, urlsplit

# No braces, quotes or blanks: an endpoint stands in environments that templates fill.
_SAFE = re.compile(r"[A-Za-z0-9.:/_~\[\]-]{1,512}")
_WHOLE = "write it as https://s3.example.org"
_AMAZON = re.compile(r"(?:.+\.)?amazonaws\.com(?:\.cn)?")


def find_endpoint_problem(url: str) -> str | None:
    """Return the problem with the address of a store, or `None`; never repeat the address."""
    parts = _split(url)
    if parts is None:
        return f"this is not an address; {_WHOLE}"
    if parts.scheme not in ("http", "https"):
        return f"an address here begins with https:// or http://; {_WHOLE}"
    if "@" in parts.netloc:
        return f"there are credentials in this address, and they belong in no file; {_WHOLE}"
    if "?" in url or "#" in url:
        return f"an address here has no '?' or '#' part; {_WHOLE}"
    if not parts.hostname or not _SAFE.fullmatch(url):
        return f"this is not an address; {_WHOLE}"
    return None


def normalize_endpoint(url: str | None) -> str:
    """Return a text that is equal for addresses that may lead to the same buckets.

    Scheme, default ports and a closing ``/`` make no difference; nor do regions of Amazon, where
    all regions share the names of buckets.
    """
    parts = _split(url) if url is not None else None
    if parts is None:
        return url or "amazon"
    host = (parts.hostname or "").rstrip(".")
    if _AMAZON.fullmatch(host):
        return "amazon"
    port = parts.port if parts.port not in (80, 443) else None
    return f"{host}:{port or ''}{parts.path.rstrip('/')}"


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port  # Only reading the port shows that it is invalid.
    except ValueError:
        return None
    return parts
