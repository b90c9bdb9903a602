"""Functions for notebooks: the session, its datasets, and Dask clusters.

In a notebook::

    import panneuro_hub.lab as lab

    lab.session()  # your project, what you may do, and why
    lab.datasets()  # the datasets that you can read
    lab.open("nhp-navigation/session-12")
    client = lab.cluster(workers=10)  # Dask computes on the project's cluster

The functions need the ``lab`` extra, and `cluster` also needs the ``cluster`` extra. Each module
is imported when it is first used, so that a missing extra disables only its own functions.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from panneuro_hub.errors import MissingPackageError

if TYPE_CHECKING:
    from panneuro_hub.lab.current_session import CurrentSession, PathNotFoundError, resolve, session
    from panneuro_hub.lab.current_session import CurrentSession as Session
    from panneuro_hub.lab.current_session import PathNotFoundError as NothingThere
    from panneuro_hub.lab.dataset_contents import Dataset
    from panneuro_hub.lab.object_file import ObjectChangedError
    from panneuro_hub.lab.object_file import ObjectChangedError as Changed
    from panneuro_hub.lab.open_data import IncompleteUploadError, datasets, file
    from panneuro_hub.lab.open_data import IncompleteUploadError as Incomplete
    from panneuro_hub.lab.open_data import open as open  # noqa: A004
    from panneuro_hub.lab.project_clusters import cluster, clusters
    from panneuro_hub.lab.read_errors import (
        BrokenLinkError,
        OmittedDataWarning,
        UnknownFormatError,
        UnreadableFileError,
    )
    from panneuro_hub.lab.read_errors import (
        UnknownFormatError as NoReader,
    )
    from panneuro_hub.lab.read_errors import (
        UnreadableFileError as Unreadable,
    )
    from panneuro_hub.lab.session_stores import filesystem, open_zarr, store

# Not `open`: `from panneuro_hub.lab import *` must not replace Python's own `open`.
__all__ = [
    "BrokenLinkError",
    "Changed",
    "CurrentSession",
    "Dataset",
    "Incomplete",
    "IncompleteUploadError",
    "NoReader",
    "NothingThere",
    "ObjectChangedError",
    "OmittedDataWarning",
    "PathNotFoundError",
    "Session",
    "UnknownFormatError",
    "Unreadable",
    "UnreadableFileError",
    "cluster",
    "clusters",
    "datasets",
    "file",
    "filesystem",
    "open_zarr",
    "resolve",
    "session",
    "store",
]

_HOMES = {
    "BrokenLinkError": "read_errors",
    "Changed": "object_file.ObjectChangedError",
    "ObjectChangedError": "object_file",
    "Dataset": "dataset_contents",
    "Incomplete": "open_data.IncompleteUploadError",
    "IncompleteUploadError": "open_data",
    "NoReader": "read_errors.UnknownFormatError",
    "UnknownFormatError": "read_errors",
    "NothingThere": "current_session.PathNotFoundError",
    "PathNotFoundError": "current_session",
    "OmittedDataWarning": "read_errors",
    "Session": "current_session.CurrentSession",
    "CurrentSession": "current_session",
    "Unreadable": "read_errors.UnreadableFileError",
    "UnreadableFileError": "read_errors",
    "cluster": "project_clusters",
    "clusters": "project_clusters",
    "datasets": "open_data",
    "file": "open_data",
    "filesystem": "session_stores",
    "open": "open_data",
    "open_zarr": "session_stores",
    "resolve": "current_session",
    "session": "current_session",
    "store": "session_stores",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = _HOMES[name].partition(".")
    extra = "cluster" if _HOMES[name] == "project_clusters" else "lab"
    try:
        home = import_module(f"{__name__}.{module}")
    except ModuleNotFoundError as missing:
        raise MissingPackageError(
            f"lab.{name} needs the package {missing.name}, which this image does not have; "
            f"it comes with panneuro-hub[{extra}]"
        ) from missing
    return getattr(home, attribute or name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
