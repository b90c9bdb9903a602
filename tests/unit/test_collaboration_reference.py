"""The reference of the collaboration file has every key, and examples that a file may have."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter
from pydantic.fields import FieldInfo

from docs._ext.generated_reference import (
    collaboration_keys,
    collaboration_sections,
    default_of,
    meaning_and_example,
)
from panneuro_hub.collaboration.yaml_document import parse_yaml

SECTIONS = dict(collaboration_sections())


def read(field: FieldInfo, text: str) -> Any:
    """Return the value of one key, as a file would give it."""
    return TypeAdapter(field.rebuild_annotation()).validate_python(
        parse_yaml(f"value: {text}", "example").data["value"]
    )


def test_the_file_has_the_parts_that_people_write() -> None:
    assert set(SECTIONS) == {
        "",
        "stores.NAME",
        "stores.NAME.scratch",
        "teams.NAME",
        "projects.NAME",
        "projects.NAME.embargo",
        "projects.NAME.budget",
        "projects.NAME.dask",
        "images.NAME",
        "profiles.NAME",
        "profiles.NAME.kubernetes",
        "dask",
        "dask.per_person",
        "dask.worker_profiles.NAME",
    }


@pytest.mark.parametrize("model", SECTIONS.values(), ids=SECTIONS)
def test_every_key_says_what_it_means(model: type[BaseModel]) -> None:
    for name, field in model.model_fields.items():
        meaning, _ = meaning_and_example(field)
        assert meaning.endswith("."), name


@pytest.mark.parametrize("model", SECTIONS.values(), ids=SECTIONS)
def test_every_default_is_what_a_file_could_say(model: type[BaseModel]) -> None:
    for name, field in model.model_fields.items():
        default = default_of(field)
        if default.startswith("`"):
            assert read(field, default.strip("`")) == field.get_default(), name


@pytest.mark.parametrize("model", SECTIONS.values(), ids=SECTIONS)
def test_every_example_is_right(model: type[BaseModel]) -> None:
    for name, field in model.model_fields.items():
        _, example = meaning_and_example(field)
        if example:
            assert example[0] == example[-1] == "`", name
            read(field, example.strip("`"))


def test_the_reference_has_every_key() -> None:
    text = collaboration_keys()
    for model in SECTIONS.values():
        for name in model.model_fields:
            assert f"| `{name}` |" in text
