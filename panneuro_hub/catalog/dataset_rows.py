"""Rows of listings of datasets, for Python and for browsers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime

from panneuro_hub.catalog.dataset_records import CatalogListing
from panneuro_hub.catalog.manifest import DatasetRecord, UploadNote
from panneuro_hub.catalog.text_format import contains_words, format_size
from panneuro_hub.names import StorageLocation
from panneuro_hub.wire import Denial

COLUMNS = ("dataset", "title", "who", "when", "size", "format", "modality", "subjects", "state")
"""Of a listing."""

_MOST_SUBJECTS = 3  # named in a row


@dataclass(frozen=True)
class DatasetRow:
    """One dataset of a listing.

    Parameters
    ----------
    name : str
        ``PROJECT/DATASET``, as `panneuro_hub.lab.open` takes it.
    project : str
        The project in whose catalog it stands.
    record : DatasetRecord or None
        The catalog's record; `None` while the first upload is not complete.
    upload : UploadNote or None
        The upload that is under way, or was interrupted.
    frozen : bool
        Whether the dataset is frozen for a viewer who may write in the project.
    """

    name: str
    project: str
    record: DatasetRecord | None
    upload: UploadNote | None
    frozen: bool

    @property
    def complete(self) -> bool:
        """Return whether all files that its authors sent have arrived."""
        return self.record is not None

    @property
    def asks_to_wait(self) -> bool:
        """Return whether its author asks others to wait; this locks nothing."""
        return self.record is not None and self.record.asks_to_wait(_today())

    @property
    def state(self) -> str:
        """Return a short text: complete or not, its author's request to wait, frozen."""
        words = []
        if self.upload is not None:
            doing = "being changed" if self.complete else "not complete"
            words.append(f"{doing} (by {self.upload.by}, since {self.upload.began:%Y-%m-%d %H:%M})")
        if self.record is not None and self.asks_to_wait:
            words.append(f"author asks to wait until {self.record.asks_to_wait_until}")
        if self.frozen:
            words.append("frozen")
        return ", ".join(words)

    def row(self) -> dict[str, str]:
        """Return the cells of a table; their text is from outside and is not trusted."""
        record, upload = self.record, self.upload
        if record is None:
            size = f"of {format_size(upload.size)}" if upload else ""
            return {**dict.fromkeys(COLUMNS, ""), "dataset": self.name, "size": size} | {
                "state": self.state
            }
        named = ", ".join(record.subjects[:_MOST_SUBJECTS])
        more = len(record.subjects) - _MOST_SUBJECTS
        return {
            "dataset": self.name,
            "title": record.title,
            "who": record.created_by,
            "when": f"{record.created:%Y-%m-%d}",
            "size": format_size(record.size),
            "format": record.format,
            "modality": ", ".join(record.modalities),
            "subjects": f"{named} and {more} more" if more > 0 else named,
            "state": self.state,
        }

    def matches_words(self, words: str) -> bool:
        """Return whether name, title, description, people, format and subjects have all `words`."""
        return contains_words([self.name, *self._texts()], words)

    def _texts(self) -> Iterator[str]:
        record = self.record
        if record is not None:
            yield from (record.title, record.description, record.created_by, record.format)
            yield from (*record.modalities, *record.subjects)


def make_dataset_rows(
    project: str, prefix: str, listed: CatalogListing, denied: Iterable[Denial]
) -> Iterator[DatasetRow]:
    """Yield a row for every dataset of a project's catalog.

    Parameters
    ----------
    denied : iterable of Denial
        The denials of the viewer.
    prefix : str
        The project's own, ``s3://bucket/path/``.
    """
    told = tuple(denied)
    uploads = {upload.dataset: upload for upload in listed.uploads}
    records = {record.dataset: record for record in listed.records}
    for dataset in records.keys() | uploads.keys():
        yield DatasetRow(
            f"{project}/{dataset}",
            project,
            records.get(dataset),
            uploads.get(dataset),
            _is_frozen(StorageLocation.parse(f"{prefix}{dataset}/"), told),
        )


def _is_frozen(place: StorageLocation, denied: Iterable[Denial]) -> bool:
    return any("frozen" in denial.codes and denial.covers("write", place) for denial in denied)


def _today() -> date:
    return datetime.now(UTC).date()
