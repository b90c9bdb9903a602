"""Open HDF5, NetCDF and NWB files."""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING, Any

from panneuro_hub.catalog.formats import HDF5_HEAD, is_hdf5
from panneuro_hub.lab.object_file import ObjectFile
from panneuro_hub.lab.read_errors import (
    OmittedDataWarning,
    UnknownFormatError,
    UnreadableFileError,
    require_packages,
)
from panneuro_hub.lab.store_errors import PathLabel

if TYPE_CHECKING:
    from panneuro_hub.lab.hdf5.file_survey import FileSurvey
    from panneuro_hub.lab.hdf5.linked_file import LinkedFile


def read_hdf5(file: ObjectFile, place: PathLabel, kwargs: dict[str, Any]) -> Any:
    """Return what an HDF5 file holds.

    That is what xarray makes of it, or pynwb if it is NWB. A file with references between
    its objects is more than xarray can hold, and comes as an `h5py.File`, which
    ``engine="h5py"`` gives of any file.
    """
    with require_packages("h5py"):
        from panneuro_hub.lab.hdf5.file_survey import survey_file
        from panneuro_hub.lab.hdf5.linked_file import LinkedFile

    root = LinkedFile(file)
    if kwargs.get("engine") == "h5py":
        return root
    if "nwb_version" in root.attrs:
        return read_nwb(file, place, kwargs)
    found = survey_file(root)
    if found.tables:
        raise UnknownFormatError(_make_pandas_error(place, found.tables))
    if found.references:
        return root
    _warn_of_notes(place, found)
    with require_packages("h5netcdf", "xarray"):
        from panneuro_hub.lab.hdf5.xarray_files import open_with_xarray
    return open_with_xarray(root, found, kwargs)


def read_netcdf(file: ObjectFile, place: PathLabel, kwargs: dict[str, Any]) -> Any:
    """Return what a NetCDF file holds, of the format of any version."""
    head = file.read(HDF5_HEAD) or b""
    if is_hdf5(head):
        return read_hdf5(file, place, kwargs)
    if not head.startswith(b"CDF"):
        what = "is empty" if not head else "does not begin as NetCDF does"
        raise UnreadableFileError(f"{place.path!r} cannot be opened as NetCDF: it {what}")
    with require_packages("xarray", "scipy"):
        import scipy.io  # noqa: F401
        import xarray

    # The old format has no chunks, and its reader takes all of a file.
    return xarray.open_dataset(io.BytesIO(file.whole()), engine="scipy", **kwargs)


def read_nwb(file: ObjectFile, place: PathLabel, kwargs: dict[str, Any]) -> Any:
    """Return an NWB file on HDF5 as pynwb reads it."""
    with require_packages("pynwb", "h5py"):
        from pynwb import NWBHDF5IO

        from panneuro_hub.lab.hdf5.file_survey import survey_file
        from panneuro_hub.lab.hdf5.linked_file import LinkedFile

    root = LinkedFile(file)
    if kwargs.get("engine") == "h5py":
        return root
    if "nwb_version" not in root.attrs:
        raise UnreadableFileError(_make_nwb_error(root, place))
    found = survey_file(root)
    _warn_of_notes(place, found)
    root.hidden = found.hidden
    # The file's own object keeps its reader, and with it the source, open.
    read = NWBHDF5IO(file=root, mode="r", load_namespaces=True, **kwargs).read()
    _warn_of_omitted(place, root, read)
    return read


def _warn_of_omitted(place: PathLabel, root: LinkedFile, read: Any) -> None:
    """Warn of objects that pynwb left out: of links to objects of one name it keeps one."""
    groups = {
        "acquisition": read.acquisition,
        "analysis": read.analysis,
        "stimulus/presentation": read.stimulus,
        **{
            f"processing/{name}": module.data_interfaces for name, module in read.processing.items()
        },
    }
    for path, found in groups.items():
        names = sorted(root[path]) if path in root else []
        if len(names) > len(found):
            warnings.warn(
                f"{place.path!r}: pynwb reads {len(found)} of the {len(names)} objects in /{path} "
                f"({', '.join(names[:10])}); lab.open({place.path!r}, engine='h5py') gives all",
                OmittedDataWarning,
                stacklevel=2,
            )


def _make_nwb_error(root: LinkedFile, place: PathLabel) -> str:
    what = "is not NWB: it has no attribute nwb_version"
    if "nwb_version" in root:
        what = "is of NWB 1, which pynwb does not read any more"
    return f"{place.path!r} {what}; lab.open({place.path!r}, engine='h5py') gives it as HDF5"


def _make_pandas_error(place: PathLabel, tables: list[str]) -> str:
    return (
        f"{place.path!r} was written by pandas or PyTables ({', '.join(tables[:3])}), which store "
        f"tables in a way of their own. To read one, copy the file with "
        f"lab.filesystem().get({place.uri!r}, 'copy.h5'), and call "
        f"pandas.read_hdf('copy.h5', {tables[0]!r}), which needs the package tables; "
        f"lab.open({place.path!r}, engine='h5py') gives what HDF5 holds"
    )


def _warn_of_notes(place: PathLabel, found: FileSurvey) -> None:
    """Warn of what is left out."""
    for note in found.notes:
        warnings.warn(f"{place.path!r} is opened without {note}", OmittedDataWarning, stacklevel=2)
