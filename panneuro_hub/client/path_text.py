"""Paths as people read them."""

from __future__ import annotations

_LONGEST = 200  # characters
_END = 60


def format_path(path: str) -> str:
    """Return a path as it can be printed anywhere: quoted if it is odd, shortened if it is long."""
    if len(path) > _LONGEST:
        path = f"{path[: _LONGEST - _END - 1]}…{path[-_END:]}"
        return path if path.isprintable() else ascii(path)
    return path if path.isprintable() and path == path.strip() else ascii(path)
