from __future__ import annotations

from datetime import datetime

import pytest
from collaborations import changed

from panneuro_hub.access import Person, decide_access, decide_widest_access
from panneuro_hub.collaboration import Collaboration
from panneuro_hub.policy import (
    S3_POLICY_LIMIT,
    build_session_policy,
    policy_size,
    review_policy_sizes,
)
from panneuro_hub.policy.policy_size import find_longest_grants


def reading(collaboration: Collaboration, count: int, prefix: str) -> Collaboration:
    """`collaboration` whose nhp-navigation reads `count` more projects."""

    def read_more(document: dict) -> None:
        projects = document["projects"]
        stimuli = projects["shared-stimuli"]
        for number in range(count):
            projects[f"other-{number}"] = {**stimuli, "prefix": f"{prefix}{number}/"}
            projects["nhp-navigation"]["reads"].append(f"other-{number}")

    return changed(collaboration, read_more)


def test_the_example_fits(example: Collaboration) -> None:
    assert list(review_policy_sizes(example)) == []


def test_a_reader_can_need_the_longer_policy(example: Collaboration, now: datetime) -> None:
    # The project's prefix and the reader's scratch stand in statements of their own.
    reader = decide_access(example, Person.of("x" * 64, ["theory-lab"]), "shared-stimuli", now)
    longest = build_session_policy(find_longest_grants(example, "shared-stimuli"))
    assert build_session_policy(reader.grants) == longest
    assert len(longest) > len(
        build_session_policy(decide_widest_access(example, "shared-stimuli").grants)
    )
    writers = find_longest_grants(example, "nhp-categorization")
    assert len(build_session_policy(writers)) >= len(
        build_session_policy(decide_widest_access(example, "nhp-categorization").grants)
    )


def test_what_is_too_long_is_named_with_what_makes_it_so(example: Collaboration) -> None:
    collaboration = reading(example, 6, "collaborators/" + "x" * 100)
    length = len(build_session_policy(decide_widest_access(collaboration, "nhp-navigation").grants))
    assert length > S3_POLICY_LIMIT
    [(path, message)] = review_policy_sizes(collaboration)
    assert path == ("projects", "nhp-navigation")
    assert message.startswith(
        f"a session here would need a policy of {length} characters, and the store takes 2048 at "
        "most; the longest grants are s3://learning-circuits/collaborators/xxx"
    )
    assert message.endswith("; use shorter prefixes, or fewer `reads` and `frozen`")
    shares = [int(part.split(")")[0]) for part in message.split("/ (")[1:]]
    assert shares == sorted(shares, reverse=True)
    assert len(shares) == 5


def test_the_limit_itself_is_allowed(
    example: Collaboration, monkeypatch: pytest.MonkeyPatch
) -> None:
    length = len(build_session_policy(find_longest_grants(example, "human-intracranial")))
    monkeypatch.setattr(policy_size, "S3_POLICY_LIMIT", length)
    assert ("projects", "human-intracranial") not in [
        path for path, _ in review_policy_sizes(example)
    ]
    monkeypatch.setattr(policy_size, "S3_POLICY_LIMIT", length - 1)
    assert ("projects", "human-intracranial") in [path for path, _ in review_policy_sizes(example)]
