"""Open an HDF5 file of the store with xarray, all of its groups."""

from __future__ import annotations

from typing import Any

import h5netcdf
import xarray
from xarray.backends import CachingFileManager, H5NetCDFStore

from panneuro_hub.errors import InvalidArgumentError
from panneuro_hub.lab.hdf5.file_survey import FileSurvey
from panneuro_hub.lab.hdf5.linked_file import LinkedFile
from panneuro_hub.lab.object_file import ObjectFile

_LARGEST_INDEX = 2**28  # bytes of a coordinate that xarray reads at once
_OF_THE_FILE = {"decode_vlen_strings", "invalid_netcdf", "phony_dims"}


def open_with_xarray(root: LinkedFile, found: FileSurvey, kwargs: dict[str, Any]) -> Any:
    """Return a data set if a file has one group, and a tree if it has more.

    Groups may give different lengths to a dimension of one name; xarray has no tree for these,
    and the result is a dictionary of data sets, as of `xarray.open_groups`.

    Parameters
    ----------
    root : LinkedFile
    found : FileSurvey
        Of this file.
    kwargs : dict
        For `xarray.open_dataset`; ``group`` opens this one only.
    """
    given = dict(kwargs)
    if given.pop("engine", None) not in (None, "h5netcdf"):
        raise InvalidArgumentError("engine must be 'h5netcdf' or 'h5py' for a file in the store")
    # Plain HDF5 has no names for dimensions; a reader of NetCDF gets those that it has.
    of_file = {"phony_dims": "access", "decode_vlen_strings": True}
    of_file |= {key: given.pop(key) for key in _OF_THE_FILE & set(given)}
    hidden = tuple(found.hidden.items())
    manager = CachingFileManager(
        _open_netcdf, root.source, hidden, mode="r", kwargs=of_file, lock=False
    )
    if "group" in given:
        return _open_group(manager, given.pop("group"), given)
    if len(found.groups) == 1:
        return _open_group(manager, None, given)
    groups = {path: _open_group(manager, path, given) for path in found.groups}
    try:
        return xarray.DataTree.from_dict(groups)
    except ValueError:
        return groups


def _open_netcdf(source: ObjectFile, hidden: Any, mode: str, **kwargs: Any) -> h5netcdf.File:
    """Open the file, here or on a worker that got a part of it."""
    return h5netcdf.File(LinkedFile(source, hidden=dict(hidden)), mode, **kwargs)


def _open_group(manager: CachingFileManager[Any], path: str | None, given: dict[str, Any]) -> Any:
    store = H5NetCDFStore(manager, group=path, mode="r")
    large = any(
        name in variable.dimensions and variable.shape[0] * variable.dtype.itemsize > _LARGEST_INDEX
        for name, variable in store.ds.variables.items()
        if len(variable.shape) == 1
    )
    # A coordinate of a name and a dimension is read at once, to be an index.
    return xarray.open_dataset(
        store, **({"create_default_indexes": False} if large else {}) | given
    )
