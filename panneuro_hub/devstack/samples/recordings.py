"""Real recordings, from the data that nitime carries; `sample_datasets` makes datasets of them.

They stand in for the laboratories' own: the projects of the example collaboration are
about monkeys and patients, these are grasshoppers and a volunteer in a scanner, and each
data set says so in its attributes.

Source: nitime 0.12, ``nitime/data``, as its examples "Auditory processing in
grasshoppers" and "Event-related fMRI" load them; the grasshopper recordings are of Rokem
et al. (2006), "Spike-timing precision underlies the coding efficiency of auditory
receptor neurons", J Neurophysiol 95: 2541-2552.
"""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from obstore.store import ObjectStore
from zarr.storage import ObjectStore as ZarrStore

from panneuro_hub.devstack.errors import DevstackError

_SAMPLING_INTERVAL = 50e-6  # s: the stimulus was sampled at 20 kHz
_REPETITION_TIME = 2.0  # s, of the fMRI series
_REFERENCE_PRESSURE = 2.0e-5  # Pa: 0 dB SPL
_CHUNK = 20_000  # samples: a second of stimulus, 160 kB
_INTENSITY = re.compile(r"^# intensity \(dB\): ([0-9.]+)$", re.MULTILINE)
_CUTOFF = re.compile(r"^# cut-off frequency \(Hz\): ([0-9]+)$", re.MULTILINE)
_SOURCE = "nitime 0.12 (nitime/data); Rokem et al. (2006), J Neurophysiol 95: 2541-2552"
_GRASSHOPPER_NOTE = (
    "Recorded in a grasshopper (Locusta migratoria), an auditory receptor neuron; in this "
    "demo it stands in for the laboratory's own recordings."
)
_FMRI_NOTE = (
    "fMRI of a volunteer who watched moving dots, voxels near area MT; in this demo it "
    "stands in for the laboratories' own human recordings."
)


@dataclass(frozen=True)
class ReceptorRecording:
    """Spikes of one neuron and the stimulus it heard.

    Parameters
    ----------
    stimulus : ndarray
        Sound level in dB SPL, 20 kHz, shape ``(200000,)``: 10 s.
    spike_times : ndarray
        In seconds from the beginning of the stimulus, ascending.
    cutoff : int
        Highest frequency of the amplitude modulation, in Hz.
    """

    stimulus: NDArray[np.float64]
    spike_times: NDArray[np.float64]
    cutoff: int

    @property
    def rate(self) -> float:
        """Samples of the stimulus per second."""
        return 1 / _SAMPLING_INTERVAL


def find_nitime_data() -> Path:
    """The folder of nitime's data; nitime itself is not imported.

    Raises
    ------
    DevstackError
        If nitime is not installed.
    """
    found = importlib.util.find_spec("nitime")
    if found is None or not found.submodule_search_locations:
        raise DevstackError("nitime is not installed; pip install 'panneuro-hub[demo]'")
    return Path(found.submodule_search_locations[0], "data")


def read_receptor(number: int) -> ReceptorRecording:
    """Read grasshopper recording 1 (modulated up to 200 Hz) or 2 (up to 800 Hz).

    The file has the stimulus in units of its own, every 50 µs; its level follows from the
    greatest one, which the header of the spike file gives in dB SPL. Spike times are in
    microseconds.

    Source: nitime, ``doc/examples/grasshopper.py``.

    Raises
    ------
    DevstackError
        If the files are not what nitime 0.12 carries.
    """
    spikes = find_nitime_data() / f"grasshopper_spike_times{number}.txt"
    header = spikes.read_text(encoding="ascii")
    intensity, cutoff = _INTENSITY.search(header), _CUTOFF.search(header)
    if intensity is None or cutoff is None:
        raise DevstackError(f"{spikes.name} has no intensity or cut-off in its header")
    samples = np.loadtxt(find_nitime_data() / f"grasshopper_stimulus{number}.txt", usecols=1)
    level = 20 * np.log10(samples / _REFERENCE_PRESSURE)
    return ReceptorRecording(
        stimulus=level - level.max() + float(intensity[1]),
        spike_times=np.loadtxt(spikes) * 1e-6,
        cutoff=int(cutoff[1]),
    )


def make_receptor_dataset(recording: ReceptorRecording) -> xr.Dataset:
    """Stimulus and spikes as one data set: ``stimulus(time)`` and ``spike_times(spike)``."""
    stimulus = make_stimulus_dataset(recording)
    spikes = xr.Variable(
        "spike",
        recording.spike_times,
        {"units": "s", "long_name": "spike time from the beginning of the stimulus"},
    )
    return stimulus.assign(spike_times=spikes).assign_attrs(
        title="Auditory receptor neuron of a grasshopper: spikes and stimulus"
    )


def make_stimulus_dataset(recording: ReceptorRecording) -> xr.Dataset:
    """The stimulus alone: ``stimulus(time)`` in dB SPL, ``time`` in s."""
    time = np.arange(recording.stimulus.size) * _SAMPLING_INTERVAL
    return xr.Dataset(
        {
            "stimulus": xr.Variable(
                "time", recording.stimulus, {"units": "dB SPL", "long_name": "sound level"}
            )
        },
        coords={"time": xr.Variable("time", time, {"units": "s", "long_name": "time"})},
        attrs={
            "title": f"Sound level modulated by Gaussian noise up to {recording.cutoff} Hz",
            "note": _GRASSHOPPER_NOTE,
            "source": _SOURCE,
            "sampling_rate_hz": recording.rate,
            "cutoff_hz": recording.cutoff,
            "carrier_khz": 2.5,
        },
    )


def read_fmri() -> xr.Dataset:
    """``bold(time)`` in % signal change and ``event(time)`` 0 to 6, a sample every 2 s.

    3,360 samples; 0 is no event, 1 to 6 are the kinds of trial (directions and places of
    motion).

    Source: nitime, ``doc/examples/event_related_fmri.py``.
    """
    table = np.genfromtxt(find_nitime_data() / "event_related_fmri.csv", delimiter=",", names=True)
    time = np.arange(table.size) * _REPETITION_TIME
    return xr.Dataset(
        {
            "bold": xr.Variable("time", table["bold"], {"units": "% signal change"}),
            "event": xr.Variable(
                "time",
                table["events"].astype(np.int8),
                {"long_name": "kind of trial that begins here; 0 for none"},
            ),
        },
        coords={"time": xr.Variable("time", time, {"units": "s", "long_name": "time"})},
        attrs={
            "title": "Event-related fMRI near area MT",
            "note": _FMRI_NOTE,
            "source": "nitime 0.12 (nitime/data)",
            "repetition_time_s": _REPETITION_TIME,
        },
    )


def write_zarr(data_set: xr.Dataset, store: ObjectStore) -> None:
    """Write `data_set` as Zarr 3, in chunks of at most `_CHUNK` samples."""
    encoding: dict[str, Any] = {
        str(name): {"chunks": (min(_CHUNK, variable.size),)}
        for name, variable in data_set.variables.items()
    }
    # Consolidated metadata is no part of Zarr 3 yet; the few groups here need none.
    data_set.to_zarr(
        ZarrStore(store), mode="w", zarr_format=3, consolidated=False, encoding=encoding
    )
