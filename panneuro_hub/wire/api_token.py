"""The digest by which the hub, the service and a gateway know the API token of a server.

JupyterHub gives each server a token of its own. The hub keeps the token's digest with the
server's session. A gateway that receives a token can therefore ask for the session of its
digest, and no part has to pass the token on.
"""

from __future__ import annotations

import hashlib


def hash_api_token(token: str) -> str:
    """Return the SHA-256 of an API token, hexadecimal.

    JupyterHub's tokens are random, so their digest needs no salt.
    """
    return hashlib.sha256(token.encode()).hexdigest()
