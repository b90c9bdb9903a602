"""What vending is asked, what it answers, and what a store type must be able to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from panneuro_hub.collaboration.models import S3Store
from panneuro_hub.wire import Credential, Grant


@dataclass(frozen=True)
class CredentialRequest:
    """A session that wants keys for its grants.

    Parameters
    ----------
    session : str
        Which session: sessions never share keys.
    person, project : str
        Whose session, and the one project that it works in.
    store : Store
        Where the keys must work.
    grants : tuple of Grant
        All that they may do, as `access` decided now.
    """

    session: str
    person: str
    project: str
    store: S3Store
    grants: tuple[Grant, ...]


@dataclass(frozen=True)
class VendedCredential:
    """A credential, and whether it is the first time that it is handed out.

    Parameters
    ----------
    credential : Credential
    fresh : bool
        True for exactly one receiver of each credential that a store made.
    """

    credential: Credential
    fresh: bool


class CredentialMaker(Protocol):
    """A type of store: how rights are written there, and how keys are made."""

    def rights(self, request: CredentialRequest) -> str:
        """The grants in the store's own language, the same text for the same rights.

        Raises
        ------
        AccessDenied
            If there are no grants.
        VendingError
            If the store cannot express them.
        """

    async def make(self, request: CredentialRequest, rights: str) -> Credential:
        """Make keys that can do what `rights` says and nothing else.

        Returns
        -------
        Credential
            `expires` as the issuer says it. `renew_after` is of no meaning yet.

        Raises
        ------
        VendingError
            If the store does not make them.
        """

    async def close(self) -> None:
        """Let go of connections."""
