"""Access of the hub's parts to the data that the authenticator stores about an account."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class TrustedGroupSource(Protocol):
    """An authenticator that knows what the identity provider said, and nobody else wrote."""

    def trusted_groups(self, user: Any) -> frozenset[str]:
        """Return the provider's groups that count for a user now."""
        ...

    def account_of(self, user: Any) -> str:
        """Return what identifies the account, and no later one of the same name."""
        ...


def get_trusted_groups(authenticator: Any, user: Any) -> frozenset[str]:
    """Return the groups that count for a user; none where the authenticator knows of none.

    JupyterHub's own groups do not count: others can write them.
    """
    if not isinstance(authenticator, TrustedGroupSource):
        return frozenset()
    return authenticator.trusted_groups(user)


def get_account_id(authenticator: Any, user: Any) -> str:
    """Return what identifies the account of a user; ``""`` where the authenticator cannot say.

    Such a user is in no team, so that nothing starts for them.
    """
    return authenticator.account_of(user) if isinstance(authenticator, TrustedGroupSource) else ""
