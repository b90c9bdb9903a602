"""Whether every session policy of a collaboration fits, told before anybody meets it."""

from __future__ import annotations

from collections.abc import Iterator

from panneuro_hub.access import widest_access
from panneuro_hub.collaboration.models import Collaboration
from panneuro_hub.policy.s3 import S3_POLICY_LIMIT, session_policy
from panneuro_hub.wire import Grant

_SHOWN = 5


def review(collaboration: Collaboration) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Say of each project whose longest policy is too long what makes it so.

    Yields
    ------
    tuple of (key path, message)
        As `panneuro_hub.collaboration.load` takes them from a check.
    """
    for project in collaboration.projects:
        grants = widest_access(collaboration, project).grants
        length = len(session_policy(grants))
        if length > S3_POLICY_LIMIT:
            shares = sorted(_shares(grants, length), reverse=True)
            longest = ", ".join(f"{prefix} ({share})" for share, prefix in shares[:_SHOWN])
            yield (
                ("projects", project),
                f"a session here would need a policy of {length} characters, and the store takes "
                f"{S3_POLICY_LIMIT} at most; the longest grants are {longest}; use shorter "
                "prefixes, or fewer `reads` and `frozen`",
            )


def _shares(grants: tuple[Grant, ...], length: int) -> Iterator[tuple[int, str]]:
    """How many characters the policy would be shorter without each grant."""
    for grant in grants:
        others = [other for other in grants if other is not grant]
        yield length - len(session_policy(others)), grant.prefix
