"""Words for people, and people's words: how sizes are said, how listings are searched."""

from __future__ import annotations

from collections.abc import Iterable

_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


def format_size(size: float) -> str:
    """A number of bytes for people, in powers of 1000 as disks have it: ``34.6 kB``."""
    for unit in _UNITS:
        if size < 999.5 or unit == _UNITS[-1]:
            break
        size /= 1000
    return f"{size:.0f} {unit}" if unit == "B" or size >= 99.95 else f"{size:.1f} {unit}"


def contains_words(texts: Iterable[str], words: str) -> bool:
    """Whether all `words` are somewhere in `texts`, small or large."""
    text = " ".join(texts).casefold()
    return all(word in text for word in words.casefold().split())
