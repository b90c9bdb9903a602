"""Read the fields of a request's JSON."""

from __future__ import annotations

from panneuro_hub.catalog.json_fields import JsonFields, MalformedRecordError, parse_json_object
from panneuro_hub.jupyter.panel_errors import BadRequestError


def read_json_fields(body: bytes) -> JsonFields:
    """The fields of a request.

    Raises
    ------
    BadRequestError
        If it is no JSON object.
    """
    try:
        return JsonFields(parse_json_object(body, "the request"), "the request")
    except MalformedRecordError as problem:
        raise BadRequestError(str(problem)) from problem


def read_optional_text(fields: JsonFields, name: str) -> str | None:
    """Return the text of an optional field, or `None` if it is empty.

    Raises
    ------
    BadRequestError
        If it is no text.
    """
    try:
        return fields.text(name, "").strip() or None
    except MalformedRecordError as problem:
        raise BadRequestError(str(problem)) from problem


def read_required_text(fields: JsonFields, name: str, what: str) -> str:
    """Return the text of a required field; `what` describes it in the error.

    Raises
    ------
    BadRequestError
        If there is nothing, or no text.
    """
    value = read_optional_text(fields, name)
    if value is None:
        raise BadRequestError(str(fields.wrong(name, f"must be {what}")))
    return value


def read_flag(fields: JsonFields, name: str) -> bool:
    """Return a boolean field, or `False` if it is missing.

    Raises
    ------
    BadRequestError
        If it is neither true nor false.
    """
    value = fields.document.get(name, False)
    if not isinstance(value, bool):
        raise BadRequestError(str(fields.wrong(name, "must be true or false")))
    return value
