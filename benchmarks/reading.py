"""Reading chunks of 1 MiB through ``lab.open``, beside s3fs and beside obstore alone.

    python -m benchmarks.reading [--json FILE]

One SeaweedFS, one process that reads, one session's keys for all ways: the agent hands them
out, and a stand-in for the service gives it what a real STS made. What is opened is opened
once, and how long that takes is said apart. In every round each way reads all of the data
once, in an order of its own:

- ``obstore``: the chunks' objects by their keys, from 16 threads; nothing is decoded;
- ``obstore, into one array``: the same, put together in memory as whoever computes needs it;
- ``lab.open``: a Zarr array, through xarray; ``with Dask`` as tasks of a chunk each;
- ``zarr over s3fs``: the same array, opened the same way over s3fs;
- ``s3fs``: the chunks' objects by their keys, in one call;
- ``HDF5, lab.open`` and ``HDF5, s3fs``: the same numbers in one file, chunks of 1 MiB; opened
  each time, since s3fs keeps 50 MiB of a file.

The data is random and stored as it is: neither side spends time on a codec.
"""

from __future__ import annotations

import asyncio
import io
import json
import logging
import os
import random
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median
from typing import Any

import click
import h5netcdf
import numpy as np
import s3fs
import xarray
import zarr
from aiobotocore.session import get_session
from obstore.store import S3Store as Store
from zarr.storage import FsspecStore, ObjectStore

import panneuro_hub.lab as lab
from benchmarks.figures import ratio_of_medians, table
from benchmarks.machine import circumstances, write_json
from panneuro_hub.agent.credential_agent import AgentSettings, CredentialAgent
from panneuro_hub.collaboration.models import S3Store
from panneuro_hub.devstack.seaweedfs import SeaweedFS
from panneuro_hub.vending import CredentialRequest, Vending
from panneuro_hub.vending.s3_credentials import S3CredentialMaker
from panneuro_hub.wire import Credential, Grant, SessionView, Ticket

_CHUNK = 2**17  # numbers of 8 bytes: 1 MiB
_THREADS = 16
_GRANT = Grant("s3://lab/nav/", "read", "for the measurement", "nav")
RAW, RAW_ARRAY = "obstore", "obstore, into one array"
LAB, LAB_DASK = "lab.open", "lab.open with Dask"
S3FS, ZARR_S3FS = "s3fs", "zarr over s3fs"
HDF5, HDF5_S3FS = "HDF5, lab.open", "HDF5, s3fs"

Way = Callable[[], int]


@dataclass(frozen=True)
class Ground:
    """What is read, and by which keys.

    Parameters
    ----------
    chunks : int
        How many of 1 MiB.
    seaweedfs : SeaweedFS
    """

    chunks: int
    seaweedfs: SeaweedFS


