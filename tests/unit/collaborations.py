"""Collaborations for tests: the example changed, and any that hypothesis thinks of."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from panneuro_hub.access import Person
from panneuro_hub.collaboration import Collaboration
from panneuro_hub.collaboration.cross_checks import check_references, check_rules

TEAMS = ("alpha", "beta", "gamma", "delta")
PROJECTS = {"one": "team-a/", "two": "team-ab/", "three": "labs/a/", "four": "labs/ab/"}
PEOPLE = ("ann", "Ann", "ann@uni.example", "Bo Å", "each-person", "../x", "*")
DAYS = ("2026-06-01", "2027-01-31", "2027-06-01")
LEVELS = ("read", "write", "manage")

moments = st.datetimes(
    min_value=datetime(2026, 1, 1),  # noqa: DTZ001
    max_value=datetime(2028, 1, 1),  # noqa: DTZ001
    timezones=st.sampled_from([UTC]),
) | st.sampled_from(
    [
        datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(seconds=s)
        for day in DAYS
        for s in (-1, 0)
    ]
)
team_sets = st.frozensets(st.sampled_from([*TEAMS, "unknown", "*"]))
people = st.builds(Person, st.sampled_from(PEOPLE) | st.text(), team_sets)


def changed(
    collaboration: Collaboration, change: Callable[[dict[str, Any]], object]
) -> Collaboration:
    """The collaboration after `change` has edited its document."""
    document = _editable(collaboration.model_dump())
    change(document)
    return Collaboration.model_validate(document)


def _editable(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _editable(each) for key, each in value.items()}
    return [_editable(each) for each in value] if isinstance(value, tuple) else value


def _subsets(names: Any) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(list(names)), unique=True, max_size=3)


@st.composite
def _projects(draw: st.DrawFn) -> dict[str, Any]:
    levels = st.dictionaries(st.sampled_from([*TEAMS, "*"]), st.sampled_from(LEVELS), max_size=3)
    projects = {}
    for name, prefix in PROJECTS.items():
        others = [other for other in PROJECTS if other != name]
        project: dict[str, Any] = {
            "title": name,
            "store": "main",
            "prefix": prefix,
            "teams": draw(levels),
            "requires": draw(st.just([]) | _subsets(TEAMS)),
            "reads": draw(_subsets(others)),
            "frozen": draw(_subsets([f"{prefix}done/", f"{prefix}done/more/", f"{prefix}do/"])),
            "profiles": draw(st.none() | _subsets(["small", "gpu"])),
            "images": draw(st.none() | _subsets(["neuro"])),
        }
        if draw(st.booleans()):
            project["embargo"] = {"until": draw(st.sampled_from(DAYS)), "then": draw(levels)}
        projects[name] = project
    return projects


@st.composite
def collaborations(draw: st.DrawFn) -> Collaboration:
    """Any collaboration of four teams and four projects whose prefixes are near one another."""
    expires = st.dictionaries(st.sampled_from(["ANN", "bo å"]), st.sampled_from(DAYS), max_size=2)
    teams = {
        name: {"title": name, "groups": [f"g:{name}"], "expires": draw(expires)} for name in TEAMS
    }
    store = {"type": "s3", "bucket": "lab", "role_arn": "arn:aws:iam::0:role/data"}
    if draw(st.booleans()):
        store["scratch"] = {"prefix": "scratch/"}
    profile = {"title": "a", "cpu": 1, "memory": "1G"}
    return Collaboration.model_validate(
        {
            "name": "any",
            "title": "Any",
            "stores": {"main": store},
            "teams": teams,
            "projects": draw(_projects()),
            "images": {"neuro": {"title": "a", "image": "a"}},
            "profiles": {
                "gpu": {**profile, "teams": draw(st.none() | _subsets(TEAMS))},
                "small": {**profile, "default": True},
            },
        }
    )


def problems(collaboration: Collaboration) -> list[Any]:
    """What loading would find, apart from lists that are empty."""
    found = [*check_references(collaboration), *check_rules(collaboration)]
    return [message for _, message in found if "empty list" not in message]
