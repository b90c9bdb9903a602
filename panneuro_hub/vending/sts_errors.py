"""Explanations of the errors of an STS, and which of them are retryable."""

from __future__ import annotations

import re
from typing import Any

from botocore.exceptions import (
    ClientError,
    ConnectionError,  # noqa: A004 -- botocore's own, which is no OSError
    CredentialRetrievalError,
    HTTPClientError,
    MetadataRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
    SSLError,
)
from botocore.parsers import ResponseParserError

# Source: AWS Security Token Service API Reference, "Common Errors"; botocore's retry rules.
_RETRYABLE_CODES = frozenset(
    {
        "InternalError",
        "InternalFailure",
        "LimitExceededException",
        "PriorRequestNotComplete",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "RequestTimeout",
        "RequestTimeoutException",
        "ServiceUnavailable",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionInProgressException",
    }
)

_TRUST = (
    "let the role's trust policy allow the identity that the service runs as to call sts:AssumeRole"
)
_OWN_KEYS = "the service's own keys are wrong or have ended; renew them where the service runs"
_EITHER = (
    "it refuses the service's own keys, or the role's trust policy does; look for this request in "
    "the logs of the store"
)
_LOOK = "look for this request in the logs of the store"
_RIGHTS = "the store does not take the session policy; give the project fewer prefixes"
_ADVICE = {
    "AccessDenied": _TRUST,
    "AccessDeniedException": _TRUST,
    "ExpiredToken": _OWN_KEYS,
    "ExpiredTokenException": _OWN_KEYS,
    "InvalidAccessKeyId": _OWN_KEYS,
    "InvalidClientTokenId": _OWN_KEYS,
    "MalformedPolicyDocument": _RIGHTS,
    "MalformedPolicyDocumentException": _RIGHTS,
    "NoSuchEntity": "there is no such role; correct role_arn",
    "PackedPolicyTooLarge": _RIGHTS,
    "PackedPolicyTooLargeException": _RIGHTS,
    "RegionDisabledException": "activate STS in the store's region, or correct region",
    "RequestTimeTooSkewed": "set this machine's clock",
    "SignatureDoesNotMatch": _OWN_KEYS,
    "ValidationError": (
        "correct role_arn, and let the longest session of the role be no shorter than "
        "credential_lifetime"
    ),
}
_RETRYABLE = (
    ConnectionError,
    CredentialRetrievalError,
    HTTPClientError,
    MetadataRetrievalError,
    ResponseParserError,  # a truncated response, or a proxy's own page
)
_CODE = re.compile(r"[A-Za-z0-9.]{1,64}")


def is_retryable_error(error: Exception) -> bool:
    """Return `True` if the same request may succeed a little later."""
    if isinstance(error, ClientError):
        status = _status(error)
        return _code(error) in _RETRYABLE_CODES or status == 429 or status >= 500
    if isinstance(error, SSLError):
        return False
    return isinstance(error, _RETRYABLE)


def explain_sts_error(error: Exception) -> str:
    """Return what happened and what the administrator can do.

    The text repeats nothing that the other side wrote except error codes, because a response
    could contain keys. Anything that does not look like an error code is left out.
    """
    if isinstance(error, ClientError):
        return f"STS answered {_code(error) or f'HTTP {_status(error)}'}: {_advice(error)}"
    if isinstance(error, (NoCredentialsError, PartialCredentialsError)):
        return (
            "the service has no keys of its own; give it an identity (such as a role of its pod, "
            "or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY) that may assume the role"
        )
    if isinstance(error, (CredentialRetrievalError, MetadataRetrievalError)):
        return "the service could not renew its own keys; look at how it gets its identity"
    if isinstance(error, SSLError):
        return "the TLS certificate of STS cannot be verified; correct it, or sts_endpoint_url"
    if is_retryable_error(error):
        return "STS did not answer; look at sts_endpoint_url and the network if this goes on"
    return f"the request for keys could not be made ({type(error).__name__}); look at role_arn"


def _advice(error: ClientError) -> str:
    if is_retryable_error(error):
        return "it is overloaded or in trouble; this passes by itself"
    # Some stores give only a status.
    fallback = _EITHER if _status(error) in (401, 403) else _LOOK
    return _ADVICE.get(_code(error) or "", fallback)


def _code(error: ClientError) -> str | None:
    code: Any = error.response.get("Error", {}).get("Code")
    known = isinstance(code, str) and code != "Unknown" and _CODE.fullmatch(code)
    return code if known else None


def _status(error: ClientError) -> int:
    status: Any = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return status if isinstance(status, int) else 0
