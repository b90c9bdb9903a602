"""Whose something is: an account of the hub, since a name may be given to somebody else later."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class HubAccount:
    """An account of the hub, with its name.

    Parameters
    ----------
    name : str
    account : str
        Its identifier; no other account has it, of the same name or another.
    """

    name: str
    account: str
