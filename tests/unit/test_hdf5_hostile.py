"""HDF5 files of odd or hostile structure end soon, in a sentence that names the file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray
from local_data import open_file

from panneuro_hub.lab.memory_check import read_available_memory
from panneuro_hub.lab.read_errors import BrokenLinkError, OmittedDataWarning, UnreadableFileError


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The folder of a dataset."""
    folder = tmp_path / "project" / "ds"
    folder.mkdir(parents=True)
    return folder


def link(file: h5py.File, name: str, source: str, path: str) -> None:
    layout = h5py.VirtualLayout(shape=(4,), dtype="i2")
    layout[:] = h5py.VirtualSource(source, path, shape=(4,))
    file.create_virtual_dataset(name, layout, fillvalue=-1)


def test_links_in_a_circle_are_left_out_and_named(data: Path) -> None:
    with h5py.File(data / "a.h5", "w") as file:
        file["x"] = np.arange(4)
        file["soft"] = h5py.SoftLink("/soft")
        file["there"] = h5py.ExternalLink("b.h5", "/back")
        file["group/up"] = h5py.SoftLink("/")
        file["group/self"] = file["group"]
    with h5py.File(data / "b.h5", "w") as file:
        file["back"] = h5py.ExternalLink("a.h5", "/there")
    with pytest.warns(OmittedDataWarning) as told:
        found = open_file(data, "a.h5")
    np.testing.assert_array_equal(found["x"], np.arange(4))
    said = "\n".join(str(one.message) for one in told)
    assert "/soft, which needs more than 16 links in a row, perhaps in a circle" in said
    assert "/there, which needs more than 16 links in a row" in said
    assert "/group/up, which leads back to a group that it lies in" in said
    assert "/group/self, which leads back" in said
    file = open_file(data, "a.h5", engine="h5py")
    assert file["group/up/group/self/up/x"][1] == 1


def test_virtual_datasets_in_a_circle_are_refused(data: Path) -> None:
    with h5py.File(data / "a.h5", "w", libver="latest") as file:
        file["good"] = np.arange(4)
        link(file, "itself", ".", "itself")
        link(file, "named", "a.h5", "named")
        link(file, "there", "b.h5", "back")
    with h5py.File(data / "b.h5", "w", libver="latest") as file:
        link(file, "back", "a.h5", "there")
    found = open_file(data, "a.h5")
    np.testing.assert_array_equal(found["good"], np.arange(4))
    for name in ("itself", "named", "there"):
        with pytest.raises(BrokenLinkError, match=f"'nav/ds/a.h5': /{name} needs .*circle"):
            found[name].load()


def test_a_virtual_dataset_that_grows_with_itself_is_refused(data: Path) -> None:
    with h5py.File(data / "a.h5", "w", libver="latest") as file:
        file["good"] = np.arange(4)
        layout = h5py.VirtualLayout(shape=(4,), dtype="i2", maxshape=(None,))
        source = h5py.VirtualSource("a.h5", "x", shape=(4,), maxshape=(None,))
        layout[: h5py.h5s.UNLIMITED] = source[: h5py.h5s.UNLIMITED]
        file.create_virtual_dataset("x", layout)
    with pytest.warns(OmittedDataWarning, match="/x, which needs itself, in a circle"):
        found = open_file(data, "a.h5")
    np.testing.assert_array_equal(found["good"], np.arange(4))


def test_virtual_datasets_that_multiply_are_refused(data: Path) -> None:
    with h5py.File(data / "many.h5", "w", libver="latest") as file:
        file["level0"] = np.arange(40, dtype="i2")
        for level in range(1, 14):
            layout = h5py.VirtualLayout(shape=(40,), dtype="i2")
            for _ in range(40):
                layout[:] = h5py.VirtualSource(".", f"level{level - 1}", shape=(40,))
            file.create_virtual_dataset(f"level{level}", layout)
    found = open_file(data, "many.h5", engine="h5py")
    np.testing.assert_array_equal(found["level2"], np.arange(40))
    with pytest.raises(BrokenLinkError, match="more than 5,000 parts of virtual datasets"):
        found["level13"][:]


def test_paths_that_multiply_are_refused(data: Path) -> None:
    with h5py.File(data / "many.h5", "w") as file:
        below = file.create_group("level0")
        for level in range(1, 60):
            group = file.create_group(f"level{level}")
            group["a"], group["b"] = below, below
            below = group
    with pytest.raises(
        UnreadableFileError, match=r"'nav/ds/many\.h5' has more than 1,000 further paths"
    ):
        open_file(data, "many.h5")