@contextmanager
def ground(folder: Path, chunks: int) -> Iterator[Ground]:
    """A store with the data in it, and this process a session; undone at the end."""
    with SeaweedFS(folder / "seaweedfs", bucket="lab") as seaweedfs, ExitStack() as stack:
        fill(seaweedfs, chunks)
        ticket = Ticket.new("ada", "").encode()
        (folder / "ticket").write_text(ticket)
        service = stack.enter_context(_stand_in(_view(seaweedfs), vend(seaweedfs)))
        agent = CredentialAgent(AgentSettings(service, folder / "ticket"))
        agent.start()
        stack.callback(agent.stop)
        os.environ.update(agent.environment())
        os.environ |= {
            "AWS_ENDPOINT_URL": seaweedfs.endpoint_url,
            "AWS_ALLOW_HTTP": "true",
            "AWS_REGION": seaweedfs.region,
            "AWS_DEFAULT_REGION": seaweedfs.region,
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        yield Ground(chunks, seaweedfs)


def fill(seaweedfs: SeaweedFS, chunks: int) -> None:
    """Write the same random numbers as Zarr and as HDF5."""
    numbers = np.random.default_rng(1).random(chunks * _CHUNK)
    group = zarr.create_group(ObjectStore(_writable(seaweedfs, "nav/array.zarr")))
    array = group.create_array(
        "numbers",
        shape=numbers.shape,
        chunks=_CHUNK,
        dtype="f8",
        compressors=None,
        dimension_names=("n",),
    )
    array[:] = numbers
    file = io.BytesIO()
    with h5netcdf.File(file, "w") as target:
        target.dimensions = {"n": numbers.size}
        target.create_variable("numbers", ("n",), "f8", chunks=(_CHUNK,))[...] = numbers
    _writable(seaweedfs, "nav").put("numbers.h5", file.getvalue())


def ways(running: Ground) -> dict[str, Callable[[], Way]]:
    """Each opens the data, and gives what reads everything and says how many bytes that was."""
    keys = [f"nav/array.zarr/numbers/c/{number}" for number in range(running.chunks)]
    paths = [f"lab/{key}" for key in keys]
    plain = Store("lab")
    files = s3fs.S3FileSystem(use_listings_cache=False)
    beside = s3fs.S3FileSystem(asynchronous=True, use_listings_cache=False)

    def raw() -> int:
        with ThreadPoolExecutor(_THREADS) as pool:
            return sum(pool.map(lambda key: len(plain.get(key).bytes()), keys))

    def raw_into_array() -> int:
        whole = np.empty(running.chunks * _CHUNK)

        def fill_in(number: int) -> None:
            chunk = np.frombuffer(plain.get(keys[number]).bytes())
            whole[number * _CHUNK : (number + 1) * _CHUNK] = chunk

        with ThreadPoolExecutor(_THREADS) as pool:
            list(pool.map(fill_in, range(running.chunks)))
        return int(whole.nbytes)

    def opened_by_lab(path: str, **kwargs: Any) -> Way:
        opened = lab.open(path, **kwargs)["numbers"]
        # Indexed, it reads each time; its values would be kept.
        return lambda: int(opened[:].values.nbytes)

    def over_s3fs() -> Way:
        store = FsspecStore(beside, path="lab/nav/array.zarr", read_only=True)
        opened = xarray.open_zarr(store, consolidated=False, chunks=None)["numbers"]
        return lambda: int(opened[:].values.nbytes)

    def hdf5_by_lab() -> int:
        return int(lab.open("nav/numbers.h5")["numbers"].values.nbytes)

    def hdf5_over_s3fs() -> int:
        with files.open("lab/nav/numbers.h5") as file:
            opened = xarray.open_dataset(file, engine="h5netcdf")
            return int(opened["numbers"].values.nbytes)

    return {
        RAW: lambda: raw,
        RAW_ARRAY: lambda: raw_into_array,
        LAB: lambda: opened_by_lab("nav/array.zarr", chunks=None),
        LAB_DASK: lambda: opened_by_lab("nav/array.zarr", chunks={}),
        S3FS: lambda: lambda: sum(map(len, files.cat(paths).values())),
        ZARR_S3FS: over_s3fs,
        HDF5: lambda: hdf5_by_lab,
        HDF5_S3FS: lambda: hdf5_over_s3fs,
    }


@dataclass(frozen=True)
class Taken:
    """Seconds, by way.

    Parameters
    ----------
    opening : dict of str to float
    reading : dict of str to list of float
        Of every round but the first, which is not counted.
    """

    opening: dict[str, float]
    reading: dict[str, list[float]]


def measure(running: Ground, rounds: int) -> Taken:
    """Open everything, and read it `rounds` times."""
    opening: dict[str, float] = {}
    opened: dict[str, Way] = {}
    for name, make in ways(running).items():
        start = time.perf_counter()
        opened[name] = make()
        opening[name] = time.perf_counter() - start
    reading: dict[str, list[float]] = {name: [] for name in opened}
    chance = random.Random(1)  # noqa: S311 -- an order, no secret
    for turn in range(rounds + 1):
        order = list(opened)
        chance.shuffle(order)
        for name in order:
            start = time.perf_counter()
            got = opened[name]()
            seconds = time.perf_counter() - start
            if got != running.chunks * _CHUNK * 8:
                raise SystemExit(f"{name} read {got} bytes, not all")
            if turn:
                reading[name].append(seconds)
    return Taken(opening, reading)


def vend(seaweedfs: SeaweedFS) -> Credential:
    """A session's keys, as the service would get them."""

    async def ask() -> Credential:
        vendor = get_session()
        vendor.set_credentials(*seaweedfs.vendor)
        vending = Vending({"s3": S3CredentialMaker(session=vendor)})
        try:
            store = S3Store(
                type="s3",
                bucket="lab",
                role_arn=seaweedfs.role_arn,
                region=seaweedfs.region,
                endpoint_url=seaweedfs.endpoint_url,
                credential_lifetime=timedelta(hours=1),
            )
            request = CredentialRequest("ada/", "ada", "nav", store, (_GRANT,))
            return (await vending.credential(request)).credential
        finally:
            await vending.close()

    return asyncio.run(ask())


def _view(seaweedfs: SeaweedFS) -> SessionView:
    return SessionView(
        user="ada",
        project="nav",
        title="Navigation",
        level="read",
        prefix=_GRANT.prefix,
        scratch=None,
        endpoint_url=seaweedfs.endpoint_url,
        region=seaweedfs.region,
        prefixes={"nav": _GRANT.prefix},
        grants=(_GRANT,),
        denied=(),
    )


@contextmanager
def _stand_in(view: SessionView, credential: Credential) -> Iterator[str]:
    """What the agent asks; gives its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = credential if self.path.endswith("/credentials") else view
            body = json.dumps(answer.to_json()).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _writable(seaweedfs: SeaweedFS, prefix: str) -> Store:
    access_key, secret_key = seaweedfs.admin
    return Store(
        "lab",
        prefix=prefix,
        endpoint=seaweedfs.endpoint_url,
        region=seaweedfs.region,
        access_key_id=access_key,
        secret_access_key=secret_key,
        client_options={"allow_http": True},
    )


def _rows(taken: Taken, chunks: int) -> list[list[str]]:
    return [
        [
            name,
            f"{chunks / median(seconds):,.0f}",
            str(ratio_of_medians(taken.reading[RAW], seconds)),
            str(ratio_of_medians(taken.reading[_beside(name)], seconds)),
            f"{taken.opening[name] * 1000:,.0f}",
        ]
        for name, seconds in taken.reading.items()
    ]


def _beside(name: str) -> str:
    """What a way is compared with: of one file, the one file."""
    return HDF5_S3FS if name in (HDF5, HDF5_S3FS) else S3FS


@click.command()
@click.option("--chunks", default=100, show_default=True, type=click.IntRange(min=1))
@click.option("--rounds", default=15, show_default=True, type=click.IntRange(min=1))
@click.option("--json", "output", type=click.Path(path_type=Path), help="Write figures here, too.")
def main(chunks: int, rounds: int, output: Path | None) -> None:
    """Measure how fast chunks of 1 MiB are read."""
    warnings.filterwarnings("ignore")
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # s3fs leaves connections open
    with (
        tempfile.TemporaryDirectory(prefix="panneuro-benchmark-") as name,
        ground(Path(name), chunks) as running,
    ):
        taken = measure(running, rounds)
        document = {"benchmark": "reading", "chunks": chunks, **circumstances(), **asdict(taken)}
    head = ("way", "MiB/s", "speed, of obstore's", "speed, of s3fs's", "opening ms")
    click.echo(table(head, _rows(taken, chunks)))
    if output is not None:
        write_json(output, document)


if __name__ == "__main__":
    main()
