"""Translate the exceptions of the two store clients into ours, in one place.

Only errors that may pass without anybody's help are retried: network errors, and responses
that ask to slow down. All other errors are final, including unknown ones.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    HTTPClientError,
    IncompleteReadError,
    MetadataRetrievalError,
)
from botocore.exceptions import (
    ConnectionError as NoConnectionError,
)
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    NotFoundError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)

from panneuro_hub.client.transfer_errors import ErrorKind, StoreError

ENGINE_ERRORS = (BaseError, BotoCoreError, ClientError, FileNotFoundError)
"""Everything that obstore and botocore raise of their own accord."""

_CODE = re.compile(r"<Code>(\w{1,64})</Code>")
_UNREACHABLE = re.compile(r"HTTP error|error sending request|connection|timed out", re.IGNORECASE)
_STATUS = re.compile(r"status code: ([1-5][0-9]{2})\b")

# Source: Amazon S3 API Reference, "Error responses"; SeaweedFS and Ceph use the same words.
_KINDS: dict[str, ErrorKind] = {
    "AccessDenied": "denied",
    "BadDigest": "damaged",
    "ExpiredToken": "keys",
    "IncompleteBody": "again",
    "InvalidAccessKeyId": "keys",
    "InvalidDigest": "damaged",
    "InvalidToken": "keys",
    "InternalError": "again",
    "NoSuchKey": "missing",
    "NoSuchUpload": "missing",
    "NotImplemented": "other",
    "OperationAborted": "again",
    "PreconditionFailed": "exists",
    "ConditionalRequestConflict": "again",
    "RequestTimeTooSkewed": "clock",
    "RequestTimeout": "again",
    "SignatureDoesNotMatch": "damaged",
    "ServiceUnavailable": "again",
    "SlowDown": "again",
    "TokenRefreshRequired": "keys",
    "XAmzContentChecksumMismatch": "damaged",
    "XAmzContentSHA256Mismatch": "damaged",
}
_STATUSES: dict[int, ErrorKind] = {
    401: "denied",
    403: "denied",
    404: "missing",
    409: "again",
    412: "exists",
}
# Source: RFC 9110, RFC 4918 (507), RFC 5842 (508), RFC 2774 (510), RFC 6585 (511).
_FINAL = (501, 505, 507, 508, 510, 511)
_CLASSES: tuple[tuple[type[Exception], ErrorKind], ...] = (
    (AlreadyExistsError, "exists"),
    (PreconditionError, "exists"),
    (NotFoundError, "missing"),
    (FileNotFoundError, "missing"),
    (PermissionDeniedError, "denied"),
    (UnauthenticatedError, "denied"),
)


def translate_error(error: Exception, what: str) -> StoreError:
    """Say what `error` means.

    Parameters
    ----------
    error : Exception
        One of `ENGINE_ERRORS`.
    what : str
        What was being done, such as ``sending a.bin``.
    """
    if isinstance(error.__cause__, (ClientError, BotoCoreError)):
        return translate_error(error.__cause__, what)  # A listing of odd keys.
    if isinstance(error, ClientError):
        return _translate_botocore(error, what)
    if isinstance(error, (HTTPClientError, NoConnectionError, IncompleteReadError)):
        return StoreError("again", f"{what}: the store cannot be reached; its network or this one")
    if isinstance(error, (CredentialRetrievalError, MetadataRetrievalError)):
        return StoreError("again", f"{what}: {error}")
    if isinstance(error, BotoCoreError):
        return StoreError("other", f"{what}: {error}")
    return _translate_obstore(error, what)


def classify_error(code: str, status: int | None) -> ErrorKind | None:
    """Return the kind of a store's error code and HTTP status, or `None` if unknown."""
    known = _KINDS.get(code)
    if known is not None or status is None:
        return known
    if (status >= 500 and status not in _FINAL) or status in (408, 425, 429):
        return "again"
    if status == 409 and code and not code.isdigit():
        return None  # Of conflicts, those that pass have names that are known here.
    return _STATUSES.get(status)


def _translate_botocore(error: ClientError, what: str) -> StoreError:
    code = str(error.response.get("Error", {}).get("Code", ""))
    meta = error.response.get("ResponseMetadata", {})
    kind = classify_error(code, meta.get("HTTPStatusCode"))
    if kind == "clock":
        return StoreError(kind, _describe_skew(meta.get("HTTPHeaders", {}).get("date")), code)
    said = error.response.get("Error", {}).get("Message") or code
    return StoreError(kind or "other", _write_sentence(kind, what, f"{code}: {said}"), code)


def _translate_obstore(error: Exception, what: str) -> StoreError:
    text = str(error)
    found = _CODE.search(text)
    code = found[1] if found else ""
    status = _STATUS.search(text)
    kind = classify_error(code, int(status[1]) if status else None)
    if kind is None:
        kind = next((kind for kind_, kind in _CLASSES if isinstance(error, kind_)), None)
    if kind == "clock":
        return StoreError(kind, _describe_skew(None), code)
    if kind is None and status is None and not code and _UNREACHABLE.search(_first_line(text)):
        # No answer at all: a connection that was refused, reset or cut off.
        kind = "again"
        return StoreError(kind, f"{what}: the store cannot be reached; its network or this one")
    first = code or _first_line(text)
    return StoreError(kind or "other", _write_sentence(kind, what, first), code)


def _first_line(text: str) -> str:
    return text.partition("\n")[0][:300]


def _write_sentence(kind: ErrorKind | None, what: str, said: str) -> str:
    if kind == "denied":
        return f"{what}: the store refuses it"
    if kind == "keys":
        return f"{what}: the store does not take the keys any more"
    if kind == "damaged":
        return f"{what}: it arrived otherwise than it was sent; something on the way damages data"
    return f"{what}: the store says {said}"


def _describe_skew(date: str | None) -> str:
    advice = "set it right (NTP does it by itself) and try again"
    try:
        behind = parsedate_to_datetime(date or "") - datetime.now(UTC)
    except (ValueError, TypeError):
        return f"the clock of this machine is wrong, and the store refuses what it signs; {advice}"
    minutes = round(abs(behind.total_seconds()) / 60)
    side = "behind" if behind.total_seconds() > 0 else "ahead of"
    return f"the clock of this machine is {minutes} minutes {side} the store's; {advice}"
