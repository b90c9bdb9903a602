"""HDF5 of every kind that the field writes opens, with everything that is in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np
import pytest
import xarray
from local_data import open_file

from panneuro_hub.lab.read_errors import UnknownFormatError, UnreadableFileError

TRACE = np.arange(12).reshape(4, 3)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The folder of a dataset."""
    folder = tmp_path / "project" / "ds"
    folder.mkdir(parents=True)
    return folder


def test_groups_are_there_with_the_arrays_of_the_root(data: Path) -> None:
    with h5py.File(data / "root_and_groups.h5", "w") as file:
        file["time"] = np.arange(10.0)
        file["probe0/trace"] = TRACE
        file["probe1/inner/trace"] = TRACE
    found = open_file(data, "root_and_groups.h5")
    assert isinstance(found, xarray.DataTree)
    np.testing.assert_array_equal(found["time"], np.arange(10.0))
    np.testing.assert_array_equal(found["probe0/trace"], TRACE)
    np.testing.assert_array_equal(found["probe1/inner/trace"], TRACE)
    one = open_file(data, "root_and_groups.h5", group="probe0")
    assert isinstance(one, xarray.Dataset)
    np.testing.assert_array_equal(one["trace"], TRACE)


@pytest.mark.parametrize("size", [512, 1024, 2048, 8192, 65536])
@pytest.mark.parametrize("name", ["block.h5", "block.nc", "matlab73.mat"])
def test_a_block_before_the_signature_is_passed_over(data: Path, name: str, size: int) -> None:
    with h5py.File(data / name, "w", userblock_size=size) as file:
        file["trace"] = TRACE
    with (data / name).open("r+b") as raw:
        raw.write(b"MATLAB 7.3 MAT-file, HDF5 schema 1.00 .")
    np.testing.assert_array_equal(open_file(data, name)["trace"], TRACE)


def test_matlab_with_cells_comes_as_hdf5_with_its_references(data: Path) -> None:
    with h5py.File(data / "cells.mat", "w", userblock_size=512) as file:
        file["#refs#/a"] = TRACE
        file["cells"] = np.array([file["#refs#/a"].ref], dtype=h5py.ref_dtype)
    found = open_file(data, "cells.mat")
    assert isinstance(found, h5py.File)
    np.testing.assert_array_equal(found[found["cells"][0]][:], TRACE)


@pytest.mark.parametrize(
    "packed",
    [
        hdf5plugin.Blosc(),
        hdf5plugin.Blosc2(),
        hdf5plugin.LZ4(),
        hdf5plugin.Zstd(),
        hdf5plugin.Bitshuffle(),
    ],
    ids=lambda packed: type(packed).__name__,
)
def test_values_packed_by_other_filters_are_read(data: Path, packed: Any) -> None:
    with h5py.File(data / "packed.h5", "w") as file:
        file.create_dataset("x", data=np.arange(5000), chunks=(1000,), **packed)
    np.testing.assert_array_equal(open_file(data, "packed.h5")["x"], np.arange(5000))


def test_a_filter_that_nobody_has_is_named(data: Path) -> None:
    with h5py.File(data / "packed.h5", "w") as file:
        file["good"] = TRACE
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk((10,))
        plist.set_filter(32_767, h5py.h5z.FLAG_OPTIONAL, ())
        space = h5py.h5s.create_simple((10,))
        h5py.h5d.create(file.id, b"x", h5py.h5t.NATIVE_INT16, space, plist)
    found = open_file(data, "packed.h5")
    np.testing.assert_array_equal(found["good"], TRACE)
    with pytest.raises(
        UnreadableFileError, match=r"packed\.h5': /x cannot be read: .* filter 32767"
    ):
        found["x"].load()


def test_tables_of_pandas_are_refused_with_the_call_that_reads_them(data: Path) -> None:
    with h5py.File(data / "frame.h5", "w") as file:
        file.attrs["PYTABLES_FORMAT_VERSION"] = "2.1"
        file.create_group("df").attrs["pandas_type"] = "frame_table"
        file["df/table"] = np.zeros(3, dtype=[("index", "i8"), ("values", "f8")])
        file["df/table"].attrs["CLASS"] = "TABLE"
    with pytest.raises(UnknownFormatError, match=r"pandas\.read_hdf\('copy\.h5', '/df'\)"):
        open_file(data, "frame.h5")
    table = open_file(data, "frame.h5", engine="h5py")["df/table"]
    assert table.fields("values")[1:].shape == (2,)


def test_nwb_of_the_first_version_and_hdf5_that_is_no_nwb_say_so(data: Path) -> None:
    with h5py.File(data / "nwb1.nwb", "w") as file:
        file["nwb_version"], file["identifier"] = "NWB-1.0.6", "old"
    with h5py.File(data / "none.nwb", "w") as file:
        file["x"] = TRACE
    with pytest.raises(UnreadableFileError, match=r"'nav/ds/nwb1\.nwb' is of NWB 1"):
        open_file(data, "nwb1.nwb")
    with pytest.raises(UnreadableFileError, match=r"'nav/ds/none\.nwb' is not NWB"):
        open_file(data, "none.nwb")
    np.testing.assert_array_equal(open_file(data, "none.nwb", engine="h5py")["x"][:], TRACE)


def test_an_empty_netcdf_file_is_unreadable(data: Path) -> None:
    (data / "empty.nc").write_bytes(b"")
    with pytest.raises(
        UnreadableFileError, match=r"'nav/ds/empty\.nc' cannot be .* NetCDF: it is empty"
    ):
        open_file(data, "empty.nc")


def test_types_of_every_kind_are_there(data: Path) -> None:
    with h5py.File(data / "types.h5", "w") as file:
        file["texts"] = ["a", "bc"]
        file["flags"] = np.array([True, False])
        file["compound"] = np.zeros(3, dtype=[("a", "i4"), ("b", "f8")])
        file["complex"] = np.ones(3, "c16")
        file["scalar"] = 4
        file.create_dataset("ragged", (2,), dtype=h5py.vlen_dtype(np.dtype("i4")))
        file["empty"] = h5py.Empty("f4")
    found = open_file(data, "types.h5")
    assert {"texts", "flags", "compound", "complex", "scalar", "ragged", "empty"} <= set(found)
    assert list(np.asarray(found["texts"])) in (["a", "bc"], [b"a", b"bc"])
