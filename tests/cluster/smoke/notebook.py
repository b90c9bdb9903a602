"""Run inside the notebook's container: each library computes on what lies in the object store.

Prints a line for each library that did; ends with what went wrong. The recordings are those of
a grasshopper's auditory receptor neuron and an fMRI series, which nitime carries.
"""

from __future__ import annotations

import gzip
import importlib.metadata
import io
import json
import os
import subprocess
import sys
import tempfile
import traceback
import urllib.request
from collections.abc import Callable
from pathlib import Path

import numpy as np
import obstore
import obstore.exceptions

import panneuro_hub.lab as lab

RATE = 20_000.0  # stimulus samples per second
CUTOFF = 200.0  # Hz: the stimulus has been modulated up to here
LAG = 400  # samples before a spike that are looked at: 20 ms

checks: list[tuple[tuple[str, ...], Callable[[], None]]] = []


def check(*packages: str) -> Callable[[Callable[[], None]], Callable[[], None]]:
    """Note down a check of these packages."""

    def note(function: Callable[[], None]) -> Callable[[], None]:
        checks.append((packages, function))
        return function

    return note


def expect(holds: object, what: str) -> None:
    if not holds:
        raise RuntimeError(what)


def recording(name: str) -> bytes:
    return bytes(obstore.get(lab.store("recordings/"), name).bytes())


def read_stimulus() -> np.ndarray:
    return np.loadtxt(io.BytesIO(recording("grasshopper_stimulus1.txt")), usecols=1)


def read_spikes() -> np.ndarray:
    """In seconds."""
    return np.loadtxt(io.BytesIO(recording("grasshopper_spike_times1.txt"))) * 1e-6


def put(name: str, content: bytes) -> None:
    obstore.put(lab.store("work/"), name, content)
    expect(obstore.head(lab.store("work/"), name)["size"] == len(content), f"{name} is there")


def windows() -> tuple[np.ndarray, np.ndarray]:
    """Stimulus before each spike and before as many other moments; whether it was a spike."""
    spikes = (read_spikes() * RATE).astype(int)
    quiet = spikes + int(0.010 * RATE)
    ends = np.concatenate([spikes, quiet])
    inside = (ends > LAG) & (ends < stimulus.size)
    labels = np.repeat([1, 0], spikes.size)[inside]
    rows = np.stack([stimulus[end - LAG : end : 10] for end in ends[inside]])
    return (rows - stimulus.mean()) / stimulus.std(), labels


@check("panneuro-hub", "pydantic", "click", "ruamel-yaml")
def session() -> None:
    here = lab.session()
    expect((here.user, here.project) == ("ada", "work"), "the session of the test")
    expect(here.keys_until is not None, "it has keys")
    subprocess.run(["panneuro-hub", "--help"], check=True, stdout=subprocess.DEVNULL)


@check("obstore", "numpy")
def by_obstore() -> None:
    names = {entry["path"] for page in obstore.list(lab.store("recordings/")) for entry in page}
    expect({"fmri1.nii.gz", "grasshopper_stimulus1.txt"} <= names, "the recordings are listed")
    expect((stimulus.size, read_spikes().size) == (200_000, 929), "whole")


@check("boto3")
def by_boto3() -> None:
    import boto3

    s3 = boto3.client("s3")
    key = "recordings/grasshopper_spike_times1.txt"
    text = s3.get_object(Bucket="lab", Key=key)["Body"].read()
    expect(np.array_equal(np.loadtxt(io.BytesIO(text)) * 1e-6, read_spikes()), "the same spikes")
    try:
        s3.get_object(Bucket="lab", Key="others/secret.txt")
    except s3.exceptions.ClientError as error:
        expect(error.response["ResponseMetadata"]["HTTPStatusCode"] == 403, "refused")
    else:
        raise RuntimeError("somebody else's data can be read")


@check("fsspec", "s3fs")
def by_s3fs() -> None:
    import s3fs

    for files in (s3fs.S3FileSystem(), lab.filesystem()):
        with files.open("lab/recordings/grasshopper_spike_times1.txt", "rb") as file:
            expect(np.array_equal(np.loadtxt(file) * 1e-6, read_spikes()), "the same spikes")
        try:
            files.cat_file("lab/others/secret.txt")
        except (PermissionError, obstore.exceptions.PermissionDeniedError):
            continue
        raise RuntimeError("somebody else's data can be read")


