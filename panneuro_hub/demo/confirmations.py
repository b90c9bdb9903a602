"""What the check wants of the example notebooks, by the tags of their cells."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from panneuro_hub.demo.errors import DemoError
from panneuro_hub.devstack.kernel_client import CellOutput

_SUMMARY = re.compile(
    r"(?P<spikes>\d+) spikes: (?P<before>-?[\d.]+) ms before a spike the sound is "
    r"(?P<level>[+-][\d.]+) dB from its mean; chance gives (?P<low>[+-][\d.]+) to "
    r"(?P<high>[+-][\d.]+) dB"
)
_SPECTRUM = re.compile(
    r"(?P<seconds>\d+) seconds: half of the changes are slower than (?P<middle>\d+) Hz, "
    r"and (?P<below>[\d.]+)% slower than 200 Hz"
)
_READ = ("nhp-navigation", "shared-stimuli")  # the projects that a server in the first reads
_HUMAN = "human-intracranial/"
_BEFORE, _AFTER = 0.015, 0.005  # s: the notebook's window


def confirm_session(run: CellOutput) -> str:
    """The session is in the project that was picked, and says so."""
    first = run.text.strip().partition("\n")[0]
    if not first.startswith("nhp-navigation:"):
        raise DemoError(f"expected a session in nhp-navigation, but it says:\n{run.text}")
    return f"the notebook is in {first}"


def confirm_datasets(run: CellOutput) -> str:
    """The catalogs of the projects that the session reads are listed, and no others."""
    from panneuro_hub.devstack.samples.sample_datasets import DATASETS  # seconds to import

    seen = {word for word in run.text.split() if "/" in word}
    expected = {one.name for one in DATASETS if one.project in _READ}
    if not expected <= seen or any(name.startswith(_HUMAN) for name in seen):
        raise DemoError(f"expected {', '.join(sorted(expected))}, but it lists:\n{run.text}")
    return f"{len(expected)} datasets are found: {', '.join(sorted(expected))}"


def confirm_opened(run: CellOutput) -> str:
    """The dataset opens as an xarray data set."""
    if "xarray.Dataset" not in run.text or "spike_times" not in run.text:
        raise DemoError(f"expected an xarray.Dataset with spike times, but saw:\n{run.text}")
    return "a dataset opens as what it is: an xarray.Dataset with stimulus and spike times"


def confirm_average(run: CellOutput) -> str:
    """The average is that of the recording, far from chance, and was plotted."""
    found = _SUMMARY.search(run.text)
    if found is None:
        raise DemoError(f"the notebook printed no average, but:\n{run.text}")
    seen = (int(found["spikes"]), float(found["before"]), float(found["level"]))
    expected = compute_expected_average()
    if seen != expected:
        raise DemoError(f"expected {expected} (spikes, ms, dB), but the notebook found {seen}")
    if float(found["low"]) <= float(found["level"]) <= float(found["high"]):
        raise DemoError(f"the average is within chance: {found[0]}")
    if "image/png" not in run.media:
        raise DemoError("the notebook plotted nothing")
    return f"{found[0]}; plotted"


def compute_expected_average() -> tuple[int, float, float]:
    """Spikes, ms before a spike and dB from the mean, worked out from nitime's own files."""
    from panneuro_hub.devstack.samples.recordings import read_receptor  # seconds to import

    recording = read_receptor(1)
    stimulus, rate = recording.stimulus, recording.rate
    before, after = round(_BEFORE * rate), round(_AFTER * rate)
    spikes = [round(float(at) * rate) for at in recording.spike_times]
    windows = [
        stimulus[at - before : at + after + 1]
        for at in spikes
        if at >= before and at + after < stimulus.size
    ]
    deviation = sum(windows) / len(windows) - stimulus.mean()
    peak = int(abs(deviation).argmax())
    milliseconds = (before - peak) / rate * 1000
    return len(spikes), round(milliseconds, 2), round(float(deviation[peak]), 2)


