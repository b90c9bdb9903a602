"""With which rights the token of a server could leave its session's project."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from jupyterhub import orm, roles
from jupyterhub.scopes import _expand_scope, scope_definitions

from panneuro_hub.hub.session_mixin import SessionMixin
from panneuro_hub.hub.token_scopes import find_escape_scopes

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
    assert find_escape_scopes(HARMLESS, "ada/second") == []


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
    assert find_escape_scopes([*HARMLESS, scope], "ada/second") == [scope]


@pytest.mark.parametrize(
    "scope", ["servers", "admin:servers", "admin:users", "tokens", "admin:groups", "access:servers"]
)
def test_whatever_jupyterhub_expands_to_them_is_found(scope: str) -> None:
    assert scope in scope_definitions
    assert find_escape_scopes(_expand_scope(scope), "ada/")


SERVER = ["users:activity!user", "access:servers!server=ada/"]
Spawner = Callable[[list[str], list[str]], Any]


@pytest.fixture
def spawner() -> Iterator[Spawner]:
    """What a spawner of Ada's knows, in a database of JupyterHub's own."""
    database = orm.new_session_factory("sqlite:///:memory:")()
    for role in roles.get_default_roles():
        roles.create_role(database, role)
    user, client = orm.User(name="ada"), orm.OAuthClient(identifier="jupyterhub-user-ada")
    database.add_all([user, client, orm.OAuthClient(identifier="jupyterhub")])
    database.add(orm.Spawner(name="", user=user, oauth_client=client))
    database.commit()
    roles.assign_default_roles(database, user)

    def made(token: list[str], login: list[str]) -> Any:
        client.allowed_scopes = login
        database.commit()
        return SimpleNamespace(
            name="",
            user=SimpleNamespace(name="ada", db=database, orm_user=user),
            api_token=user.new_api_token(scopes=token),
            oauth_client_id=client.identifier,
        )

    yield made
    database.close()
    database.bind.dispose()


@pytest.mark.parametrize(
    ("token", "login", "found"),
    [
        (SERVER, [], []),
        (SERVER, ["access:servers!server", "shares!server"], []),
        ([*SERVER, "servers!user"], [], ["servers!user=ada", "start:servers!user=ada"]),
        (SERVER, ["tokens!user"], ["tokens!user=ada"]),
        (SERVER, ["inherit"], ["inherit"]),
    ],
)
def test_what_jupyterhub_says_of_both_tokens_is_read(
    spawner: Spawner, token: list[str], login: list[str], found: list[str]
) -> None:
    held = SessionMixin.token_scopes(spawner(token, login))
    assert "users:activity!user=ada" in held
    assert find_escape_scopes(held, "ada/") == found


@pytest.mark.parametrize(("token", "login"), [(["inherit"], []), (SERVER, ["self"])])
def test_all_that_a_person_may_do_is_too_much(
    spawner: Spawner, token: list[str], login: list[str]
) -> None:
    held = SessionMixin.token_scopes(spawner(token, login))
    assert {"tokens!user=ada", "servers!user=ada"} <= set(find_escape_scopes(held, "ada/"))
