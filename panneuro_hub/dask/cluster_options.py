"""The options of a cluster: project, worker profile, image and environment; pure but for the clock.

A session's clusters are of the session's project, and of no other project of its person. What a
person sends is untrusted. `make_cluster_options` offers what they may choose, and its
handler decides again about what was chosen, with the reasons.
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
_MOST_VARIABLES = 64
_LONGEST_VALUE = 4096
_LONGEST_ENVIRONMENT = 32768
# Ours, the SDKs', the gateway's, and how a cluster's own parts find and trust each other.
_OURS = ("PANNEURO_", "AWS_", "DASK_GATEWAY_", "DASK_DISTRIBUTED__COMM", "JUPYTERHUB_")
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
        Gives the collaboration as it is now.
    now : callable
        Gives the time, aware.

    Returns
    -------
    callable
        Async; gives the options of a person. Their handler raises AccessDeniedError or
        InvalidChoiceError for a choice that is not theirs to make, and says why.
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
    """Check what a cluster shall be; ``""`` is what the person left open.

    Left open, the project is the only one that they have, the worker profile is the first that
    the project offers, and the image is `own_image`, or else the first that the project offers.

    Parameters
    ----------
    own_image : str, optional
        What the session runs: with the same image, its Python is the workers' own.

    Raises
    ------
    AccessDeniedError
        If it is not the person's to choose; the text says why.
    InvalidChoiceError
        If a project must be chosen and is not.
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
    """Leave out the projects that are not the session's."""
    return {name: access for name, access in accesses.items() if user.project in (None, name)}


def _require_own_project(chosen: str, user: SessionUser) -> str:
    """Return the project of a cluster: a session's clusters are of its own."""
    if user.project is None:
        return chosen
    if chosen not in ("", user.project):
        raise AccessDeniedError(
            f"this session works in {user.project}, and so do its clusters; for a cluster of "
            f"{shorten(chosen)}, start a server in that project"
        )
    return user.project


def check_environment(variables: Mapping[Any, Any]) -> dict[str, str]:
    """Check the variables that a person wants in a cluster's processes.

    Raises
    ------
    InvalidChoiceError
        If one has no name or value that a variable can have, is one of ours or names
        keys, or if they are too many or too long.
    """
    if len(variables) > _MOST_VARIABLES:
        raise InvalidChoiceError(
            f"environment has {len(variables)} variables; a cluster takes {_MOST_VARIABLES}"
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
    if upper in FOREIGN_KEY_VARIABLES or upper.startswith(_OURS) or upper in _WHOLE_SETTINGS:
        raise InvalidChoiceError(
            f"environment: {name} is set by the hub, which gives a cluster its keys and "
            "connections; leave it out"
        )
    if not isinstance(value, str) or len(value) > _LONGEST_VALUE:
        raise InvalidChoiceError(
            f"environment: {name} must be text of {_LONGEST_VALUE} characters at most"
        )
    if "\0" in value or any(0xD800 <= ord(letter) <= 0xDFFF for letter in value):
        raise InvalidChoiceError(f"environment: {name} has a character that no variable can have")
    return name, value


# The fields that the client shows


class _NameField(Field):
    """One of some names, or ``""`` to leave it open; whether it is one says the handler."""

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
    """Variables for the cluster's processes."""

    def validate(self, x: Any) -> dict[str, str]:
        if x is None:
            return {}
        if not isinstance(x, dict):
            raise InvalidChoiceError(f"{self.field} must be variables and their values")
        return check_environment(x)

    def json_type_spec(self) -> dict[str, Any]:
        return {"type": "mapping"}


class _CheckedOptions(Options):
    """Options that say in words what they do not take."""

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
    mine = [access for access in accesses.values() if access.level]
    profiles = [
        profile for access in mine if access.dask for profile in access.dask.worker_profiles
    ]
    images = [offer.name for access in mine for offer in access.images]
    return [
        _NameField("project", [access.project for access in mine], "Project"),
        _NameField("profile", profiles, "Worker profile"),
        _NameField("image", images, "Image"),
        _VariablesField("environment", default={}, label="Environment"),
    ]
