"""The credential makers by type of store."""

from __future__ import annotations

from panneuro_hub.vending.s3_credentials import S3CredentialMaker
from panneuro_hub.vending.types import CredentialMaker


def build_default_makers() -> dict[str, CredentialMaker]:
    """Return a new maker for every type of store, by type."""
    return {"s3": S3CredentialMaker()}
