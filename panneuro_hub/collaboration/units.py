"""Durations and sizes, as people write them: ``30m``, ``30d``, ``8G``."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

from panneuro_hub.collaboration.message_words import quote_value

_DURATION = re.compile(r"([0-9]{1,9})(s|m|h|d)")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
# Far from where adding one to a date overflows.
_LONGEST = timedelta(days=3660)
_MEMORY = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)(K|M|G|T)")
_POWERS = {"K": 1, "M": 2, "G": 3, "T": 4}


def parse_duration(value: Any) -> Any:
    """Read ``90s``, ``30m``, ``12h`` or ``30d``; a `timedelta` stays as it is.

    Raises
    ------
    ValueError
        If `value` is anything else, zero (``0s``), or more than ten years.
    """
    if isinstance(value, timedelta):
        return value
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if not match:
        raise ValueError(
            f"{quote_value(value)} is not a duration; write a whole number and s, m, h or d: 30m"
        )
    duration = timedelta(**{_UNITS[match[2]]: int(match[1])})
    if not duration:
        raise ValueError(f"{quote_value(value)} is no time at all; write 1s or more")
    if duration > _LONGEST:
        raise ValueError(f"{quote_value(value)} is more than ten years; write less")
    return duration


def format_duration(duration: timedelta) -> str:
    """Return the shortest text that `parse_duration` reads as `duration`, in whole seconds."""
    seconds = int(duration.total_seconds())
    for letter, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds and seconds % size == 0:
            return f"{seconds // size}{letter}"
    return f"{seconds}s"


def parse_memory(value: Any) -> Any:
    """Read ``512M`` or ``8G`` as bytes, in powers of 1024 as JupyterHub does.

    Raises
    ------
    ValueError
        If `value` is not a whole number of bytes or such text, or is 0.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        size = value
    else:
        match = _MEMORY.fullmatch(value) if isinstance(value, str) else None
        if not match:
            raise ValueError(
                f"{quote_value(value)} is not a size; write a number and K, M, G or T: 8G"
            )
        size = int(float(match[1]) * 1024 ** _POWERS[match[2]])
    if size <= 0:
        raise ValueError(f"{quote_value(value)} is no memory at all; write more, such as 8G")
    return size


def format_memory(size: int) -> str:
    """Return a size in bytes as people write it, to one decimal: ``8G``, ``1.5T``."""
    for letter in ("T", "G", "M", "K"):
        unit = 1024 ** _POWERS[letter]
        if size >= unit:
            return f"{size / unit:.1f}".removesuffix(".0") + letter
    return str(size)
