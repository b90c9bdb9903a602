"""The token file: the word that a client of the agent must show.

Loopback is open to every program of the machine or pod; the file is open to the
session's own user only, or to who sees its folder. It is what the AWS SDKs know as
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
    """A file that always holds a valid token; the one before it is valid too.

    Parameters
    ----------
    path : Path
        Where the token is written. Its folder is made, for this user only, where
        it is missing.
    mode : int
        Who may read it: this user only (0o600), unless the agent is a user of
        its own and the folder is mounted in the containers of one pod only.

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
        """Put a new token into the file; the one that it held stays valid until the next time.

        Raises
        ------
        OSError
            If the file cannot be written; then the tokens stay as they were.
        """
        token = secrets.token_urlsafe(32)
        before = self._accepted
        written = self._write(token)
        # Valid first, then visible: nobody can read a token that is not accepted yet.
        self._accepted = (token, *before[:1])
        try:
            written.replace(self.path)
        except OSError:
            self._accepted = before
            written.unlink(missing_ok=True)
            raise

    def accepts(self, offered: str) -> bool:
        """Whether `offered` is the token of the file or the one before it, in constant time."""
        shown = offered.encode("utf-8", "surrogateescape")
        matches = [hmac.compare_digest(token.encode(), shown) for token in self._accepted]
        return any(matches)

    def remove(self) -> None:
        """Accept nothing any more and remove the file."""
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
