"""Bring the compression filters that HDF5's own library does not have."""

from __future__ import annotations

from typing import Any

from panneuro_hub.errors import MissingPackageError

_FIRST_OTHER = 256  # HDF5's own filters have smaller numbers


def require_filters(plist: Any) -> None:
    """Register what a dataset needs.

    Parameters
    ----------
    plist : h5py.h5p.PropDCID
        The dataset's properties.

    Raises
    ------
    ImportError
        If the package with the filters is not installed.
    OSError
        If it has no such filter either.
    """
    import h5py

    filters = [plist.get_filter(number) for number in range(plist.get_nfilters())]
    for number, _, _, name in filters:
        if number < _FIRST_OTHER or h5py.h5z.filter_avail(number):
            continue
        _register()
        if not h5py.h5z.filter_avail(number):
            label = name.decode("utf-8", "replace") or "without a name"
            raise OSError(f"it is packed with the filter {number} ({label}), which is not here")


def _register() -> None:
    try:
        import hdf5plugin  # noqa: F401
    except ModuleNotFoundError as missing:
        raise MissingPackageError(
            "opening this needs hdf5plugin, which is not installed here; it comes with "
            "panneuro-hub[formats]"
        ) from missing
