"""List the datasets that this session can read, from the catalogs of their projects."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, overload

from panneuro_hub.catalog.dataset_records import CatalogListing, list_catalog
from panneuro_hub.catalog.dataset_rows import COLUMNS, DatasetRow, make_dataset_rows
from panneuro_hub.catalog.manifest import DatasetRecord
from panneuro_hub.errors import (
    AccessDeniedError,
    InvalidArgumentError,
    PanNeuroError,
    ServiceUnavailableError,
)
from panneuro_hub.lab.current_session import PathNotFoundError, session
from panneuro_hub.lab.paths import StoragePath, find_path
from panneuro_hub.lab.store_errors import translate_store_errors
from panneuro_hub.lab.text_tables import format_html_table, format_table
from panneuro_hub.wire import SessionView

if TYPE_CHECKING:
    import pandas

_AT_ONCE = 8  # projects


DatasetOpener = Callable[..., Any]
"""Opens a dataset by its name, as `lab.open` does."""


@dataclass(frozen=True)
class OpenableDataset(DatasetRow):
    """One dataset that can be opened; see `panneuro_hub.catalog.dataset_rows.DatasetRow`.

    Parameters
    ----------
    opener : callable
        Opens the dataset. It is an argument because `lab.open` returns lists of datasets.
    """

    opener: DatasetOpener = field(repr=False, compare=False)

    def open(self, **kwargs: Any) -> Any:
        """Open the dataset, as `lab.open` does."""
        return self.opener(self.name, **kwargs)


class DatasetList(Sequence[OpenableDataset]):
    """Datasets in the order of their names; a notebook shows them as a table.

    Parameters
    ----------
    datasets : sequence of OpenableDataset
    notes : sequence of str
        Sentences about what could not be listed, with the reasons.
    """

    def __init__(self, datasets: Sequence[OpenableDataset], notes: Sequence[str] = ()) -> None:
        self._found = tuple(sorted(datasets, key=lambda one: one.name))
        self.notes = tuple(notes)

    @overload
    def __getitem__(self, which: int | str) -> OpenableDataset: ...

    @overload
    def __getitem__(self, which: slice) -> DatasetList: ...

    def __getitem__(self, which: int | str | slice) -> OpenableDataset | DatasetList:
        if isinstance(which, slice):
            return DatasetList(self._found[which])
        if isinstance(which, int):
            return self._found[which]
        for one in self._found:
            if one.name == which:
                return one
        raise KeyError(which)

    def __len__(self) -> int:
        return len(self._found)

    def __iter__(self) -> Iterator[OpenableDataset]:
        return iter(self._found)

    def find(self, words: str) -> DatasetList:
        """Return the datasets whose texts (name, title, people and others) have all `words`."""
        return DatasetList([one for one in self._found if one.matches_words(words)])

    def to_pandas(self) -> pandas.DataFrame:
        """Return all fields of the catalogs as a data frame, with one row for each dataset."""
        import pandas

        names = [
            column.name
            for column in fields(DatasetRecord)
            if column.name not in ("dataset", "project")
        ]
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
        lines = format_table(self._rows()) or ["no datasets"]
        return "\n".join([*lines, *map(_format_note, self.notes)])

    def _repr_html_(self) -> str:
        notes = "".join(f"<div>{html.escape(_format_note(note))}</div>" for note in self.notes)
        return (format_html_table(self._rows()) or "<div>no datasets</div>") + notes

    def _rows(self) -> list[dict[str, str]]:
        rows = [one.row() for one in self._found]
        # A column that is empty for every dataset is not shown.
        shown = [name for name in COLUMNS if name == "dataset" or any(row[name] for row in rows)]
        return [{name: row[name] for name in shown} for row in rows]


def list_datasets(project: str, opener: DatasetOpener) -> DatasetList:
    """Return the datasets of `project`, or of all projects that the session reads if it is empty.

    Parameters
    ----------
    project : str
    opener : callable
        Opens one of the datasets by its name.

    Raises
    ------
    AccessDeniedError, NotInSessionError, ServiceUnavailableError
        As for `lab.datasets`.
    """
    view = session()
    names = [project] if project else list(view.prefixes)
    spots = [_find_project(view, name) for name in names]
    with ThreadPoolExecutor(_AT_ONCE, "panneuro-datasets") as pool:
        listings = list(pool.map(_read_listing, spots))
    found: list[OpenableDataset] = []
    notes: list[str] = []
    for place, listed in zip(spots, listings, strict=True):
        if isinstance(listed, PanNeuroError):
            if project:
                raise listed
            notes.append(f"{place.project}: {listed}")
            continue
        found += _make_datasets(place, listed, opener)
        notes += [f"{place.project}: {trouble}" for trouble in listed.problems]
    return DatasetList(found, notes)


def _find_project(view: SessionView, name: str) -> StoragePath:
    place = find_path(view, name)
    if place.key or "/" in name.rstrip("/"):
        raise InvalidArgumentError(
            f"{name!r} is not a project; write only its name, such as {view.project!r}"
        )
    return place


def _read_listing(place: StoragePath) -> CatalogListing | PanNeuroError:
    try:
        with translate_store_errors(place.place, "catalog"):
            return list_catalog(place.store)
    except (AccessDeniedError, PathNotFoundError, ServiceUnavailableError) as problem:
        return problem


def _make_datasets(
    place: StoragePath, listed: CatalogListing, opener: DatasetOpener
) -> Iterator[OpenableDataset]:
    denied = place.view.denied
    for one in make_dataset_rows(place.project, place.root.uri, listed, denied):
        yield OpenableDataset(one.name, one.project, one.record, one.upload, one.frozen, opener)


def _format_note(text: str) -> str:
    return "note: " + " ".join("".join(c if c.isprintable() else " " for c in text).split())