@check("zarr")
def by_zarr() -> None:
    import zarr
    from zarr.storage import ObjectStore

    group = zarr.open_group(ObjectStore(lab.store("work/raw.zarr/")), mode="w")
    array = group.create_array(
        "stimulus", shape=stimulus.shape, chunks=(20_000,), dtype=stimulus.dtype
    )
    array[:] = stimulus
    again = zarr.open_group("s3://lab/work/raw.zarr", mode="r")["stimulus"]  # by s3fs
    expect(np.isclose(again[50_000:70_000].std(), stimulus[50_000:70_000].std()), "the same")


@check("xarray")
def by_xarray() -> None:
    import xarray as xr
    from zarr.storage import ObjectStore

    time = np.arange(stimulus.size) / RATE
    made = xr.Dataset({"stimulus": ("time", stimulus)}, {"time": time}).chunk(time=20_000)
    made.to_zarr(ObjectStore(lab.store("work/stimulus.zarr/")), mode="w", consolidated=False)
    mean = lab.open_zarr("work/stimulus.zarr").stimulus.sel(time=slice(2, 3)).mean()
    expect(np.isclose(mean, stimulus[40_000:60_001].mean()), "the mean of the third second")


@check("dask", "pyarrow", "pandas")
def by_dask() -> None:
    import dask.dataframe as dd
    import pandas as pd

    lazy = lab.open_zarr("work/stimulus.zarr", chunks={}).stimulus
    expect(lazy.data.npartitions == 10, "ten chunks")
    expect(np.isclose(lazy.std().compute(), stimulus.std()), "their standard deviation")
    intervals = pd.DataFrame({"interval": np.diff(read_spikes())})
    intervals.to_parquet("s3://lab/work/intervals.parquet")
    table = dd.read_parquet("s3://lab/work/intervals.parquet")
    expect(np.isclose(table.interval.mean().compute(), intervals.interval.mean()), "the mean")


