"""`judge`: whether one object can be read and written in a session, and why."""

from __future__ import annotations

from panneuro_hub.access.membership import membership_of
from panneuro_hub.access.places import (
    location_of,
    owner_of,
    scratch_of,
    scratch_root,
)
from panneuro_hub.access.standing import standing
from panneuro_hub.access.types import Access, PathVerdict
from panneuro_hub.access.wording import listed
from panneuro_hub.collaboration.models import Collaboration
from panneuro_hub.names import Location
from panneuro_hub.wire import Grant


def judge(collaboration: Collaboration, access: Access, uri: str) -> PathVerdict:
    """Whether a session with this access can read and write one object.

    The longest grant that covers the object decides.

    Parameters
    ----------
    uri : str
        ``s3://bucket/key``; anything else is judged as out of reach.
    """
    try:
        place = Location.parse(uri)
    except ValueError as unreadable:
        return PathVerdict(read=False, write=False, reason=str(unreadable))
    if grant := covering_grant(access, place):
        return PathVerdict(
            read=True,
            write=grant.mode == "write",
            reason=f"{grant.mode} on {grant.prefix}: {grant.reason}",
        )
    return PathVerdict(read=False, write=False, reason=_why_not(collaboration, access, place))


def covering_grant(access: Access, place: Location) -> Grant | None:
    """The longest grant that covers `place`; of two on one prefix, the lesser."""
    covering = (grant for grant in access.grants if grant.location.contains(place))
    return max(covering, key=lambda grant: (len(grant.prefix), grant.mode == "read"), default=None)


def _why_not(collaboration: Collaboration, access: Access, place: Location) -> str:
    buckets = sorted({store.bucket for store in collaboration.stores.values()})
    if place.scheme != "s3" or place.bucket not in buckets:
        return (
            f"{place.scheme}://{place.bucket}/ is no store of {collaboration.name}; "
            f"its data is in {listed([f's3://{bucket}/' for bucket in buckets])}"
        )
    session = collaboration.projects.get(access.project)
    store = None if session is None else session.store
    owner = owner_of(collaboration, place, store)
    if owner is not None:
        return _of_project(collaboration, access, place, owner)
    root = scratch_root(collaboration, place, store)
    if root is not None:
        return _of_scratch(collaboration, access, place, root)
    return f"{place.uri} is outside every project of {collaboration.name}"


def _of_project(collaboration: Collaboration, access: Access, place: Location, owner: str) -> str:
    belongs = f"{place.uri} belongs to {owner}"
    if owner == access.project:
        return f"{belongs}, to which you have no access: {access.reason}"
    session = collaboration.projects.get(access.project)
    if session is not None and owner in session.reads:
        what = f"read {location_of(collaboration, owner).uri}"
        said = [denial.reason for denial in access.denied if denial.what == what]
        if said:
            return f"{belongs}: {'; '.join(said)}"
        return f"{belongs}, which {access.project} reads, but {access.reason}"
    aside = f"{belongs}, which {access.project} does not read"
    membership = membership_of(collaboration, access.person, access.at)
    could = standing(collaboration, membership, owner, access.at)
    if could.level is None:
        return f"{aside}; a session in {owner} would, but you have no access: {could.reason}"
    return f"{aside}; start a session in {owner}, where you have {could.level}"


def _of_scratch(
    collaboration: Collaboration, access: Access, place: Location, root: Location
) -> str:
    project, _, rest = place.key.removeprefix(root.key).partition("/")
    if project in collaboration.projects and rest:
        own = scratch_of(collaboration, project, access.person.name)
        if own is not None and own.contains(place):
            if project == access.project:
                return f"{place.uri} is your scratch in {project}, but {access.reason}"
            return (
                f"{place.uri} is your scratch in {project}; sessions in {project} reach it, "
                f"and this one is in {access.project}"
            )
        return f"{place.uri} is the scratch of another person; each reaches only their own"
    return f"{root.uri} holds the scratch of every person; each reaches only their own"
