"""`choose_access`: choose one of a person's projects; pure, no I/O."""

from __future__ import annotations

from collections.abc import Mapping

from panneuro_hub.access.types import Access
from panneuro_hub.wire import Reason
from panneuro_hub.wording import denied_for, invalid_choice


def choose_access(accesses: Mapping[str, Access], project: str) -> Access:
    """Return the access in the chosen project, or in the person's only project.

    The access may give nothing: its level and its reasons say so.

    Parameters
    ----------
    accesses : mapping of str to Access
        The person's access in every project.
    project : str
        Any text from outside; ``""`` if the person chose no project.

    Raises
    ------
    AccessDeniedError
        If there is no such project, or none was chosen and the person has no project.
    InvalidChoiceError
        If none was chosen and the person has several projects.
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
