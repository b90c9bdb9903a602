"""Small pieces of sentences."""

from __future__ import annotations

from collections.abc import Sequence


def listed(words: Sequence[str], last: str = "and") -> str:
    """Words in a row: ``a``, ``a and b``, ``a, b and c``."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} {last} {words[-1]}"


def shorten(text: str, limit: int = 60) -> str:
    """Untrusted text, quoted and cut, good for a message."""
    return repr(text if len(text) <= limit else text[:limit] + "…")
