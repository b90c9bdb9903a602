"""The datasets that somebody can read: as the page and the API show them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from panneuro_hub.access.places import location_of
from panneuro_hub.catalog import Malformed, dataset_problem
from panneuro_hub.catalog.found import Found, found_in
from panneuro_hub.catalog.manifest import File, Manifest, Record, Upload
from panneuro_hub.catalog.records import (
    Bounds,
    Listing,
    changing_text,
    listing,
    read_manifest,
    read_record,
    read_upload,
)
from panneuro_hub.service.shelves import Finds, Looker, Shelves, shortened
from panneuro_hub.service.viewing import NothingHere
from panneuro_hub.wire.credential import format_time

if TYPE_CHECKING:
    from obstore.store import S3Store

T = TypeVar("T")

_BOUNDS = Bounds(number=2000, size=2**24)
_ROWS = 500
_DESCRIPTION = 1000  # characters, where many are listed
_FILES = 200
_LARGEST_MANIFEST = 2**22  # bytes: more is not taken apart for a page


@dataclass(frozen=True)
class Dataset:
    """One dataset with what its page shows.

    Parameters
    ----------
    found : Found
    files : tuple of File
        The first few hundred.
    files_count : int
    notes : tuple of str
        What of it cannot be used, and why.
    """

    found: Found
    files: tuple[File, ...]
    files_count: int
    notes: tuple[str, ...]


async def datasets_of(
    shelves: Shelves, looker: Looker, query: str = "", project: str = ""
) -> Finds[Found]:
    """Find datasets, in one project or in all that can be read; by their names.

    Raises
    ------
    NothingHere
        If there is no such project.
    AccessDenied
        If it cannot be read.
    """
    projects = [project] if project else list(looker.open)
    listed, notes = await shelves.each(looker, projects, "datasets", _listed)

    def look() -> list[Found]:
        return [
            one
            for name, catalog in listed.items()
            for one in found_in(
                name,
                location_of(looker.collaboration, name).uri,
                catalog,
                looker.accesses[name].denied,
            )
            if one.has(query)
        ]

    # There may be megabytes of words, and others are served meanwhile.
    everything = await asyncio.to_thread(look)
    notes += [f"{name}: {note}" for name, one in listed.items() for note in one.troubles]
    found = tuple(sorted(everything, key=lambda one: one.name))
    return Finds(looker, query, project, found[:_ROWS], len(found), shortened(notes))


async def dataset_of(shelves: Shelves, looker: Looker, project: str, dataset: str) -> Dataset:
    """One dataset.

    Raises
    ------
    NothingHere
        If there is none of this name.
    AccessDenied
        If its project cannot be read.
    """
    access = looker.access(project)
    if dataset_problem(dataset) is not None:
        raise NothingHere(f"{project} has no dataset of this name")
    whole = await shelves.one(looker, project, lambda store: _whole(store, dataset))
    listed = Listing(
        (whole.record,) if whole.record else (), (whole.upload,) if whole.upload else (), ()
    )
    prefix = location_of(looker.collaboration, project).uri
    for found in found_in(project, prefix, listed, access.denied):
        files = whole.manifest.files if whole.manifest else ()
        count = whole.record.files_count if whole.record else 0
        return Dataset(found, files[:_FILES], count, whole.notes)
    trouble = f" that can be shown: {whole.notes[0]}" if whole.notes else " of this name"
    raise NothingHere(f"{project} has no dataset{trouble}")


def found_json(found: Found) -> dict[str, Any]:
    """One dataset of a listing as JSON; what is not known of it is `None`."""
    record, upload = found.record, found.upload
    return {
        "name": found.name,
        "project": found.project,
        "title": record.title if record else None,
        "description": record.description if record else None,
        "license": record.license if record else None,
        "created": format_time(record.created) if record else None,
        "created_by": record.created_by if record else None,
        "bytes": record.size if record else None,
        "files_count": record.files_count if record else None,
        "format": record.format if record else None,
        "modalities": list(record.modalities) if record else None,
        "subjects": list(record.subjects) if record else None,
        "sha256": record.sha256 if record else None,
        "asks_to_wait_until": (
            record.asks_to_wait_until.isoformat() if record and record.asks_to_wait_until else None
        ),
        "complete": found.complete,
        "upload": {"by": upload.by, "began": format_time(upload.began)} if upload else None,
        "frozen": found.frozen,
        "state": found.state,
    }


@dataclass(frozen=True)
class _Whole:
    record: Record | None
    manifest: Manifest | None
    upload: Upload | None
    notes: tuple[str, ...]


def _listed(store: S3Store, project: str) -> Listing:
    found = listing(store, _BOUNDS)
    # The long texts are for the page of each one.
    return replace(
        found,
        records=tuple(
            replace(record, readme="", citation="", description=record.description[:_DESCRIPTION])
            for record in found.records
        ),
    )


def _whole(store: S3Store, dataset: str) -> _Whole:
    notes: list[str] = []

    def well_formed(read: Callable[[], T | None], otherwise: str) -> T | None:
        try:
            return read()
        except Malformed as problem:
            notes.append(f"{otherwise}: {problem}")
            return None

    record = well_formed(lambda: read_record(store, dataset), "its record in the catalog")
    manifest = well_formed(
        lambda: read_manifest(store, dataset, _LARGEST_MANIFEST), "its files cannot be listed here"
    )
    upload = well_formed(lambda: read_upload(store, dataset), "the note of an upload")
    if manifest is not None and manifest.changing:
        notes.append(f"it is half replaced: {changing_text(manifest.changing)}")
    if manifest is not None:
        # The manifest is what counts; the catalog may not have it yet.
        record = Record.of(manifest)
    return _Whole(record, manifest, upload, shortened(notes))
