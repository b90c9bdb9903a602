"""A small reader of S3 session policies, as the IAM User Guide says they are evaluated.

It knows what our policies use: Allow and Deny, ``*`` and ``?``, and StringLike on
``s3:prefix``. It shares no code with what writes them.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Request:
    """One request: an action, the ARN that it is on, and ``prefix`` of a listing."""

    action: str
    resource: str
    prefix: str | None = None


def allows(policy: str, request: Request) -> bool:
    """Whether the policy allows the request; an explicit Deny wins."""
    effects = {
        statement["Effect"]
        for statement in json.loads(policy)["Statement"]
        if _matches(statement, request)
    }
    return effects == {"Allow"}


def may_read(policy: str, bucket: str, key: str) -> bool:
    """Whether an object can be fetched."""
    return allows(policy, Request("s3:GetObject", f"arn:aws:s3:::{bucket}/{key}"))


def may_write(policy: str, bucket: str, key: str) -> bool:
    """Whether an object can be put and deleted; one without the other is a mistake."""
    arn = f"arn:aws:s3:::{bucket}/{key}"
    verdicts = {
        allows(policy, Request(action, arn))
        for action in ("s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload")
    }
    assert len(verdicts) == 1, f"half a right to write {key}"
    # Nobody may erase what was there before, wherever they may write.
    for action in (
        "s3:DeleteObjectVersion",
        "s3:PutObjectRetention",
        "s3:BypassGovernanceRetention",
        "s3:PutObjectLegalHold",
        "s3:PutObjectTagging",
        "s3:RestoreObject",
    ):
        assert not allows(policy, Request(action, arn)), f"{action} on {key}"
    return verdicts.pop()


def may_read_versions(policy: str, bucket: str, key: str) -> bool:
    """Whether an older version of an object can be fetched."""
    return allows(policy, Request("s3:GetObjectVersion", f"arn:aws:s3:::{bucket}/{key}"))


def may_list(policy: str, bucket: str, prefix: str | None, action: str = "s3:ListBucket") -> bool:
    """Whether keys that begin with `prefix` can be listed; `None` where it is not given."""
    return allows(policy, Request(action, f"arn:aws:s3:::{bucket}", prefix))


def _matches(statement: dict, request: Request) -> bool:
    return (
        any(_like(pattern, request.action) for pattern in _several(statement["Action"]))
        and any(_like(pattern, request.resource) for pattern in _several(statement["Resource"]))
        and _conditions_hold(statement.get("Condition", {}), request)
    )


def _conditions_hold(condition: dict, request: Request) -> bool:
    for operator, keys in condition.items():
        assert operator == "StringLike"
        for key, patterns in keys.items():
            assert key == "s3:prefix"
            if request.prefix is None:
                return False
            if not any(_like(pattern, request.prefix) for pattern in _several(patterns)):
                return False
    return True


def _several(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def _like(pattern: str, text: str) -> bool:
    wild = {"*": ".*", "?": "."}
    expression = "".join(wild.get(character) or re.escape(character) for character in pattern)
    return re.fullmatch(expression, text, re.DOTALL) is not None
