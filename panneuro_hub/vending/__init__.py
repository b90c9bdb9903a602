"""Access to credential: one file a store type, one narrow interface, a cache.

`Vending` answers requests. It asks the maker of the store's type for the rights in
the store's own language, and for short-lived keys that have these rights and no
others; it asks once for all who want the same at the same time.
"""

from __future__ import annotations

from panneuro_hub.vending.types import CredentialMaker, CredentialRequest, VendedCredential
from panneuro_hub.vending.vending import Vending

__all__ = ["CredentialMaker", "CredentialRequest", "VendedCredential", "Vending"]
