"""Where the hub's parts find the groups that count, whoever stores them."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class TrustedGroups(Protocol):
    """An authenticator that knows what the identity provider said, and nobody else wrote."""

    def trusted_groups(self, user: Any) -> frozenset[str]:
        """Return the provider's groups that count for a user now."""
        ...


def groups_of(authenticator: Any, user: Any) -> frozenset[str]:
    """Return the groups that count for a user; none where the authenticator knows of none.

    JupyterHub's own groups do not count: others can write them.
    """
    if not isinstance(authenticator, TrustedGroups):
        return frozenset()
    return authenticator.trusted_groups(user)
