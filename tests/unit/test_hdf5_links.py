"""HDF5 files that need another file read it from their dataset, and from nowhere else."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pynwb
import pytest
import xarray
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from local_data import open_file

from panneuro_hub.lab.dataset_links import resolve_link
from panneuro_hub.lab.read_errors import BrokenLinkError, OmittedDataWarning, UnreadableFileError

SEVEN = np.full((5, 2), 7, "i2")
SECRET = b"root:x:0:0: what only this machine knows"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The folder of a dataset, with one file in it."""
    folder = tmp_path / "project" / "ds"
    folder.mkdir(parents=True)
    with h5py.File(folder / "raw.h5", "w") as file:
        file["trace"] = SEVEN
    return folder


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder of the machine, with files that no dataset may read."""
    folder = tmp_path / "outside"
    folder.mkdir()
    with h5py.File(folder / "secret.h5", "w") as file:
        file["trace"] = SEVEN
    (folder / "secret.raw").write_bytes(SECRET)
    return folder


def virtual(file: h5py.File, name: str, source: str, path: str = "trace") -> None:
    layout = h5py.VirtualLayout(shape=(5, 2), dtype="i2")
    layout[:] = h5py.VirtualSource(source, path, shape=(5, 2))
    file.create_virtual_dataset(name, layout, fillvalue=-1)


def test_an_external_link_gives_the_other_files_values(data: Path) -> None:
    with h5py.File(data / "linked.h5", "w") as file:
        file["trace"] = np.zeros((5, 2), "i2")
        file["raw"] = h5py.ExternalLink("raw.h5", "/trace")
        file["deep/soft"] = h5py.SoftLink("/raw")
    found = open_file(data, "linked.h5")
    np.testing.assert_array_equal(found["raw"], SEVEN)
    np.testing.assert_array_equal(found["trace"], np.zeros((5, 2)))
    np.testing.assert_array_equal(found["deep/soft"], SEVEN)


def test_links_are_relative_to_the_file_that_holds_them(data: Path) -> None:
    (data / "a/b").mkdir(parents=True)
    with h5py.File(data / "a/first.h5", "w") as file:
        file["x"] = h5py.ExternalLink("b/second.h5", "/x")
    with h5py.File(data / "a/b/second.h5", "w") as file:
        file["x"] = h5py.ExternalLink("../../raw.h5", "/trace")
    np.testing.assert_array_equal(open_file(data, "a/first.h5")["x"], SEVEN)


def test_a_virtual_dataset_gives_the_other_files_values(data: Path) -> None:
    with h5py.File(data / "view.h5", "w", libver="latest") as file:
        virtual(file, "trace", "raw.h5")
        file["own"] = np.full((5, 2), 3, "i2")
        virtual(file, "same", ".", "own")
    found = open_file(data, "view.h5")
    np.testing.assert_array_equal(found["trace"], SEVEN)
    np.testing.assert_array_equal(found["trace"][1:4, 0], SEVEN[1:4, 0])
    np.testing.assert_array_equal(found["same"], np.full((5, 2), 3))


def test_external_raw_data_gives_the_other_files_values(data: Path) -> None:
    values = np.arange(20, dtype=">i4").reshape(10, 2)
    (data / "one.raw").write_bytes(b"head" + values[:4].tobytes())
    (data / "two.raw").write_bytes(values[4:].tobytes())
    pieces = [("one.raw", 4, 32), ("two.raw", 0, 48)]
    with h5py.File(data / "raw_outside.h5", "w") as file:
        file.create_dataset("x", shape=(10, 2), dtype=">i4", external=pieces)
    found = open_file(data, "raw_outside.h5")["x"]
    np.testing.assert_array_equal(found, values)
    np.testing.assert_array_equal(open_file(data, "raw_outside.h5")["x"][3:6, 1], values[3:6, 1])


def test_raw_data_that_are_too_short_are_refused_and_not_filled_up(data: Path) -> None:
    (data / "short.raw").write_bytes(b"\1" * 10)
    with h5py.File(data / "short.h5", "w") as file:
        file.create_dataset("x", shape=(100,), dtype="u1", external=[("short.raw", 0, 100)])
    found = open_file(data, "short.h5")
    with pytest.raises(
        BrokenLinkError, match=r"'nav/ds/short\.h5': /x needs 'short\.raw', .*short"
    ):
        found["x"].load()
    file = open_file(data, "short.h5", engine="h5py")
    np.testing.assert_array_equal(file["x"][:10], np.ones(10))


def nwb(name: str) -> pynwb.NWBFile:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    return pynwb.NWBFile(session_description=name, identifier=name, session_start_time=start)


def series(name: str, values: Any) -> pynwb.TimeSeries:
    return pynwb.TimeSeries(name=name, data=values, unit="V", rate=100.0)


def linked_nwb(data: Path) -> None:
    first = nwb("raw")
    first.add_acquisition(series("lfp", np.full(6, 9.0)))
    with pynwb.NWBHDF5IO(data / "raw.nwb", "w") as io:
        io.write(first)
    with pynwb.NWBHDF5IO(data / "raw.nwb", "r") as io:
        second = nwb("processed")
        second.add_acquisition(series("linked", io.read().acquisition["lfp"].data))
        second.add_acquisition(series("own", np.full(3, 4.0)))
        with pynwb.NWBHDF5IO(data / "linked.nwb", "w", manager=io.manager) as processed:
            processed.write(second, link_data=True)


def test_linked_data_of_nwb_are_the_other_files(data: Path) -> None:
    linked_nwb(data)
    found = open_file(data, "linked.nwb")
    np.testing.assert_array_equal(found.acquisition["linked"].data[:], np.full(6, 9.0))
    found.get_read_io().close()


def test_series_that_pynwb_leaves_out_are_named(data: Path) -> None:
    linked_nwb(data)
    with h5py.File(data / "linked.nwb", "r+") as file:
        for number in range(2):
            (data / f"raw{number}.nwb").write_bytes((data / "raw.nwb").read_bytes())
            link = h5py.ExternalLink(f"raw{number}.nwb", "/acquisition/lfp")
            file[f"acquisition/probe{number}"] = link
    with pytest.warns(OmittedDataWarning, match=r"3 of the 4 objects in /acquisition .*probe1"):
        found = open_file(data, "linked.nwb")
    found.get_read_io().close()
    file = open_file(data, "linked.nwb", engine="h5py")
    np.testing.assert_array_equal(file["acquisition/probe1/data"], np.full(6, 9.0))


def test_a_series_of_nwb_with_a_broken_link_is_left_out_and_named(data: Path) -> None:
    linked_nwb(data)
    (data / "raw.nwb").unlink()
    with pytest.warns(OmittedDataWarning, match=r"/linked/data, which needs 'raw\.nwb'"):
        found = open_file(data, "linked.nwb")
    assert set(found.acquisition) == {"own"}
    np.testing.assert_array_equal(found.acquisition["own"].data[:], np.full(3, 4.0))
    found.get_read_io().close()


def test_one_bad_link_leaves_the_rest_readable(data: Path) -> None:
    with h5py.File(data / "bad.h5", "w") as file:
        file["good"] = SEVEN
        file["lost"] = h5py.ExternalLink("not_here.h5", "/trace")
        file["nothing"] = h5py.SoftLink("/nowhere")
        file["group/elsewhere"] = h5py.ExternalLink("raw.h5", "/nowhere")
    with pytest.warns(OmittedDataWarning) as told:
        found = open_file(data, "bad.h5")
    np.testing.assert_array_equal(found["good"], SEVEN)
    said = "\n".join(str(one.message) for one in told)
    assert "/lost, which needs 'not_here.h5'" in said
    assert "/nothing, which cannot be read" in said
    assert "/group/elsewhere, which needs /nowhere in 'raw.h5'" in said
    with pytest.raises(BrokenLinkError, match=r"'nav/ds/bad\.h5': /lost needs 'not_here\.h5'"):
        open_file(data, "bad.h5", engine="h5py")["lost"]


def test_a_missing_source_is_refused_where_it_is_needed(data: Path) -> None:
    with h5py.File(data / "view.h5", "w", libver="latest") as file:
        layout = h5py.VirtualLayout(shape=(2, 5, 2), dtype="i2")
        for number, name in enumerate(("raw.h5", "lost.h5")):
            layout[number] = h5py.VirtualSource(name, "trace", shape=(5, 2))
        file.create_virtual_dataset("x", layout, fillvalue=-1)
    found = open_file(data, "view.h5")
    np.testing.assert_array_equal(found["x"][0], SEVEN)
    with pytest.raises(BrokenLinkError, match=r"'nav/ds/view\.h5': /x needs 'lost\.h5'"):
        found["x"].load()


OUTSIDE = [
    *("{outside}/secret.h5", "../../outside/secret.h5", "x/../../../outside/secret.h5"),
    *("file://{outside}/secret.h5", "s3://lab/nav/ds/raw.h5", "~/secret.h5", "C:\\secret.h5"),
]


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_link_out_of_the_dataset_never_reads_the_machine(
    data: Path, outside: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(outside)
    monkeypatch.setenv("HOME", str(outside))
    for variable in ("HDF5_EXT_PREFIX", "HDF5_VDS_PREFIX", "HDF5_EXTFILE_PREFIX"):
        monkeypatch.setenv(variable, str(outside))
    target = name.format(outside=outside)
    with h5py.File(data / "attack.h5", "w", libver="latest") as file:
        file["good"] = SEVEN
        file["link"] = h5py.ExternalLink(target, "/trace")
        file["link_by_prefix"] = h5py.ExternalLink("secret.h5", "/trace")
        virtual(file, "virtual", target)
        virtual(file, "virtual_by_prefix", "secret.h5")
        for label, raw in (("raw", target.replace(".h5", ".raw")), ("raw_here", "secret.raw")):
            file.create_dataset(label, shape=(8,), dtype="u1", external=[(raw, 0, 8)])
    with pytest.warns(OmittedDataWarning):
        found = open_file(data, "attack.h5")
    np.testing.assert_array_equal(found["good"], SEVEN)
    assert not {"link", "link_by_prefix"} & set(found.variables)
    for label in ("virtual", "virtual_by_prefix", "raw", "raw_here"):
        with pytest.raises(BrokenLinkError, match=f"/{label} needs "):
            found[label].load()
    file = open_file(data, "attack.h5", engine="h5py")
    for label in ("link", "link_by_prefix", "virtual", "virtual_by_prefix", "raw", "raw_here"):
        with pytest.raises(BrokenLinkError):
            file[label][()]


def test_no_way_through_h5py_reaches_the_machine(data: Path, outside: Path) -> None:
    secret = str(outside / "secret.raw")
    with h5py.File(data / "attack.h5", "w") as file:
        scale = file.create_dataset("s", shape=(8,), dtype="u1", external=[(secret, 0, 8)])
        scale.make_scale("s")
        file["x"] = np.zeros(8)
        file["x"].dims[0].attach_scale(scale)
        file["refers"] = np.array([scale.ref], dtype=h5py.ref_dtype)
    file = open_file(data, "attack.h5", engine="h5py")
    ways: list[Callable[[], Any]] = [
        lambda: file["s"][()],
        lambda: file.get("s")[:],
        lambda: np.asarray(file["s"]),
        lambda: list(file["s"]),
        lambda: file["s"].astype("i4")[:],
        lambda: file["s"].read_direct(np.zeros(8, "u1")),
        lambda: file["x"].dims[0][0][:],
        lambda: file["x"].dims[0].values()[0][:],
        lambda: file[file["refers"][0]][:],
        lambda: file["x"].file["s"][:],
        lambda: file["x"].parent["s"][:],
        lambda: dict(file.items())["s"][:],
        lambda: file["s"].id.read(h5py.h5s.ALL, h5py.h5s.ALL, np.zeros(8, "u1")),
        lambda: file.visititems(lambda _, node: node[:] if node.name == "/s" else None),
    ]
    for way in ways:
        with pytest.raises(BrokenLinkError, match="outside the dataset"):
            way()


@pytest.mark.parametrize(
    ("origin", "name", "found"),
    [
        ("a.h5", "b.h5", "b.h5"),
        ("x/a.h5", "b.h5", "x/b.h5"),
        ("x/a.h5", "../b.h5", "b.h5"),
        ("x/a.h5", "./y//b.h5", "x/y/b.h5"),
        ("a.h5", "ab:c.h5", "ab:c.h5"),
        ("a.h5", "../b.h5", None),
        ("x/a.h5", "../../b.h5", None),
        ("a.h5", "/b.h5", None),
        ("a.h5", "~root/b.h5", None),
        ("a.h5", "file:///b.h5", None),
        ("a.h5", "S3://lab/b.h5", None),
        ("a.h5", "C:/b.h5", None),
        ("a.h5", ".panneuro/manifest.json", None),
        ("a.h5", "x\0.h5", None),
        ("a.h5", "", None),
        ("a.h5", ".", None),
    ],
)
def test_a_name_means_a_file_of_the_dataset_or_none(
    origin: str, name: str, found: str | None
) -> None:
    if found is not None:
        assert resolve_link(origin, name) == found
    else:
        with pytest.raises(BrokenLinkError):
            resolve_link(origin, name)


def test_what_was_opened_can_be_sent_to_another_process(data: Path) -> None:
    with h5py.File(data / "view.h5", "w", libver="latest") as file:
        virtual(file, "x", "raw.h5")
        file["y"] = h5py.ExternalLink("raw.h5", "/trace")
    found = pickle.loads(pickle.dumps(open_file(data, "view.h5", chunks={})))
    assert isinstance(found, xarray.Dataset)
    np.testing.assert_array_equal(found["x"], SEVEN)
    np.testing.assert_array_equal(found["y"], SEVEN)


def indices(size: int) -> st.SearchStrategy[Any]:
    numbers = st.integers(0, size - 1)
    return st.one_of(
        numbers,
        st.builds(slice, numbers, st.integers(0, size), st.integers(1, 4)),
        st.lists(numbers, min_size=1, unique=True).map(sorted),
    )


def progressions(size: int, count: int, first: int = 0) -> st.SearchStrategy[slice]:
    """Regular selections of so many numbers out of `size`, from `first` on."""
    steps = st.integers(1, max(1, (size - 1) // max(1, count - 1)))
    return steps.flatmap(
        lambda step: st.integers(first, first + size - 1 - (count - 1) * step).map(
            lambda start: slice(start, start + (count - 1) * step + 1, step)
        )
    )


@st.composite
def layouts(draw: st.DrawFn) -> list[tuple[tuple[slice, slice], tuple[slice, slice]]]:
    """Pairs of regular selections of one shape: in a target and in a source of (12, 10).

    The targets do not overlap: HDF5 says nothing of that, and its library then forgets to fill.
    """
    pairs = []
    for band in range(draw(st.integers(1, 3))):
        rows, columns = draw(st.integers(1, 3)), draw(st.integers(1, 4))
        target = draw(progressions(4, rows, 4 * band)), draw(progressions(10, columns))
        source = draw(progressions(12, rows)), draw(progressions(10, columns))
        pairs.append((target, source))
    return pairs


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pairs=layouts(), rows=indices(12), columns=indices(10), kind=st.sampled_from(["i2", "u1"]))
def test_a_virtual_dataset_reads_as_on_a_disk(
    data: Path, pairs: Any, rows: Any, columns: Any, kind: str
) -> None:
    with h5py.File(data / "many.h5", "w") as file:
        file["trace"] = np.arange(120, dtype="i4").reshape(12, 10) * 5
    with h5py.File(data / "some.h5", "w", libver="latest") as file:
        layout = h5py.VirtualLayout(shape=(12, 10), dtype=kind)
        for target, source in pairs:
            layout[target] = h5py.VirtualSource("many.h5", "trace", shape=(12, 10))[source]
        file.create_virtual_dataset("x", layout, fillvalue=99)
    if isinstance(rows, list) and isinstance(columns, list):
        columns = columns[0]
    with h5py.File(data / "some.h5") as file:
        on_disk = file["x"][rows, columns]
    found = open_file(data, "some.h5", engine="h5py")["x"]
    np.testing.assert_array_equal(found[rows, columns], on_disk)
    assert found[rows, columns].dtype == on_disk.dtype
    assert np.shape(found[rows, columns]) == np.shape(on_disk)


def test_virtual_datasets_that_grow_have_the_size_of_their_sources(data: Path) -> None:
    for number in range(3):
        with h5py.File(data / f"part_{number}.h5", "w") as file:
            file["x"] = np.full((4, 2), number, "i2")
    with h5py.File(data / "grown.h5", "w") as file:
        file.create_dataset("x", data=SEVEN, maxshape=(None, 2))
    with h5py.File(data / "grows.h5", "w", libver="latest") as file:
        layout = h5py.VirtualLayout(shape=(4, 2), dtype="i2", maxshape=(None, 2))
        source = h5py.VirtualSource("grown.h5", "x", shape=(4, 2), maxshape=(None, 2))
        layout[: h5py.h5s.UNLIMITED] = source[: h5py.h5s.UNLIMITED]
        file.create_virtual_dataset("one", layout, fillvalue=-1)
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        space = h5py.h5s.create_simple((4, 2), (h5py.h5s.UNLIMITED, 2))
        space.select_hyperslab((0, 0), (h5py.h5s.UNLIMITED, 1), (4, 1), (4, 2))
        plist.set_virtual(space, b"part_%b.h5", b"x", h5py.h5s.create_simple((4, 2)))
        whole = h5py.h5s.create_simple((4, 2), (h5py.h5s.UNLIMITED, 2))
        h5py.h5d.create(file.id, b"numbered", h5py.h5t.NATIVE_INT16, whole, plist)
    file = open_file(data, "grows.h5", engine="h5py")
    with h5py.File(data / "grows.h5") as on_disk:
        for name in ("one", "numbered"):
            assert file[name].shape == on_disk[name].shape
            np.testing.assert_array_equal(file[name][:], on_disk[name][:])
    assert file["numbered"].shape == (12, 2)


def test_without_links_nothing_is_said(data: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(open_file(data, "raw.h5")["trace"], SEVEN)


def test_a_damaged_neighbour_is_named(data: Path) -> None:
    (data / "noise.h5").write_bytes(b"no HDF5 at all")
    with h5py.File(data / "linked.h5", "w") as file:
        file["x"] = h5py.ExternalLink("noise.h5", "/x")
    with pytest.raises(
        UnreadableFileError, match=r"linked\.h5': /x needs 'noise\.h5', which cannot be"
    ):
        open_file(data, "linked.h5", engine="h5py")["x"]
