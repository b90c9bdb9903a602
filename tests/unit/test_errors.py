"""Every error of the package has a name, a stable code, and a status where a process answers it."""

from __future__ import annotations

import ast
import re
from collections import Counter
from importlib import import_module
from pathlib import Path

import pytest

import panneuro_hub
from panneuro_hub.errors import AccessDeniedError, PanNeuroError, VendingError
from panneuro_hub.hub.refusal_answers import find_refusal
from panneuro_hub.hub.start_errors import build_start_error
from panneuro_hub.wire.refusal import Refusal

PACKAGE = Path(panneuro_hub.__file__).parent
ANSWERING = ("service", "jupyter", "dask")
"""The rooms whose request handlers answer with their own errors."""


def error_names() -> dict[str, str]:
    """Return the modules of all exception classes by name; private ones never leave a module."""
    classes: dict[str, tuple[str, list[str]]] = {}
    for file in sorted(PACKAGE.rglob("*.py")):
        module = ".".join(("panneuro_hub", *file.relative_to(PACKAGE).with_suffix("").parts))
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                bases = [ast.unparse(base).rpartition(".")[2] for base in node.bases]
                classes[node.name] = (module, bases)
    found = {"Exception", "BaseException"}
    # Errors of other libraries are known by their names.
    builtin = re.compile(r"(Error|Exception)$")

    def is_error(base: str) -> bool:
        return base in found or (base not in classes and builtin.search(base) is not None)

    while True:
        more = {
            name
            for name, (_, bases) in classes.items()
            if name not in found
            and any(
                base in found or (base not in classes and builtin.search(base)) for base in bases
            )
        }
        if not more:
            break
        found |= more
    return {name: classes[name][0] for name in found if name in classes}


ERRORS = error_names()


def load_errors() -> list[type[PanNeuroError]]:
    """Return the public exception classes, imported."""
    return [
        getattr(import_module(module), name)
        for name, module in sorted(ERRORS.items())
        if not name.startswith("_")
    ]


def test_the_walk_finds_errors_in_every_room() -> None:
    rooms = {module.split(".")[1] for module in ERRORS.values()}
    assert {"errors", "agent", "catalog", "client", "hub", "jupyter", "lab", "service"} <= rooms


@pytest.mark.parametrize("name", sorted(ERRORS))
def test_an_exception_class_ends_in_error(name: str) -> None:
    assert name.endswith("Error")


def test_every_error_has_a_code_of_its_own() -> None:
    errors = load_errors()
    for error in errors:
        assert issubclass(error, PanNeuroError), error
        assert "code" in vars(error), f"{error.__name__} has no code of its own"
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", error.code), error
    count = Counter(error.code for error in errors)
    assert not [code for code, times in count.items() if times > 1]


def test_an_error_of_a_process_that_answers_requests_has_a_status() -> None:
    for error in load_errors():
        _, room, part, *_ = [*error.__module__.split("."), ""]
        # The schema is checked before the service takes requests.
        if room in ANSWERING and part != "db":
            assert error.status is not None, error
        assert error.status is None or 400 <= error.status < 600, error


def test_no_module_imports_a_part_of_the_service_only_for_its_errors() -> None:
    handlers = ast.parse((PACKAGE / "service/web/base_handlers.py").read_text(encoding="utf-8"))
    imported = {
        name.name: node.module
        for node in ast.walk(handlers)
        if isinstance(node, ast.ImportFrom)
        for name in node.names
    }
    foreign = {name for name, module in imported.items() if module != "panneuro_hub.errors"}
    assert not [name for name in foreign if name.endswith("Error")]


def test_a_refusal_has_code_message_and_fields() -> None:
    error = AccessDeniedError("not here", {"project": "human", "error": "x", "message": "y"})
    refusal = Refusal.from_error(error)
    assert (refusal.status, refusal.headers) == (403, {})
    assert refusal.to_json() == {
        "error": "access-denied",
        "message": "not here",
        "project": "human",
    }


def test_a_refusal_for_now_says_when_to_ask_again() -> None:
    assert Refusal.from_error(VendingError("busy", 2.2)).headers == {"Retry-After": "3"}
    assert Refusal.from_error(VendingError("busy")).headers == {"Retry-After": "5"}


@pytest.mark.parametrize(
    ("status", "document", "code", "message"),
    [
        (403, {"error": "ticket-refused", "message": "no"}, "ticket-refused", "no"),
        (403, {"message": "of an earlier version"}, "access-denied", "of an earlier version"),
        (503, {"error": "A sentence of a gateway", "message": ""}, "service-unavailable", "nobody"),
        (418, {"error": ["x"], "message": 4}, "bad-request", "nobody"),
        (599, {}, "internal-error", "nobody"),
    ],
)
def test_a_refusal_is_read_with_or_without_a_code(
    status: int, document: dict[str, object], code: str, message: str
) -> None:
    refusal = Refusal.from_json(status, document, "nobody")
    assert (refusal.code, refusal.message) == (code, message)


def test_a_client_gives_the_fields_of_a_refusal_back() -> None:
    sent = AccessDeniedError("no", {"reasons": [{"code": "not-in-team"}]})
    refusal = Refusal.from_json(403, Refusal.from_error(sent).to_json())
    assert AccessDeniedError(refusal.message, refusal.fields).reason_codes == ("not-in-team",)
    assert AccessDeniedError("odd", {"reasons": [1, {"x": 2}]}).reason_codes == ()


def test_a_start_that_is_refused_keeps_its_code_and_fields() -> None:
    error = build_start_error(AccessDeniedError("no", {"project": "human"}))
    refusal = find_refusal(error, 500)
    assert refusal is not None
    assert (error.status_code, refusal.status) == (403, 403)
    assert refusal.to_json() == {"error": "access-denied", "message": "no", "project": "human"}
