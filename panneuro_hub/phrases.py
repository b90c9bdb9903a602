"""Small pieces of sentences."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence


def listed(words: Sequence[str], last: str = "and") -> str:
    """Words in a row: ``a``, ``a and b``, ``a, b and c``."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} {last} {words[-1]}"


def shorten(text: str, limit: int = 60) -> str:
    """Untrusted text, quoted and cut, good for a message."""
    return repr(text if len(text) <= limit else text[:limit] + "…")


def visible(text: str, limit: int = 100) -> str:
    """Return untrusted text, quoted and cut, with what nobody would see as ``<U+00A0>``.

    Shown by their code points: blanks at the ends and all but plain ones, invisible
    characters, what has another Unicode form (an accent of its own, for one), and letters
    of another script than Latin ones in the same text.
    """
    cut = text[:limit]
    inside = cut.strip(" ")
    start = len(cut) - len(cut.lstrip(" "))
    latin = any(_script(sign) == "LATIN" for sign in cut)
    shown = [
        sign
        if _is_plain(sign, latin) and (sign != " " or start <= place < start + len(inside))
        else f"<U+{ord(sign):04X}>"
        for place, sign in enumerate(cut)
    ]
    return f'"{"".join(shown)}{"…" if len(text) > limit else ""}"'


def _is_plain(sign: str, latin: bool) -> bool:
    if not sign.isprintable() or unicodedata.combining(sign) or sign == "<":
        return False
    if unicodedata.normalize("NFKC", sign) != sign:
        return False
    return not (latin and sign.isalpha() and _script(sign) != "LATIN")


def _script(sign: str) -> str:
    """The first word of a letter's Unicode name."""
    return unicodedata.name(sign, "").partition(" ")[0] if sign.isalpha() else ""
