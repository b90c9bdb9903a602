"""Keys, values and names as text for messages: short, on one line, as the person wrote them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

KeyPath = tuple[str | int, ...]
"""A place in a file: keys, and positions in lists counted from 0."""

Finding = tuple[KeyPath, str]
"""The place of a problem, and its description."""

_PLAIN_KEY = re.compile(r"[A-Za-z0-9_*-]+")
_LONGEST_SHOWN = 80
_MOST_NAMED = 12


def format_key_path(path: KeyPath) -> str:
    """Return a key path as text: ``projects.nhp-navigation.reads[0]``; quote unusual keys."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            key = part if _PLAIN_KEY.fullmatch(part) else quote_value(part)
            text += f".{key}" if text else key
    return text


def quote_value(value: Any) -> str:
    """Return a value for a message: quote and shorten texts, name lists and mappings by kind."""
    if isinstance(value, str):
        text = repr(value[:_LONGEST_SHOWN])
        return text if len(value) <= _LONGEST_SHOWN else text[:-1] + "…" + text[-1]
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float | date):
        return str(value)
    return name_value_kind(value)


def name_value_kind(value: Any) -> str:
    """Return the kind of a value, in the words of a person who writes YAML."""
    if isinstance(value, bool):
        return "a truth value"
    if isinstance(value, str):
        return "text"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, date):
        return "a date"
    if isinstance(value, Mapping):
        return "a block of keys"
    return "a list"


def find_nearest_name(name: str, known: Iterable[str]) -> str | None:
    """Return the name of `known` that is most similar to `name`, or `None`."""
    found = difflib.get_close_matches(name[:_LONGEST_SHOWN], list(known), n=1, cutoff=0.6)
    return found[0] if found else None


def join_names(names: Iterable[str]) -> str:
    """Return the names as a list in text, shortened if there are many."""
    everything = list(names)
    text = ", ".join(everything[:_MOST_NAMED])
    more = len(everything) - _MOST_NAMED
    return f"{text} and {more} more" if more > 0 else text


def describe_unknown_name(what: str, name: str, known: Iterable[str]) -> str:
    """Return the message that there is no `what` named `name`, with the similar or known names."""
    names = list(known)
    close = find_nearest_name(name, names)
    if close is not None:
        return f"there is no {what} {quote_value(name)}; did you mean {quote_value(close)}?"
    if names:
        return f"there is no {what} {quote_value(name)}; there are: {join_names(names)}"
    return f"there is no {what} {quote_value(name)}, nor any other; add it, or take the name out"
