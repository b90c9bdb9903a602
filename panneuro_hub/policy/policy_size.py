"""Find projects whose session policy would be too long, before a session needs the policy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from panneuro_hub.access import decide_widest_access
from panneuro_hub.access.level import list_level_rules
from panneuro_hub.access.project_locations import find_location
from panneuro_hub.collaboration.models import Collaboration
from panneuro_hub.policy.session_policy import S3_POLICY_LIMIT, build_session_policy
from panneuro_hub.wire import Grant

_SHOWN = 5


def review_policy_sizes(
    collaboration: Collaboration,
) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Report each project whose longest policy is too long, with the grants that make it long.

    Yields
    ------
    tuple of (key path, message)
        As `panneuro_hub.collaboration.load_file` expects them from a check.
    """
    for project in collaboration.projects:
        grants = find_longest_grants(collaboration, project)
        length = len(build_session_policy(grants))
        if length > S3_POLICY_LIMIT:
            shares = sorted(_shares(grants, length), reverse=True)
            longest = ", ".join(f"{prefix} ({share})" for share, prefix in shares[:_SHOWN])
            yield (
                ("projects", project),
                f"a session here would need a policy of {length} characters, and the store takes "
                f"{S3_POLICY_LIMIT} at most; the longest grants are {longest}; use shorter "
                "prefixes, or fewer `reads` and `frozen`",
            )


def find_longest_grants(collaboration: Collaboration, project: str) -> tuple[Grant, ...]:
    """Return the grants of the longest policy that a session of the project can need."""
    widest = decide_widest_access(collaboration, project).grants
    if all(rule.level != "read" for rule in list_level_rules(collaboration.projects[project])):
        return widest
    # A reader needs a statement for the project's prefix that a writer does not need: for a
    # writer, one statement covers the prefix and the scratch prefix.
    own = find_location(collaboration, project).uri
    reader = tuple(
        replace(grant, mode="read") if grant.prefix == own else grant for grant in widest
    )
    return max(widest, reader, key=lambda grants: len(build_session_policy(grants)))


def _shares(grants: tuple[Grant, ...], length: int) -> Iterator[tuple[int, str]]:
    """Yield how many characters shorter the policy would be without each grant."""
    for grant in grants:
        others = [other for other in grants if other is not grant]
        yield length - len(build_session_policy(others)), grant.prefix
