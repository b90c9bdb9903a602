"""Datasets are recognised by the names of their files and a few small reads."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pynwb
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st
from pynwb.ecephys import ElectricalSeries

from panneuro_hub.catalog.formats import (
    DatasetFormat,
    OpenableItem,
    guess_kind,
    list_items,
    make_folder_reader,
    recognize_format,
)

DESCRIBED = json.dumps({"Name": "x", "BIDSVersion": "1.10.0"}).encode()


def seen(files: dict[str, bytes]) -> DatasetFormat:
    def read(path: str, start: int, length: int) -> bytes:
        return files[path][start : start + length]

    return recognize_format({path: len(content) for path, content in files.items()}, read)


def below(folder: Path) -> dict[str, int]:
    return {
        path.relative_to(folder).as_posix(): path.stat().st_size
        for path in folder.rglob("*")
        if path.is_file()
    }


def nwb(subject: str | None = "m1") -> bytes:
    content = pynwb.NWBFile(
        session_description="a test",
        identifier="x",
        session_start_time=datetime(2026, 1, 1, tzinfo=UTC),
    )
    if subject is not None:
        content.subject = pynwb.file.Subject(subject_id=subject, species="Macaca mulatta")
    device = content.create_device("probe")
    group = content.create_electrode_group("g", description="g", location="MT", device=device)
    content.add_electrode(group=group, location="MT")
    region = content.create_electrode_table_region([0], "all")
    content.add_acquisition(
        ElectricalSeries(name="raw", data=np.zeros((4, 1)), electrodes=region, rate=1000.0)
    )
    place = pynwb.behavior.Position(name="Position")
    place.create_spatial_series(
        name="xy", data=np.zeros((4, 2)), reference_frame="arena", rate=10.0
    )
    content.create_processing_module("behavior", "where it is").add(place)
    target = io.BytesIO()
    with pynwb.NWBHDF5IO(file=h5py.File(target, "w"), mode="w") as output:
        output.write(content)
    return target.getvalue()


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("a/b.nwb", "nwb"),
        ("B.NWB", "nwb"),
        ("x.h5", "hdf5"),
        ("x.nc", "netcdf"),
        ("sub-01_bold.nii.gz", "nifti"),
        ("x.v2.nii", "nifti"),
        ("x.tsv.gz", "table"),
        ("x.parquet", "table"),
        ("x.gz", ""),
        ("x.nii.zip", ""),
        ("README", ""),
        ("nwb", ""),
        (".nwb", "nwb"),
        ("a.nwb/b", ""),
        ("x.md", "text"),
    ],
)
def test_a_name_says_what_a_file_is(path: str, kind: str) -> None:
    assert guess_kind(path) == kind


def test_a_zarr_hierarchy_is_one_thing() -> None:
    paths = [
        *("a/m.zarr/zarr.json", "a/m.zarr/x/zarr.json", "a/m.zarr/x/c/0", "a/m.zarr/x.csv"),
        *("a/m.zarrx/x.csv", "old/.zgroup", "old/x/.zarray", "old/x/0.0", "b.nwb"),
        ".panneuro/manifest.json",
    ]
    assert list_items(paths) == (
        OpenableItem("a/m.zarr", "zarr"),
        OpenableItem("a/m.zarrx/x.csv", "table"),
        OpenableItem("b.nwb", "nwb"),
        OpenableItem("old", "zarr"),
    )
    assert list_items(["zarr.json", "x/c/0"]) == (OpenableItem("", "zarr"),)


@pytest.mark.parametrize(
    ("paths", "found"),
    [
        (["day=1/a.parquet", "day=2/b.parquet", "README.md"], ["", "README.md"]),
        (["day=1/a.parquet", "raw.nwb"], ["day=1/a.parquet", "raw.nwb"]),
        (["t/day=1/a.parquet", "t/notes.csv", "x.csv"], ["t", "t/notes.csv", "x.csv"]),
        (["spikes.parquet/any.parquet", "spikes.parquet/more/any.parquet"], ["spikes.parquet"]),
        (["t/part.0.parquet", "t/part.1.parquet", "t/_metadata"], ["t"]),
        (["t/part-00000-c9.snappy.parquet", "t/_SUCCESS", "t/.part-00000.parquet.crc"], ["t"]),
        (["t/some.parquet", "t/_SUCCESS"], ["t"]),
        (["units.parquet", "trials.parquet"], ["trials.parquet", "units.parquet"]),
        (["t/part-0.parquet", "t/units.parquet"], ["t/part-0.parquet", "t/units.parquet"]),
    ],
)
def test_parts_of_a_table_in_parquet_are_one_thing(paths: list[str], found: list[str]) -> None:
    assert sorted(thing.path for thing in list_items(paths)) == found


@given(
    st.lists(
        st.lists(
            st.sampled_from(["a", "b.nwb", "zarr.json", ".zarray", "", "..", "x.csv", "é"]),
            min_size=1,
            max_size=4,
        ).map("/".join)
    )
)
def test_every_file_belongs_to_one_thing(paths: list[str]) -> None:
    found = list_items(paths)
    assert len({thing.path for thing in found}) == len(found)
    for path in paths:
        owners = [
            thing
            for thing in found
            if path == thing.path
            or (thing.kind == "zarr" and f"/{path}".startswith(f"/{thing.path}".rstrip("/") + "/"))
        ]
        assert owners


def test_bids_says_its_subjects_and_modalities() -> None:
    files = {
        "dataset_description.json": DESCRIBED,
        "participants.tsv": b"participant_id\n",
        "sub-01/anat/sub-01_T1w.nii.gz": b"",
        "sub-01/ses-a/func/x_bold.nii.gz": b"",
        "sub-02/ieeg/x_ieeg.edf": b"",
        "sub-02/mine/x": b"",
        "sub-../anat/x": b"",
        "derivatives/sub-09/pet/x": b"",
        "sub-03": b"a file",
    }
    assert seen(files) == DatasetFormat("bids", ("sub-01", "sub-02"), ("anat", "func", "ieeg"))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"Name": "x"}', b"\xff"])
def test_what_does_not_say_that_it_is_bids_is_not(content: bytes) -> None:
    assert seen({"dataset_description.json": content, "a.csv": b"x"}).format == "files"


def test_nwb_says_its_subject_and_what_was_recorded() -> None:
    assert seen({"day-1.nwb": nwb(), "README.md": b"Read me."}) == DatasetFormat(
        "nwb", ("m1",), ("behavior", "ecephys")
    )


def test_nwb_without_a_subject_is_asked_of_its_folder() -> None:
    found = seen({"sub-m2/sub-m2_ecephys.nwb": nwb(None), "sub-m2/video.mp4": b""})
    assert found.subjects == ("sub-m2",)


def test_a_damaged_nwb_file_is_a_note() -> None:
    found = seen({"a.nwb": nwb()[:3000], "b.nwb": nwb()})
    assert (found.format, found.subjects) == ("nwb", ("m1",))
    assert found.notes == ("a.nwb: cannot be read as HDF5 (OSError)",)
    assert seen({"a.nwb": b"no HDF5"}).format == "files"


def test_a_file_beside_it_is_never_read(tmp_path: Path) -> None:
    """A subject's name may not come from a link or a store outside: it could be any file."""
    (tmp_path / "secret").write_bytes(b"SECRET")
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["subject_id"] = "SECRET"
    target = tmp_path / "a.nwb"
    with h5py.File(target, "w") as file:
        file.attrs["nwb_version"] = "2.8.0"
        subject = file.create_group("general/subject")
        subject.create_dataset(
            "subject_id", (1,), "S6", external=[(str(tmp_path / "secret"), 0, 6)]
        )
    with h5py.File(target) as file:
        assert file["general/subject/subject_id"][0] == b"SECRET"
    assert seen({"a.nwb": target.read_bytes()}).subjects == ()
    with h5py.File(target, "w") as file:
        subject = file.create_group("general/subject")
        subject["subject_id"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "/subject_id")
        file["acquisition"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "/")
    assert seen({"a.nwb": target.read_bytes()}).subjects == ()


