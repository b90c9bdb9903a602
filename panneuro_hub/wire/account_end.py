"""The message by which the hub tells the service that an account ends."""

from __future__ import annotations

from dataclasses import dataclass

from panneuro_hub.wire.signed_message import read_signed_message, sign_message

ACCOUNT_END_PATH = "/api/accounts/end"
"""Path of the request that carries the message, below the service's own prefix."""

HUB_AUTH_SCHEME = "panneuro-hub "
"""Start of the header Authorization of such a request."""

_KIND = "account-end"


@dataclass(frozen=True)
class AccountEnd:
    """An account that the hub is about to delete.

    Parameters
    ----------
    name : str
    account : str
        Identifier of the account, which no other account has.
    """

    name: str
    account: str

    def encode(self, token: str) -> str:
        """Return the value of the header Authorization.

        Parameters
        ----------
        token : str
            The service's API token.
        """
        return HUB_AUTH_SCHEME + sign_message(_KIND, [self.name, self.account], token)

    @classmethod
    def decode(cls, header: str, token: str) -> AccountEnd:
        """Read what `encode` wrote.

        Raises
        ------
        AccessDeniedError
            If the hub did not write it.
        """
        name, account = read_signed_message(_KIND, header.removeprefix(HUB_AUTH_SCHEME), token)
        return cls(name, account)
