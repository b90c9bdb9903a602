"""The errors of pydantic as plain sentences with the key paths of the file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from panneuro_hub.collaboration.message_words import (
    Finding,
    KeyPath,
    find_nearest_name,
    join_names,
    name_value_kind,
    quote_value,
)
from panneuro_hub.collaboration.models import Collaboration
from panneuro_hub.collaboration.yaml_document import YamlDocument

_ONE_WORD = re.compile(r"[A-Za-z0-9._/@-]{1,80}")


def describe_validation_errors(error: ValidationError, document: YamlDocument) -> Iterator[Finding]:
    """Yield every error of pydantic as a key path of `document` and a plain sentence."""
    for detail in error.errors(include_url=False):
        path = _path(detail["loc"], document.data)
        yield path, _message(path, detail["type"], detail, document)


def _path(loc: Sequence[str | int], data: Any) -> KeyPath:
    """Return a location as a key path of the file, without markers and names of variants."""
    path: list[str | int] = []
    for position, part in enumerate(loc):
        if part == "[key]":
            break
        last = position == len(loc) - 1
        if isinstance(data, Mapping):
            if part not in data and not last:
                continue
            data = data.get(part)
        elif isinstance(data, list) and isinstance(part, int) and part < len(data):
            data = data[part]
        path.append(part)
    return tuple(path)


def _message(path: KeyPath, problem: str, detail: Mapping[str, Any], document: YamlDocument) -> str:
    context, value = detail.get("ctx", {}), detail["input"]
    written = document.sources.get(path) or quote_value(value)
    if problem == "value_error":
        return str(context["error"])
    if problem == "missing":
        return "this key is missing, and is needed"
    if problem == "extra_forbidden":
        return _unknown_key(str(path[-1]), list_allowed_keys(path[:-1]))
    if problem in ("model_type", "dict_type"):
        return _wants_keys(path, value, written)
    if problem == "tuple_type":
        return _wants_list(value, written)
    if problem == "string_type":
        return _wants_text(value, written)
    return _wants_value(problem, context, written)


def _unknown_key(key: str, known: tuple[str, ...]) -> str:
    close = find_nearest_name(key, known)
    meant = f"; did you mean {quote_value(close)}?" if close else ""
    return f"unknown key{meant}; keys here: {', '.join(known)}"


def _wants_keys(path: KeyPath, value: Any, written: str) -> str:
    keys = list_allowed_keys(path)
    there = f", such as {join_names(keys)}" if keys else ""
    return f"a block of keys belongs here{there}; this is {_what(value, written)}"


def _wants_list(value: Any, written: str) -> str:
    if isinstance(value, str) and _ONE_WORD.fullmatch(value):
        return f"a list belongs here; write [{value}]"
    return f"a list belongs here, such as [one, two]; this is {_what(value, written)}"


def _wants_text(value: Any, written: str) -> str:
    if isinstance(value, Mapping | list):
        return f"text belongs here; this is {name_value_kind(value)}"
    return (
        f'text belongs here, and {written} is read as {name_value_kind(value)}; write "{written}"'
    )


def _wants_value(problem: str, context: Mapping[str, Any], written: str) -> str:
    match problem:
        case "bool_type":
            return f"{written} is neither true nor false; write one of these, without quotes"
        case "int_type":
            return f"{written} is not a whole number; write one, without quotes"
        case "float_type":
            return f"{written} is not a number; write one, without quotes"
        case "finite_number":
            return f"{written} is larger than any number; write a smaller one"
        case "greater_than":
            return f"{written} is too small; write more than {context['gt']:g}"
        case "greater_than_equal":
            return f"{written} is too small; write {context['ge']:g} or more"
        case "literal_error":
            choices = str(context["expected"]).replace("'", "")
            return f"{written} cannot stand here; write {choices}"
        case "too_short":
            return "this is empty; at least one entry is needed"
        case _:
            return f"{written} cannot stand here"


def _what(value: Any, written: str) -> str:
    return (
        name_value_kind(value)
        if isinstance(value, Mapping | list)
        else f"{name_value_kind(value)} ({written})"
    )


def list_allowed_keys(path: KeyPath) -> tuple[str, ...]:
    """Return the keys that are allowed in the mapping at `path`; none if all names are allowed."""
    types: tuple[Any, ...] = (Collaboration,)
    for part in path:
        types = tuple(inner for outer in types for inner in _inside(outer, part))
    fields: dict[str, None] = {}
    for model in types:
        if isinstance(model, type) and issubclass(model, BaseModel):
            fields.update(dict.fromkeys(model.model_fields))
    return tuple(fields)


def _inside(outer: Any, part: str | int) -> tuple[Any, ...]:
    """Return the types that a value at `part` of an `outer` may have."""
    if isinstance(outer, type) and issubclass(outer, BaseModel):
        known = outer.model_fields.get(str(part))
        return _plain(known.annotation) if known else ()
    arguments = get_args(outer)
    if get_origin(outer) is dict:
        return _plain(arguments[1])
    if get_origin(outer) is tuple:
        return _plain(arguments[0])
    return ()


def _plain(annotation: Any) -> tuple[Any, ...]:
    """Return an annotation without `Annotated`, and the members of a union one by one."""
    if get_origin(annotation) is Annotated:
        return _plain(get_args(annotation)[0])
    if get_origin(annotation) is None or get_origin(annotation) in (dict, tuple):
        return (annotation,)
    return tuple(plain for member in get_args(annotation) for plain in _plain(member))
