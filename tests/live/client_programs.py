"""One S3 client each, reading again and again until standard input ends.

Run as ``python client_programs.py NAME``. Nothing here knows of keys: all comes
from the environment, as in a researcher's kernel. Prints a line for each read
that gave what is there, and ends with an error at the first one that did not.
"""

from __future__ import annotations

import asyncio
import select
import socket
import subprocess
import sys
import sysconfig
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

BUCKET = "lab"
CONTENT = bytes(range(256)) * 256
NUMBERS = 24

Read = Callable[[], bool]


def told_to_stop(patience: float = 0.2) -> bool:
    return bool(select.select([sys.stdin], [], [], patience)[0])


def report(good: bool) -> None:
    if not good:
        raise SystemExit("read something else than what is there")
    print("read", flush=True)


def until_told(read: Read) -> None:
    while not told_to_stop():
        report(read())


def key(name: str) -> str:
    return f"nav/{name}/data.bin"


def boto3_client() -> None:
    import boto3

    client = boto3.client("s3")
    until_told(lambda: client.get_object(Bucket=BUCKET, Key=key("boto3"))["Body"].read() == CONTENT)


def aiobotocore_client() -> None:
    from aiobotocore.session import get_session

    async def run() -> None:
        async with get_session().create_client("s3") as client:
            while not await asyncio.to_thread(told_to_stop):
                answer = await client.get_object(Bucket=BUCKET, Key=key("aiobotocore"))
                async with answer["Body"] as body:
                    report(await body.read() == CONTENT)

    asyncio.run(run())


def s3fs_client() -> None:
    import s3fs

    files = s3fs.S3FileSystem(use_listings_cache=False)
    until_told(lambda: files.cat_file(f"{BUCKET}/{key('s3fs')}") == CONTENT)


def obstore_client() -> None:
    from obstore.store import S3Store

    store = S3Store(BUCKET)
    until_told(lambda: bytes(store.get(key("obstore")).bytes()) == CONTENT)


def pyarrow_client() -> None:
    from pyarrow.fs import FileSystem

    files, path = FileSystem.from_uri(f"s3://{BUCKET}/{key('pyarrow')}")

    def read() -> bool:
        with files.open_input_stream(path) as stream:
            return bool(stream.read() == CONTENT)

    until_told(read)


def pyarrow_filesystem_client() -> None:
    import os

    from pyarrow.fs import S3FileSystem

    # Unlike `from_uri`, it does not look for an endpoint in the environment.
    files = S3FileSystem(endpoint_override=os.environ.get("AWS_ENDPOINT_URL"))

    def read() -> bool:
        with files.open_input_stream(f"{BUCKET}/{key('pyarrow-filesystem')}") as stream:
            return bool(stream.read() == CONTENT)

    until_told(read)


def _whole(group: Any) -> bool:
    return bool((group["numbers"][:] == range(NUMBERS)).all())


def zarr_s3fs_client() -> None:
    import s3fs
    import zarr
    from zarr.storage import FsspecStore

    files = s3fs.S3FileSystem(asynchronous=True, use_listings_cache=False)
    store = FsspecStore(files, path=f"{BUCKET}/nav/zarr-s3fs", read_only=True)
    until_told(lambda: _whole(zarr.open_group(store, mode="r")))


def zarr_obstore_client() -> None:
    import zarr
    from obstore.store import S3Store
    from zarr.storage import ObjectStore

    store = ObjectStore(S3Store(BUCKET, prefix="nav/zarr-obstore"), read_only=True)
    until_told(lambda: _whole(zarr.open_group(store, mode="r")))


def lab_zarr_client() -> None:
    import panneuro_hub.lab as lab

    dataset = lab.open_zarr("nav/lab-zarr", chunks=None)
    # Indexing reads from the store each time; loading the dataset would keep its values.
    until_told(lambda: bool((dataset["numbers"][:].values == range(NUMBERS)).all()))


def lab_filesystem_client() -> None:
    import panneuro_hub.lab as lab

    files, path = lab.filesystem(), lab.resolve("nav/lab-filesystem/data.bin")
    until_told(lambda: files.cat_file(path) == CONTENT)


def rclone_client() -> None:
    # One rclone process for all reads: what is asked is whether it renews.
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
    rclone = Path(sysconfig.get_path("scripts")) / "rclone"
    remote = f"store:{BUCKET}/nav/rclone"
    server = subprocess.Popen([rclone, "serve", "http", remote, f"--addr={address}", "--read-only"])
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def read() -> bool:
        with opener.open(f"http://{address}/data.bin", timeout=30) as answer:
            return bool(answer.read() == CONTENT)

    try:
        while server.poll() is None and not _listens(address):
            told_to_stop(0.05)
        until_told(read)
    finally:
        server.terminate()
        server.wait()


def _listens(address: str) -> bool:
    host, _, port = address.partition(":")
    try:
        with socket.create_connection((host, int(port))):
            return True
    except ConnectionRefusedError:
        return False


CLIENTS: dict[str, Callable[[], None]] = {
    "boto3": boto3_client,
    "aiobotocore": aiobotocore_client,
    "s3fs": s3fs_client,
    "obstore": obstore_client,
    "pyarrow": pyarrow_client,
    "pyarrow-filesystem": pyarrow_filesystem_client,
    "zarr-s3fs": zarr_s3fs_client,
    "zarr-obstore": zarr_obstore_client,
    "rclone": rclone_client,
    "lab-zarr": lab_zarr_client,
    "lab-filesystem": lab_filesystem_client,
}

if __name__ == "__main__":
    CLIENTS[sys.argv[1]]()
