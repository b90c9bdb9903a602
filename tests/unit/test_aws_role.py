"""The roles in AWS: enough for every session that there can be, and no more."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from collaborations import changed, collaborations
from hypothesis import given
from policy_evaluator import Request, allows

from panneuro_hub.access import decide_widest_access
from panneuro_hub.cli import main
from panneuro_hub.collaboration import Collaboration, load_file
from panneuro_hub.policy import build_session_policy
from panneuro_hub.policy.aws_roles import (
    ServiceIdentity,
    build_data_permissions,
    build_roles,
    format_shell_commands,
)

pytestmark = pytest.mark.slow

GOLDEN = Path(__file__).parent.parent / "data" / "golden"
SERVICE = "arn:aws:iam::123456789012:role/PanNeuroService"
USER = "arn:aws:iam::123456789012:user/panneuro"
PROVIDER = "arn:aws:iam::123456789012:oidc-provider/oidc.eks.us-west-2.amazonaws.com/id/EXAMPLE"
PODS = ServiceIdentity(SERVICE, PROVIDER, "panneuro")
BUCKET = "arn:aws:s3:::learning-circuits"


@pytest.fixture
def collaboration(example_file: Path) -> Collaboration:
    return load_file(example_file)


def store(**values: Any) -> Callable[[dict[str, Any]], object]:
    """A change of the example's one store."""
    return lambda document: document["stores"]["main"].update(values)


def test_the_whole_of_it(collaboration: Collaboration) -> None:
    assert (
        f"{format_shell_commands(build_roles(collaboration, PODS))}\n"
        == (GOLDEN / "aws-role.sh").read_text()
    )


def requests(policy: str) -> Iterator[Request]:
    """Everything that the policy's Allow statements name, with something for every ``*``."""

    def listed(value: str | list[str]) -> list[str]:
        return [value] if isinstance(value, str) else value

    for statement in json.loads(policy)["Statement"]:
        if statement["Effect"] != "Allow":
            continue
        prefixes = listed(statement.get("Condition", {}).get("StringLike", {}).get("s3:prefix", ""))
        for action in listed(statement["Action"]):
            for resource in listed(statement["Resource"]):
                for prefix in prefixes:
                    yield Request(action, resource.replace("*", "a/b.c"), prefix)


@given(collaborations())
def test_the_role_allows_whatever_a_session_policy_can_say(collaboration: Collaboration) -> None:
    role = json.dumps(
        build_data_permissions(store.bucket for store in collaboration.stores.values())
    )
    for project in collaboration.projects:
        session = build_session_policy(decide_widest_access(collaboration, project).grants)
        for request in requests(session):
            assert allows(session, request)
            assert allows(role, request), request


def test_the_example_asks_for_something(collaboration: Collaboration) -> None:
    session = build_session_policy(decide_widest_access(collaboration, "nhp-navigation").grants)
    assert {"s3:GetObject", "s3:PutObject", "s3:ListBucket"} <= {
        request.action for request in requests(session)
    }


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("s3:PutBucketPolicy", BUCKET),
        ("s3:PutBucketVersioning", BUCKET),
        ("s3:PutLifecycleConfiguration", BUCKET),
        ("s3:DeleteBucket", BUCKET),
        ("s3:PutObjectAcl", f"{BUCKET}/a"),
        ("s3:BypassGovernanceRetention", f"{BUCKET}/a"),
        ("s3:DeleteObjectVersion", f"{BUCKET}/a"),
        ("s3:PutObjectRetention", f"{BUCKET}/a"),
        ("s3:ListAllMyBuckets", "arn:aws:s3:::*"),
        ("s3:GetObject", f"{BUCKET}-2/a"),
        ("s3:GetObject", "arn:aws:s3:::another/a"),
        ("sts:AssumeRole", "arn:aws:iam::000000000000:role/PanNeuroData"),
        ("iam:PassRole", "arn:aws:iam::000000000000:role/PanNeuroData"),
    ],
)
def test_nothing_else_is_allowed(collaboration: Collaboration, action: str, resource: str) -> None:
    (_, data) = build_roles(collaboration, PODS)
    assert not allows(json.dumps(data.permissions), Request(action, resource, ""))


def test_only_the_service_may_assume_the_data_role(collaboration: Collaboration) -> None:
    (data,) = build_roles(collaboration, ServiceIdentity(USER))
    (statement,) = data.trust["Statement"]
    assert statement == {
        "Effect": "Allow",
        "Principal": {"AWS": USER},
        "Action": "sts:AssumeRole",
    }


def test_stores_that_share_a_role_share_its_policy(collaboration: Collaboration) -> None:
    def second(document: dict[str, Any]) -> None:
        document["stores"]["cold"] = {**document["stores"]["main"], "bucket": "archive"}

    (data,) = build_roles(changed(collaboration, second), ServiceIdentity(USER))
    objects, listings, versions = data.permissions["Statement"]
    assert versions["Resource"] == objects["Resource"]
    assert objects["Resource"] == ["arn:aws:s3:::archive/*", f"{BUCKET}/*"]
    assert listings["Resource"] == ["arn:aws:s3:::archive", BUCKET]
    assert "cold" in data.purpose
    assert "main" in data.purpose


def test_a_role_allows_sessions_as_long_as_the_store_asks_for(collaboration: Collaboration) -> None:
    long = changed(collaboration, store(credential_lifetime="12h"))
    (data,) = build_roles(long, ServiceIdentity(USER))
    assert data.to_json()["max_session_duration"] == 12 * 3600
    with pytest.raises(ValueError, match="more than an hour"):
        build_roles(long, PODS)


