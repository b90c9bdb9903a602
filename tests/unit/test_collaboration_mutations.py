"""Whatever stands in a file, it is a collaboration or it is refused in plain words."""

from __future__ import annotations

import copy
import io
import re
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from panneuro_hub.collaboration.message_words import KeyPath
from panneuro_hub.collaboration.yaml_document import parse_yaml, read_yaml
from panneuro_hub.current import load_collaboration
from panneuro_hub.errors import CollaborationError

EXAMPLE = Path(__file__).parents[2] / "examples" / "collaboration.yaml"
CONTENT = EXAMPLE.read_bytes()
DOCUMENT = parse_yaml(CONTENT.decode(), "collaboration.yaml")
PATHS = sorted(DOCUMENT.lines, key=str)

# What a library would say, and a person should not have to read.
JARGON = re.compile(
    r"Input should|valid (dict|tuple|string|integer|number)|pydantic|Traceback|<class|datetime|"
    r"NoneType|\b(dict|tuple|str|int|bool|float|None|mapping values)\b|_error|_type|"
    r"cannot stand here$"
)

words = st.sampled_from(
    [
        *("*", "main", "small", "theory-lab", "shared-stimuli", "s3", "read", "30m", "8G"),
        *("2027-01-31", "a/", "../", "${x}", "{a}", "ü", "%", "", " ", "\n", "x" * 70),
        *("\u202e", "\x00", "\ud800"),
    ]
)
scalars = (
    words
    | st.text(max_size=8).filter(lambda text: not JARGON.search(text))
    | st.integers()
    | st.floats()
    | st.booleans()
    | st.none()
    | st.dates()
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=6,
)


@st.composite
def mutations(draw: st.DrawFn) -> dict[str, Any]:
    """The example with a few keys changed, added, renamed or taken out."""
    data = copy.deepcopy(DOCUMENT.data)
    for _ in range(draw(st.integers(1, 4))):
        path = draw(st.sampled_from(PATHS))
        parent = _parent(data, path)
        if parent is None:
            continue
        last: Any = path[-1]
        match draw(st.sampled_from(["change", "add", "rename", "remove"])):
            case "change":
                parent[last] = draw(values)
            case "add" if isinstance(parent, dict):
                parent[draw(words)] = draw(values)
            case "rename" if isinstance(parent, dict):
                parent[draw(words)] = parent.pop(last)
            case _:
                del parent[last]
    return data


def _parent(data: Any, path: KeyPath) -> Any:
    """What holds the last part of `path`, where earlier changes left it in place."""
    for part in path[:-1]:
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            return None
    there = path[-1] in data if isinstance(data, dict) else False
    listed = isinstance(data, list) and isinstance(path[-1], int) and path[-1] < len(data)
    return data if there or listed else None


def outcome(file: Path) -> CollaborationError | None:
    """How loading ends; every error but this one is the test's."""
    try:
        load_collaboration(file)
    except CollaborationError as error:
        return error
    return None


def check_words(file: Path, error: CollaborationError | None) -> None:
    lines = file.read_bytes().count(b"\n") + 1
    for problem in error.problems if error else ():
        assert 1 <= problem.line <= lines
        assert problem.message
        assert str(problem).isprintable()
        assert len(str(problem)) < 2000


@settings(deadline=None, max_examples=150)
@given(mutations())
def test_changed_values(tmp_path_factory: Any, data: dict[str, Any]) -> None:
    file = tmp_path_factory.getbasetemp() / "mutation.yaml"
    stream = io.BytesIO()
    YAML(typ="safe", pure=True).dump(data, stream)
    file.write_bytes(stream.getvalue())
    error = outcome(file)
    check_words(file, error)
    for problem in error.problems if error else ():
        said = re.sub(r"'[^']*'|\"[^\"]*\"", "", problem.message)
        assert not JARGON.search(said), problem


@settings(deadline=None, max_examples=150)
@given(st.integers(0, len(CONTENT)), st.integers(0, 40), st.binary(max_size=10))
def test_changed_bytes(tmp_path_factory: Any, start: int, length: int, new: bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "bytes.yaml"
    file.write_bytes(CONTENT[:start] + new + CONTENT[start + length :])
    check_words(file, outcome(file))


MARKS = "a|b|:|: |- |\n|  |[|]|{|}|,|'|\"|&|*|!|>|%|---|...|?|#|\\|\t|%YAML 1.1\n|<<|~|\\U"


@settings(deadline=None, max_examples=150)
@given(st.lists(st.sampled_from([*MARKS.split("|"), "|"]), max_size=25))
def test_marks_of_yaml(tmp_path_factory: Any, marks: list[str]) -> None:
    file = tmp_path_factory.getbasetemp() / "marks.yaml"
    file.write_text("".join(marks), encoding="utf-8")
    error = outcome(file)
    assert error is not None
    check_words(file, error)


def test_the_example_survives_being_written_again(tmp_path: Path) -> None:
    """Else the mutations would test nothing but refusals."""
    file = tmp_path / "again.yaml"
    with file.open("wb") as stream:
        YAML(typ="safe", pure=True).dump(DOCUMENT.data, stream)
    assert read_yaml(file).data == DOCUMENT.data
    assert load_collaboration(file) == load_collaboration(EXAMPLE)
