"""`chosen_access`: which of a person's projects something shall be in; pure, no I/O."""

from __future__ import annotations

from collections.abc import Mapping

from panneuro_hub.access.types import Access
from panneuro_hub.access.wording import shorten
from panneuro_hub.errors import AccessDenied, InvalidChoice


def chosen_access(accesses: Mapping[str, Access], project: str) -> Access:
    """The access in the project that was chosen, or in the only one that is open.

    It may be one that gives nothing: its level and its reason say so.

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
    mine = [name for name, access in accesses.items() if access.level]
    if project:
        if project not in accesses:
            raise AccessDenied(
                f"there is no project {shorten(project)}; yours are: {', '.join(mine) or 'none'}"
            )
        return accesses[project]
    if not mine:
        reasons = "; ".join(f"{name}: {access.reason}" for name, access in accesses.items())
        raise AccessDenied(f"you have access to no project ({reasons})")
    if len(mine) > 1:
        raise InvalidChoice(f"choose a project; yours are: {', '.join(mine)}")
    return accesses[mine[0]]