def hierarchy(folder: Path, zarr_format: Any, **attributes: Any) -> None:
    group = zarr.create_group(folder, attributes=attributes, zarr_format=zarr_format)
    inner = group.create_group("acquisition", attributes={"neurodata_type": "ElectricalSeries"})
    inner.create_array("data", data=np.arange(3))


@pytest.mark.filterwarnings("ignore:Consolidated metadata is currently not part")
@pytest.mark.parametrize("zarr_format", [2, 3])
def test_zarr_and_nwb_on_zarr_are_told_apart(tmp_path: Path, zarr_format: int) -> None:
    hierarchy(tmp_path / "plain", zarr_format)
    hierarchy(tmp_path / "nwb", zarr_format, nwb_version="2.8.0")
    zarr.consolidate_metadata(tmp_path / "nwb")
    assert (
        recognize_format(below(tmp_path / "plain"), make_folder_reader(tmp_path / "plain")).format
        == "zarr"
    )
    found = recognize_format(below(tmp_path / "nwb"), make_folder_reader(tmp_path / "nwb"))
    assert found == DatasetFormat("nwb", (), ("ecephys",))
    assert recognize_format(below(tmp_path), make_folder_reader(tmp_path)).format == "nwb"


def test_zarr_beside_other_data_is_files(tmp_path: Path) -> None:
    hierarchy(tmp_path / "a.zarr", 3)
    (tmp_path / "README.md").write_text("Read me.")
    assert recognize_format(below(tmp_path), make_folder_reader(tmp_path)).format == "zarr"
    (tmp_path / "b.csv").write_text("x\n")
    assert recognize_format(below(tmp_path), make_folder_reader(tmp_path)).format == "files"


@given(
    st.dictionaries(
        st.sampled_from(
            ["dataset_description.json", "zarr.json", ".zattrs", ".zgroup", ".zmetadata", "a.nwb"]
        ),
        st.binary(max_size=200)
        | st.recursive(
            st.none() | st.text(max_size=5) | st.integers(),
            lambda inner: (
                st.dictionaries(
                    st.sampled_from(
                        ["attributes", "metadata", "nwb_version", "neurodata_type", "a"]
                    ),
                    inner,
                )
                | st.lists(inner)
            ),
        ).map(lambda value: json.dumps(value).encode()),
    )
)
def test_no_content_breaks_it(files: dict[str, bytes]) -> None:
    assert seen(files).format in ("files", "nwb", "zarr", "bids")
