"""Format sizes for people, and search texts for words."""

from __future__ import annotations

from collections.abc import Iterable

_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


def format_size(size: float) -> str:
    """Return a number of bytes in decimal units, such as ``34.6 kB``."""
    for unit in _UNITS:
        if size < 999.5 or unit == _UNITS[-1]:
            break
        size /= 1000
    return f"{size:.0f} {unit}" if unit == "B" or size >= 99.95 else f"{size:.1f} {unit}"


def contains_words(texts: Iterable[str], words: str) -> bool:
    """Return whether `texts` contain all `words`, in upper or lower case."""
    text = " ".join(texts).casefold()
    return all(word in text for word in words.casefold().split())