def confirm_refusal(run: CellOutput) -> str:
    """Both `lab` and the store refuse the human data."""
    said = dict(line.split(":", 1) for line in run.text.splitlines() if ":" in line)
    for who in ("lab says", "the store says"):
        if not said.get(who, "").strip():
            raise DemoError(
                f"expected {who!r} and a refusal, but the notebook printed:\n{run.text}"
            )
    if "403" not in said["the store says"]:
        raise DemoError(f"expected 403 of the store, but it says:{said['the store says']}")
    return f"refused where it is not theirs:\n{run.text.strip()}"


def confirm_renewal(run: CellOutput) -> str:
    """The keys changed while the notebook read."""
    if not run.text.startswith("keys renewed"):
        raise DemoError(f"expected renewed keys, but the notebook printed:\n{run.text}")
    return "; ".join(run.text.strip().splitlines())


def confirm_cluster(run: CellOutput) -> str:
    """A cluster of the project runs, with its workers."""
    first = run.text.strip().partition("\n")[0]
    if first != "2 workers for nhp-navigation":
        raise DemoError(f"expected 2 workers for nhp-navigation, but it says:\n{run.text}")
    return f"a Dask cluster is started from the notebook: {first}"


def confirm_spectrum(run: CellOutput) -> str:
    """The spectrum is that of the recording, and was plotted."""
    found = _SPECTRUM.search(run.text)
    if found is None:
        raise DemoError(f"the notebook printed no spectrum, but:\n{run.text}")
    seen = (int(found["seconds"]), int(found["middle"]), float(found["below"]))
    expected = compute_expected_spectrum()
    if seen != expected:
        raise DemoError(f"expected {expected} (seconds, Hz, %), but the notebook found {seen}")
    if "image/png" not in run.media:
        raise DemoError("the notebook plotted nothing")
    return f"{found[0]}; plotted"


def compute_expected_spectrum() -> tuple[int, int, float]:
    """Seconds, the middle frequency and per cent below the cut-off, from nitime's own files."""
    import numpy as np

    from panneuro_hub.devstack.samples.recordings import read_receptor  # seconds to import

    recording = read_receptor(1)
    level = recording.stimulus.reshape(-1, round(recording.rate))
    changes = level - level.mean(axis=1, keepdims=True)
    power = (np.abs(np.fft.rfft(changes * np.hanning(level.shape[1]))) ** 2).mean(axis=0)
    middle = np.searchsorted(np.cumsum(power), power.sum() / 2)
    below = power[: recording.cutoff + 1].sum() / power.sum()
    return len(level), int(middle), round(100 * float(below), 1)


def confirm_chunks(run: CellOutput) -> str:
    """Both workers read chunks of the stimulus from the store."""
    if not run.text.startswith("10 chunks were read by 2 workers"):
        raise DemoError(f"expected 10 chunks read by 2 workers, but it says:\n{run.text}")
    return run.text.strip()


def confirm_worker_refusal(run: CellOutput) -> str:
    """The workers may do no more than the session."""
    return f"a worker is {confirm_refusal(run)}"


def confirm_worker_renewal(run: CellOutput) -> str:
    """The keys of both workers changed while they read."""
    if not run.text.startswith("keys renewed on 2 of 2 workers"):
        raise DemoError(f"expected renewed keys on 2 workers, but the notebook says:\n{run.text}")
    return run.text.strip()


def confirm_cluster_end(run: CellOutput) -> str:
    """The cluster has ended."""
    if run.text.strip() != "the cluster is closed":
        raise DemoError(f"expected the end of the cluster, but the notebook says:\n{run.text}")
    return run.text.strip()


Confirmations = Mapping[str, Callable[[CellOutput], str]]

CONFIRMATIONS: Confirmations = {
    "session": confirm_session,
    "datasets": confirm_datasets,
    "opened": confirm_opened,
    "average": confirm_average,
    "refused": confirm_refusal,
    "renewal": confirm_renewal,
}
"""Of the notebook with the spike-triggered average."""

CLUSTER_CONFIRMATIONS: Confirmations = {
    "cluster": confirm_cluster,
    "spectrum": confirm_spectrum,
    "map": confirm_chunks,
    "workers-refused": confirm_worker_refusal,
    "workers-renewal": confirm_worker_renewal,
    "closed": confirm_cluster_end,
}
"""Of the notebook that computes on a cluster."""