@check("distributed")
def by_distributed() -> None:
    from distributed import Client, LocalCluster

    def loudest(start: int) -> float:
        part = lab.open_zarr("work/stimulus.zarr").stimulus[start : start + 50_000]
        return float(part.max())

    with (
        LocalCluster(n_workers=1, threads_per_worker=2, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        parts = client.gather(client.map(loudest, range(0, stimulus.size, 50_000)))
    expect(np.isclose(max(parts), stimulus.max()), "the loudest moment, in another process")


@check("scipy")
def by_scipy() -> None:
    from scipy.signal import welch

    frequency, power = welch(stimulus - stimulus.mean(), RATE, nperseg=8192)
    expect(power[frequency <= CUTOFF * 1.1].sum() > 0.95 * power.sum(), "modulated up to 200 Hz")


@check("scikit-learn")
def by_scikit_learn() -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_score

    rows, labels = windows()
    score = cross_val_score(LogisticRegression(max_iter=1000), rows, labels, cv=5).mean()
    expect(score > 0.7, f"the stimulus tells when the neuron fires; it said {score:.2f}")


@check("tensorflow-cpu")
def by_tensorflow() -> None:
    import tensorflow as tf

    rows, labels = windows()
    targets = labels[:, np.newaxis].astype(float)
    found = tf.linalg.lstsq(tf.constant(rows), tf.constant(targets), l2_regularizer=1.0)
    penalty = np.eye(rows.shape[1])
    wanted = np.linalg.solve(rows.T @ rows + penalty, rows.T @ targets)
    expect(np.allclose(found, wanted), "the same weights as by hand")
    with tf.GradientTape() as tape:
        weights = tf.Variable(found)
        loss = tf.reduce_sum((rows @ weights - targets) ** 2) + tf.reduce_sum(weights**2)
    expect(np.abs(tape.gradient(loss, weights)).max() < 1e-6, "no way down from there")


@check("pynwb", "hdmf-zarr")
def by_pynwb() -> None:
    import s3fs
    from hdmf_zarr.nwb import NWBZarrIO

    from panneuro_hub.devstack.samples.nwb_files import write_nwb

    name = write_nwb(stimulus, RATE, read_spikes(), "cell", lab.store("work/"))
    with tempfile.TemporaryDirectory() as folder:
        s3fs.S3FileSystem().get(f"lab/work/{name}", f"{folder}/{name}", recursive=True)
        with NWBZarrIO(f"{folder}/{name}", mode="r") as file:
            units = file.read().units
            expect(np.allclose(units["spike_times"][0], read_spikes()), "the same spikes")
    opened = lab.open(f"work/{name}")
    expect(np.allclose(opened.units["spike_times"][0], read_spikes()), "the same from the store")


@check("hdf5plugin", "h5netcdf")
def by_hdf5plugin() -> None:
    import h5py
    import hdf5plugin

    with tempfile.TemporaryDirectory() as folder:
        with h5py.File(f"{folder}/packed.h5", "w") as file:
            file.create_dataset("spikes", data=read_spikes(), chunks=True, **hdf5plugin.Blosc())
        put("packed.h5", Path(folder, "packed.h5").read_bytes())
    opened = lab.open("work/packed.h5")
    expect(np.allclose(opened["spikes"], read_spikes()), "the same spikes, unpacked")


@check("neo")
def by_neo() -> None:
    import neo
    import quantities as pq

    train = neo.SpikeTrain(read_spikes() * pq.s, t_stop=stimulus.size / RATE * pq.s)
    half = train.time_slice(0 * pq.s, 5 * pq.s)
    expect(0 < half.size < train.size, "spikes of the first five seconds")
    expect(np.isclose(half.size, (read_spikes() <= 5).sum()), "as many as counted by hand")


@check("mne")
def by_mne() -> None:
    import mne

    mne.set_log_level("ERROR")
    info = mne.create_info(["sound"], RATE, "misc")
    raw = mne.io.RawArray(stimulus[np.newaxis] - stimulus.mean(), info)
    kept = raw.copy().filter(None, CUTOFF * 1.2, picks="all").get_data()[0]
    expect(kept.std() > 0.95 * stimulus.std(), "little is left out above 240 Hz")


@check("nibabel")
def by_nibabel() -> None:
    import nibabel as nib

    image = nib.Nifti1Image.from_bytes(gzip.decompress(recording("fmri1.nii.gz")))
    brain = image.get_fdata()
    expect(brain.ndim == 4 and brain.std() > 0, f"a series of volumes, {brain.shape}")


@check("nitime")
def by_nitime() -> None:
    from nitime.analysis import SpectralAnalyzer
    from nitime.timeseries import TimeSeries

    series = TimeSeries(stimulus - stimulus.mean(), sampling_rate=RATE)
    frequency, power = SpectralAnalyzer(series).psd
    expect(frequency[np.argmax(power)] < CUTOFF * 1.2, "the peak is below 240 Hz")


@check("matplotlib")
def by_matplotlib() -> None:
    from matplotlib import pyplot

    figure, axes = pyplot.subplots()
    axes.plot(windows()[0].mean(axis=0))
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    expect(picture.getvalue().startswith(b"\x89PNG"), "a picture")
    put("average.png", picture.getvalue())


@check("hvplot")
def by_hvplot() -> None:
    import holoviews
    import hvplot.xarray  # noqa: F401 - adds .hvplot to xarray

    lazy = lab.open_zarr("work/stimulus.zarr").stimulus[:2000]
    page = holoviews.renderer("bokeh").html(lazy.hvplot.line(x="time"))
    expect("stimulus" in page, "a page with the curve")
    put("stimulus.html", page.encode())


@check("gcsfs")
def by_gcsfs() -> None:
    import gcsfs

    files = gcsfs.GCSFileSystem(
        token="anon", endpoint_url=os.environ["GOOGLE_STORE"], project="test"
    )
    with files.open("lab/spikes.npy", "wb") as file:
        np.save(file, read_spikes())
    with files.open("lab/spikes.npy", "rb") as file:
        expect(np.isclose(np.load(file).mean(), read_spikes().mean()), "the same spikes")


@check("dask-gateway", "dask-labextension", "aiohttp")
def by_dask_labextension() -> None:
    import importlib

    import dask.config
    import dask_gateway
    from dask_labextension import manager

    factory = dask.config.get("labextension.factory")
    made_by = getattr(importlib.import_module(factory["module"]), factory["class"])
    expect(issubclass(made_by, dask_gateway.GatewayCluster), "the panel asks the gateway")
    expect(made_by.__name__ == "ProjectCluster", "for clusters of the session's project")
    expect(manager.DaskClusterManager, "the panel's server side is there")
    loader = dask.config.get("distributed.client.security-loader")
    module, _, function = loader.rpartition(".")
    expect(getattr(importlib.import_module(module), function), "the panel's own line works")


@check("ipywidgets")
def by_ipywidgets() -> None:
    from distributed import Client, LocalCluster, progress
    from distributed.diagnostics.progressbar import MultiProgressWidget

    with LocalCluster(n_workers=1, processes=False) as cluster, Client(cluster) as client:
        shown = progress(client.map(abs, range(3)), notebook=True)
        expect(isinstance(shown, MultiProgressWidget), "distributed.progress is a widget")


def ask(path: str) -> bytes:
    """What the image's own server answers, started by its own command."""
    request = urllib.request.Request(
        f"http://127.0.0.1:8888/{path}", headers={"Authorization": "token for-the-test"}
    )
    with urllib.request.urlopen(request, timeout=120) as answer:
        expect(answer.status == 200, f"{path} answers {answer.status}")
        return bytes(answer.read())


@check(
    "jupyterlab",
    "jupyterlab-git",
    "jupyter-resource-usage",
    "jupyter-core",
    "jupyter-server",
    "tornado",
)
def by_jupyterlab() -> None:
    """What it offers, it has."""
    page, memory, *_ = map(
        ask, ("lab", "api/metrics/v1", "dask/clusters", "git/settings?version=0.55.0")
    )
    expect(json.loads(memory)["rss"] > 0, "the memory in use")
    expect(b'"panneuro-hub"' in page, "the project's panel is there")


@check("jupyter-fs")
def by_shared_files() -> None:
    """The project's files in the file browser."""
    drives = json.loads(ask("panneuro/api/session"))["drives"]
    listed = json.loads(ask(f"api/contents/{drives['recordings']}:"))["content"]
    expect("fmri1.nii.gz" in {one["name"] for one in listed}, "the recordings are listed")


@check("jupyterhub")
def by_jupyterhub() -> None:
    """What the image's command starts, by itself and under a hub."""
    for variables, package in (({}, "jupyterlab"), ({"JUPYTERHUB_API_TOKEN": "x"}, "jupyterhub")):
        said = subprocess.run(
            ["start-notebook", "--version"],
            env={**os.environ, **variables},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        expect(said.strip() == importlib.metadata.version(package), f"{package} of its version")


@check("ipykernel")
def by_kernel() -> None:
    """A notebook's cell finds the session."""
    from jupyter_client.manager import start_new_kernel

    manager, client = start_new_kernel(kernel_name="python3")
    heard: list[str] = []
    try:
        client.execute_interactive(
            "import panneuro_hub.lab as lab; print(lab.resolve('recordings/'))",
            timeout=120,
            output_hook=lambda message: heard.append(message["content"].get("text", "")),
        )
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    expect("".join(heard).strip() == "s3://lab/recordings/", "the address of the recordings")


def main() -> int:
    failed = []
    for packages, function in checks:
        try:
            function()
        except Exception:  # noqa: BLE001 - whatever it is, it is told, and counted
            failed.append(packages)
            print(f"FAILED {' '.join(packages)}\n{traceback.format_exc()}", flush=True)
        else:
            for name in packages:
                print("ok", name, importlib.metadata.version(name), flush=True)
    home = Path.home()
    (home / "here").write_text("can be written")
    expect((os.getuid(), home.name) == (1000, "researcher"), "runs as researcher")
    return len(failed)


stimulus = read_stimulus()
if __name__ == "__main__":
    sys.exit(main())
