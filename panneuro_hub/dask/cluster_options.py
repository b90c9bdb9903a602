"""The options of a cluster: project, worker profile, image and environment; pure but for the clock.

The clusters of a session belong to the project of the session, never to another project of its
person. A request is untrusted. `make_cluster_options` offers the choices of a person, and its
handler checks the choice again and gives the reasons of a refusal.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from dask_gateway_server.options import Field, Options

from panneuro_hub.access import (
    Access,
    ClusterChoice,
    Person,
    check_cluster_choice,
    choose_access,
    decide_all_accesses,
)
from panneuro_hub.collaboration import Collaboration
from panneuro_hub.dask.cluster_config import CHOICE_KEY
from panneuro_hub.dask.session_user import SessionUser
from panneuro_hub.errors import AccessDeniedError, InvalidChoiceError
from panneuro_hub.phrases import listed, shorten
from panneuro_hub.wire.foreign_keys import FOREIGN_KEY_VARIABLES

_LONGEST_NAME = 253
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_MAX_VARIABLES = 64
_LONGEST_VALUE = 4096
_LONGEST_ENVIRONMENT = 32768
# Variables of this package, of the SDKs and of the gateway, and those with which the parts of a
# cluster find and trust each other.
_RESERVED_PREFIXES = ("PANNEURO_", "AWS_", "DASK_GATEWAY_", "DASK_DISTRIBUTED__COMM", "JUPYTERHUB_")
_WHOLE_SETTINGS = (
    "DASK_DISTRIBUTED",
    "DASK_GATEWAY",
    "DASK_CONFIG",
    "DASK_INTERNAL_INHERIT_CONFIG",
)


def make_cluster_options(
    collaboration: Callable[[], Collaboration],
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Callable[[SessionUser], Awaitable[Options]]:
    """Make dask-gateway's ``Backend.cluster_options``.

    Parameters
    ----------
    collaboration : callable
        Returns the current collaboration.
    now : callable
        Returns the time, with a time zone.

    Returns
    -------
    callable
        An async function that returns the options of a person. Their handler raises
        AccessDeniedError or InvalidChoiceError, with the reason, for a choice that the person
        may not make.
    """

    async def options(user: SessionUser) -> Options:
        current = collaboration()
        offered = _limit_to_session(decide_all_accesses(current, _make_person(user), now()), user)
        return _CheckedOptions(*_build_fields(offered), handler=handler)

    def handler(chosen: Mapping[str, Any], user: SessionUser) -> dict[str, Any]:
        current = collaboration()
        accesses = decide_all_accesses(current, _make_person(user), now())
        project = _require_own_project(chosen["project"], user)
        choice = choose_cluster(
            current, accesses, project, chosen["profile"], chosen["image"], user.image
        )
        return {
            CHOICE_KEY: {
                "project": choice.project,
                "profile": choice.profile,
                "image": choice.image,
            },
            "environment": check_environment(chosen["environment"]),
        }

    return options


def choose_cluster(
    collaboration: Collaboration,
    accesses: Mapping[str, Access],
    project: str,
    profile: str,
    image: str,
    own_image: str | None = None,
) -> ClusterChoice:
    """Check the choice of a cluster; ``""`` means that the person did not choose.

    By default, the project is the person's only project, the worker profile is the first that
    the project offers, and the image is `own_image`, or else the first that the project offers.

    Parameters
    ----------
    own_image : str, optional
        The image of the session. With the same image, the workers have the session's Python.

    Raises
    ------
    AccessDeniedError
        If the person may not choose this; the text says why.
    InvalidChoiceError
        If the person must choose a project and did not.
    """
    access = choose_access(accesses, project)
    profiles = access.dask.worker_profiles if access.dask else ()
    images = [offer.name for offer in access.images]
    if own_image in images:
        images = [own_image]
    return check_cluster_choice(
        collaboration,
        access,
        profile or next(iter(profiles), ""),
        image or next(iter(images), None),
    )


def _make_person(user: SessionUser) -> Person:
    return Person.of(user.name, user.groups)


def _limit_to_session(accesses: Mapping[str, Access], user: SessionUser) -> dict[str, Access]:
    """Return the accesses without the projects of other sessions."""
    return {name: access for name, access in accesses.items() if user.project in (None, name)}


def _require_own_project(chosen: str, user: SessionUser) -> str:
    """Return the project of a cluster, which for a session is the session's own project."""
    if user.project is None:
        return chosen
    if chosen not in ("", user.project):
        raise AccessDeniedError(
            f"this session works in {user.project}, and so do its clusters; for a cluster in "
            f"{shorten(chosen)}, start a server in that project"
        )
    return user.project


