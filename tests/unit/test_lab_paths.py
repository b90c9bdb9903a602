"""A path is a place below a project's prefix, or below one's own scratch."""

from __future__ import annotations

from dataclasses import replace

import pytest
from session_views import view_of

from panneuro_hub.errors import AccessDeniedError
from panneuro_hub.lab.paths import find_path
from panneuro_hub.wire import Grant

VIEW = view_of(
    level="write",
    scratch="s3://lab/scratch/nav/ada/",
    endpoint_url="http://127.0.0.1:8333",
    prefixes={"nav": "s3://lab/nav/", "inner": "s3://lab/nav/inner/"},
    grants=(
        Grant("s3://lab/nav/", "write", "you are in navigation-lab", "nav"),
        Grant("s3://lab/nav/inner/", "read", "nav reads inner", "inner"),
        Grant("s3://lab/scratch/nav/ada/", "write", "your own scratch in nav", "nav"),
    ),
)


@pytest.mark.parametrize(
    ("path", "project", "key"),
    [
        ("", "nav", ""),
        ("nav", "nav", ""),
        ("nav/", "nav", ""),
        ("nav/2026/day-1/", "nav", "2026/day-1"),
        ("s3://lab/nav/day-1/x.nwb", "nav", "day-1/x.nwb"),
        ("s3://lab/nav", "nav", ""),
        # Of a project inside another one's prefix, its own catalog counts.
        ("nav/inner/day-1", "inner", "day-1"),
        ("inner/day-1", "inner", "day-1"),
        ("scratch", "scratch", ""),
        ("scratch/fit.zarr", "scratch", "fit.zarr"),
    ],
)
def test_a_path_is_a_place_below_a_root(path: str, project: str, key: str) -> None:
    place = find_path(VIEW, path)
    assert (place.project, place.key) == (project, key)
    prefixes = {**VIEW.prefixes, "scratch": VIEW.scratch}
    assert place.root.uri == prefixes[project]
    assert (place.store.config["bucket"], place.store.prefix) == (
        "lab",
        place.root.key.rstrip("/"),
    )
    assert find_path(VIEW, place.path) == place or place.path == project


def test_what_lies_below_keeps_its_name() -> None:
    place = find_path(VIEW, "nav/day-1").below("a/b.nwb")
    assert place.path == "nav/day-1/a/b.nwb"
    assert place.place.uri == "s3://lab/nav/day-1/a/b.nwb"
    assert place.open_own_store().prefix == "nav/day-1/a/b.nwb"


def test_a_grant_of_no_project_is_a_place_too() -> None:
    view = replace(VIEW, prefixes={}, scratch=None)
    place = find_path(view, "s3://lab/nav/day-1/x.csv")
    assert (place.root.uri, place.key) == ("s3://lab/nav/day-1/", "x.csv")
    with pytest.raises(AccessDeniedError):
        find_path(view, "s3://lab/other/x.csv")
