"""Settings of the admin's own that cannot work with ours, found when the hub starts.

`configure` adds to what is set before it; whatever is set after it wins. So the hub looks once
more when all settings are read: it does not start where security or every session depends on
what was replaced, and it warns where only convenience does.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubespawner import KubeSpawner

from panneuro_hub.hub.service_role import SERVICE_ROLE
from panneuro_hub.hub.session_mixin import SessionMixin
from panneuro_hub.wire.service_urls import GATEWAY_NAME, SERVICE_NAME


@dataclass(frozen=True)
class SettingConflict:
    """A setting that cannot work with ours.

    Parameters
    ----------
    code : str
        Names the kind of conflict.
    key : str
        The setting, such as ``c.JupyterHub.load_roles``.
    fatal : bool
        If `True`, the hub must not start.
    missing : tuple of str
        What the setting lacks.
    """

    code: str
    key: str
    fatal: bool
    missing: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.key} {_SENTENCES[self.code].format(missing=', '.join(self.missing))}"


_AFTER = "add to the list after configure(c), or set it before, rather than replace it"
_SENTENCES: Mapping[str, str] = {
    "spawner-class": (
        "is no spawner of panneuro_hub: its servers would be in no project, and get no keys; use "
        "panneuro, panneuro-local, or a class of your own that derives from one of them"
    ),
    "kubernetes-missing": (
        "starts pods, and this machine names no Kubernetes: there is no service account of a pod, "
        "and no file at KUBECONFIG or ~/.kube/config. Set one of them, or use panneuro-local, "
        "whose servers are processes of this machine"
    ),
    "service-missing": (
        "has no service {missing}, which configure(c) put there: no session would get keys; "
        + _AFTER
    ),
    "service-role": (
        "does not give the service the scopes {missing}, which configure(c) put there: no session "
        "would get keys; " + _AFTER
    ),
    "user-role": (
        "does not give people the scope {missing}, which configure(c) put into the role user: they "
        "cannot open these pages; " + _AFTER
    ),
    "server-role": (
        "does not give servers the scope {missing}, which configure(c) put into the role server: "
        "notebooks cannot start Dask clusters; " + _AFTER
    ),
    "named-servers": (
        "lets a person have several servers, also in different projects. A browser does not keep "
        "these apart: their pages share one origin and its cookies. Leave it out where a person's "
        "projects must be kept apart from each other"
    ),
    "membership": (
        "is False: a person whom the identity provider does not confirm any more would stay "
        "logged in; leave it out"
    ),
    "profile-list": (
        "is set: profiles come from the collaboration file, where each project can choose among "
        "them; move its entries there"
    ),
    "options-form": (
        "takes the place of our start form: it must send the field project, and may send profile "
        "and image, by their names in the collaboration file; a start without a project is refused "
        "where the person has several. Leave it out for our form"
    ),
    "options-from-form": (
        "takes the place of what reads our start form: what it returns must hold project, and may "
        "hold profile and image, by their names in the collaboration file. Leave it out for ours"
    ),
    "unused": "has no effect: the start form is ours; leave it out",
    "post-auth-hook": (
        "runs after a person's teams were decided, and only at login: groups that it adds or "
        "removes are JupyterHub's alone and give no rights. Use auth_state_groups_key or the "
        "collaboration file for groups"
    ),
    "auth-state": (
        "is False: the hub could not ask the identity provider again who is in which team; leave "
        "it out"
    ),
    "refresh-hook": (
        "answers in the identity provider's place: only an authentication model confirms a "
        "membership. After True, which asks nobody, the last answer holds for membership_grace"
    ),
}


def find_conflicts(app: Any) -> list[SettingConflict]:
    """Return every setting of a JupyterHub application that cannot work with ours.

    Parameters
    ----------
    app : jupyterhub.app.JupyterHub
        With all its settings read.
    """
    return [
        *_class_conflicts(app.spawner_class),
        *_cluster_conflicts(app.spawner_class, os.environ),
        *_service_conflicts(app.services),
        *_role_conflicts(app.load_roles, {service["name"] for service in app.services}),
        *_named_server_conflicts(app),
        *_membership_conflicts(app.authenticator),
        *_form_conflicts(app.config, app.spawner_class),
        *_hook_conflicts(app.config, type(app.authenticator)),
    ]


def _class_conflicts(spawner_class: type) -> Iterator[SettingConflict]:
    if not issubclass(spawner_class, SessionMixin):
        yield SettingConflict("spawner-class", "c.JupyterHub.spawner_class", fatal=True)


def _cluster_conflicts(
    spawner_class: type, environment: Mapping[str, str]
) -> Iterator[SettingConflict]:
    # KubeSpawner looks in these places when the first person's page is made, which then fails.
    files = environment.get("KUBECONFIG", "~/.kube/config").split(os.pathsep)
    if (
        issubclass(spawner_class, KubeSpawner)
        and "KUBERNETES_SERVICE_HOST" not in environment
        and not any(Path(file).expanduser().is_file() for file in files if file)
    ):
        yield SettingConflict("kubernetes-missing", "c.JupyterHub.spawner_class", fatal=True)


def _service_conflicts(services: Iterable[Mapping[str, Any]]) -> Iterator[SettingConflict]:
    if not any(service.get("name") == SERVICE_NAME and service.get("url") for service in services):
        yield SettingConflict("service-missing", "c.JupyterHub.services", True, (SERVICE_NAME,))


def _role_conflicts(
    roles: Sequence[Mapping[str, Any]], services: set[str]
) -> Iterator[SettingConflict]:
    key = "c.JupyterHub.load_roles"
    given = {
        scope
        for role in roles
        if SERVICE_NAME in (role.get("services") or ())
        for scope in role.get("scopes") or ()
    }
    if missing := tuple(scope for scope in SERVICE_ROLE["scopes"] if scope not in given):
        yield SettingConflict("service-role", key, True, missing)
    known = [name for name in (SERVICE_NAME, GATEWAY_NAME) if name in services]
    for role_name, names in (("user", known), ("server", [n for n in known if n == GATEWAY_NAME])):
        held = _scopes_of(roles, role_name)
        wanted = tuple(f"access:services!service={name}" for name in names)
        missing = () if "access:services" in held else tuple(set(wanted) - held)
        if missing:
            yield SettingConflict(f"{role_name}-role", key, False, tuple(sorted(missing)))


def _scopes_of(roles: Iterable[Mapping[str, Any]], name: str) -> set[str]:
    return {s for role in roles if role.get("name") == name for s in role.get("scopes") or ()}


def _named_server_conflicts(app: Any) -> Iterator[SettingConflict]:
    if app.allow_named_servers:
        yield SettingConflict("named-servers", "c.JupyterHub.allow_named_servers", fatal=False)


def _membership_conflicts(authenticator: Any) -> Iterator[SettingConflict]:
    # Not `refresh_pre_spawn`: our authenticators ask before every start, whatever it says.
    if not authenticator.auth_refresh_strict:
        yield SettingConflict("membership", "c.Authenticator.auth_refresh_strict", fatal=True)
    if not authenticator.enable_auth_state:
        yield SettingConflict("auth-state", "c.Authenticator.enable_auth_state", fatal=True)


def _form_conflicts(config: Mapping[str, Any], spawner_class: type) -> Iterator[SettingConflict]:
    for trait, code, fatal in (
        ("profile_list", "profile-list", True),
        ("options_form", "options-form", False),
        ("options_from_form", "options-from-form", False),
        ("profile_form_template", "unused", False),
        ("additional_profile_form_template_paths", "unused", False),
    ):
        for key in _keys(config, spawner_class, trait):
            yield SettingConflict(code, key, fatal)


def _hook_conflicts(
    config: Mapping[str, Any], authenticator_class: type
) -> Iterator[SettingConflict]:
    for key in _keys(config, authenticator_class, "post_auth_hook"):
        yield SettingConflict("post-auth-hook", key, fatal=False)
    for key in _keys(config, authenticator_class, "refresh_user_hook"):
        yield SettingConflict("refresh-hook", key, fatal=False)


def _keys(config: Mapping[str, Any], kind: type, trait: str) -> list[str]:
    """The keys that set a trait of a class to anything."""
    return [
        f"c.{base.__name__}.{trait}"
        for base in kind.__mro__
        if config.get(base.__name__, {}).get(trait)
    ]
