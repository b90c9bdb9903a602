"""The roles that a collaboration's stores need in AWS: who may assume them, and for what.

The service assumes the *data role*, each time with a session policy: a session may do what both
allow. The role may therefore do everything that any session policy of this package can allow, on
the objects of its buckets, and nothing that changes a bucket.

The *service role* is the identity of the service's own pods, if EKS gives them one (IAM roles
for service accounts). It may only assume the data roles.

Sources: AWS Identity and Access Management User Guide, "IAM JSON policy elements" and
"Roles terms and concepts"; Amazon EKS User Guide, "IAM roles for service accounts".
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from panneuro_hub.collaboration.models import Collaboration, Store
from panneuro_hub.policy.session_policy import (
    ERASE_OBJECTS,
    LIST_WRITE,
    LOCATE_BUCKET,
    MAINTAIN_OBJECTS,
    READ_OBJECTS,
    WRITE_OBJECTS,
)

SERVICE_ACCOUNT = "panneuro"
"""The Kubernetes service account of the service's pods, as the manifests in deploy/ name it."""

PolicyDocument = dict[str, Any]

_ROLE = re.compile(
    r"arn:(?P<partition>aws[a-z-]*):iam::(?P<account>[0-9]{12}):role"
    r"(?P<path>/(?:[A-Za-z0-9_+=,.@-]+/)*)(?P<name>[A-Za-z0-9_+=,.@-]{1,64})"
)
_PRINCIPAL = re.compile(r"arn:aws[a-z-]*:iam::[0-9]{12}:(?:user|role)/[A-Za-z0-9_+=,.@/-]{1,512}")
_PROVIDER = re.compile(
    r"arn:(?P<partition>aws[a-z-]*):iam::(?P<account>[0-9]{12}):oidc-provider/"
    r"(?P<issuer>[A-Za-z0-9.-]+(?:/[A-Za-z0-9._-]+)*)"
)
_NAMESPACE = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
# AWS accepts no less, and no more for a role that another role assumes.
_LEAST_SESSION = timedelta(hours=1)


@dataclass(frozen=True)
class AwsRole:
    """A role, as an administrator of the account creates it.

    Parameters
    ----------
    arn, path, name : str
    purpose : str
        For people: the comment above it.
    trust, permissions : dict
        The trust policy, and the one permissions policy.
    max_session : timedelta
        The longest session that the role allows.
    """

    arn: str
    path: str
    name: str
    purpose: str
    trust: PolicyDocument
    permissions: PolicyDocument
    max_session: timedelta

    def to_json(self) -> PolicyDocument:
        """Return the role as a JSON object, with the longest session in seconds."""
        return {
            "arn": self.arn,
            "name": self.name,
            "path": self.path,
            "max_session_duration": int(self.max_session.total_seconds()),
            "trust_policy": self.trust,
            "permissions_policy": self.permissions,
        }


@dataclass(frozen=True)
class ServiceIdentity:
    """The identity of the service at AWS.

    Parameters
    ----------
    principal : str
        ARN of the user or role whose keys the service has.
    provider : str or None
        ARN of the Kubernetes cluster's OpenID Connect provider, if the service's pods become
        `principal` through their service account.
    namespace : str or None
        The Kubernetes namespace of these pods.

    Raises
    ------
    ValueError
        If one of them is invalid; the text says which one, and how to write it.
    """

    principal: str
    provider: str | None = None
    namespace: str | None = None

    def __post_init__(self) -> None:
        if not _PRINCIPAL.fullmatch(self.principal):
            raise ValueError(
                f"{self.principal!r} is not one user or role; write it whole: "
                "arn:aws:iam::123456789012:role/PanNeuroService"
            )
        if self.provider is None:
            return
        if not _PROVIDER.fullmatch(self.provider):
            raise ValueError(
                f"{self.provider!r} is not an OpenID Connect provider; write it whole: arn:aws:iam"
                "::123456789012:oidc-provider/oidc.eks.us-west-2.amazonaws.com/id/EXAMPLE"
            )
        if not _ROLE.fullmatch(self.principal):
            raise ValueError(
                f"{self.principal!r} is a user; pods become a role by an OpenID Connect provider"
            )
        if not _NAMESPACE.fullmatch(self.namespace or ""):
            raise ValueError(
                f"{self.namespace!r} is not a Kubernetes namespace; name the service's"
            )


def build_roles(collaboration: Collaboration, service: ServiceIdentity) -> tuple[AwsRole, ...]:
    """Return every role that the collaboration needs in AWS, the service's own first.

    Parameters
    ----------
    collaboration : Collaboration
        Stores with an `endpoint_url` or `sts_endpoint_url` are not in AWS and get no role.
    service : ServiceIdentity

    Raises
    ------
    ValueError
        If no store is in AWS, or if a `role_arn` is not that of a role there.
    """
    stores: dict[str, list[tuple[str, Store]]] = {}
    for name, store in collaboration.stores.items():
        if not (store.endpoint_url or store.sts_endpoint_url):
            stores.setdefault(store.role_arn, []).append((name, store))
    if not stores:
        raise ValueError("no store of this collaboration is in AWS: all have an endpoint_url")
    data_roles = tuple(
        _build_data_role(arn, role_stores, service) for arn, role_stores in stores.items()
    )
    if service.provider is None:
        return data_roles
    arns = [role.arn for role in data_roles]
    return (_build_service_role(service, service.provider, arns), *data_roles)


