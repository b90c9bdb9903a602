"""A person as the hub describes them to the service: account, provider groups, sessions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from panneuro_hub.wire.credential import format_time, parse_time

MEMBERS_SCOPE = "custom:panneuro:members:read"
"""The scope of JupyterHub's that lets a service read these documents."""

MEMBERS_PATH = "/panneuro/members"
"""Path of the list below the hub's REST API; a ``/`` and a name follow for one person."""

UNKNOWN_MEMBER = "unknown-member"
"""Code of the hub's answer (404) for a name that no account has.

A 404 without this code means that the hub does not know the path: the hub is older than the
service.
"""


@dataclass(frozen=True)
class RunningSession:
    """A session as the hub knows it.

    Parameters
    ----------
    id, project : str
    server : str
        Name of its server.
    ticket : str
        Digest of its ticket.
    image : str or None
        Name of the image in the collaboration file.
    api_token : str
        Digest of its server's API token; ``""`` if the hub does not have it.
    """

    id: str
    project: str
    server: str
    ticket: str
    image: str | None = None
    api_token: str = ""


@dataclass(frozen=True)
class MemberGroups:
    """A person in the list of all persons whom the hub knows.

    Parameters
    ----------
    name : str
    groups : frozenset of str
        All groups of the identity provider that count now, as far as the hub knows them.
    """

    name: str
    groups: frozenset[str] = frozenset()


def format_member_list(members: Iterable[MemberGroups]) -> dict[str, Any]:
    """Return the JSON object that `parse_member_list` reads."""
    return {
        "members": [{"name": member.name, "groups": sorted(member.groups)} for member in members]
    }


def parse_member_list(document: Mapping[str, Any]) -> tuple[MemberGroups, ...]:
    """Read what `format_member_list` wrote.

    Raises
    ------
    LookupError, TypeError, ValueError
        If it is not such a document.
    """
    return tuple(
        MemberGroups(str(member["name"]), frozenset(map(str, member["groups"])))
        for member in document["members"]
    )


@dataclass(frozen=True)
class HubMember:
    """A person as the hub knows them.

    Parameters
    ----------
    name : str
    account : str
        Identifies this account of the hub, and no later account of the same name; random.
    groups : frozenset of str
        All groups of the identity provider that count now. Empty if the membership has ended,
        the person is blocked, or the last answer is older than the grace.
    confirmed : datetime or None
        The time of the provider's last answer (aware); `None` for never.
    sessions : tuple of RunningSession
    may_have_more : bool
        `True` if the hub allows them more than one server.
    """

    name: str
    account: str
    groups: frozenset[str] = frozenset()
    confirmed: datetime | None = None
    sessions: tuple[RunningSession, ...] = ()
    may_have_more: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object that `from_json` reads."""
        return {
            "name": self.name,
            "account": self.account,
            "groups": sorted(self.groups),
            "confirmed": format_time(self.confirmed) if self.confirmed else None,
            "sessions": [asdict(session) for session in self.sessions],
            "may_have_more": self.may_have_more,
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> HubMember:
        """Read what `to_json` wrote; keys of newer versions are ignored.

        Raises
        ------
        LookupError, TypeError, ValueError
            If it is not such a document.
        """
        if not isinstance(document["account"], str) or not document["account"]:
            raise ValueError("a member has no account")
        return cls(
            name=str(document["name"]),
            account=document["account"],
            groups=frozenset(map(str, document["groups"])),
            confirmed=parse_time(document["confirmed"]) if document["confirmed"] else None,
            sessions=tuple(
                RunningSession(
                    id=str(session["id"]),
                    project=str(session["project"]),
                    server=str(session["server"]),
                    ticket=str(session["ticket"]),
                    image=session["image"],
                    api_token=str(session["api_token"]),
                )
                for session in document["sessions"]
            ),
            may_have_more=document["may_have_more"] is True,
        )
