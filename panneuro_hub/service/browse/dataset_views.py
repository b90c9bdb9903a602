"""The datasets that somebody can read: as the page and the API show them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from panneuro_hub.access.project_locations import find_location
from panneuro_hub.catalog import MalformedRecordError, find_dataset_problem
from panneuro_hub.catalog.dataset_records import (
    CatalogListing,
    ReadLimits,
    describe_changes,
    list_catalog,
    read_manifest,
    read_record,
    read_upload,
)
from panneuro_hub.catalog.dataset_rows import DatasetRow, make_dataset_rows
from panneuro_hub.catalog.manifest import DatasetRecord, FileRow, Manifest, UploadNote
from panneuro_hub.service.browse.project_browser import (
    PageViewer,
    ProjectBrowser,
    SearchResult,
    shorten_notes,
)
from panneuro_hub.service.browse.project_reader import ItemNotFoundError
from panneuro_hub.wire.credential import format_time

if TYPE_CHECKING:
    from obstore.store import S3Store

T = TypeVar("T")

_BOUNDS = ReadLimits(number=2000, size=2**24)
_ROWS = 500
_DESCRIPTION = 1000  # characters, where many are listed
_FILES = 200
_LARGEST_MANIFEST = 2**22  # bytes: more is not taken apart for a page


@dataclass(frozen=True)
class DatasetView:
    """One dataset with what its page shows.

    Parameters
    ----------
    row : DatasetRow
    files : tuple of FileRow
        The first few hundred.
    files_count : int
    notes : tuple of str
        What of it cannot be used, and why.
    """

    row: DatasetRow
    files: tuple[FileRow, ...]
    files_count: int
    notes: tuple[str, ...]


async def search_datasets(
    browser: ProjectBrowser, viewer: PageViewer, query: str = "", project: str = ""
) -> SearchResult[DatasetRow]:
    """Find datasets, in one project or in all that can be read; by their names.

    Raises
    ------
    ItemNotFoundError
        If there is no such project.
    AccessDenied
        If it cannot be read.
    """
    projects = [project] if project else list(viewer.readable)
    listed, notes = await browser.read_projects(viewer, projects, "datasets", _list_records)

    def look() -> list[DatasetRow]:
        return [
            one
            for name, catalog in listed.items()
            for one in make_dataset_rows(
                name,
                find_location(viewer.collaboration, name).uri,
                catalog,
                viewer.accesses[name].denied,
            )
            if one.matches_words(query)
        ]

    # There may be megabytes of words, and others are served meanwhile.
    everything = await asyncio.to_thread(look)
    notes += [f"{name}: {note}" for name, one in listed.items() for note in one.problems]
    found = tuple(sorted(everything, key=lambda one: one.name))
    return SearchResult(viewer, query, project, found[:_ROWS], len(found), shorten_notes(notes))


async def load_dataset_view(
    browser: ProjectBrowser, viewer: PageViewer, project: str, dataset: str
) -> DatasetView:
    """One dataset.

    Raises
    ------
    ItemNotFoundError
        If there is none of this name.
    AccessDenied
        If its project cannot be read.
    """
    access = viewer.get_access(project)
    if find_dataset_problem(dataset) is not None:
        raise ItemNotFoundError(f"{project} has no dataset of this name")
    whole = await browser.read_project(
        viewer, project, lambda store: _read_documents(store, dataset)
    )
    listed = CatalogListing(
        (whole.record,) if whole.record else (), (whole.upload,) if whole.upload else (), ()
    )
    prefix = find_location(viewer.collaboration, project).uri
    for found in make_dataset_rows(project, prefix, listed, access.denied):
        files = whole.manifest.files if whole.manifest else ()
        count = whole.record.files_count if whole.record else 0
        return DatasetView(found, files[:_FILES], count, whole.notes)
    trouble = f" that can be shown: {whole.notes[0]}" if whole.notes else " of this name"
    raise ItemNotFoundError(f"{project} has no dataset{trouble}")


def format_dataset_row(found: DatasetRow) -> dict[str, Any]:
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
class _DatasetDocuments:
    record: DatasetRecord | None
    manifest: Manifest | None
    upload: UploadNote | None
    notes: tuple[str, ...]


def _list_records(store: S3Store, project: str) -> CatalogListing:
    found = list_catalog(store, _BOUNDS)
    # The long texts are for the page of each one.
    return replace(
        found,
        records=tuple(
            replace(record, readme="", citation="", description=record.description[:_DESCRIPTION])
            for record in found.records
        ),
    )


def _read_documents(store: S3Store, dataset: str) -> _DatasetDocuments:
    notes: list[str] = []

    def well_formed(read: Callable[[], T | None], otherwise: str) -> T | None:
        try:
            return read()
        except MalformedRecordError as problem:
            notes.append(f"{otherwise}: {problem}")
            return None

    record = well_formed(lambda: read_record(store, dataset), "its record in the catalog")
    manifest = well_formed(
        lambda: read_manifest(store, dataset, _LARGEST_MANIFEST), "its files cannot be listed here"
    )
    upload = well_formed(lambda: read_upload(store, dataset), "the note of an upload")
    if manifest is not None and manifest.changing:
        notes.append(f"it is half replaced: {describe_changes(manifest.changing)}")
    if manifest is not None:
        # The manifest is what counts; the catalog may not have it yet.
        record = DatasetRecord.of(manifest)
    return _DatasetDocuments(record, manifest, upload, shorten_notes(notes))
