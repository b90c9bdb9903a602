"""Signed messages between the hub and the service, which may travel through a browser.

Only the hub and the service know the service's API token, which is the key.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

from panneuro_hub.errors import AccessDeniedError

_LONGEST = 4096  # characters


def sign_message(kind: str, content: list[Any], token: str) -> str:
    """Return a message as text that is safe in a header or a query.

    Parameters
    ----------
    kind : str
        The kind of the message; a message of one kind is not valid as another kind.
    content : list
        JSON.
    token : str
        The service's API token.
    """
    text = base64.urlsafe_b64encode(json.dumps(content).encode()).decode()
    return f"{text}.{_signature(kind, text, token)}"


def read_signed_message(kind: str, message: str, token: str) -> list[Any]:
    """Read what `sign_message` wrote.

    Raises
    ------
    AccessDeniedError
        If the hub did not write it; the text does not repeat it.
    """
    text, _, signature = message.partition(".")
    is_text = len(message) <= _LONGEST and message.isascii()
    if is_text and hmac.compare_digest(_signature(kind, text, token), signature):
        return list(json.loads(base64.urlsafe_b64decode(text)))
    raise AccessDeniedError("this does not come from the hub; begin again")


def _signature(kind: str, text: str, token: str) -> str:
    key = hashlib.sha256(f"panneuro {kind} {token}".encode()).digest()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
