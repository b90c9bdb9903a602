"""Write the file with the token that clients must send to the agent.

Every program on the machine or in the pod can reach the loopback address. Only the session's own
user, or the containers that mount its folder, can read the file. The AWS SDKs find it through
``AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE``.
"""

from __future__ import annotations

import contextlib
import hmac
import os
import secrets
import tempfile
from pathlib import Path


class TokenFile:
    """A file that always holds a valid token; the previous token is valid too.

    Parameters
    ----------
    path : Path
        The file for the token. Its folder is made, for this user only, if it does not exist.
    mode : int
        The permissions of the file: 0o600, for this user only, unless the agent runs as another
        user and only the containers of one pod mount the folder.

    Raises
    ------
    OSError
        If the file cannot be written.
    """

    def __init__(self, path: Path, mode: int = 0o600) -> None:
        self.path = path
        self._mode = mode
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._accepted: tuple[str, ...] = ()
        self.rotate()

    def rotate(self) -> None:
        """Write a new token; the previous one stays valid until the next rotation.

        Raises
        ------
        OSError
            If the file cannot be written; then the tokens do not change.
        """
        token = secrets.token_urlsafe(32)
        previous = self._accepted
        written = self._write(token)
        # Accept the token before it is visible: nobody can read a token that is not valid yet.
        self._accepted = (token, *previous[:1])
        try:
            written.replace(self.path)
        except OSError:
            self._accepted = previous
            written.unlink(missing_ok=True)
            raise

    def accepts(self, offered: str) -> bool:
        """Return whether `offered` is the current or the previous token, in constant time."""
        encoded = offered.encode("utf-8", "surrogateescape")
        matches = [hmac.compare_digest(token.encode(), encoded) for token in self._accepted]
        return any(matches)

    def remove(self) -> None:
        """Remove the file, and accept no token."""
        self._accepted = ()
        self.path.unlink(missing_ok=True)

    def _write(self, token: str) -> Path:
        # No newline at the end: botocore refuses such a token. mkstemp makes the file 0o600.
        handle, name = tempfile.mkstemp(prefix=".token-", dir=self.path.parent)
        try:
            with os.fdopen(handle, "w", encoding="ascii") as file:
                file.write(token)
                os.fchmod(file.fileno(), self._mode)
        except OSError:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name)
            raise
        return Path(name)
