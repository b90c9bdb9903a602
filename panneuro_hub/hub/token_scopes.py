"""The rights that a server's tokens must not have at the hub; pure.

Code in a session has the token of its server, and the tokens of people who log in to the server.
JupyterHub's default lets them report activity and enter their own server. With more, the code
could leave the session's project: it could make a token with all of its person's rights, start a
server in another project, or run code in another server of the same person.
"""

from __future__ import annotations

from collections.abc import Iterable

_ESCAPES = frozenset(
    {
        *("tokens", "servers", "start:servers", "proxy", "inherit", "self"),
        *("admin:users", "admin:auth_state", "admin:server_state", "groups"),
    }
)
_ENTER = "access:servers"


def find_escape_scopes(scopes: Iterable[str], server: str) -> list[str]:
    """Return the scopes with which code in a session could leave its project, sorted.

    Parameters
    ----------
    scopes : iterable of str
        What the server's tokens may do, as JupyterHub expands it.
    server : str
        The token's own server: ``NAME/SERVER``, as JupyterHub's filters name it.
    """
    own = f"{_ENTER}!server={server}"
    return sorted(
        scope
        for scope in scopes
        if scope.partition("!")[0] in _ESCAPES
        or (scope.partition("!")[0] == _ENTER and scope != own)
    )
