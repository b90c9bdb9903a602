"""docs/collaboration.md names every key, says its default, and its examples are right."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter
from pydantic.fields import FieldInfo

from panneuro_hub.collaboration import models
from panneuro_hub.collaboration.document import parse

TEXT = (Path(__file__).parents[2] / "docs" / "collaboration.md").read_text(encoding="utf-8")
SECTIONS: dict[str, type[BaseModel]] = {
    "The file": models.Collaboration,
    "`stores.NAME`": models.S3Store,
    "`stores.NAME.scratch`": models.Scratch,
    "`teams.NAME`": models.Team,
    "`projects.NAME`": models.Project,
    "`projects.NAME.embargo`": models.Embargo,
    "`projects.NAME.budget`": models.Budget,
    "`projects.NAME.dask`": models.ProjectDask,
    "`images.NAME`": models.Image,
    "`profiles.NAME`": models.Profile,
    "`profiles.NAME.kubernetes`": models.Kubernetes,
    "`dask`": models.Dask,
    "`dask.per_person`": models.PerPerson,
    "`dask.worker_profiles.NAME`": models.WorkerProfile,
}


def rows(heading: str) -> dict[str, tuple[str, str]]:
    """By key: the default and the example, as the reference says them."""
    section = re.split(r"^#+ ", TEXT, flags=re.MULTILINE)
    (body,) = [part for part in section if part.split("\n")[0] == heading]
    found = re.findall(r"^\| `(\w+)` \| (.*) \| (.*) \| (.*) \|$", body, re.MULTILINE)
    return {key: (default, example) for key, _, default, example in found}


def read(field: FieldInfo, text: str) -> Any:
    """The value of one key, as a file would give it."""
    return TypeAdapter(field.rebuild_annotation()).validate_python(
        parse(f"value: {text}", "example").data["value"]
    )


@pytest.mark.parametrize("heading", SECTIONS)
def test_every_key_is_there(heading: str) -> None:
    assert sorted(rows(heading)) == sorted(SECTIONS[heading].model_fields)


@pytest.mark.parametrize("heading", SECTIONS)
def test_defaults(heading: str) -> None:
    for key, (default, _) in rows(heading).items():
        field = SECTIONS[heading].model_fields[key]
        assert field.is_required() == (default == "needed"), key
        said = re.fullmatch(r"`([^`]*)`", default)
        if said:
            assert field.get_default() == read(field, said[1]), key


@pytest.mark.parametrize("heading", SECTIONS)
def test_examples(heading: str) -> None:
    for key, (_, example) in rows(heading).items():
        if example != "see below":
            read(SECTIONS[heading].model_fields[key], example.strip("`"))
