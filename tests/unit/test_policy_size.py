from __future__ import annotations

from collaborations import changed

from panneuro_hub.access import widest_access
from panneuro_hub.collaboration import Collaboration
from panneuro_hub.policy import S3_POLICY_LIMIT, review, session_policy


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
    assert list(review(example)) == []


def test_what_is_too_long_is_named_with_what_makes_it_so(example: Collaboration) -> None:
    collaboration = reading(example, 6, "collaborators/" + "x" * 100)
    length = len(session_policy(widest_access(collaboration, "nhp-navigation").grants))
    assert length > S3_POLICY_LIMIT
    [(path, message)] = review(collaboration)
    assert path == ("projects", "nhp-navigation")
    assert message.startswith(
        f"a session here would need a policy of {length} characters, and the store takes 2048 at "
        "most; the longest grants are s3://learning-circuits/collaborators/xxx"
    )
    assert message.endswith("; use shorter prefixes, or fewer `reads` and `frozen`")
    shares = [int(part.split(")")[0]) for part in message.split("/ (")[1:]]
    assert shares == sorted(shares, reverse=True)
    assert len(shares) == 5


def test_the_limit_itself_is_allowed(example: Collaboration) -> None:
    # Each character of a prefix stands in the policy twice: once to reach, once to list.
    collaboration = reading(example, 6, "c")
    missing = S3_POLICY_LIMIT - len(
        session_policy(widest_access(collaboration, "nhp-navigation").grants)
    )
    assert missing > 0

    def lengthen(document: dict, by: int) -> None:
        document["projects"]["other-0"]["prefix"] = "c" * (1 + by) + "0/"

    fits = changed(collaboration, lambda document: lengthen(document, missing // 2))
    assert list(review(fits)) == []
    over = changed(collaboration, lambda document: lengthen(document, missing // 2 + 1))
    assert [path for path, _ in review(over)] == [("projects", "nhp-navigation")]
