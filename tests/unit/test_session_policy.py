from __future__ import annotations

import json
import random
from collections.abc import Callable
from datetime import datetime

import pytest
from collaborations import PROJECTS, collaborations, moments, people
from hypothesis import given
from hypothesis import strategies as st
from policy_evaluator import (
    Request,
    allows,
    may_list,
    may_read,
    may_read_versions,
    may_write,
)

from panneuro_hub.access import Person, check_path, decide_access
from panneuro_hub.collaboration import Collaboration
from panneuro_hub.policy import S3_POLICY_LIMIT, build_session_policy
from panneuro_hub.wire import Grant

LISTINGS = ("s3:ListBucket", "s3:ListBucketVersions", "s3:ListBucketMultipartUploads")


def read(prefix: str) -> Grant:
    return Grant(prefix, "read", (), "p")


def write(prefix: str) -> Grant:
    return Grant(prefix, "write", (), "p")


TEAM_A = build_session_policy([write("s3://lab/teamA/"), read("s3://lab/stimuli/")])


@pytest.mark.parametrize(
    ("key", "reads", "writes"),
    [
        ("teamA/x", True, True),
        ("teamA/", True, True),
        ("teamA/deep/er/x", True, True),
        ("teamA", False, False),
        ("teamAB/x", False, False),
        ("team", False, False),
        ("x/teamA/x", False, False),
        ("stimuli/x", True, False),
        ("stimuli2/x", False, False),
    ],
)
def test_objects(key: str, reads: bool, writes: bool) -> None:
    assert may_read(TEAM_A, "lab", key) == reads
    assert may_write(TEAM_A, "lab", key) == writes
    assert not may_read(TEAM_A, "lab2", key)


@pytest.mark.parametrize(
    ("prefix", "listed"),
    [
        ("teamA/", True),
        ("teamA/deep/er", True),
        ("stimuli/", True),
        ("teamA", False),
        ("teamAB/", False),
        ("team", False),
        ("", False),
        (None, False),
        ("/", False),
        ("*", False),
    ],
)
def test_listing_is_inside_the_prefixes_only(prefix: str | None, listed: bool) -> None:
    assert may_list(TEAM_A, "lab", prefix) == listed
    assert not may_list(TEAM_A, "lab2", prefix)


def test_versions_and_uploads_are_listed_where_one_writes() -> None:
    for action in LISTINGS:
        assert may_list(TEAM_A, "lab", "teamA/", action)
        assert not may_list(TEAM_A, "lab", "", action)
        assert not may_list(TEAM_A, "lab", "teamAB/", action)
    for action in LISTINGS[1:]:
        assert not may_list(TEAM_A, "lab", "stimuli/", action)


def test_older_versions_are_read_where_one_writes_and_erased_nowhere() -> None:
    policy = build_session_policy(
        [write("s3://lab/a/"), read("s3://lab/a/done/"), read("s3://lab/b/")]
    )
    assert may_read_versions(policy, "lab", "a/x")
    for key in ("b/x", "ab/x", "c/x", "a"):
        assert not may_read_versions(policy, "lab", key)
    for key in ("a/x", "a/done/x", "b/x", "c/x"):
        arn = f"arn:aws:s3:::lab/{key}"
        assert not allows(policy, Request("s3:DeleteObjectVersion", arn))


def test_a_parent_is_not_listed() -> None:
    policy = build_session_policy([write("s3://lab/labs/a/")])
    assert may_list(policy, "lab", "labs/a/")
    for prefix in ("labs/", "labs", "labs/a", "labs/ab/"):
        assert not may_list(policy, "lab", prefix)


@pytest.mark.parametrize(
    "action",
    [
        "s3:PutObjectAcl",
        "s3:PutObjectTagging",
        *("s3:DeleteObjectVersion", "s3:PutObjectRetention", "s3:BypassGovernanceRetention"),
        *("s3:PutObjectLegalHold", "s3:RestoreObject", "s3:PutObjectVersionTagging"),
        *("s3:PutBucketVersioning", "s3:PutBucketObjectLockConfiguration"),
        "s3:PutBucketPolicy",
        "s3:DeleteBucket",
        "s3:GetBucketPolicy",
        "s3:PutLifecycleConfiguration",
        "s3:ListAllMyBuckets",
        "sts:AssumeRole",
        "iam:CreateUser",
    ],
)
def test_nothing_about_buckets_acls_or_other_services(action: str) -> None:
    for resource in ("arn:aws:s3:::lab", "arn:aws:s3:::lab/teamA/x", "*"):
        assert not allows(TEAM_A, Request(action, resource, "teamA/"))


def test_of_a_bucket_with_a_grant_the_region_is_known() -> None:
    def locates(policy: str, bucket: str) -> bool:
        return allows(policy, Request("s3:GetBucketLocation", f"arn:aws:s3:::{bucket}", None))

    policy = build_session_policy([write("s3://one/a/"), read("s3://two/b/")])
    assert locates(policy, "one")
    assert locates(policy, "two")
    assert not locates(policy, "three")
    assert not locates(build_session_policy([]), "one")


def test_every_action_is_spelt_out() -> None:
    for statement in json.loads(TEAM_A)["Statement"]:
        actions = statement["Action"]
        for action in [actions] if isinstance(actions, str) else actions:
            assert "*" not in action


