"""Requests to vending, its results, and the interface that each type of store implements."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from panneuro_hub.collaboration.models import S3Store
from panneuro_hub.wire import Credential, Grant


@dataclass(frozen=True)
class CredentialRequest:
    """A session's request for keys with its grants.

    Parameters
    ----------
    session : str
        Id of the session: sessions never share keys.
    person, project : str
        The person of the session, and the one project that it works in.
    store : Store
        The store for which the keys are.
    grants : tuple of Grant
        All rights of the keys, as `access` decided them now.
    """

    session: str
    person: str
    project: str
    store: S3Store
    grants: tuple[Grant, ...]


@dataclass(frozen=True)
class VendedCredential:
    """A credential, and whether this is the first time that it is handed out.

    Parameters
    ----------
    credential : Credential
    fresh : bool
        `True` for exactly one receiver of each credential that a store made.
    """

    credential: Credential
    fresh: bool


class CredentialMaker(Protocol):
    """The interface of a type of store: it writes rights as text and makes keys."""

    def rights(self, request: CredentialRequest) -> str:
        """Return the grants in the store's own language, the same text for the same rights.

        Raises
        ------
        AccessDeniedError
            If there are no grants.
        VendingError
            If the store cannot express them.
        """

    async def make(self, request: CredentialRequest, rights: str) -> Credential:
        """Make keys that can do what `rights` says and nothing else.

        Returns
        -------
        Credential
            `expires` is the time that the store states. `renew_after` has no meaning yet.

        Raises
        ------
        VendingError
            If the store does not make them.
        """

    async def close(self) -> None:
        """Close the connections."""
