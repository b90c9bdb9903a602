"""Open HDF5, NetCDF and NWB files."""

from __future__ import annotations

import io
from typing import Any

from panneuro_hub.catalog.formats import is_hdf5
from panneuro_hub.lab.objects import ObjectFile
from panneuro_hub.lab.read_errors import needing
from panneuro_hub.lab.refusals import Place

_HEAD = 4096  # bytes


def read_hdf5(file: ObjectFile, place: Place, kwargs: dict[str, Any]) -> Any:
    """Return what an HDF5 file holds, by xarray, or by pynwb if it is NWB."""
    with needing("h5py", "h5netcdf", "xarray"):
        import h5netcdf  # noqa: F401
        import h5py
        import xarray

    with h5py.File(file, "r") as root:
        if "nwb_version" in root.attrs:
            return read_nwb(file, place, kwargs)
        nested = all(isinstance(root.get(name), h5py.Group) for name in root) and len(root) > 0
    # Plain HDF5 has no names for dimensions; who reads NetCDF gets those that it has.
    given = {"engine": "h5netcdf", "phony_dims": "access", **kwargs}
    if nested and "group" not in kwargs:
        return xarray.open_datatree(file, **given)
    return xarray.open_dataset(file, **given)


def read_netcdf(file: ObjectFile, place: Place, kwargs: dict[str, Any]) -> Any:
    """Return what a NetCDF file holds, of the format of any version."""
    if is_hdf5(file.read(_HEAD) or b""):
        return read_hdf5(file, place, kwargs)
    with needing("xarray", "scipy"):
        import scipy.io  # noqa: F401
        import xarray

    # The old format has no chunks, and its reader takes all of a file.
    return xarray.open_dataset(io.BytesIO(file.whole()), engine="scipy", **kwargs)


def read_nwb(file: ObjectFile, place: Place, kwargs: dict[str, Any]) -> Any:
    """Return an NWB file on HDF5 as pynwb reads it."""
    with needing("pynwb", "h5py"):
        import h5py
        from pynwb import NWBHDF5IO

    source = h5py.File(file, "r")
    # The file's own object keeps its reader, and with it the source, open.
    return NWBHDF5IO(file=source, mode="r", load_namespaces=True, **kwargs).read()
