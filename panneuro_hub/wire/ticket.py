"""The ticket that a session shows to receive credentials.

A ticket names its session and carries a random secret. Only its digest is stored. The hub stores
the digest of a server's session in the server's state and deletes it when the server stops, which
ends the ticket. The service's own register has the sessions that are not servers, until they end.
A ticket is not a JupyterHub token and has no other use.
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
"""The place that knows a ticket's session: a server's state, or the service's register."""

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
        For a server's session: the name of the server, ``""`` for the default one.
        For a session of the register: its id there.
    secret : str
        256 random bits.
    kind : {"server", "register"}
        The place that knows the session.
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
        """SHA-256 of all fields of the ticket, hexadecimal; only this digest is stored."""
        fields = [self.user, self.name, self.secret]
        # The lists differ in length, so tickets of different kinds never have the same digest.
        text = json.dumps(fields if self.kind == "server" else [self.kind, *fields])
        return hashlib.sha256(text.encode()).hexdigest()

    def matches(self, digest: str) -> bool:
        """Return `True` if `digest` belongs to this ticket; compare in constant time."""
        return hmac.compare_digest(self.digest.encode(), digest.encode())

    def encode(self) -> str:
        """Return the ticket as one line of ASCII that is safe as the value of an HTTP header."""
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
        kind = _find_kind(parts[0])
        if len(text) > _LONGEST or len(parts) != 3 or kind is None or not parts[2]:
            raise refused
        try:
            user, name = json.loads(base64.b64decode(parts[1], altchars=b"-_", validate=True))
        except (ValueError, TypeError, RecursionError):
            raise refused from None
        if not (isinstance(user, str) and isinstance(name, str) and user):
            raise refused
        if any(_is_forbidden(letter) for letter in user + name):
            raise refused
        return cls(user, name, parts[2], kind)


def _find_kind(beginning: str) -> TicketKind | None:
    return next((kind for kind, text in _BEGINNINGS.items() if text == beginning), None)


def _is_forbidden(letter: str) -> bool:
    """Return `True` for letters that no name contains: control characters and surrogates."""
    return ord(letter) < 32 or 0xD800 <= ord(letter) <= 0xDFFF
