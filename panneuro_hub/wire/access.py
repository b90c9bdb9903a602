"""Grants, denials and the view of a session, as JSON from the service to the researcher."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from panneuro_hub.names import StorageLocation
from panneuro_hub.wire.reason import Reason, ReasonCode, read_reasons

AccessMode = Literal["read", "write"]
Action = Literal["open", "read", "write", "use", "start", "other"]
TargetKind = Literal[
    "project", "prefix", "profile", "image", "worker profile", "server", "cluster", "other"
]


@dataclass(frozen=True)
class Grant:
    """A prefix, the mode of access below it, and the reasons.

    If grants lie inside one another, the longest one that covers a key decides.

    Parameters
    ----------
    prefix : str
        ``s3://bucket/path/``, always ending in ``/``.
    mode : {"read", "write"}
        ``write`` includes reading.
    reasons : tuple of Reason
        The reasons for the grant.
    project : str
        The project whose data this is; for scratch, the session's project.
    """

    prefix: str
    mode: AccessMode
    reasons: tuple[Reason, ...]
    project: str

    @property
    def location(self) -> StorageLocation:
        """The prefix as scheme, bucket and key."""
        return StorageLocation.parse(self.prefix)

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object that `from_json` reads."""
        return {
            "prefix": self.prefix,
            "mode": self.mode,
            "project": self.project,
            "reasons": [reason.to_json() for reason in self.reasons],
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Grant:
        """Read what `to_json` wrote, or what earlier versions wrote."""
        return cls(
            document["prefix"], document["mode"], read_reasons(document), document["project"]
        )


@dataclass(frozen=True)
class Denial:
    """An action that a person could expect and may not take, and the reasons.

    Parameters
    ----------
    action : {"open", "read", "write", "use", "start", "other"}
        The denied action. Only earlier versions write ``other``.
    kind : {"project", "prefix", "profile", "image", "worker profile", "server", "cluster", "other"}
        The kind of the target.
    name : str
        The name of the target: of a project, profile or image, or a prefix.
    project : str
        The project that owns the data or makes the offer.
    reasons : tuple of Reason
        The reasons for the denial; at least one.
    """

    action: Action
    kind: TargetKind
    name: str
    project: str
    reasons: tuple[Reason, ...]

    @property
    def codes(self) -> tuple[ReasonCode, ...]:
        """The codes of the reasons, in order."""
        return tuple(reason.code for reason in self.reasons)

    def covers(self, action: Action, place: StorageLocation) -> bool:
        """Return `True` if it denies this action for a prefix that contains `place`."""
        return (self.action, self.kind) == (action, "prefix") and StorageLocation.parse(
            self.name
        ).contains(place)

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object that `from_json` reads."""
        return {
            "action": self.action,
            "kind": self.kind,
            "name": self.name,
            "project": self.project,
            "reasons": [reason.to_json() for reason in self.reasons],
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Denial:
        """Read what `to_json` wrote, or what earlier versions wrote."""
        if "kind" not in document:
            return cls("other", "other", str(document["what"]), "", read_reasons(document))
        return cls(
            document["action"],
            document["kind"],
            str(document["name"]),
            str(document["project"]),
            read_reasons(document),
        )


@dataclass(frozen=True)
class SessionView:
    """The project of a session and its rights, as its researcher sees them.

    Parameters
    ----------
    user, project : str
        The person of the session, and the one project that it works in.
    title : str
        The project's title.
    level : str or None
        ``read``, ``write`` or ``manage``; `None` when access has ended.
    prefix : str
        The project's own prefix.
    scratch : str or None
        The person's scratch prefix in this project.
    endpoint_url : str or None
        The address of an S3-compatible store; `None` for AWS itself.
    region : str
        The store's region.
    prefixes : mapping of str to str
        Prefix by the name of the project, for every project that can be read here.
    grants : tuple of Grant
    denied : tuple of Denial
    """

    user: str
    project: str
    title: str
    level: str | None
    prefix: str
    scratch: str | None
    endpoint_url: str | None
    region: str
    prefixes: Mapping[str, str]
    grants: tuple[Grant, ...]
    denied: tuple[Denial, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object that `from_json` reads."""
        return {
            "user": self.user,
            "project": self.project,
            "title": self.title,
            "level": self.level,
            "prefix": self.prefix,
            "scratch": self.scratch,
            "endpoint_url": self.endpoint_url,
            "region": self.region,
            "prefixes": dict(self.prefixes),
            "grants": [grant.to_json() for grant in self.grants],
            "denied": [denial.to_json() for denial in self.denied],
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> SessionView:
        """Read what `to_json` wrote; keys of newer versions are ignored."""
        return cls(
            user=str(document["user"]),
            project=str(document["project"]),
            title=str(document["title"]),
            level=document["level"],
            prefix=str(document["prefix"]),
            scratch=document["scratch"],
            endpoint_url=document["endpoint_url"],
            region=str(document["region"]),
            prefixes=dict(document["prefixes"]),
            grants=tuple(map(Grant.from_json, document["grants"])),
            denied=tuple(map(Denial.from_json, document["denied"])),
        )
