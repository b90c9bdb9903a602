"""Datasets in a store, put there complete, of recordings that packages carry."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import h5netcdf
import nibabel
import numpy as np
from nibabel.testing import data_path
from obstore.store import LocalStore, S3Store

from panneuro_hub.catalog import FileRow, Manifest
from panneuro_hub.catalog.dataset_records import publish_dataset
from panneuro_hub.catalog.formats import DatasetFormat, recognize_format
from panneuro_hub.devstack.samples.nwb_files import write_nwb
from panneuro_hub.devstack.samples.recordings import (
    find_nitime_data,
    make_receptor_dataset,
    read_receptor,
    write_zarr,
)
from panneuro_hub.devstack.seaweedfs import SeaweedFS

CREATED = datetime(2026, 11, 2, 9, 15, tzinfo=UTC)


def open_admin_store(seaweedfs: SeaweedFS, prefix: str) -> S3Store:
    """Open a prefix of the bucket with the administrator's keys, to put data there."""
    access_key, secret_key = seaweedfs.admin
    return S3Store(
        "lab",
        prefix=prefix,
        endpoint=seaweedfs.endpoint_url,
        region=seaweedfs.region,
        access_key_id=access_key,
        secret_access_key=secret_key,
        client_options={"allow_http": True},
    )


def put(
    store: S3Store, project: str, dataset: str, files: dict[str, bytes], **about: Any
) -> Manifest:
    """Put files below `dataset`, and make it complete."""
    for path, content in files.items():
        store.put(f"{dataset}/{path}", content)
    seen: DatasetFormat = recognize_format(
        {path: len(content) for path, content in files.items()},
        lambda path, start, length: files[path][start : start + length],
    )
    manifest = Manifest(
        dataset=dataset,
        project=project,
        format=seen.format,
        created=CREATED,
        created_by="ada",
        subjects=seen.subjects,
        modalities=seen.modalities,
        files=tuple(
            FileRow(path, len(content), hashlib.sha256(content).hexdigest())
            for path, content in files.items()
        ),
        **about,
    )
    publish_dataset(store, manifest)
    return manifest


def receptor_zarr() -> dict[str, bytes]:
    """A recording of nitime's as a Zarr hierarchy."""
    with tempfile.TemporaryDirectory() as folder:
        write_zarr(make_receptor_dataset(read_receptor(1)), LocalStore(folder))
        return _files(Path(folder))


def receptor_nwb() -> dict[str, bytes]:
    """The same as an NWB file."""
    slow = read_receptor(1)
    with tempfile.TemporaryDirectory() as folder:
        write_nwb(slow.stimulus, slow.rate, slow.spike_times, "receptor", LocalStore(folder))
        return _files(Path(folder))


def fmri_csv() -> bytes:
    return (find_nitime_data() / "event_related_fmri.csv").read_bytes()


def example4d() -> bytes:
    """nibabel's volume, 128 x 96 x 24 x 2, packed."""
    return Path(data_path, "example4d.nii.gz").read_bytes()


def long_series() -> bytes:
    """The same volume 20 times over, not packed: 24 MB."""
    packed = nibabel.Nifti1Image.from_bytes(_unpacked(example4d()))
    again = np.tile(np.asarray(packed.dataobj), (1, 1, 1, 20))
    series = nibabel.Nifti1Image(again, packed.affine, packed.header)
    return bytes(series.to_bytes())


def bids() -> dict[str, bytes]:
    """Two subjects with a volume each."""
    described = {"Name": "Example", "BIDSVersion": "1.10.0", "Authors": ["A. Lovelace", "B. Bee"]}
    run = "func/{}_task-rest_bold"
    files = {
        "dataset_description.json": json.dumps(described).encode(),
        "participants.tsv": b"participant_id\tage\nsub-01\t34\nsub-02\tn/a\n",
        "README": b"Made of nibabel's example.",
    }
    for subject in ("sub-01", "sub-02"):
        at = f"{subject}/{run.format(subject)}"
        files[f"{at}.nii.gz"] = example4d()
        files[f"{at}.json"] = b'{"RepetitionTime": 2000.0, "TaskName": "rest"}'
    return files


def chunked_hdf5(megabytes: int = 16) -> bytes:
    """Random numbers in chunks of 1 MiB, as NetCDF on HDF5."""
    numbers = np.random.default_rng(1).random((megabytes, 2**17))
    target = io.BytesIO()
    with h5netcdf.File(target, "w") as file:
        file.dimensions = {"block": megabytes, "sample": 2**17}
        variable = file.create_variable("numbers", ("block", "sample"), "f8", chunks=(1, 2**17))
        variable[...] = numbers
    return target.getvalue()


def _unpacked(data: bytes) -> bytes:
    return gzip.decompress(data)


def _files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
