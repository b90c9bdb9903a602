"""With which rights the token of a server could leave its session's project."""

from __future__ import annotations

import pytest
from jupyterhub.scopes import _expand_scope, scope_definitions

from panneuro_hub.hub.server_token import escape_scopes

OWN = "access:servers!server=ada/second"
# What JupyterHub gives, what we add for the gateway, and what admins add so that people can
# share their servers from JupyterLab.
HARMLESS = [
    OWN,
    *("users:activity!user=ada", "read:users:activity!user=ada", "read:users:name!user=ada"),
    *("access:services!service=dask-gateway", "read:users:groups!user=ada"),
    *("shares!server=ada/second", "list:groups", "read:groups:name", "list:users"),
]


def test_a_plain_server_stays_in_its_project() -> None:
    assert escape_scopes(HARMLESS, "ada/second") == []


@pytest.mark.parametrize(
    "scope",
    [
        *("access:servers", "access:servers!user=ada", "access:servers!server=ada/"),
        *("access:servers!server=ada/second2", "access:servers!group=lab"),
        *("tokens", "tokens!user=ada", "servers!user=ada", "start:servers!server=ada/other"),
        *("admin:users", "admin:auth_state!user=ada", "admin:server_state", "groups", "proxy"),
    ],
)
def test_more_than_that_could_leave_it(scope: str) -> None:
    assert escape_scopes([*HARMLESS, scope], "ada/second") == [scope]


@pytest.mark.parametrize(
    "scope", ["servers", "admin:servers", "admin:users", "tokens", "admin:groups", "access:servers"]
)
def test_whatever_jupyterhub_expands_to_them_is_found(scope: str) -> None:
    assert scope in scope_definitions
    assert escape_scopes(_expand_scope(scope), "ada/")
