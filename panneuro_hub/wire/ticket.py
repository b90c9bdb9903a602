"""The ticket: what a session shows to obtain credentials, and nothing else.

A ticket names its session and carries a random secret. Only the secret's digest is
kept. That of a server's session is in the hub, in the server's state; it is gone when
the server stops, and so is the ticket. Sessions that are no server are in the
service's own register, until they end there. A ticket is no JupyterHub token: no
other part of the hub knows what to do with it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass, field
from typing import Literal

from panneuro_hub.errors import TicketRefusedError

TicketKind = Literal["server", "register"]
"""Where a ticket's session is known: in a server's state, or in the service's register."""

_BEGINNINGS: dict[TicketKind, str] = {"server": "pn1", "register": "pn1r"}
_LONGEST = 4096


@dataclass(frozen=True)
class Ticket:
    """A session's ticket; the secret masks itself when printed.

    Parameters
    ----------
    user : str
        The person, as the hub names them.
    name : str
        Of a server's session: the name of the server, ``""`` for the default one.
        Of one in the register: its id there.
    secret : str
        256 random bits.
    kind : {"server", "register"}
        Where the session is known.
    """

    user: str
    name: str
    secret: str = field(repr=False)
    kind: TicketKind = "server"

    @classmethod
    def new(cls, user: str, name: str, kind: TicketKind = "server") -> Ticket:
        """Make a ticket with a fresh secret."""
        return cls(user, name, secrets.token_urlsafe(32), kind)

    @property
    def digest(self) -> str:
        """SHA-256 of all that the ticket says, hexadecimal: what is kept of it."""
        said = [self.user, self.name, self.secret]
        # A list of another length: no ticket of one kind can say what one of the other does.
        text = json.dumps(said if self.kind == "server" else [self.kind, *said])
        return hashlib.sha256(text.encode()).hexdigest()

    def matches(self, digest: str) -> bool:
        """Whether `digest` is of this ticket, compared in constant time."""
        return hmac.compare_digest(self.digest.encode(), digest.encode())

    def encode(self) -> str:
        """One line of ASCII, good as an HTTP header value."""
        named = base64.urlsafe_b64encode(json.dumps([self.user, self.name]).encode()).decode()
        return f"{_BEGINNINGS[self.kind]}.{named}.{self.secret}"

    @classmethod
    def decode(cls, text: str) -> Ticket:
        """Read what `encode` wrote.

        Raises
        ------
        TicketRefusedError
            If `text` is not a ticket; the message does not repeat it.
        """
        refused = TicketRefusedError(
            "this is not a PanNeuro ticket; a session's agent sends the text of its ticket file"
        )
        parts = text.split(".")
        kind = _kind(parts[0])
        if len(text) > _LONGEST or len(parts) != 3 or kind is None or not parts[2]:
            raise refused
        try:
            user, name = json.loads(base64.b64decode(parts[1], altchars=b"-_", validate=True))
        except (ValueError, TypeError, RecursionError):
            raise refused from None
        if not (isinstance(user, str) and isinstance(name, str) and user):
            raise refused
        if any(_breaks(letter) for letter in user + name):
            raise refused
        return cls(user, name, parts[2], kind)


def _kind(beginning: str) -> TicketKind | None:
    return next((kind for kind, text in _BEGINNINGS.items() if text == beginning), None)


def _breaks(letter: str) -> bool:
    """Whether a letter stands in no name: a control character, or half of one of two."""
    return ord(letter) < 32 or 0xD800 <= ord(letter) <= 0xDFFF
