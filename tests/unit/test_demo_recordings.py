"""Real recordings, written for the demo's projects."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from obstore.store import LocalStore

from panneuro_hub.demo import nwb, recordings
from panneuro_hub.demo.errors import DemoError


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, tuple[str, ...]]:
    folder = tmp_path_factory.mktemp("bucket")
    written = recordings.write_recordings(lambda prefix: LocalStore(folder / prefix, mkdir=True))
    return folder, written


def open_zarr(path: Path) -> xr.Dataset:
    return xr.open_zarr(path, consolidated=False, chunks=None)


def test_receptor_recording_is_what_the_paper_says() -> None:
    slow, fast = recordings.read_receptor(1), recordings.read_receptor(2)

    assert (slow.cutoff, fast.cutoff) == (200, 800)
    assert (slow.spike_times.size, fast.spike_times.size) == (929, 868)
    assert slow.stimulus.shape == fast.stimulus.shape == (200_000,)
    assert slow.rate == pytest.approx(20_000)
    # The greatest level is the intensity of the header, in dB SPL.
    assert (slow.stimulus.max(), fast.stimulus.max()) == pytest.approx((76.4286, 71.2))
    assert slow.spike_times[0] == pytest.approx(0.0067)
    assert slow.spike_times[-1] < slow.stimulus.size / slow.rate
    assert np.all(np.diff(slow.spike_times) > 0)


def test_fmri_has_its_events() -> None:
    fmri = recordings.read_fmri()

    assert fmri.bold.shape == (3360,)
    assert float(fmri.time[1]) == 2.0
    assert np.unique(fmri.event, return_counts=True)[1].tolist() == [2784] + [96] * 6


def test_every_project_has_something(bucket: tuple[Path, tuple[str, ...]]) -> None:
    folder, written = bucket

    assert {path.partition("/")[0] for path in written} == {
        "shared-stimuli",
        "nhp-navigation",
        "nhp-categorization",
        "human-intracranial",
    }
    assert any(path.startswith("human-intracranial/release-2026/") for path in written)
    assert all((folder / path).exists() for path in written)


def test_zarr_reads_back_with_units_and_a_plain_word_on_what_it_is(
    bucket: tuple[Path, tuple[str, ...]],
) -> None:
    recording = recordings.read_receptor(1)

    read = open_zarr(bucket[0] / "nhp-navigation/grasshopper-receptor.zarr")

    np.testing.assert_array_equal(read.stimulus, recording.stimulus)
    np.testing.assert_array_equal(read.spike_times, recording.spike_times)
    assert {name: read[name].attrs["units"] for name in ("stimulus", "spike_times", "time")} == {
        "stimulus": "dB SPL",
        "spike_times": "s",
        "time": "s",
    }
    assert read.attrs["sampling_rate_hz"] == pytest.approx(20_000)
    assert "stands in for" in read.attrs["note"]
    assert "Rokem" in read.attrs["source"]


def test_human_data_says_whose_it_is(bucket: tuple[Path, tuple[str, ...]]) -> None:
    for path in ("event-related-fmri.zarr", "release-2026/event-related-fmri.zarr"):
        assert "volunteer" in open_zarr(bucket[0] / "human-intracranial" / path).attrs["note"]


def test_zarr_is_the_same_each_time(bucket: tuple[Path, tuple[str, ...]], tmp_path: Path) -> None:
    data_set = recordings.receptor_dataset(recordings.read_receptor(1))
    recordings.write_zarr(data_set, LocalStore(tmp_path))

    first = bucket[0] / "nhp-navigation/grasshopper-receptor.zarr"
    files = sorted(path.relative_to(first) for path in first.rglob("*") if path.is_file())
    assert len(files) > 10
    assert files == sorted(
        path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()
    )
    assert all((first / path).read_bytes() == (tmp_path / path).read_bytes() for path in files)


def test_nwb_reads_back(bucket: tuple[Path, tuple[str, ...]]) -> None:
    recording = recordings.read_receptor(1)
    (name,) = [path for path in bucket[1] if ".nwb" in path]

    assert name.endswith(".nwb.zarr" if nwb.HAS_NWB_ZARR else ".nwb")
    with nwb.reader(bucket[0] / name) as opened:
        content = opened.read()
        sound = content.stimulus["sound_level"]
        assert (sound.unit, sound.rate) == ("dB SPL", pytest.approx(20_000))
        np.testing.assert_array_equal(sound.data[:], recording.stimulus)
        np.testing.assert_array_equal(content.units["spike_times"][0], recording.spike_times)


def test_without_nitime_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)

    with pytest.raises(DemoError, match=r"panneuro-hub\[demo\]"):
        recordings.read_receptor(1)
