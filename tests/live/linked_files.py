"""Files of HDF5 and NWB that need others of their dataset."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pynwb

VALUES = np.full((5, 2), 7, "i2")


def linked_files(folder: Path, outside: str) -> dict[str, bytes]:
    """Make files that need each other, and some that need `outside`, a file of the machine."""
    (folder / "raw").mkdir()
    with h5py.File(folder / "raw/raw.h5", "w") as file:
        file["trace"] = VALUES
    (folder / "raw/values.bin").write_bytes(VALUES.tobytes())
    with h5py.File(folder / "linked.h5", "w", libver="latest") as file:
        file["good"] = VALUES
        file["link"] = h5py.ExternalLink("raw/raw.h5", "/trace")
        _virtual(file, "virtual", "raw/raw.h5")
        pieces = [("raw/values.bin", 0, VALUES.nbytes)]
        file.create_dataset("external", VALUES.shape, "i2", external=pieces)
    with h5py.File(folder / "attack.h5", "w", libver="latest") as file:
        file["good"] = VALUES
        file["link"] = h5py.ExternalLink(outside, "/trace")
        file["late"] = h5py.ExternalLink("late.h5", "/trace")
        _virtual(file, "virtual", outside)
        file.create_dataset("external", (4,), "u1", external=[("/etc/passwd", 0, 4)])
    _nwb(folder)
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def _virtual(file: h5py.File, name: str, source: str) -> None:
    layout = h5py.VirtualLayout(VALUES.shape, "i2")
    layout[:] = h5py.VirtualSource(source, "trace", shape=VALUES.shape)
    file.create_virtual_dataset(name, layout, fillvalue=-1)


def _nwb(folder: Path) -> None:
    first = _nwb_file()
    first.add_acquisition(_series("lfp", np.full(6, 9.0)))
    with pynwb.NWBHDF5IO(folder / "raw.nwb", "w") as io:
        io.write(first)
    with pynwb.NWBHDF5IO(folder / "raw.nwb", "r") as io:
        second = _nwb_file()
        second.add_acquisition(_series("linked", io.read().acquisition["lfp"].data))
        with pynwb.NWBHDF5IO(folder / "linked.nwb", "w", manager=io.manager) as processed:
            processed.write(second, link_data=True)


def _nwb_file() -> pynwb.NWBFile:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    return pynwb.NWBFile(session_description="s", identifier="i", session_start_time=start)


def _series(name: str, values: Any) -> pynwb.TimeSeries:
    return pynwb.TimeSeries(name=name, data=values, unit="V", rate=100.0)
