"""Read fields of JSON from outside, with errors that name the field."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, TypeGuard

from panneuro_hub.errors import PanNeuroError
from panneuro_hub.wire.credential import parse_time

LARGEST_NUMBER = 2**63 - 1
DIRECTION_CONTROLS = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
"""Characters that change the writing direction, also of the text after their own.

Source: Unicode Standard Annex 9, "Explicit Directional Embeddings", "Overrides", "Isolates".
"""
_FIRST_YEAR, _LAST_YEAR = 1971, 9999
_SHA256 = re.compile(r"[0-9a-f]{64}")


class MalformedRecordError(PanNeuroError):
    """A manifest or a record of the catalog is malformed; the text says why."""

    code = "malformed-record"
    status = 400


def parse_json_object(data: bytes | str, what: str) -> Mapping[str, Any]:
    """Return one JSON object.

    Raises
    ------
    MalformedRecordError
        If `data` is not a JSON object; `what` names it in the message.
    """
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        raise MalformedRecordError(f"{what} is not JSON") from None
    if not isinstance(document, dict):
        raise MalformedRecordError(f"{what} is not a JSON object")
    return document


@dataclass(frozen=True)
class JsonFields:
    """The fields of one JSON object.

    Each method raises `MalformedRecordError` with the name of the field.

    Parameters
    ----------
    document : mapping
    what : str
        The name of the object in messages.
    """

    document: Mapping[str, Any]
    what: str

    def text(self, name: str, default: str | None = None) -> str:
        """Return a text, or `default` if it is missing and `default` is not `None`."""
        value = self.document.get(name, default)
        if not isinstance(value, str):
            raise self.wrong(name, "must be a text")
        return value

    def number(self, name: str) -> int:
        """Return a whole number, 0 or more."""
        value = self.document.get(name)
        if not is_byte_count(value):
            raise self.wrong(name, "must be a whole number, 0 or more")
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        """Return any number of texts; none if the field is missing."""
        value = self.document.get(name, [])
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise self.wrong(name, "must be a list of texts")
        return tuple(value)

    def objects(self, name: str) -> list[Any]:
        """Return a list of anything."""
        value = self.document.get(name)
        if not isinstance(value, list):
            raise self.wrong(name, "must be a list")
        return value

    def time(self, name: str) -> datetime:
        """Return a time with its time zone."""
        value = self.document.get(name)
        try:
            return parse_time(value if isinstance(value, str) else "")
        except (ValueError, OverflowError):
            raise self.wrong(name, "must be a time such as 2026-11-02T09:15:00Z") from None

    def day(self, name: str) -> date | None:
        """Return a day, or `None` if it is missing."""
        value = self.document.get(name)
        if value is None:
            return None
        try:
            return date.fromisoformat(value if isinstance(value, str) else "")
        except ValueError:
            raise self.wrong(name, "must be a day such as 2027-06-01") from None

    def moment(self, name: str, moment: datetime) -> datetime:
        """Return `moment` as it is stored: in UTC, to the second."""
        if moment.tzinfo is None:
            raise self.wrong(name, "must have a time zone")
        if not _FIRST_YEAR <= moment.year < _LAST_YEAR:
            raise self.wrong(name, f"must be a time from {_FIRST_YEAR} to {_LAST_YEAR}")
        return moment.astimezone(UTC).replace(microsecond=0)

    def version(self, known: int) -> None:
        """Refuse a document with a version newer than `known`."""
        value = self.document.get("version")
        if not is_byte_count(value) or value == 0:
            raise self.wrong("version", "must be a whole number, 1 or more")
        if value > known:
            raise MalformedRecordError(
                f"{self.what} has version {value}, and this program knows {known}; "
                "get a newer panneuro-hub"
            )

    def wrong(self, name: str, why: str) -> MalformedRecordError:
        """Return the error for one field."""
        return MalformedRecordError(f"{self.what}: {name} {why}")


def is_byte_count(value: object) -> TypeGuard[int]:
    """Return whether `value` is a whole number that can count bytes."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST_NUMBER


def is_sha256(text: object) -> bool:
    """Return whether `text` is a SHA-256 in lower-case hexadecimal digits."""
    return isinstance(text, str) and _SHA256.fullmatch(text) is not None


def find_text_problem(text: str, longest: int, *, lines: bool = False) -> str | None:
    """Return the problem of a text that people wrote, or `None`.

    Parameters
    ----------
    longest : int
        The most characters it may have.
    lines : bool
        Whether it may have more than one line.
    """
    if len(text) > longest:
        return f"is longer than {longest} characters"
    allowed = "\n\r\t" if lines else ""
    if not text.isprintable():
        for character in text:
            if not is_visible(character) and character not in allowed:
                return f"has the character {character!r} in it, which cannot be shown"
    return None


def is_visible(character: str) -> bool:
    """Return whether a character is neither a control nor a direction control."""
    return (
        unicodedata.category(character) not in ("Cc", "Cs") and character not in DIRECTION_CONTROLS
    )
