"""Rules for the names of accounts; pure."""

from __future__ import annotations

import unicodedata
from urllib.parse import unquote

_LONGEST = 255  # characters, in JupyterHub's database
_UNPRINTABLE = {"Cc": "control", "Cs": "broken", "Zl": "line-breaking", "Zp": "line-breaking"}


def find_account_name_problem(name: str) -> str | None:
    """Say why a name cannot be an account's, or `None` if it can.

    Parameters
    ----------
    name : str
        As the identity provider says it; untrusted.

    Returns
    -------
    str or None
        What is wrong with it, without the name itself.
    """
    if not name.strip():
        return "it is empty"
    if name != name.strip():
        return "it begins or ends with a space"
    if len(name) > _LONGEST:
        return f"it has {len(name)} characters, and {_LONGEST} are the most"
    if set(unquote(name)) == {"."}:
        return "it stands for a folder"
    if "/" in name:
        return "it has a '/' in it"
    for character in name:
        kind = _UNPRINTABLE.get(unicodedata.category(character))
        if kind:
            return f"it has a {kind} character in it (U+{ord(character):04X})"
    return None
