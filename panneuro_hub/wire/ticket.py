"""The ticket: what a session shows to obtain credentials, and nothing else.

A ticket names its session and carries a random secret. The hub keeps only the
secret's digest, in the state of the server the ticket belongs to; it is gone when
the server stops, and so is the ticket. A ticket is no JupyterHub token: no other
part of the hub knows what to do with it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass, field

from panneuro_hub.errors import TicketRefused

_VERSION = "pn1"
_LONGEST = 4096


@dataclass(frozen=True)
class Ticket:
    """A session's ticket; the secret masks itself when printed.

    Parameters
    ----------
    user : str
        The person, as the hub names them.
    server : str
        The name of the server, ``""`` for the default one.
    secret : str
        256 random bits.
    """

    user: str
    server: str
    secret: str = field(repr=False)

    @classmethod
    def new(cls, user: str, server: str) -> Ticket:
        """Make a ticket with a fresh secret."""
        return cls(user, server, secrets.token_urlsafe(32))

    @property
    def digest(self) -> str:
        """SHA-256 of user, server and secret, hexadecimal: what the hub keeps."""
        text = json.dumps([self.user, self.server, self.secret])
        return hashlib.sha256(text.encode()).hexdigest()

    def matches(self, digest: str) -> bool:
        """Whether `digest` is of this ticket, compared in constant time."""
        return hmac.compare_digest(self.digest.encode(), digest.encode())

    def encode(self) -> str:
        """One line of ASCII, good as an HTTP header value."""
        named = json.dumps([self.user, self.server]).encode()
        return f"{_VERSION}.{base64.urlsafe_b64encode(named).decode()}.{self.secret}"

    @classmethod
    def decode(cls, text: str) -> Ticket:
        """Read what `encode` wrote.

        Raises
        ------
        TicketRefused
            If `text` is not a ticket; the message does not repeat it.
        """
        refused = TicketRefused(
            "this is not a PanNeuro ticket; a session's agent sends the text of its ticket file"
        )
        parts = text.split(".")
        if len(text) > _LONGEST or len(parts) != 3 or parts[0] != _VERSION or not parts[2]:
            raise refused
        try:
            user, server = json.loads(base64.b64decode(parts[1], altchars=b"-_", validate=True))
        except (ValueError, TypeError, RecursionError):
            raise refused from None
        if not (isinstance(user, str) and isinstance(server, str) and user):
            raise refused
        if any(_breaks(letter) for letter in user + server):
            raise refused
        return cls(user, server, parts[2])


def _breaks(letter: str) -> bool:
    """Whether a letter stands in no name: a control character, or half of one of two."""
    return ord(letter) < 32 or 0xD800 <= ord(letter) <= 0xDFFF