def test_a_role_may_have_a_path_and_a_name_with_a_dot(collaboration: Collaboration) -> None:
    arn = "arn:aws:iam::123456789012:role/lab/u19/PanNeuro.Data"
    (data,) = build_roles(changed(collaboration, store(role_arn=arn)), ServiceIdentity(USER))
    assert (data.path, data.name) == ("/lab/u19/", "PanNeuro.Data")


@pytest.mark.parametrize(
    "principal",
    [
        "*",
        "arn:aws:iam::123456789012:root",  # everybody in the account
        "arn:aws:iam::123456789012:role/*",
        "arn:aws:sts::123456789012:assumed-role/PanNeuroService/x",
        "PanNeuroService",
        "arn:aws:iam::123456789012:role/x'; id; '",
        "arn:aws:iam::12345678901:role/short",
        "",
    ],
)
def test_who_is_not_one_user_or_role_is_refused(principal: str) -> None:
    with pytest.raises(ValueError, match="write it whole"):
        ServiceIdentity(principal)


@pytest.mark.parametrize(
    ("provider", "namespace", "said"),
    [
        ("https://oidc.eks.us-west-2.amazonaws.com/id/EXAMPLE", "panneuro", "write it whole"),
        (f"{PROVIDER}*", "panneuro", "write it whole"),
        (PROVIDER, "*", "not a Kubernetes namespace"),
        (PROVIDER, "", "not a Kubernetes namespace"),
        (PROVIDER, None, "not a Kubernetes namespace"),
    ],
)
def test_a_service_account_that_is_not_named_whole_is_refused(
    provider: str, namespace: str | None, said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        ServiceIdentity(SERVICE, provider, namespace)


def test_pods_cannot_become_a_user() -> None:
    with pytest.raises(ValueError, match="is a user"):
        ServiceIdentity(USER, PROVIDER, "panneuro")


def test_no_other_policy_of_the_role_lets_it_erase_versions(collaboration: Collaboration) -> None:
    (data,) = build_roles(collaboration, ServiceIdentity(USER))
    everything = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    both = {**data.permissions, "Statement": [*data.permissions["Statement"], everything]}
    for action, allowed in (("s3:PutObject", True), ("s3:DeleteObjectVersion", False)):
        assert allows(json.dumps(both), Request(action, f"{BUCKET}/a", "")) == allowed


@pytest.mark.parametrize("arn", ["arn:aws:iam::000000000000:user/x", "role/PanNeuroData"])
def test_a_store_without_a_role_in_aws_is_told(collaboration: Collaboration, arn: str) -> None:
    wrong = changed(collaboration, store(role_arn=arn))
    with pytest.raises(ValueError, match=r"of store main, is not a role"):
        build_roles(wrong, ServiceIdentity(USER))


# -- the command ----------------------------------------------------------------------------


def run(file: Path, *options: str) -> Result:
    return CliRunner().invoke(main, ["aws-role", str(file), *options])


def test_the_commands_give_aws_what_the_json_says(example_file: Path, tmp_path: Path) -> None:
    options = ("--principal", SERVICE, "--oidc-provider", PROVIDER, "--namespace", "panneuro")
    script = run(example_file, *options)
    document = run(example_file, *options, "--format", "json")
    assert script.exit_code == document.exit_code == 0
    aws = tmp_path / "aws"
    aws.write_text('#!/bin/sh\nprintf "%s\\0" "$@" >>"$CALLS"; printf "\\n\\0" >>"$CALLS"\n')
    aws.chmod(0o755)
    calls = tmp_path / "calls"
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "CALLS": str(calls)}
    subprocess.run(["bash", "-eu"], input=script.stdout, text=True, check=True, env=environment)
    given_to_aws = [call.split("\0")[:-1] for call in calls.read_text().split("\n\0")[:-1]]
    expected = []
    for role in json.loads(document.stdout)["roles"]:
        expected += [
            [
                *("iam", "create-role", "--role-name", role["name"], "--path", role["path"]),
                *("--max-session-duration", str(role["max_session_duration"])),
                *("--assume-role-policy-document", role["trust_policy"]),
            ],
            [
                *("iam", "put-role-policy", "--role-name", role["name"]),
                *("--policy-name", "panneuro", "--policy-document", role["permissions_policy"]),
            ],
        ]
    assert [[*call[:-1], json.loads(call[-1])] for call in given_to_aws] == expected


def test_a_broken_file_is_told_as_by_check(tmp_path: Path) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_text("name: x\n")
    result = run(broken, "--principal", USER)
    assert result.exit_code == 1
    assert "broken.yaml" in result.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "--principal"),
        (("--principal", "*"), "is not one user or role"),
        (("--principal", SERVICE, "--namespace", "panneuro"), "go together"),
        (("--principal", SERVICE, "--oidc-provider", PROVIDER), "go together"),
    ],
)
def test_wrong_options_are_told(example_file: Path, options: tuple[str, ...], said: str) -> None:
    result = run(example_file, *options)
    assert result.exit_code == 2
    assert said in result.stderr


def test_a_collaboration_without_aws_is_told(example_file: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "collaboration.yaml"
    text = example_file.read_text()
    elsewhere.write_text(
        text.replace("region: us-west-2", "endpoint_url: https://s3.example.org", 1)
    )
    result = run(elsewhere, "--principal", USER)
    assert result.exit_code == 2
    assert "no store of this collaboration is in AWS" in result.stderr
