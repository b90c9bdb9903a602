"""Credentials for sessions: one module for each type of store, one narrow interface, a cache.

`Vending` answers requests. It asks the maker for the store's type to write the rights in the
store's own language, and to create short-lived keys that have these rights and no others.
Requests for the same credential at the same time share one call.
"""

from __future__ import annotations

from panneuro_hub.vending.types import CredentialMaker, CredentialRequest, VendedCredential
from panneuro_hub.vending.vending import Vending

__all__ = ["CredentialMaker", "CredentialRequest", "VendedCredential", "Vending"]
