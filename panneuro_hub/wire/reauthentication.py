"""The proof of a fresh login at the identity provider, which the hub makes for the service.

The service names a request; the hub lets the person log in at the provider once more, and
sends the browser back with a proof that only the hub and the service can make.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from panneuro_hub.wire.signed_message import read_signed_message, sign_message

REAUTHENTICATION_PATH = "panneuro/reauthenticate"
"""Path of the hub's page that starts the login, below the hub's own prefix."""

_REQUEST = re.compile(r"[A-Za-z0-9_-]{20,64}")
_KIND = "reauthentication"


@dataclass(frozen=True)
class ReauthenticationProof:
    """The statement that a person has just logged in at the identity provider, for one request.

    Parameters
    ----------
    user : str
        The person who logged in, as the hub names them.
    request : str
        The request that the login was for, as the service named it.
    at : datetime
        The time of the login (aware).
    """

    user: str
    request: str
    at: datetime

    def make_proof(self, token: str) -> str:
        """Return the proof as text that is safe in a query.

        Parameters
        ----------
        token : str
            The service's API token, which only the hub and the service know.
        """
        return sign_message(_KIND, [self.user, self.request, int(self.at.timestamp())], token)

    @classmethod
    def read(cls, proof: str, token: str) -> ReauthenticationProof:
        """Read what `make_proof` wrote.

        Raises
        ------
        AccessDeniedError
            If the hub did not write it; the message does not repeat it.
        """
        user, request, at = read_signed_message(_KIND, proof, token)
        return cls(user, request, datetime.fromtimestamp(at, UTC))


def is_request_name(text: str) -> bool:
    """Return `True` if `text` can be the name of a request."""
    return _REQUEST.fullmatch(text) is not None
