"""The datasets that can be read in this session, as their catalogs list them."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, overload

from panneuro_hub.catalog.manifest import Record, Upload
from panneuro_hub.catalog.records import Listing, listing
from panneuro_hub.errors import AccessDenied, PanNeuroError, ServiceUnavailable
from panneuro_hub.lab.here import NothingThere, session
from panneuro_hub.lab.refusals import plainly
from panneuro_hub.lab.shown import size_of, table, table_html
from panneuro_hub.lab.spots import Spot, spot
from panneuro_hub.wire import SessionView

if TYPE_CHECKING:
    import pandas

_AT_ONCE = 8  # projects
_SUBJECTS = 3  # named in a row


@dataclass(frozen=True)
class Found:
    """One dataset of a listing.

    Parameters
    ----------
    name : str
        ``PROJECT/DATASET``, as `lab.open` takes it.
    project : str
        The project in whose catalog it stands.
    record : Record or None
        What the catalog has of it; `None` while the first upload is not complete.
    upload : Upload or None
        The upload that is under way, or was broken off.
    frozen : bool
        Whether this session, though it may write the project, may not write here.
    """

    name: str
    project: str
    record: Record | None
    upload: Upload | None
    frozen: bool

    @property
    def complete(self) -> bool:
        """Whether all files that its makers meant to send are there."""
        return self.record is not None

    @property
    def state(self) -> str:
        """In few words: complete or not, embargoed, frozen."""
        words = []
        if self.upload is not None:
            doing = "being changed" if self.complete else "not complete"
            words.append(f"{doing} (by {self.upload.by}, since {self.upload.began:%Y-%m-%d %H:%M})")
        if self.record is not None and self.record.embargoed(_today()):
            words.append(f"embargo until {self.record.embargo_until}")
        if self.frozen:
            words.append("frozen")
        return ", ".join(words)

    def open(self, **kwargs: Any) -> Any:
        """Open it, as `lab.open` does."""
        from panneuro_hub.lab.opening import open as open_dataset

        return open_dataset(self.name, **kwargs)

    def row(self) -> dict[str, str]:
        """As it stands in a table."""
        record, upload = self.record, self.upload
        if record is None:
            size = f"of {size_of(upload.size)}" if upload else ""
            return {**dict.fromkeys(_COLUMNS, ""), "dataset": self.name, "size": size} | {
                "state": self.state
            }
        named = ", ".join(record.subjects[:_SUBJECTS])
        more = len(record.subjects) - _SUBJECTS
        return {
            "dataset": self.name,
            "title": record.title,
            "who": record.created_by,
            "when": f"{record.created:%Y-%m-%d}",
            "size": size_of(record.size),
            "format": record.format,
            "modality": ", ".join(record.modalities),
            "subjects": f"{named} and {more} more" if more > 0 else named,
            "state": self.state,
        }


_COLUMNS = (
    *("dataset", "title", "who", "when", "size", "format", "modality", "subjects", "state"),
)


class Datasets(Sequence[Found]):
    """Datasets in the order of their names; shows itself as a table.

    Parameters
    ----------
    found : sequence of Found
    notes : sequence of str
        What could not be listed, and why.
    """

    def __init__(self, found: Sequence[Found], notes: Sequence[str] = ()) -> None:
        self._found = tuple(sorted(found, key=lambda one: one.name))
        self.notes = tuple(notes)

    @overload
    def __getitem__(self, which: int | str) -> Found: ...

    @overload
    def __getitem__(self, which: slice) -> Datasets: ...

    def __getitem__(self, which: int | str | slice) -> Found | Datasets:
        if isinstance(which, slice):
            return Datasets(self._found[which])
        if isinstance(which, int):
            return self._found[which]
        for one in self._found:
            if one.name == which:
                return one
        raise KeyError(which)

    def __len__(self) -> int:
        return len(self._found)

    def __iter__(self) -> Iterator[Found]:
        return iter(self._found)

    def find(self, words: str) -> Datasets:
        """Those whose name, title, description, people, format or subjects have all `words`."""
        wanted = words.casefold().split()
        return Datasets([one for one in self._found if all(word in _text(one) for word in wanted)])

    def to_pandas(self) -> pandas.DataFrame:
        """Everything that the catalogs say, as a data frame; a row each."""
        import pandas

        names = [field.name for field in fields(Record) if field.name not in ("dataset", "project")]
        return pandas.DataFrame(
            [
                {
                    "name": one.name,
                    "complete": one.complete,
                    **{name: getattr(one.record, name, None) for name in names},
                }
                for one in self._found
            ]
        )

    def __repr__(self) -> str:
        lines = table(self._rows()) or ["no datasets"]
        return "\n".join([*lines, *map(_note, self.notes)])

    def _repr_html_(self) -> str:
        notes = "".join(f"<div>{html.escape(_note(note))}</div>" for note in self.notes)
        return (table_html(self._rows()) or "<div>no datasets</div>") + notes

    def _rows(self) -> list[dict[str, str]]:
        rows = [one.row() for one in self._found]
        # A column that says nothing of any dataset is not shown.
        shown = [name for name in _COLUMNS if name == "dataset" or any(row[name] for row in rows)]
        return [{name: row[name] for name in shown} for row in rows]


def datasets(project: str = "") -> Datasets:
    """The datasets that can be read here.

    Parameters
    ----------
    project : str
        One project; all that this session reads where not given.

    Returns
    -------
    Datasets
        A table in a notebook; also a sequence, and by name: ``datasets()["nav/day-1"]``.

    Raises
    ------
    AccessDenied
        If `project` cannot be read here; the text says why.
    ServiceUnavailable
        If the store is out of reach.
    NotInSession
        Outside a session of the hub.
    """
    view = session()
    names = [project] if project else list(view.prefixes)
    spots = [_project(view, name) for name in names]
    with ThreadPoolExecutor(_AT_ONCE, "panneuro-datasets") as pool:
        listings = list(pool.map(_listing, spots))
    found: list[Found] = []
    notes: list[str] = []
    for place, listed in zip(spots, listings, strict=True):
        if isinstance(listed, PanNeuroError):
            if project:
                raise listed
            notes.append(f"{place.project}: {listed}")
            continue
        found += _found(place, listed)
        notes += [f"{place.project}: {trouble}" for trouble in listed.troubles]
    return Datasets(found, notes)


def _project(view: SessionView, name: str) -> Spot:
    place = spot(view, name)
    if place.key or "/" in name.rstrip("/"):
        raise ValueError(f"{name!r} is no project; write its name alone, such as {view.project!r}")
    return place


def _listing(place: Spot) -> Listing | PanNeuroError:
    try:
        with plainly(place.place, "catalog"):
            return listing(place.store)
    except (AccessDenied, NothingThere, ServiceUnavailable) as problem:
        return problem


def _found(place: Spot, listed: Listing) -> Iterator[Found]:
    uploads = {upload.dataset: upload for upload in listed.uploads}
    records = {record.dataset: record for record in listed.records}
    for dataset in records.keys() | uploads.keys():
        yield Found(
            f"{place.project}/{dataset}",
            place.project,
            records.get(dataset),
            uploads.get(dataset),
            _is_frozen(place.view, f"{place.root.uri}{dataset}/"),
        )


def _is_frozen(view: SessionView, uri: str) -> bool:
    return any(
        "frozen" in denial.reason and uri.startswith(denial.what.removeprefix("write "))
        for denial in view.denied
        if denial.what.startswith("write s3://")
    )


def _text(one: Found) -> str:
    record = one.record
    words = [one.name]
    if record is not None:
        words += [record.title, record.description, record.created_by, record.format]
        words += [*record.modalities, *record.subjects]
    return " ".join(words).casefold()


def _note(text: str) -> str:
    return "note: " + " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _today() -> date:
    return datetime.now(UTC).date()
