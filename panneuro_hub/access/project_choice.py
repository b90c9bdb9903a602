"""`choose_access`: which of a person's projects something shall be in; pure, no I/O."""

from __future__ import annotations

from collections.abc import Mapping

from panneuro_hub.access.types import Access
from panneuro_hub.wire import Reason
from panneuro_hub.wording import denied_for, invalid_choice


def choose_access(accesses: Mapping[str, Access], project: str) -> Access:
    """The access in the project that was chosen, or in the only one that is open.

    It may be one that gives nothing: its level and its reasons say so.

    Parameters
    ----------
    accesses : mapping of str to Access
        The person's access in every project.
    project : str
        Any text from outside; ``""`` where the person left it open.

    Raises
    ------
    AccessDenied
        If there is no such project, or it is left open and none is the person's.
    InvalidChoice
        If it is left open and several are.
    """
    mine = tuple(name for name, access in accesses.items() if access.level)
    if project:
        if project not in accesses:
            raise denied_for([Reason("no-project", project, names=mine)])
        return accesses[project]
    if not mine:
        closed = [reason for access in accesses.values() for reason in access.reasons]
        raise denied_for([Reason("no-project"), *closed])
    if len(mine) > 1:
        raise invalid_choice(Reason("choose-project", names=mine))
    return accesses[mine[0]]
