"""Build the JSON about the session and its datasets for the browser."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from panneuro_hub.client.dataset_names import explain_no_write
from panneuro_hub.client.excluded_files import TOOL_FILES
from panneuro_hub.lab.current_session import CurrentSession
from panneuro_hub.names import StorageLocation
from panneuro_hub.wording import describe_reasons, documents, reasons_document

if TYPE_CHECKING:
    from panneuro_hub.client.notebook_sharing import ShareResult
    from panneuro_hub.lab.dataset_list import DatasetList

MOST_DATASETS = 5000
_LONGEST_TEXT = 2000  # characters of a description


def make_session_response(
    session: CurrentSession, services: str, drives: Mapping[str, str]
) -> dict[str, Any]:
    """Return the session of this server and its rights.

    Parameters
    ----------
    session : CurrentSession
    services : str
        The address of the service's pages; ends in ``/``.
    drives : mapping of str to str
        Under what name the file browser finds the files of each project.
    """
    place = StorageLocation.parse(session.prefix)
    frozen = [
        {"place": grant.prefix.removeprefix(session.prefix), **reasons_document(grant.reasons)}
        for grant in session.grants
        if grant.mode == "read" and place.contains(grant.location) and grant.location != place
    ]
    reasons = explain_no_write(session, place)
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


def make_datasets_response(found: DatasetList) -> dict[str, Any]:
    """Return the datasets that this session can read, as `lab.datasets` lists them."""
    listed = [
        {
            **one.row(),
            "name": one.name,
            "project": one.project,
            "complete": one.complete,
            "description": one.record.description[:_LONGEST_TEXT] if one.record else "",
        }
        for one in found[:MOST_DATASETS]
    ]
    left = len(found) - len(listed)
    more = [f"{left} more are not shown; lab.datasets() has all"] if left > 0 else []
    return {"datasets": listed, "notes": [*found.notes, *more]}


def make_share_response(shared: ShareResult, pages: str) -> dict[str, Any]:
    """Return the JSON about a notebook that was shared, or would be."""
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


def find_services_url(environment: Mapping[str, str] = os.environ) -> str:
    """Return the address of the service's pages at the hub; it ends in ``/``."""
    host = environment.get("JUPYTERHUB_HOST", "")
    return f"{host}{environment.get('JUPYTERHUB_BASE_URL', '/')}services/panneuro/"
