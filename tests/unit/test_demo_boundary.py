"""The demo is a story: tests and benchmarks of other parts use the devstack below it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

_TOP = Path(__file__).parents[2]
_DEMO = "panneuro_hub.demo"


def imported_modules(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def uses_demo(source: str) -> bool:
    return any(f"{name}.".startswith(f"{_DEMO}.") for name in imported_modules(source))


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("from panneuro_hub import demo", True),
        ("import panneuro_hub.demo.check", True),
        ("def f():\n    from panneuro_hub.demo.check import PROJECT", True),
        ("from panneuro_hub.devstack.processes import find_free_port", False),
        ("from panneuro_hub.cli.demo import demo", False),
    ],
)
def test_imports_of_the_demo_are_seen(source: str, expected: bool) -> None:
    assert uses_demo(source) == expected


def test_only_tests_of_the_demo_import_it() -> None:
    files = [*_TOP.glob("tests/**/*.py"), *_TOP.glob("benchmarks/**/*.py")]
    others = [file for file in files if not file.name.startswith("test_demo")]

    assert len(others) > 100
    assert [str(file.relative_to(_TOP)) for file in others if uses_demo(file.read_text())] == []
