"""Credentials for requests, from the maker for the store's type, through the cache."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta

from panneuro_hub.errors import AccessDeniedError, VendingError
from panneuro_hub.vending.credential_cache import CredentialCache, UtcClock
from panneuro_hub.vending.credential_makers import build_default_makers
from panneuro_hub.vending.types import CredentialMaker, CredentialRequest, VendedCredential
from panneuro_hub.wire import Credential

RecordCredential = Callable[[Credential], Awaitable[None]]


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Vending:
    """Makes credentials for sessions, and caches each for a limited time.

    Parameters
    ----------
    makers : mapping of str to CredentialMaker, optional
        The makers by type of store; by default, one for every type.
    reuse_for : timedelta, optional
        How long a credential is handed out again after it was made; by default, a third of the
        store's `credential_lifetime`.
    clock : callable
        Returns the time now (aware, UTC).
    """

    def __init__(
        self,
        makers: Mapping[str, CredentialMaker] | None = None,
        reuse_for: timedelta | None = None,
        clock: UtcClock = _utc_now,
    ) -> None:
        self._makers = build_default_makers() if makers is None else dict(makers)
        self._reuse_for = reuse_for
        self._cache = CredentialCache(clock)

    async def credential(
        self, request: CredentialRequest, record: RecordCredential | None = None
    ) -> VendedCredential:
        """Return keys for exactly the grants of `request`.

        Parameters
        ----------
        record : callable, optional
            Called with every credential that a store makes for this request, before anybody
            receives it; if the call fails, nobody receives the credential.

        Raises
        ------
        AccessDeniedError
            If there are no grants. No request goes to the store.
        VendingError
            If the store makes no credential; `retry_after` is set if a retry may succeed.
        """
        if not request.grants:
            raise AccessDeniedError(
                f"{request.person} has no access to data in {request.project}, so there are no keys"
            )
        maker = self._makers.get(request.store.type)
        if maker is None:
            raise VendingError(
                f"no credentials can be made for a store of type {request.store.type!r}"
            )
        rights = maker.rights(request)
        key = (request.session, request.person, request.project, request.store, rights)
        reuse_for = self._reuse_for
        if reuse_for is None:
            reuse_for = request.store.credential_lifetime / 3

        async def make() -> Credential:
            credential = await maker.make(request, rights)
            if record is not None:
                await record(credential)
            return credential

        return await self._cache.get(key, make, reuse_for)

    async def close(self) -> None:
        """Forget every credential and close the connections."""
        await self._cache.close()
        for maker in self._makers.values():
            await maker.close()
