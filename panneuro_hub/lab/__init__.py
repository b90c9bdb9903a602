"""What runs beside the researcher: the session's agent, and functions for notebooks.

In a notebook::

    import panneuro_hub.lab as lab

    lab.session()  # where you are, what you may do, and why
    lab.datasets()  # what there is
    lab.open("nhp-navigation/session-12")
    client = lab.cluster(workers=10)  # Dask computes on the project's cluster

The functions need the ``lab`` extra, and `cluster` the ``cluster`` extra; the agent needs
nothing but Python. So nothing is imported here before somebody asks for it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from panneuro_hub.errors import MissingPackageError

if TYPE_CHECKING:
    from panneuro_hub.lab.data import filesystem, open_zarr, store
    from panneuro_hub.lab.dataset import Dataset
    from panneuro_hub.lab.here import NothingThere, Session, resolve, session
    from panneuro_hub.lab.listings import datasets
    from panneuro_hub.lab.objects import Changed
    from panneuro_hub.lab.opening import Incomplete, file
    from panneuro_hub.lab.opening import open as open  # noqa: A004
    from panneuro_hub.lab.project_clusters import cluster, clusters
    from panneuro_hub.lab.read_errors import (
        BrokenLinkError,
        NoReader,
        OmittedDataWarning,
        Unreadable,
    )

# Not `open`: whoever imports everything would lose Python's own.
__all__ = [
    "BrokenLinkError",
    "Changed",
    "Dataset",
    "Incomplete",
    "NoReader",
    "NothingThere",
    "OmittedDataWarning",
    "Session",
    "Unreadable",
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
    "Changed": "objects",
    "Dataset": "dataset",
    "Incomplete": "opening",
    "NoReader": "read_errors",
    "NothingThere": "here",
    "OmittedDataWarning": "read_errors",
    "Session": "here",
    "Unreadable": "read_errors",
    "cluster": "project_clusters",
    "clusters": "project_clusters",
    "datasets": "listings",
    "file": "opening",
    "filesystem": "data",
    "open": "opening",
    "open_zarr": "data",
    "resolve": "here",
    "session": "here",
    "store": "data",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    extra = "cluster" if _HOMES[name] == "project_clusters" else "lab"
    try:
        home = import_module(f"{__name__}.{_HOMES[name]}")
    except ModuleNotFoundError as missing:
        raise MissingPackageError(
            f"lab.{name} needs the package {missing.name}, which this image does not have; "
            f"it comes with panneuro-hub[{extra}]"
        ) from missing
    return getattr(home, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
