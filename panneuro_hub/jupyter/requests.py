"""The JSON of a request, taken apart."""

from __future__ import annotations

from panneuro_hub.catalog.reading import Fields, Malformed, parse
from panneuro_hub.jupyter.refusals import BadRequest


def read(body: bytes) -> Fields:
    """The fields of a request.

    Raises
    ------
    BadRequest
        If it is no JSON object.
    """
    try:
        return Fields(parse(body, "the request"), "the request")
    except Malformed as problem:
        raise BadRequest(str(problem)) from problem


def text(fields: Fields, name: str) -> str | None:
    """What a person wrote into a field; `None` where they left it empty.

    Raises
    ------
    BadRequest
        If it is no text.
    """
    try:
        return fields.text(name, "").strip() or None
    except Malformed as problem:
        raise BadRequest(str(problem)) from problem


def needed(fields: Fields, name: str, what: str) -> str:
    """What a person wrote into a field, where there must be something; `what` says what.

    Raises
    ------
    BadRequest
        If there is nothing, or no text.
    """
    value = text(fields, name)
    if value is None:
        raise BadRequest(str(fields.wrong(name, f"must be {what}")))
    return value


def flag(fields: Fields, name: str) -> bool:
    """Whether something is wished; not, where the field is missing.

    Raises
    ------
    BadRequest
        If it is neither true nor false.
    """
    value = fields.document.get(name, False)
    if not isinstance(value, bool):
        raise BadRequest(str(fields.wrong(name, "must be true or false")))
    return value
