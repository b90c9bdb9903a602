"""Refusals: errors as they leave a process over HTTP, and how clients read them.

A refusal is the JSON object ``{"error": code, "message": sentence, …fields}``. This is the one
module that turns an error into an HTTP status and such an object. Each process sends them with
its own framework.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from types import MappingProxyType
from typing import Any

from panneuro_hub.errors import (
    AccessDeniedError,
    PanNeuroError,
    ServiceUnavailableError,
    TicketRefusedError,
)

_RETRY_SECONDS = 5.0
STATUS_CODES: Mapping[int, str] = MappingProxyType(
    {
        400: "bad-request",
        401: "not-authenticated",
        403: AccessDeniedError.code,
        404: "not-found",
        405: "method-not-allowed",
        409: "conflict",
        413: "too-large",
        422: "unprocessable",
        429: "rate-limited",
        503: ServiceUnavailableError.code,
    }
)
"""The codes of refusals that no error of this package stands for."""

DENIAL_CODES = (AccessDeniedError.code, TicketRefusedError.code, STATUS_CODES[401])
"""The codes of refusals for the lack of a right."""


@dataclass(frozen=True)
class Refusal:
    """An answer that refuses a request.

    Parameters
    ----------
    status : int
        The HTTP status.
    code : str
        What programs compare.
    message : str
        The sentence for the person.
    fields : mapping
        What else a program may want to know.
    retry_after : float or None
        Seconds after which the same request makes sense.
    """

    status: int
    code: str
    message: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    retry_after: float | None = None

    @classmethod
    def from_error(cls, error: PanNeuroError, default: int = 500) -> Refusal:
        """Return the refusal that an error is.

        Parameters
        ----------
        error : PanNeuroError
        default : int
            The status for an error whose class has none.
        """
        status = error.status or default
        return cls(status, error.code, str(error), error.fields, error.retry_after)

    @classmethod
    def from_status(cls, status: int, message: str, code: str = "") -> Refusal:
        """Return a refusal that a web framework has decided, or one with a code of its own."""
        return cls(status, code or find_status_code(status), message)

    @classmethod
    def from_json(cls, status: int, document: Mapping[str, Any], default: str = "") -> Refusal:
        """Read a refusal that came from another process.

        A document without a code, of an earlier version or of a proxy, gets that of its status.

        Parameters
        ----------
        status : int
        document : mapping
            Whatever JSON object came; everything in it is from outside.
        default : str
            The message, if the document has none.
        """
        code, message = document.get("error"), document.get("message")
        if not isinstance(code, str) or not _is_code(code):
            code = find_status_code(status)
        if not isinstance(message, str) or not message.strip():
            message = default or f"HTTP {status}"
        fields = {name: value for name, value in document.items() if name not in _RESERVED}
        return cls(status, code, message, fields)

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object; a field never replaces the code or the message."""
        rest = {name: value for name, value in self.fields.items() if name not in _RESERVED}
        return {"error": self.code, "message": self.message, **rest}

    @property
    def denies_access(self) -> bool:
        """`True` if the person, the session or the token lacks a right."""
        return self.code in DENIAL_CODES or self.status in (401, 403)

    @property
    def headers(self) -> dict[str, str]:
        """The headers that belong to the answer."""
        if self.status not in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
            return {}
        return {"Retry-After": str(math.ceil(self.retry_after or _RETRY_SECONDS))}


_RESERVED = ("error", "message")


def find_status_code(status: int) -> str:
    """Return the code of an HTTP status."""
    if status in STATUS_CODES:
        return STATUS_CODES[status]
    return ServiceUnavailableError.code if status in (502, 504) else _other_code(status)


def _other_code(status: int) -> str:
    return "internal-error" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "bad-request"


def _is_code(text: str) -> bool:
    return 0 < len(text) <= 64 and all(c in "abcdefghijklmnopqrstuvwxyz0123456789-_" for c in text)
