"""What the browser is told of the session and of its datasets, as JSON."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from panneuro_hub.client.left_out import TOOL_FILES
from panneuro_hub.client.places import why_not_write
from panneuro_hub.lab.here import Session
from panneuro_hub.names import Location
from panneuro_hub.wording import describe_reasons, documents, reasons_document

if TYPE_CHECKING:
    from panneuro_hub.client.sharing import Shared
    from panneuro_hub.lab.listings import Datasets

MOST_DATASETS = 5000
_LONGEST = 2000  # characters of a description


def session_answer(session: Session, services: str, drives: Mapping[str, str]) -> dict[str, Any]:
    """Where this server works, and what may be done from it.

    Parameters
    ----------
    session : Session
    services : str
        The address of the service's pages; ends in ``/``.
    drives : mapping of str to str
        Under what name the file browser finds the files of each project.
    """
    place = Location.parse(session.prefix)
    frozen = [
        {"place": grant.prefix.removeprefix(session.prefix), **reasons_document(grant.reasons)}
        for grant in session.grants
        if grant.mode == "read" and place.contains(grant.location) and grant.location != place
    ]
    reasons = why_not_write(session, place)
    return {
        "user": session.user,
        "project": session.project,
        "title": session.title,
        "level": session.level,
        "may_write": not reasons,
        "why_not": describe_reasons(reasons) or None,
        "why_not_reasons": documents(reasons),
        "readable": sorted(session.prefixes),
        "frozen": frozen,
        "problem": session.problem,
        "drives": dict(drives),
        "pages": services,
        "left_out": [
            {"kind": files.kind, "patterns": list(files.patterns)} for files in TOOL_FILES
        ],
    }


def datasets_answer(found: Datasets) -> dict[str, Any]:
    """The datasets that can be read here, as `lab.datasets` lists them."""
    listed = [
        {
            **one.row(),
            "name": one.name,
            "project": one.project,
            "complete": one.complete,
            "description": one.record.description[:_LONGEST] if one.record else "",
        }
        for one in found[:MOST_DATASETS]
    ]
    left = len(found) - len(listed)
    more = [f"{left} more are not shown; lab.datasets() has all"] if left > 0 else []
    return {"datasets": listed, "notes": [*found.notes, *more]}


def shared_answer(shared: Shared, pages: str) -> dict[str, Any]:
    """What the browser is told of a notebook that was shared, or would be."""
    published = shared.published
    return {
        "project": published.project,
        "name": published.name,
        "label": published.label,
        "title": published.title,
        "description": published.description,
        "number": published.number,
        "new": shared.is_new,
        "datasets": list(published.datasets),
        "image": published.environment.image,
        "packages": len(published.environment.packages),
        "size": published.size,
        "notes": list(shared.notes),
        "secrets": [str(finding) for finding in shared.secrets],
        "page": f"{pages}notebooks/{quote(published.project)}/{quote(published.name)}",
    }


def services_address(environment: Mapping[str, str] = os.environ) -> str:
    """Where the hub shows the service's pages; ends in ``/``."""
    host = environment.get("JUPYTERHUB_HOST", "")
    return f"{host}{environment.get('JUPYTERHUB_BASE_URL', '/')}services/panneuro/"
