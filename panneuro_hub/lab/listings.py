"""The datasets that can be read in this session, as their catalogs list them."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from typing import TYPE_CHECKING, Any, overload

from panneuro_hub.catalog.found import COLUMNS, found_in
from panneuro_hub.catalog.found import Found as Listed
from panneuro_hub.catalog.manifest import Record
from panneuro_hub.catalog.records import Listing, listing
from panneuro_hub.errors import (
    AccessDenied,
    InvalidArgumentError,
    PanNeuroError,
    ServiceUnavailable,
)
from panneuro_hub.lab.here import NothingThere, session
from panneuro_hub.lab.refusals import plainly
from panneuro_hub.lab.shown import table, table_html
from panneuro_hub.lab.spots import Spot, spot
from panneuro_hub.wire import SessionView

if TYPE_CHECKING:
    import pandas

_AT_ONCE = 8  # projects


class Found(Listed):
    """One dataset of a listing, which can be opened; see `panneuro_hub.catalog.found.Found`."""

    def open(self, **kwargs: Any) -> Any:
        """Open it, as `lab.open` does."""
        from panneuro_hub.lab.opening import open as open_dataset

        return open_dataset(self.name, **kwargs)


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
        return Datasets([one for one in self._found if one.has(words)])

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
        shown = [name for name in COLUMNS if name == "dataset" or any(row[name] for row in rows)]
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
        raise InvalidArgumentError(
            f"{name!r} is no project; write its name alone, such as {view.project!r}"
        )
    return place


def _listing(place: Spot) -> Listing | PanNeuroError:
    try:
        with plainly(place.place, "catalog"):
            return listing(place.store)
    except (AccessDenied, NothingThere, ServiceUnavailable) as problem:
        return problem


def _found(place: Spot, listed: Listing) -> Iterator[Found]:
    denied = place.view.denied
    for one in found_in(place.project, place.root.uri, listed, denied):
        yield Found(one.name, one.project, one.record, one.upload, one.frozen)


def _note(text: str) -> str:
    return "note: " + " ".join("".join(c if c.isprintable() else " " for c in text).split())
