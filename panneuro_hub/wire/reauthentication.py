"""A fresh login at the identity provider, as the hub vouches for it to the service.

The service names a request; the hub lets the person log in at the provider once more, and
sends the browser back with a proof that only the hub and the service can make.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime

from panneuro_hub.errors import AccessDenied

PATH = "panneuro/reauthenticate"
"""The hub's page that begins it, below the hub's own prefix."""

_REQUEST = re.compile(r"[A-Za-z0-9_-]{20,64}")
_LONGEST = 4096  # characters


@dataclass(frozen=True)
class Reauthentication:
    """Somebody has just logged in at the identity provider, for one request.

    Parameters
    ----------
    user : str
        The person who logged in, as the hub names them.
    request : str
        The request that the login was for, as the service named it.
    at : datetime
        Aware.
    """

    user: str
    request: str
    at: datetime

    def prove(self, token: str) -> str:
        """Return the proof, good as a part of a query.

        Parameters
        ----------
        token : str
            The service's API token, which the hub and the service know.
        """
        said = json.dumps([self.user, self.request, int(self.at.timestamp())]).encode()
        text = base64.urlsafe_b64encode(said).decode()
        return f"{text}.{_signature(text, token)}"

    @classmethod
    def read(cls, proof: str, token: str) -> Reauthentication:
        """Read what `prove` wrote.

        Raises
        ------
        AccessDenied
            If the hub did not write it; the message does not repeat it.
        """
        refused = AccessDenied("this does not come from the hub; begin again on this page")
        text, _, signature = proof.partition(".")
        if len(proof) > _LONGEST or not proof.isascii():
            raise refused
        if not hmac.compare_digest(_signature(text, token), signature):
            raise refused
        try:
            user, request, at = json.loads(base64.urlsafe_b64decode(text))
            return cls(user, request, datetime.fromtimestamp(at, UTC))
        except (ValueError, TypeError) as malformed:  # signed, so of another version
            raise refused from malformed


def is_request(text: str) -> bool:
    """Return whether `text` can be the name of a request."""
    return _REQUEST.fullmatch(text) is not None


def _signature(text: str, token: str) -> str:
    key = hashlib.sha256(f"panneuro reauthentication {token}".encode()).digest()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