def test_each_bucket_is_listed_in_its_own_prefixes_only() -> None:
    policy = build_session_policy([write("s3://one/a/"), write("s3://two/b/")])
    assert may_list(policy, "one", "a/")
    assert may_list(policy, "two", "b/")
    assert not may_list(policy, "one", "b/")
    assert not may_list(policy, "two", "a/")


def test_a_frozen_place_inside() -> None:
    policy = build_session_policy([write("s3://lab/a/"), read("s3://lab/a/done/")])
    assert may_read(policy, "lab", "a/done/x")
    assert not may_write(policy, "lab", "a/done/x")
    assert may_list(policy, "lab", "a/done/")
    assert may_write(policy, "lab", "a/done-not/x")
    assert may_write(policy, "lab", "a/done")


def test_read_decides_where_one_prefix_is_both() -> None:
    policy = build_session_policy([write("s3://lab/a/"), read("s3://lab/a/")])
    assert may_read(policy, "lab", "a/x")
    assert not may_write(policy, "lab", "a/x")


def test_a_place_to_write_inside_one_to_read() -> None:
    policy = build_session_policy([read("s3://lab/a/"), write("s3://lab/a/mine/")])
    assert may_write(policy, "lab", "a/mine/x")
    assert may_read(policy, "lab", "a/x")
    assert not may_write(policy, "lab", "a/x")
    assert may_list(policy, "lab", "a/mine/", "s3:ListBucketMultipartUploads")


def test_a_place_to_write_inside_a_frozen_one_cannot_be_said() -> None:
    grants = [write("s3://lab/a/"), read("s3://lab/a/b/"), write("s3://lab/a/b/c/")]
    with pytest.raises(ValueError, match="inside a frozen prefix"):
        build_session_policy(grants)


def test_without_grants_everything_is_denied() -> None:
    policy = build_session_policy([])
    statements = json.loads(policy)["Statement"]
    assert statements == [{"Effect": "Deny", "Action": "*", "Resource": "*"}]
    assert not may_list(policy, "lab", "")


def test_compact_and_the_same_in_any_order() -> None:
    grants = [
        write("s3://lab/teamA/"),
        read("s3://lab/stimuli/"),
        read("s3://lab/teamA/done/"),
        write("s3://other/teamA/"),
        read("s3://lab/stimuli/"),
    ]
    policy = build_session_policy(grants)
    assert " " not in policy
    assert policy.isascii()
    for seed in range(5):
        shuffled = random.Random(seed).sample(grants, len(grants))
        assert build_session_policy(shuffled) == policy
    assert may_write(policy, "other", "teamA/x")
    assert not may_read(policy, "other", "stimuli/x")
    assert not may_list(policy, "other", "stimuli/")


@pytest.mark.parametrize(
    "prefix",
    [
        "s3://lab/*/",
        "s3://lab/a?/",
        "s3://lab/${aws:username}/",
        "s3://lab/a",
        "s3://la*/a/",
        "s3://lab/a/../b/",
        "gs://lab/a/",
        "lab/a/",
        "s3://lab/",
    ],
)
def test_nothing_comes_alive_in_a_policy(prefix: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        build_session_policy([read(prefix)])


@given(collaborations(), people, st.sampled_from(list(PROJECTS)), moments, st.data())
def test_the_policy_is_what_judge_says(
    collaboration: Collaboration, person: Person, project: str, now: datetime, data: st.DataObject
) -> None:
    access = decide_access(collaboration, person, project, now)
    policy = build_session_policy(access.grants)
    prefixes = ["scratch/"] + [
        prefix for each in collaboration.projects.values() for prefix in (each.prefix, *each.frozen)
    ]
    prefixes += [grant.location.key for grant in access.grants]
    for prefix in prefixes:
        tail = data.draw(st.sampled_from(["", "x", "b/x", "done/x", "x/y/", "*", "?x"]))
        for key in (prefix + tail, prefix[:-1] + tail or "x"):
            verdict = check_path(collaboration, access, f"s3://lab/{key}")
            assert may_read(policy, "lab", key) == verdict.read, key
            assert may_write(policy, "lab", key) == verdict.write, key
            assert may_read_versions(policy, "lab", key) <= verdict.read, key
            inside = any(key.startswith(grant.location.key) for grant in access.grants)
            assert may_list(policy, "lab", key) == inside, key


@pytest.mark.parametrize(
    ("name", "person", "project"),
    [
        ("manage", Person.of("ann", ["navigation-lab"]), "nhp-navigation"),
        ("read", Person.of("Theo Read", ["theory-lab"]), "nhp-navigation"),
        (
            "frozen",
            Person.of("hana@uni.example", ["human-lab", "human-subjects-trained"]),
            "human-intracranial",
        ),
        ("core", Person.of("dora", ["data-science-core"]), "shared-stimuli"),
        ("nobody", Person.of("nobody", []), "nhp-navigation"),
    ],
)
def test_policies_of_the_example(
    example: Collaboration,
    now: datetime,
    golden: Callable[[str, str], None],
    name: str,
    person: Person,
    project: str,
) -> None:
    policy = build_session_policy(decide_access(example, person, project, now).grants)
    assert len(policy) <= S3_POLICY_LIMIT
    # Pretty in the file, for people who review it; the order is what is sent.
    golden(f"policy-{name}.json", json.dumps(json.loads(policy), indent=1) + "\n")