@pytest.mark.parametrize("name", ["deep.h5", "deep.nwb"])
def test_deep_nesting_is_refused(data: Path, name: str) -> None:
    with h5py.File(data / name, "w") as file:
        file.attrs["nwb_version"] = "2.8.0"
        node: h5py.Group = file
        for _ in range(3000):
            node = node.create_group("d")
    with pytest.raises(
        UnreadableFileError, match=f"'nav/ds/{name}' has groups that are nested more than"
    ):
        open_file(data, name)


def test_huge_arrays_open_and_a_read_that_does_not_fit_is_refused(data: Path) -> None:
    with h5py.File(data / "huge.h5", "w") as file:
        file.create_dataset("x", shape=(2**45,), dtype="f8", chunks=(2**16,))
        file.create_dataset("time", shape=(2**45,), dtype="f8", chunks=(2**16,))
        file["time"].make_scale("time")
        file["x"].dims[0].attach_scale(file["time"])
        file.create_dataset("bomb", shape=(2**28,), dtype="f8", chunks=(2**28,))
    found = open_file(data, "huge.h5")
    np.testing.assert_array_equal(found["x"][2**44 : 2**44 + 3], np.zeros(3))
    with pytest.raises(MemoryError, match="read a smaller part"):
        found["x"].load()


def test_memory_is_what_the_machine_and_the_container_leave(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text("MemTotal: 100 kB\nMemAvailable:   40 kB\n")
    assert read_available_memory(tmp_path / "meminfo", tmp_path) == 40 * 1024
    (tmp_path / "memory.max").write_text("30000\n")
    (tmp_path / "memory.current").write_text("10000\n")
    assert read_available_memory(tmp_path / "meminfo", tmp_path) == 20_000
    (tmp_path / "memory.max").write_text("max\n")
    assert read_available_memory(tmp_path / "none", tmp_path) is None


@pytest.mark.parametrize("size", [0, 1, 7, 8, 40, 500, 2000])
@pytest.mark.parametrize("name", ["cut.h5", "cut.nc", "cut.nwb"])
def test_a_file_that_is_cut_off_is_unreadable_by_its_name(data: Path, name: str, size: int) -> None:
    with h5py.File(data / name, "w") as file:
        file["x"] = np.arange(1000)
    whole = (data / name).read_bytes()
    (data / name).write_bytes(whole[:size])
    with pytest.raises(UnreadableFileError, match=f"'nav/ds/{name}' ") as told:
        open_file(data, name)
    assert "\n" not in str(told.value)


def test_a_damaged_chunk_is_named_when_it_is_read(data: Path) -> None:
    with h5py.File(data / "damaged.h5", "w") as file:
        kept = file.create_dataset("x", data=np.arange(1000), chunks=(100,), compression="gzip")
        chunk = kept.id.get_chunk_info(3)
    with (data / "damaged.h5").open("r+b") as raw:
        raw.seek(chunk.byte_offset)
        raw.write(b"\xff" * chunk.size)
    found = open_file(data, "damaged.h5")
    np.testing.assert_array_equal(found["x"][:100], np.arange(100))
    with pytest.raises(UnreadableFileError, match=r"'nav/ds/damaged\.h5': /x cannot be read: "):
        found["x"].load()


def test_a_process_that_keeps_a_file_open_ends_well(data: Path) -> None:
    with h5py.File(data / "x.h5", "w") as file:
        file["x"] = np.arange(4)
    program = (
        "import sys; from pathlib import Path; from local_data import open_file\n"
        "found = open_file(Path(sys.argv[1]), 'x.h5', engine='h5py')['x']; print(found[1])"
    )
    paths = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    command = [sys.executable, "-c", program, str(data)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "1\n")


def test_dimensions_of_one_name_and_other_lengths_are_all_there(data: Path) -> None:
    with h5py.File(data / "trial.nc", "w") as file:
        for path, size in (("/", 3), ("/inner", 5)):
            group = file.require_group(path)
            group["time"] = np.arange(float(size))
            group["time"].make_scale("time")
            group["x"] = np.arange(size)
            group["x"].dims[0].attach_scale(group["time"])
    found = open_file(data, "trial.nc")
    assert set(found) == {"/", "/inner"}
    assert isinstance(found["/inner"], xarray.Dataset)
    np.testing.assert_array_equal(found["/inner"]["x"], np.arange(5))
