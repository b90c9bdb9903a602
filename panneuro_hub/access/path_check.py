"""`check_path`: decide if a session can read and write one object, with reasons."""

from __future__ import annotations

from dataclasses import replace

from panneuro_hub.access.level import decide_level
from panneuro_hub.access.project_locations import (
    find_owner,
    find_scratch,
    find_scratch_root,
)
from panneuro_hub.access.team_membership import find_membership
from panneuro_hub.access.types import Access, PathCheck
from panneuro_hub.collaboration.models import Collaboration
from panneuro_hub.names import StorageLocation
from panneuro_hub.wire import Grant, Reason


def check_path(collaboration: Collaboration, access: Access, uri: str) -> PathCheck:
    """Decide if a session with this access can read and write one object.

    The longest grant that covers the object decides.

    Parameters
    ----------
    uri : str
        ``s3://bucket/key``; any other text is out of reach.
    """
    try:
        place = StorageLocation.parse(uri)
    except ValueError as unreadable:
        invalid = Reason("invalid-path", place=uri, detail=str(unreadable))
        return PathCheck(read=False, write=False, reasons=(invalid,))
    if grant := find_covering_grant(access, place):
        has = Reason("granted", grant.project, level=grant.mode, place=grant.prefix)
        reasons = (has, *grant.reasons)
        return PathCheck(read=True, write=grant.mode == "write", reasons=reasons)
    return PathCheck(read=False, write=False, reasons=_why_not(collaboration, access, place))


def find_covering_grant(access: Access, place: StorageLocation) -> Grant | None:
    """Return the longest grant that covers `place`; of two on one prefix, the lesser."""
    covering = (grant for grant in access.grants if grant.location.contains(place))
    return max(covering, key=lambda grant: (len(grant.prefix), grant.mode == "read"), default=None)


def _why_not(
    collaboration: Collaboration, access: Access, place: StorageLocation
) -> tuple[Reason, ...]:
    buckets = sorted({store.bucket for store in collaboration.stores.values()})
    outside = Reason("outside-projects", place=place.uri, collaboration=collaboration.name)
    if place.scheme != "s3" or place.bucket not in buckets:
        stores = tuple(f"s3://{bucket}/" for bucket in buckets)
        return (replace(outside, code="not-a-store", names=stores),)
    session = collaboration.projects.get(access.project)
    store = None if session is None else session.store
    owner = find_owner(collaboration, place, store)
    if owner is not None:
        belongs = Reason("belongs-to", owner, place=place.uri)
        return (belongs, *_of_project(collaboration, access, owner))
    root = find_scratch_root(collaboration, place, store)
    if root is not None:
        return _of_scratch(collaboration, access, place, root)
    return (outside,)


def _of_project(collaboration: Collaboration, access: Access, owner: str) -> tuple[Reason, ...]:
    if owner == access.project:
        return access.reasons
    session = collaboration.projects.get(access.project)
    if session is not None and owner in session.reads:
        denied = [
            reason
            for denial in access.denied
            if (denial.action, denial.project) == ("read", owner)
            for reason in denial.reasons
        ]
        reads = Reason("project-reads", access.project, other=owner)
        return tuple(denied) or (reads, *access.reasons)
    aside = Reason("not-read-here", access.project, other=owner)
    membership = find_membership(collaboration, access.person, access.at)
    could = decide_level(collaboration, membership, owner, access.at)
    if could.level is None:
        return (aside, *could.reasons)
    return (aside, Reason("open-elsewhere", owner, level=could.level))


def _of_scratch(
    collaboration: Collaboration, access: Access, place: StorageLocation, root: StorageLocation
) -> tuple[Reason, ...]:
    project, _, rest = place.key.removeprefix(root.key).partition("/")
    if project not in collaboration.projects or not rest:
        return (Reason("scratch-root", place=root.uri),)
    own = find_scratch(collaboration, project, access.person.name)
    if own is None or not own.contains(place):
        return (Reason("scratch-of-another", project, place=place.uri),)
    yours = Reason("scratch-of-project", project, other=access.project, place=place.uri)
    return (yours, *access.reasons) if project == access.project else (yours,)
