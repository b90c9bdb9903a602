"""What we override of other projects' classes takes whatever they take."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from types import FunctionType
from typing import Any

import pytest

import panneuro_hub
from panneuro_hub.hub.authenticators import PanNeuroGoogleOAuthenticator

_PACKAGES = ("panneuro_hub.hub", "panneuro_hub.dask", "panneuro_hub.jupyter")
_ANY_POSITIONAL, _ANY_NAMED = inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD
# Each class has its own of these: Tornado calls them with what the class's route gives.
_OWN = {"__init__", "initialize", "get", "head", "post", "put", "patch", "delete", "open"}
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def our_classes() -> Iterator[type]:
    """Yield each class that is defined in a package that plugs into another project."""
    for found in pkgutil.walk_packages(panneuro_hub.__path__, "panneuro_hub."):
        if found.name.startswith(_PACKAGES) and not found.name.endswith(("__main__", "_config")):
            module = importlib.import_module(found.name)
            for _, each in inspect.getmembers(module, inspect.isclass):
                if each.__module__ == found.name:
                    yield each


def overridden(ours: type) -> Iterator[tuple[str, FunctionType, FunctionType]]:
    """Yield each method that a class of ours overrides, with the method of the other project."""
    for name, method in vars(ours).items():
        if not isinstance(method, FunctionType) or name in _OWN:
            continue
        for base in ours.__mro__[1:]:
            theirs = vars(base).get(name)
            if (
                isinstance(theirs, FunctionType)
                and not base.__module__.startswith("panneuro_hub")
                and not passes_on(theirs)
            ):
                yield name, method, theirs
                break


def passes_on(method: FunctionType) -> bool:
    """Return whether a method passes on whatever it gets: its own base says what that is."""
    _, *others = inspect.signature(method).parameters.values()
    return [each.kind for each in others] == [_ANY_POSITIONAL, _ANY_NAMED]


OVERRIDES = sorted(
    {
        (f"{ours.__qualname__}.{name}", method, theirs)
        for ours in our_classes()
        for name, method, theirs in overridden(ours)
    },
    key=lambda each: each[0],
)


def calls(theirs: FunctionType) -> Iterator[tuple[list[Any], dict[str, Any]]]:
    """Yield the ways to call a method: all by position, and all that can be by name."""
    parameters = list(inspect.signature(theirs).parameters.values())
    by_position = [each.name for each in parameters if each.kind in _POSITIONAL]
    keywords = [each.name for each in parameters if each.kind is inspect.Parameter.KEYWORD_ONLY]
    yield by_position, dict.fromkeys(keywords)
    yield by_position[:1], dict.fromkeys([*by_position[1:], *keywords])


def test_there_are_overrides() -> None:
    names = {name for name, _, _ in OVERRIDES}
    assert {"PanNeuroGoogleOAuthenticator.httpfetch", "TeamsMixin.refresh_user"} <= names


@pytest.mark.parametrize(
    ("ours", "theirs"), [each[1:] for each in OVERRIDES], ids=[each[0] for each in OVERRIDES]
)
def test_an_override_accepts_each_call_of_the_method_it_replaces(
    ours: FunctionType, theirs: FunctionType
) -> None:
    for positional, named in calls(theirs):
        inspect.signature(ours).bind(*positional, **named)


def test_google_s_requests_take_a_label_by_position() -> None:
    signature = inspect.signature(PanNeuroGoogleOAuthenticator.httpfetch)
    signature.bind(None, "https://example.org", "fetching google groups", headers={})
