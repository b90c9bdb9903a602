"""Datasets of real recordings, described and catalogued as people's uploads are."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from obstore.store import LocalStore, S3Store

from panneuro_hub.catalog import FileRow, Manifest
from panneuro_hub.catalog.dataset_records import publish_dataset
from panneuro_hub.catalog.formats import make_folder_reader, recognize_format
from panneuro_hub.devstack.samples.nwb_files import write_nwb
from panneuro_hub.devstack.samples.recordings import (
    find_nitime_data,
    make_receptor_dataset,
    make_stimulus_dataset,
    read_fmri,
    read_receptor,
    write_zarr,
)

_GRASSHOPPER = "grasshopper-receptor"
_FMRI = "event-related-fmri.zarr"
_PAPER = (
    "Rokem A, Watzl S, Gollisch T, Stemmler M, Herz AVM, Samengo I (2006). Spike-timing "
    "precision underlies the coding efficiency of auditory receptor neurons. "
    "J Neurophysiol 95: 2541-2552."
)
_NITIME = "The nitime developers: nitime 0.12, nitime/data."
_LICENSE = "BSD-3-Clause"
_VOLUMES_REPETITION_TIME = 1.35  # s, as the volumes' headers say

StoreOpener = Callable[[str], S3Store]


@dataclass(frozen=True)
class SampleDataset:
    """A dataset that is in the store from the beginning.

    Parameters
    ----------
    project, dataset : str
    by : str
        Whose upload it is said to be.
    make : callable
        Writes its files into a folder.
    words : dict
        What is said of it, by the manifest's names.
    """

    project: str
    dataset: str
    by: str
    make: Callable[[Path], None]
    words: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """With its project."""
        return f"{self.project}/{self.dataset}"


def make_store_opener(
    endpoint_url: str, bucket: str, region: str, access_key: str, secret_key: str
) -> StoreOpener:
    """Where to write: prefixes of a bucket, with keys that may write all of it."""

    def place(prefix: str) -> S3Store:
        return S3Store(
            bucket,
            prefix=prefix,
            endpoint=endpoint_url,
            region=region,
            access_key_id=access_key,
            secret_access_key=secret_key,
            virtual_hosted_style_request=False,
            client_options={"allow_http": endpoint_url.startswith("http://")},
        )

    return place


def write_datasets(place: StoreOpener) -> tuple[str, ...]:
    """Write the datasets of the sample projects; what was there stays or is replaced.

    Parameters
    ----------
    place : callable
        Gives the store below a project's prefix (`make_store_opener`).

    Returns
    -------
    tuple of str
        The datasets, with their projects.
    """
    for one in DATASETS:
        with tempfile.TemporaryDirectory(prefix="panneuro-demo-") as folder:
            one.make(Path(folder))
            _bring_in(one, Path(folder), place(one.project))
    return tuple(one.name for one in DATASETS)


def _bring_in(one: SampleDataset, folder: Path, store: S3Store) -> None:
    """Send a folder, and make it a dataset."""
    contents = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    for path, content in contents.items():
        store.put(f"{one.dataset}/{path}", content)
    seen = recognize_format(
        {path: len(content) for path, content in contents.items()}, make_folder_reader(folder)
    )
    manifest = Manifest(
        dataset=one.dataset,
        project=one.project,
        format=seen.format,
        created=datetime.now(UTC),
        created_by=one.by,
        subjects=seen.subjects,
        modalities=seen.modalities,
        readme=contents.get("README", b"").decode(),
        files=tuple(
            FileRow(path, len(content), hashlib.sha256(content).hexdigest())
            for path, content in contents.items()
        ),
        **one.words,
    )
    publish_dataset(store, manifest)


def _stimulus(number: int, folder: Path) -> None:
    write_zarr(make_stimulus_dataset(read_receptor(number)), LocalStore(folder))


def _receptor(number: int, folder: Path) -> None:
    write_zarr(make_receptor_dataset(read_receptor(number)), LocalStore(folder))


def _receptor_nwb(folder: Path) -> None:
    slow = read_receptor(1)
    store = LocalStore(folder)
    write_nwb(
        *(slow.stimulus, slow.rate, slow.spike_times, _GRASSHOPPER, store),
        subject="grasshopper-1",
    )


def _fmri(folder: Path) -> None:
    write_zarr(read_fmri(), LocalStore(folder))


def _resting_state(folder: Path) -> None:
    shutil.copyfile(find_nitime_data() / "fmri_timeseries.csv", folder / "fmri_timeseries.csv")
    (folder / "README").write_text(
        "250 samples of 31 regions, one each 1.89 s; the header has the regions' names.\n"
    )


def _volumes(folder: Path) -> None:
    """The two fMRI series as BIDS, a subject each: nitime does not say more of them.

    Source: Brain Imaging Data Structure 1.10, "Magnetic Resonance Imaging".
    """
    described = {
        "Name": "Two fMRI series, as BIDS",
        "BIDSVersion": "1.10.0",
        "DatasetType": "raw",
        "License": _LICENSE,
        "Authors": ["The nitime developers"],
        "HowToAcknowledge": _NITIME,
        "GeneratedBy": [{"Name": "panneuro-hub demo"}],
    }
    series = {"TaskName": "unknown", "RepetitionTime": _VOLUMES_REPETITION_TIME}
    _write_json(folder / "dataset_description.json", described)
    _write_json(folder / "task-unknown_bold.json", series)
    (folder / "participants.tsv").write_text("participant_id\nsub-01\nsub-02\n")
    (folder / "README").write_text(
        "Two small pieces of fMRI series, 10 x 10 x 18 voxels and 40 volumes each, from the data\n"
        "of nitime, which does not say who they are of nor what was done in the scanner: the\n"
        "task is called unknown, and each series is given to a subject of its own.\n"
    )
    for number in (1, 2):
        subject = f"sub-{number:02}"
        target = folder / subject / "func" / f"{subject}_task-unknown_bold.nii.gz"
        target.parent.mkdir(parents=True)
        shutil.copyfile(find_nitime_data() / f"fmri{number}.nii.gz", target)


def _write_json(path: Path, document: dict[str, Any]) -> None:
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def _words(whose: str, citation: str, title: str, description: str, **more: Any) -> dict[str, Any]:
    return {
        "title": title,
        "description": f"{description} In this demo it stands in for the {whose} own.",
        "citation": citation,
        "license": _LICENSE,
        **more,
    }


_of_receptor = partial(_words, "laboratory's", _PAPER)
_of_volunteer = partial(_words, "laboratories'", _NITIME)

_EVENTS = _of_volunteer(
    "Event-related fMRI near area MT",
    "A volunteer watched moving dots: 3,360 samples of the BOLD signal, and when which of six "
    "kinds of trial began.",
)

DATASETS = (
    SampleDataset(
        "shared-stimuli",
        "gaussian-200hz.zarr",
        "mina",
        partial(_stimulus, 1),
        _of_receptor(
            "Sound with slow changes of loudness",
            "Ten seconds of a tone whose loudness follows Gaussian noise up to 200 Hz.",
        ),
    ),
    SampleDataset(
        "shared-stimuli",
        "gaussian-800hz.zarr",
        "mina",
        partial(_stimulus, 2),
        _of_receptor(
            "Sound with fast changes of loudness",
            "Ten seconds of a tone whose loudness follows Gaussian noise up to 800 Hz.",
        ),
    ),
    SampleDataset(
        "nhp-navigation",
        f"{_GRASSHOPPER}.zarr",
        "ada",
        partial(_receptor, 1),
        _of_receptor(
            "Auditory receptor neuron, slow stimulus",
            "929 spikes of an auditory receptor neuron of a grasshopper (Locusta migratoria), and "
            "the sound that it heard.",
        ),
    ),
    SampleDataset(
        "nhp-navigation",
        "receptor-nwb",
        "ada",
        _receptor_nwb,
        _of_receptor(
            "Auditory receptor neuron, as NWB",
            "The recording with the slow stimulus, as Neurodata Without Borders.",
        ),
    ),
    SampleDataset(
        "nhp-categorization",
        f"{_GRASSHOPPER}.zarr",
        "mina",
        partial(_receptor, 2),
        _of_receptor(
            "Auditory receptor neuron, fast stimulus",
            "868 spikes of an auditory receptor neuron of a grasshopper (Locusta migratoria), and "
            "the sound that it heard.",
        ),
    ),
    SampleDataset("human-intracranial", _FMRI, "grace", _fmri, _EVENTS),
    SampleDataset(
        "human-intracranial",
        "resting-state",
        "grace",
        _resting_state,
        _of_volunteer(
            "Resting state, 31 regions",
            "A table of fMRI signals of a volunteer at rest, averaged over regions of the brain.",
        ),
    ),
    SampleDataset("human-intracranial", f"release-2026/{_FMRI}", "grace", _fmri, _EVENTS),
    SampleDataset(
        "human-intracranial",
        "release-2026/volumes",
        "grace",
        _volumes,
        _of_volunteer(
            "Two fMRI series, as BIDS",
            "Small pieces of two series, of 40 volumes each, with a subject for each.",
        ),
    ),
)
"""Of each format one at least. The project ``nhp-categorization`` is under an embargo, which the
collaboration file sets; what is in ``release-2026`` is frozen."""
