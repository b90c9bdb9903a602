"""The session policy of an S3 store: the rights of the grants, and the region of each bucket.

Sources: AWS Service Authorization Reference, "Actions, resources, and condition keys
for Amazon S3"; AWS Security Token Service API Reference, "AssumeRole".
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from panneuro_hub.names import StorageLocation, find_prefix_problem, is_bucket
from panneuro_hub.wire import Grant

S3_POLICY_LIMIT = 2048
"""The longest session policy that AssumeRole accepts, in characters."""

READ_OBJECTS = ("s3:GetObject",)
"""Allowed on every prefix."""

WRITE_OBJECTS = ("s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload")
"""Actions that change objects: allowed on write prefixes, denied on frozen ones.

In a bucket with versions, each of these actions keeps the older versions.
"""

ERASE_OBJECTS = (
    "s3:DeleteObjectVersion",
    "s3:PutObjectRetention",
    "s3:BypassGovernanceRetention",
    "s3:PutObjectLegalHold",
)
"""Actions that erase versions or change their retention: never allowed, and denied by the role."""

MAINTAIN_OBJECTS = ("s3:GetObjectVersion", "s3:ListMultipartUploadParts")
"""Further actions that writing needs; they change nothing."""

LIST_READ = ("s3:ListBucket",)
"""Allowed on every prefix, through the condition on ``s3:prefix``."""

LIST_WRITE = ("s3:ListBucket", "s3:ListBucketVersions", "s3:ListBucketMultipartUploads")
"""Allowed on write prefixes, through the same condition."""

LOCATE_BUCKET = ("s3:GetBucketLocation",)
"""Allowed on every bucket that has a grant: s3fs sends this request before it writes a folder of
files, as Dask does, and would otherwise try to create the bucket. The answer is the region, which
sessions know already."""

# If a store does not set s3:prefix for one of the listings, the condition fails and the listing is
# denied: nobody can list the bucket. AWS's reference names the key for ListBucket and
# ListBucketVersions. AWS also uses the key of a missing object as s3:prefix when it chooses between
# 404 and 403, so a missing chunk gives a 404.
_PREFIX = "s3:prefix"

PolicyStatement = dict[str, Any]


def build_session_policy(grants: Sequence[Grant]) -> str:
    """Return the session policy for these grants.

    If one grant lies inside another, the longer one decides: a read grant inside a write grant
    takes the right to write away. If two grants have the same prefix, read decides.

    Parameters
    ----------
    grants : sequence of Grant
        Without grants, the policy denies everything.

    Returns
    -------
    str
        Compact JSON, the same for the same grants in any order.

    Raises
    ------
    ValueError
        If a grant's prefix is not a plain prefix, or if a grant to write lies inside a frozen
        prefix, which no policy can express.
    """
    reads = _places(grants, "read")
    writes = _places(grants, "write") - reads
    frozen = {place for place in reads if any(outer.contains(place) for outer in writes)}
    if any(outer.contains(place) for outer in frozen for place in writes):
        raise ValueError("a grant to write lies inside a frozen prefix; ask for fewer grants")
    outer_writes = _outermost(writes)
    outer_reads = [place for place in _outermost(reads | writes) if place in reads]
    # A read grant that covers a write grant does not take away its listing and writing.
    statements = [
        *_allowed(READ_OBJECTS, outer_reads),
        *_allowed(READ_OBJECTS + WRITE_OBJECTS + MAINTAIN_OBJECTS, outer_writes),
        *_on_buckets(LIST_READ, outer_reads),
        *_on_buckets(LIST_WRITE, outer_writes),
        *_located(reads | writes),
        *_denied(_outermost(frozen)),
    ]
    if not statements:
        statements = [{"Effect": "Deny", "Action": "*", "Resource": "*"}]
    document = {"Version": "2012-10-17", "Statement": statements}
    return json.dumps(document, separators=(",", ":"), ensure_ascii=True)


def _places(grants: Iterable[Grant], mode: str) -> set[StorageLocation]:
    return {_check_location(grant) for grant in grants if grant.mode == mode}


def _check_location(grant: Grant) -> StorageLocation:
    """Return the location of a grant if its text is safe inside a pattern."""
    place = grant.location
    if place.scheme != "s3" or not is_bucket(place.bucket):
        raise ValueError(f"{grant.prefix!r} is not a prefix in an S3 bucket")
    problem = find_prefix_problem(place.key)
    if problem:
        raise ValueError(f"no policy for {grant.prefix!r}: {problem}")
    return place


def _outermost(places: Iterable[StorageLocation]) -> list[StorageLocation]:
    """Return the places that lie inside no other place, in order."""
    every = set(places)
    return sorted(
        place
        for place in every
        if not any(outer.contains(place) for outer in every if outer != place)
    )


def _allowed(actions: Sequence[str], places: Sequence[StorageLocation]) -> list[PolicyStatement]:
    return _on_objects("Allow", actions, [f"{place.bucket}/{place.key}*" for place in places])


def _denied(frozen: Sequence[StorageLocation]) -> list[PolicyStatement]:
    # A store may check a key as it is written and fold it only afterwards: SeaweedFS does so when
    # it deletes a batch, and treated p//frozen/x as p/frozen/x.
    folded = sorted({f"{place.bucket}/*//*" for place in frozen})
    below = [f"{place.bucket}/{place.key}*" for place in frozen]
    return _on_objects("Deny", WRITE_OBJECTS, below + folded)


def _on_objects(
    effect: str, actions: Sequence[str], patterns: Sequence[str]
) -> list[PolicyStatement]:
    if not patterns:
        return []
    resources = [f"arn:aws:s3:::{pattern}" for pattern in patterns]
    return [{"Effect": effect, "Action": _short(actions), "Resource": _short(resources)}]


def _on_buckets(actions: Sequence[str], places: Sequence[StorageLocation]) -> list[PolicyStatement]:
    return [
        {
            "Effect": "Allow",
            "Action": _short(actions),
            "Resource": f"arn:aws:s3:::{bucket}",
            "Condition": {
                "StringLike": {
                    _PREFIX: _short([f"{place.key}*" for place in places if place.bucket == bucket])
                }
            },
        }
        for bucket in sorted({place.bucket for place in places})
    ]


def _located(places: Iterable[StorageLocation]) -> list[PolicyStatement]:
    buckets = sorted({f"arn:aws:s3:::{place.bucket}" for place in places})
    if not buckets:
        return []
    return [{"Effect": "Allow", "Action": _short(LOCATE_BUCKET), "Resource": _short(buckets)}]


def _short(values: Sequence[str]) -> str | list[str]:
    """Return a single value without a list, as policies allow, to save characters."""
    return values[0] if len(values) == 1 else list(values)
