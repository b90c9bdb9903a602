"""Open files of a folder as `lab.open` opens those of a dataset in a store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from obstore.store import LocalStore
from session_views import view_of

from panneuro_hub.catalog.formats import guess_kind
from panneuro_hub.lab.dataset_links import DatasetLinks
from panneuro_hub.lab.file_readers import read_file
from panneuro_hub.lab.object_file import open_object_file
from panneuro_hub.lab.paths import StoragePath
from panneuro_hub.names import StorageLocation


def open_file(folder: Path, name: str, **kwargs: Any) -> Any:
    """Open a file of the dataset in `folder`, whose parent stands for the project."""
    root = StorageLocation.parse("s3://lab/nav/")
    store: Any = LocalStore(folder.parent)
    spot = StoragePath(view_of(), "nav", root, store, f"{folder.name}/{name}")
    neighbours = DatasetLinks(spot.at(folder.name), None)
    source = open_object_file(store, spot.place, spot.key, neighbours)
    return read_file(source, guess_kind(name), spot.place, **kwargs)
