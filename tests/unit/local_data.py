"""Open files of a folder as `lab.open` opens those of a dataset in a store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from obstore.store import LocalStore
from session_views import view_of

from panneuro_hub.catalog.formats import kind_of
from panneuro_hub.lab.neighbours import Neighbours
from panneuro_hub.lab.objects import object_file
from panneuro_hub.lab.readers import read_file
from panneuro_hub.lab.spots import Spot
from panneuro_hub.names import Location


def open_file(folder: Path, name: str, **kwargs: Any) -> Any:
    """Open a file of the dataset in `folder`, whose parent stands for the project."""
    root = Location.parse("s3://lab/nav/")
    store: Any = LocalStore(folder.parent)
    spot = Spot(view_of(), "nav", root, store, f"{folder.name}/{name}")
    neighbours = Neighbours(spot.at(folder.name), None)
    source = object_file(store, spot.place, spot.key, neighbours)
    return read_file(source, kind_of(name), spot.place, **kwargs)
