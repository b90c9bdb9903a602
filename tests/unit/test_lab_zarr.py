"""Zarr opens with values and types as stored, and with everything that a hierarchy holds.

The store is one of memory, which answers as others do; the tests in tests/live open the same from
a real one.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas
import pytest
import xarray
import zarr
from obstore.store import MemoryStore
from zarr.storage import ObjectStore

from panneuro_hub.lab.current_session import PathNotFoundError
from panneuro_hub.lab.read_errors import UnknownFormatError, UnreadableFileError
from panneuro_hub.lab.store_errors import PathLabel
from panneuro_hub.lab.zarr_groups import read_zarr, read_zarr_group

PLACE = PathLabel("nav/recording", "s3://lab/nav/recording", "nav")
NUMBERS = np.arange(600, dtype="i2").reshape(100, 6)


class Hierarchy:
    """A Zarr hierarchy, to write and to open."""

    def __init__(self) -> None:
        self.objects = MemoryStore()
        self.store = ObjectStore(self.objects)

    def group(self, zarr_format: int = 3, **attributes: Any) -> zarr.Group:
        return zarr.create_group(
            self.store,
            zarr_format=zarr_format,  # type: ignore[arg-type]
            attributes=attributes,
        )

    def open(self, **kwargs: Any) -> Any:
        return read_zarr(self.objects, PLACE, **kwargs)  # type: ignore[arg-type]

    def dataset(self, **kwargs: Any) -> xarray.Dataset:
        return read_zarr_group(self.objects, PLACE, **kwargs)  # type: ignore[arg-type]


@pytest.fixture
def hierarchy() -> Hierarchy:
    return Hierarchy()


def add(group: zarr.Group, name: str, data: Any, *dims: str, **attributes: Any) -> zarr.Array[Any]:
    """Add an array whose dimensions have names."""
    third = group.metadata.zarr_format == 3
    array = group.create_array(name, data=data, **({"dimension_names": dims} if third else {}))
    array.attrs.update(attributes if third else {"_ARRAY_DIMENSIONS": list(dims), **attributes})
    return array


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("consolidated", [False, True])
@pytest.mark.parametrize(
    "data",
    [
        NUMBERS[:6],
        np.zeros((6, 6), "u1"),
        np.zeros((6, 6), "f4"),
        np.eye(6, dtype=bool),
        np.array([["", "a", "b"]] * 3, dtype="<U4"),
        np.array([["2026-11-02", "NaT"]] * 2, dtype="M8[s]"),
    ],
    ids=["int16", "uint8", "float32", "bool", "text", "time"],
)
@pytest.mark.filterwarnings("ignore:.*does not have a Zarr V3 specification")
@pytest.mark.filterwarnings("ignore:Consolidated metadata is currently not part")
def test_values_and_types_are_as_stored(
    hierarchy: Hierarchy, data: Any, consolidated: bool, zarr_format: int
) -> None:
    group = hierarchy.group(zarr_format)
    add(group, "x", data, "t", "c")
    add(group.create_group("day"), "y", data, "u", "d")
    if consolidated:
        zarr.consolidate_metadata(hierarchy.store)
    for found in (hierarchy.open()["x"], hierarchy.dataset()["x"], hierarchy.open()["day"]["y"]):
        assert found.dtype.kind == data.dtype.kind
        assert data.dtype.kind == "M" or found.dtype == data.dtype
        np.testing.assert_array_equal(found.values, data)


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_only_attributes_say_what_is_missing(hierarchy: Hierarchy, zarr_format: int) -> None:
    group = hierarchy.group(zarr_format)
    raw = np.array([0, -1, 7], "i2")
    add(group, "missing", raw, "n", missing_value=-1)
    add(group, "scaled", raw, "n", scale_factor=0.5, add_offset=1.0)
    add(group, "plain", raw, "n", long_name="as stored")
    add(group, "stated", raw.astype("f4"), "n", _FillValue=7.0)
    found = hierarchy.open()
    np.testing.assert_array_equal(found["stated"].values, [0, -1, np.nan])
    np.testing.assert_array_equal(found["missing"].values, [0, np.nan, 7])
    np.testing.assert_array_equal(found["scaled"].values, [1.0, 0.5, 4.5])
    assert found["plain"].dtype == "i2"


def test_a_fill_value_masks_where_it_is_asked_for(hierarchy: Hierarchy) -> None:
    add(hierarchy.group(2), "x", np.array([0, -1, 7], "i2"), "n")
    masked = hierarchy.open(use_zarr_fill_value_as_mask=True)["x"].values
    np.testing.assert_array_equal(masked, [np.nan, -1, 7])


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_what_xarray_wrote_reads_back(hierarchy: Hierarchy, zarr_format: int) -> None:
    written = xarray.Dataset(
        {
            "packed": ("t", [1.0, np.nan, 3.0]),
            "count": ("t", np.array([0, 1, 2], "i4")),
            "level": ("t", [0.0, np.nan, 2.0]),
        },
        coords={"t": pandas.to_datetime(["2026-11-02", "2026-11-03", "2026-11-04"])},
    )
    packing = {"dtype": "i2", "scale_factor": 0.5, "_FillValue": -9}
    written.to_zarr(
        hierarchy.store,
        zarr_format=zarr_format,  # type: ignore[arg-type]
        encoding={"packed": packing},
        consolidated=False,
    )
    found = hierarchy.open()
    xarray.testing.assert_equal(found.load(), written)
    assert found["count"].dtype == "i4"


def test_arrays_without_names_of_dimensions_are_a_group(hierarchy: Hierarchy) -> None:
    group = hierarchy.group(sampling_frequency=30000.0)
    group.create_array("channel_ids", data=np.arange(6))
    group.create_group("properties").create_array("gain", data=np.ones(6))
    add(group, "named", np.arange(3), "n")
    found = hierarchy.open()
    assert isinstance(found, zarr.Group)
    assert found.attrs["sampling_frequency"] == 30000.0
    assert {path for path, _ in found.members(max_depth=None)} == {
        *("channel_ids", "named", "properties", "properties/gain")
    }
    with pytest.raises(
        UnknownFormatError, match=r"'nav/recording' opens as a zarr\.Group, .* takes no chunks"
    ):
        hierarchy.open(chunks={})
    with pytest.raises(
        UnreadableFileError, match=r"'nav/recording' has arrays without names.*lab\.open"
    ):
        hierarchy.dataset()


@pytest.mark.parametrize("attributes", [{"ome": {}}, {"multiscales": []}, {"plate": {}}])
def test_ome_zarr_is_always_a_group(hierarchy: Hierarchy, attributes: dict[str, Any]) -> None:
    add(hierarchy.group(**attributes), "0", np.ones((4, 4), "u2"), "y", "x")
    assert isinstance(hierarchy.open(), zarr.Group)


def test_arrays_that_do_not_fit_together_are_a_group(hierarchy: Hierarchy) -> None:
    group = hierarchy.group()
    add(group, "fast", np.arange(6), "t")
    add(group, "slow", np.arange(3), "t")
    assert isinstance(hierarchy.open(), zarr.Group)


def test_groups_that_do_not_fit_together_are_a_group(hierarchy: Hierarchy) -> None:
    group = hierarchy.group()
    add(group, "t", np.arange(3), "t")
    add(group.create_group("late"), "t", np.arange(3, 6), "t")
    assert isinstance(hierarchy.open(), zarr.Group)
    assert list(hierarchy.open(group="late")["t"].values) == [3, 4, 5]


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_groups_beside_arrays_are_there(hierarchy: Hierarchy, zarr_format: int) -> None:
    group = hierarchy.group(zarr_format, subject="m1")
    add(group, "x", np.arange(3), "n")
    add(group.create_group("day-1/probe"), "y", np.arange(4), "m")
    found = hierarchy.open()
    assert isinstance(found, xarray.DataTree)
    assert found.attrs == {"subject": "m1"}
    assert list(found["x"].values) == [0, 1, 2]
    assert list(found["day-1/probe/y"].values) == [0, 1, 2, 3]
    assert isinstance(hierarchy.open(group="day-1/probe"), xarray.Dataset)
    assert isinstance(hierarchy.open(group="x"), zarr.Array)
    with pytest.raises(
        PathNotFoundError, match="no group 'day-9' in the Zarr hierarchy 'nav/recor"
    ):
        hierarchy.open(group="day-9")


def test_one_array_is_an_array(hierarchy: Hierarchy) -> None:
    zarr.create_array(hierarchy.store, data=NUMBERS)
    assert hierarchy.open().dtype == "i2"
    with pytest.raises(UnreadableFileError, match="is one Zarr array"):
        hierarchy.dataset()


BROKEN = {
    "empty": b"",
    "cut": b'{"zarr_format": 3, "node_type": "gr',
    "list": b"[]",
    "no object": b"7",
    "binary": b"\x00\xff\xfe\x89",
    "no type": b'{"zarr_format": 3, "node_type": "x"}',
    "version": b'{"zarr_format": 9, "node_type": "group"}',
    "deep": b"[" * 100_000,
    "codec": json.dumps(
        {
            "zarr_format": 3,
            "node_type": "array",
            "shape": [1],
            "data_type": "int16",
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [1]}},
            "chunk_key_encoding": {"name": "default"},
            "fill_value": 0,
            "codecs": [{"name": "of nobody"}],
        }
    ).encode(),
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("key", ["zarr.json", ".zarray", ".zgroup", "inner/zarr.json"])
def test_damaged_metadata_is_named_in_one_line(
    hierarchy: Hierarchy, key: str, content: bytes
) -> None:
    hierarchy.group()
    hierarchy.objects.put(key, content)
    if not key.endswith("zarr.json"):
        hierarchy.objects.delete("zarr.json")
    with pytest.raises(UnreadableFileError, match=r"^'nav/recording' [^\n]*$"):
        hierarchy.open()