def build_data_permissions(buckets: Iterable[str]) -> PolicyDocument:
    """Return the permissions of a data role: all that a session policy can allow on these buckets.

    Old versions of objects are the collaboration's backup. The role denies every action that
    could erase them, so no other policy that somebody gives the role can allow it.
    """
    arns = [f"arn:aws:s3:::{bucket}" for bucket in sorted(set(buckets))]
    return _policy(
        {
            "Sid": "Objects",
            "Effect": "Allow",
            "Action": sorted({*READ_OBJECTS, *WRITE_OBJECTS, *MAINTAIN_OBJECTS}),
            "Resource": [f"{arn}/*" for arn in arns],
        },
        {
            "Sid": "Listings",
            "Effect": "Allow",
            "Action": sorted({*LIST_WRITE, *LOCATE_BUCKET}),
            "Resource": arns,
        },
        {
            "Sid": "Versions",
            "Effect": "Deny",
            "Action": sorted(ERASE_OBJECTS),
            "Resource": [f"{arn}/*" for arn in arns],
        },
    )


def format_shell_commands(roles: Sequence[AwsRole]) -> str:
    """Return commands of the AWS command line that create the roles, for a person to review."""
    lines = ["# Read this, then run it as an administrator of the account."]
    for role in roles:
        lines += [
            "",
            f"# {role.purpose}",
            f"aws iam create-role --role-name '{role.name}' --path '{role.path}' "
            f"--max-session-duration {int(role.max_session.total_seconds())} "
            f"--assume-role-policy-document {_quote_document(role.trust)}",
            f"aws iam put-role-policy --role-name '{role.name}' --policy-name panneuro "
            f"--policy-document {_quote_document(role.permissions)}",
        ]
    return "\n".join(lines)


def _build_data_role(
    arn: str, stores: Sequence[tuple[str, Store]], service: ServiceIdentity
) -> AwsRole:
    parts = _ROLE.fullmatch(arn)
    names = ", ".join(name for name, _ in stores)
    if parts is None:
        raise ValueError(
            f"{arn!r}, of store {names}, is not a role of an AWS account; write it whole: "
            "arn:aws:iam::123456789012:role/PanNeuroData"
        )
    longest = max(store.credential_lifetime for _, store in stores)
    if longest > _LEAST_SESSION and _ROLE.fullmatch(service.principal):
        raise ValueError(
            f"the credential_lifetime of store {names} is more than an hour, which is the most "
            "that AWS allows if a role assumes the role; set it to 1h or less"
        )
    return AwsRole(
        arn=arn,
        path=parts["path"],
        name=parts["name"],
        purpose=f"What the service assumes for every session: store {names}",
        trust=_policy(
            {
                "Effect": "Allow",
                "Principal": {"AWS": service.principal},
                "Action": "sts:AssumeRole",
            }
        ),
        permissions=build_data_permissions(store.bucket for _, store in stores),
        max_session=max(longest, _LEAST_SESSION),
    )


def _build_service_role(
    service: ServiceIdentity, provider: str, data_role_arns: Sequence[str]
) -> AwsRole:
    parts, issuer = _ROLE.fullmatch(service.principal), _PROVIDER.fullmatch(provider)
    if parts is None or issuer is None:
        raise ValueError("a service role needs a role and a provider")
    account = f"system:serviceaccount:{service.namespace}:{SERVICE_ACCOUNT}"
    return AwsRole(
        arn=service.principal,
        path=parts["path"],
        name=parts["name"],
        purpose=f"Who the service's pods are (service account {service.namespace}/"
        f"{SERVICE_ACCOUNT}); all that it may do is assume the roles below",
        trust=_policy(
            {
                "Effect": "Allow",
                "Principal": {"Federated": provider},
                "Action": "sts:AssumeRoleWithWebIdentity",
                "Condition": {
                    "StringEquals": {
                        f"{issuer['issuer']}:sub": account,
                        f"{issuer['issuer']}:aud": "sts.amazonaws.com",
                    }
                },
            }
        ),
        permissions=_policy(
            {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": sorted(data_role_arns)}
        ),
        max_session=_LEAST_SESSION,
    )


def _policy(*statements: PolicyDocument) -> PolicyDocument:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def _quote_document(document: PolicyDocument) -> str:
    """Return a document as one word of a shell.

    The patterns above allow no quotes, so a quote here is an attack or a mistake.
    """
    text = json.dumps(document, indent=2)
    if "'" in text:
        raise ValueError("a policy contains a quote, and no valid name has one")
    return f"'{text}'"
