"""Real recordings, written as datasets of the demo's projects."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from obstore.store import LocalStore

from panneuro_hub.catalog import DatasetRecord
from panneuro_hub.catalog.dataset_records import list_catalog, read_manifest, rebuild_catalog
from panneuro_hub.catalog.validators import validate_dataset
from panneuro_hub.devstack.errors import DevstackError
from panneuro_hub.devstack.samples import nwb_files, recordings, sample_datasets
from panneuro_hub.devstack.samples.collaboration_file import StoreAddress, write_collaboration

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, tuple[str, ...]]:
    folder = tmp_path_factory.mktemp("bucket")
    written = sample_datasets.write_datasets(lambda prefix: LocalStore(folder / prefix, mkdir=True))  # type: ignore[arg-type,return-value]
    return folder, written


@pytest.fixture(scope="module")
def records(bucket: tuple[Path, tuple[str, ...]]) -> dict[str, DatasetRecord]:
    """The catalogs of all projects, by the datasets' names."""
    found = {}
    for project in sorted({name.partition("/")[0] for name in bucket[1]}):
        listed = list_catalog(LocalStore(bucket[0] / project))  # type: ignore[arg-type]
        assert (listed.uploads, listed.problems) == ((), ())
        found |= {record.name: record for record in listed.records}
    return found


def open_zarr(path: Path) -> xr.Dataset:
    with warnings.catch_warnings():
        # Of the dataset's manifest, which lies there too.
        warnings.filterwarnings("ignore", "Object at .panneuro is not recognized")
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


def test_the_catalogs_have_every_dataset_and_say_what_people_must_know(
    bucket: tuple[Path, tuple[str, ...]], records: dict[str, DatasetRecord]
) -> None:
    assert tuple(sorted(bucket[1])) == tuple(sorted(records))
    assert {record.format for record in records.values()} == {"bids", "nwb", "zarr", "files"}
    for record in records.values():
        assert record.title
        assert "stands in for" in record.description
        assert record.citation
        assert record.license == "BSD-3-Clause"
    bids = records["human-intracranial/release-2026/volumes"]
    assert (bids.subjects, bids.modalities) == (("sub-01", "sub-02"), ("func",))
    assert "nitime" in bids.readme
    recorded = records["nhp-navigation/receptor-nwb"]
    assert (recorded.subjects, recorded.modalities) == (("grasshopper-1",), ("ecephys",))


def test_no_dataset_claims_an_embargo_that_its_project_does_not_have(
    records: dict[str, DatasetRecord],
) -> None:
    for record in records.values():
        assert record.asks_to_wait_until is None
        assert "embargo" not in f"{record.title} {record.description}".lower()


def test_a_dataset_is_frozen_by_the_collaboration(tmp_path: Path) -> None:
    written = tmp_path / "collaboration.yaml"
    write_collaboration(written, StoreAddress("http://127.0.0.1:1", "b", "r", "arn:x"), {})

    frozen = "human-intracranial/release-2026/"
    assert f"frozen: [{frozen}]" in written.read_text()
    assert sum(one.name.startswith(frozen) for one in sample_datasets.DATASETS) == 2


def test_the_catalogs_are_those_of_the_manifests(bucket: tuple[Path, tuple[str, ...]]) -> None:
    store = LocalStore(bucket[0] / "human-intracranial")
    made = rebuild_catalog(store)  # type: ignore[arg-type]

    assert (made.written, made.removed, made.kept, made.problems) == ((), (), 4, ())
    manifest = read_manifest(store, "release-2026/volumes")  # type: ignore[arg-type]
    assert manifest is not None
    for file in manifest.files:
        at = bucket[0] / "human-intracranial/release-2026/volumes" / file.path
        assert at.stat().st_size == file.size


@pytest.mark.parametrize(
    "name", ["nhp-navigation/receptor-nwb", "human-intracranial/release-2026/volumes"]
)
def test_the_validators_of_an_upload_find_no_error(
    name: str, records: dict[str, DatasetRecord], tmp_path: Path
) -> None:
    (one,) = [each for each in sample_datasets.DATASETS if each.name == name]
    one.make(tmp_path)

    found = validate_dataset(tmp_path, records[name].format)

    assert found

    # How old the grasshopper was is not known.
    assert {each.code for each in found if each.severity == "error"} <= {"check_subject_age"}
    assert not [each for each in found if "not checked" in each.message]


def test_zarr_is_the_same_each_time(bucket: tuple[Path, tuple[str, ...]], tmp_path: Path) -> None:
    data_set = recordings.make_receptor_dataset(recordings.read_receptor(1))
    recordings.write_zarr(data_set, LocalStore(tmp_path))

    first = bucket[0] / "nhp-navigation/grasshopper-receptor.zarr"
    files = sorted(
        path.relative_to(first)
        for path in first.rglob("*")
        if path.is_file() and ".panneuro" not in path.parts
    )
    assert len(files) > 10
    assert files == sorted(
        path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()
    )
    assert all((first / path).read_bytes() == (tmp_path / path).read_bytes() for path in files)


def test_nwb_reads_back(bucket: tuple[Path, tuple[str, ...]]) -> None:
    recording = recordings.read_receptor(1)
    name = "nhp-navigation/receptor-nwb/grasshopper-receptor"
    name += ".nwb.zarr" if nwb_files.HAS_NWB_ZARR else ".nwb"

    with nwb_files.open_reader(bucket[0] / name) as opened:
        content = opened.read()
        sound = content.stimulus["sound_level"]
        assert (sound.unit, sound.rate) == ("dB SPL", pytest.approx(20_000))
        np.testing.assert_array_equal(sound.data[:], recording.stimulus)
        np.testing.assert_array_equal(content.units["spike_times"][0], recording.spike_times)


def test_without_nitime_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)

    with pytest.raises(DevstackError, match=r"panneuro-hub\[demo\]"):
        recordings.read_receptor(1)
