"""Addresses of S3-compatible stores: which are safe to use, and which are the same."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, urlsplit

# No braces, quotes or blanks: an endpoint stands in environments that templates fill.
_SAFE = re.compile(r"[A-Za-z0-9.:/_~\[\]-]{1,512}")
_WHOLE = "write it as https://s3.example.org"
_AMAZON = re.compile(r"(?:.+\.)?amazonaws\.com(?:\.cn)?")


def find_endpoint_problem(url: str) -> str | None:
    """Say what is wrong with the address of a store, or `None`; never repeats it."""
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
    """A text that is equal for addresses behind which the same buckets may be.

    Scheme, default ports and a closing ``/`` make no difference, and neither do
    regions of Amazon, where the names of buckets are everybody's.
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
        _ = parts.port  # read here, since only reading it shows that it is none
    except ValueError:
        return None
    return parts