def check_environment(variables: Mapping[Any, Any]) -> dict[str, str]:
    """Check the environment variables that a person sets for the processes of a cluster.

    Raises
    ------
    InvalidChoiceError
        If a name or a value is not valid for a variable, if a variable is reserved or holds
        keys, or if the variables are too many or too long.
    """
    if len(variables) > _MAX_VARIABLES:
        raise InvalidChoiceError(
            f"environment has {len(variables)} variables; a cluster takes {_MAX_VARIABLES}"
        )
    checked = dict(_check_variable(name, value) for name, value in variables.items())
    size = sum(len(name) + len(value.encode()) for name, value in checked.items())
    if size > _LONGEST_ENVIRONMENT:
        raise InvalidChoiceError(
            f"environment has {size} bytes; a cluster takes {_LONGEST_ENVIRONMENT}"
        )
    return checked


def _check_variable(name: Any, value: Any) -> tuple[str, str]:
    if not isinstance(name, str) or not _VARIABLE.fullmatch(name):
        raise InvalidChoiceError(
            f"environment: {shorten(str(name))} is not the name of a variable; use 1 to 128 "
            "letters, digits and '_'"
        )
    upper = name.upper()
    if (
        upper in FOREIGN_KEY_VARIABLES
        or upper.startswith(_RESERVED_PREFIXES)
        or upper in _WHOLE_SETTINGS
    ):
        raise InvalidChoiceError(
            f"environment: {name} is set by the hub, which gives a cluster its keys and "
            "connections; leave it out"
        )
    if not isinstance(value, str) or len(value) > _LONGEST_VALUE:
        raise InvalidChoiceError(
            f"environment: {name} must be text of {_LONGEST_VALUE} characters at most"
        )
    if "\0" in value or any(0xD800 <= ord(letter) <= 0xDFFF for letter in value):
        raise InvalidChoiceError(
            f"environment: {name} has a character that a variable cannot contain"
        )
    return name, value


# The fields that dask-gateway's client displays.


class _NameField(Field):
    """A choice among names, or ``""`` for the default; the handler checks the name."""

    def __init__(self, field: str, names: Iterable[str], label: str) -> None:
        self._names = [*dict.fromkeys(names)]
        default = self._names[0] if len(self._names) == 1 else ""
        super().__init__(field, default=default, label=label)

    def validate(self, x: Any) -> str:
        if x is None:
            return ""
        if not isinstance(x, str) or len(x) > _LONGEST_NAME:
            raise InvalidChoiceError(f"{self.field} must be one name, as text")
        return x

    def json_type_spec(self) -> dict[str, Any]:
        several = [] if len(self._names) == 1 else [""]
        return {"type": "select", "options": [*several, *self._names]}


class _VariablesField(Field):
    """Environment variables for the processes of a cluster."""

    def validate(self, x: Any) -> dict[str, str]:
        if x is None:
            return {}
        if not isinstance(x, dict):
            raise InvalidChoiceError(f"{self.field} must map the names of variables to values")
        return check_environment(x)

    def json_type_spec(self) -> dict[str, Any]:
        return {"type": "mapping"}


class _CheckedOptions(Options):
    """Options that refuse an unknown option with a sentence."""

    def parse_options(self, request: Any) -> dict[str, Any]:
        known = [field.field for field in self.fields]
        if not isinstance(request, dict):
            raise InvalidChoiceError(f"a cluster's options are {listed(known)}, by name")
        unknown = sorted(str(name) for name in request if name not in known)
        if unknown:
            raise InvalidChoiceError(
                f"unknown option {shorten(unknown[0])}; a cluster takes {listed(known)}"
            )
        return dict(super().parse_options(request))


def _build_fields(accesses: Mapping[str, Access]) -> list[Field]:
    granted = [access for access in accesses.values() if access.level]
    profiles = [
        profile for access in granted if access.dask for profile in access.dask.worker_profiles
    ]
    images = [offer.name for access in granted for offer in access.images]
    return [
        _NameField("project", [access.project for access in granted], "Project"),
        _NameField("profile", profiles, "Worker profile"),
        _NameField("image", images, "Image"),
        _VariablesField("environment", default={}, label="Environment"),
    ]
