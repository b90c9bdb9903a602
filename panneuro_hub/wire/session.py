"""What a session may do, as it travels from the service to the researcher."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from panneuro_hub.names import Location

Mode = Literal["read", "write"]


@dataclass(frozen=True)
class Grant:
    """A prefix, what may be done below it, and why.

    Where grants lie inside one another, the longest one that covers a key decides.

    Parameters
    ----------
    prefix : str
        ``s3://bucket/path/``, always ending in ``/``.
    mode : {"read", "write"}
        ``write`` includes reading.
    reason : str
        Why it is given, for people.
    project : str
        The project whose data this is; for scratch, the session's project.
    """

    prefix: str
    mode: Mode
    reason: str
    project: str

    @property
    def location(self) -> Location:
        """The prefix, taken apart."""
        return Location.parse(self.prefix)


@dataclass(frozen=True)
class Denial:
    """Something that could be expected and is not given, and why.

    Parameters
    ----------
    what : str
        For example ``write s3://lab/human/release/`` or ``profile gpu``.
    reason : str
        Why not, for people.
    """

    what: str
    reason: str


@dataclass(frozen=True)
class SessionView:
    """Where a session is and what it may do, as its researcher sees it.

    Parameters
    ----------
    user, project : str
        Whose session, and the one project that it works in.
    title : str
        The project's title.
    level : str or None
        ``read``, ``write`` or ``manage``; `None` when access has ended.
    prefix : str
        The project's own prefix.
    scratch : str or None
        The person's scratch prefix in this project.
    endpoint_url : str or None
        Of an S3-compatible store; `None` for AWS itself.
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
        """The JSON object that `from_json` reads."""
        return {**asdict(self), "prefixes": dict(self.prefixes)}

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
            grants=tuple(
                Grant(grant["prefix"], grant["mode"], grant["reason"], grant["project"])
                for grant in document["grants"]
            ),
            denied=tuple(Denial(denial["what"], denial["reason"]) for denial in document["denied"]),
        )
