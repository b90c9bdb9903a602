"""The grasshopper recording as Neurodata Without Borders.

The recording is NWB on Zarr where hdmf-zarr is installed, and NWB on HDF5 elsewhere.
hdmf-zarr writes what current Zarr reads from version 0.14 on, which needs Python 3.12; the
lock leaves it out, so that every Python has the same versions.
"""

from __future__ import annotations

import tempfile
import warnings
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import obstore
from numpy.typing import NDArray
from obstore.store import ObjectStore

HAS_NWB_ZARR = find_spec("hdmf_zarr") is not None
# NWB wants a time; the files do not say when, so it is the year of the publication.
_WHEN = datetime(2006, 1, 1, tzinfo=UTC)


def write_nwb(
    stimulus: NDArray[np.float64],
    rate: float,
    spike_times: NDArray[np.float64],
    name: str,
    store: ObjectStore,
    subject: str = "",
) -> str:
    """Write one neuron and its stimulus below `store`.

    Parameters
    ----------
    stimulus : ndarray
        Sound level in dB SPL.
    rate : float
        Its samples per second.
    spike_times : ndarray
        In seconds from the beginning of the stimulus.
    name : str
        What to call it, without an ending.
    store : ObjectStore
    subject : str
        What to call the animal; nothing is said of it where that is not given.

    Returns
    -------
    str
        ``NAME.nwb.zarr`` or, without hdmf-zarr, ``NAME.nwb``.
    """
    content = _nwb_file(stimulus, rate, spike_times, name)
    if subject:
        content.subject = _grasshopper(subject)
    title = f"{name}.nwb.zarr" if HAS_NWB_ZARR else f"{name}.nwb"
    with tempfile.TemporaryDirectory(prefix="panneuro-nwb-") as folder:
        target = Path(folder, title)
        with warnings.catch_warnings(), _open(target, "w") as output:
            # NWB's readers want it, whatever Zarr will make of it.
            warnings.filterwarnings("ignore", "Consolidated metadata is currently not part")
            output.write(content)
        for file in sorted(path for path in Path(folder).rglob("*") if path.is_file()):
            obstore.put(store, file.relative_to(folder).as_posix(), file.read_bytes())
    return title


def open_reader(path: Path) -> Any:
    """A pynwb reader of a file that `write_nwb` wrote; a context manager."""
    return _open(path, "r")


def _open(path: Path, mode: str) -> Any:
    if HAS_NWB_ZARR:
        from hdmf_zarr.nwb import NWBZarrIO

        return NWBZarrIO(str(path), mode=mode)
    from pynwb import NWBHDF5IO

    return NWBHDF5IO(path, mode=mode)


def _nwb_file(
    stimulus: NDArray[np.float64], rate: float, spike_times: NDArray[np.float64], name: str
) -> Any:
    from pynwb import NWBFile, TimeSeries  # a second to import, for this alone

    content = NWBFile(
        session_description="Auditory receptor neuron of a grasshopper (Locusta migratoria)",
        identifier=f"nitime-{name}",
        session_start_time=_WHEN,
        file_create_date=_WHEN,
        notes="The time of the session is not known; it is set to the year of publication.",
        related_publications=["Rokem et al. (2006), J Neurophysiol 95: 2541-2552"],
    )
    content.add_stimulus(
        TimeSeries(name="sound_level", data=stimulus, unit="dB SPL", rate=rate, starting_time=0.0)
    )
    content.add_unit(spike_times=spike_times, obs_intervals=[[0.0, stimulus.size / rate]])
    return content


def _grasshopper(name: str) -> Any:
    from pynwb.file import Subject

    return Subject(
        subject_id=name,
        species="Locusta migratoria",
        sex="U",
        description="An adult grasshopper; its age and sex are not known.",
    )
