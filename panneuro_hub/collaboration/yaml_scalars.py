"""The value of a plain YAML scalar: nothing, true or false, a number, a date, or text.

The rules are those of YAML 1.2 core, without octal, hexadecimal and infinite numbers, and with
dates. ``yes``, ``no``, ``on`` and ``off`` are always text.

Source: YAML 1.2.2, chapter 10.3, "Core schema".
"""

from __future__ import annotations

import re
from datetime import date

Scalar = str | int | float | bool | date | None

_NOTHING = frozenset({"", "~", "null", "Null", "NULL"})
_TRUTH = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
# Longer ones are read as fractions, since Python's own reading of endless digits is slow.
_WHOLE = re.compile(r"[-+]?[0-9]{1,18}")
_FRACTION = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def resolve_scalar(text: str) -> Scalar:
    """Read an unquoted scalar.

    Parameters
    ----------
    text : str
        As written in the file.

    Returns
    -------
    str, int, float, bool, date or None

    Raises
    ------
    ValueError
        If it looks like a date and is not one, such as 2027-02-30.
    """
    if text in _NOTHING:
        return None
    if text in _TRUTH:
        return _TRUTH[text]
    if _WHOLE.fullmatch(text):
        return int(text)
    if _FRACTION.fullmatch(text):
        return float(text)
    if _DAY.fullmatch(text):
        return _day(text)
    return text


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise ValueError(
            f"{text} is no day of the calendar; write year-month-day, or quotes around it for text"
        ) from error
