"""What runs beside the researcher: the session's agent, and functions for notebooks.

In a notebook::

    import panneuro_hub.lab as lab

    lab.session()  # where you are, what you may do, and why
    lab.open_zarr("shared-stimuli/movies.zarr")

The functions need the ``lab`` extra; the agent needs nothing but Python. So
nothing is imported here before somebody asks for it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from panneuro_hub.lab.data import filesystem, open_zarr, store
    from panneuro_hub.lab.here import NothingThere, Session, resolve, session

__all__ = [
    "NothingThere",
    "Session",
    "filesystem",
    "open_zarr",
    "resolve",
    "session",
    "store",
]

_HOMES = {
    "NothingThere": "here",
    "Session": "here",
    "filesystem": "data",
    "open_zarr": "data",
    "resolve": "here",
    "session": "here",
    "store": "data",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        home = import_module(f"{__name__}.{_HOMES[name]}")
    except ModuleNotFoundError as missing:
        raise ImportError(
            f"lab.{name} needs the package {missing.name}, which this image does not have; "
            "it comes with panneuro-hub[lab]"
        ) from missing
    return getattr(home, name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
