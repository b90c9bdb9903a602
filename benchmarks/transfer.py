"""Uploading and downloading, beside rclone and the AWS command line.

    python -m benchmarks.transfer [--aws PROGRAM] [--json FILE]

One S3 server with STS on this machine, one set of files, and all tools in one run: each
round every tool does each task once, one after the other, in an order that turns. The
reference tools get static keys of the same session; ``panneuro`` gets a ticket, and
renews. What it does more than they do: SHA-256 of every file, into a manifest on the way
up, and compared on the way down.

``aws`` is the one of a virtual environment of its own, since it wants its own version of
botocore; where it is not given it is left out.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import secrets
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median

import boto3
import click
from aiobotocore.session import get_session

from benchmarks.figures import ratio_of_medians, table
from benchmarks.machine import circumstances, write_json
from panneuro_hub.collaboration.models import S3Store
from panneuro_hub.devstack.seaweedfs import SeaweedFS
from panneuro_hub.vending import CredentialRequest, Vending
from panneuro_hub.vending.s3_credentials import S3CredentialMaker
from panneuro_hub.wire import Credential, Grant, SessionView, Ticket

MB = 10**6
BUCKET = "bench"
PROJECT = "speed"
_TIMES_LEFT = 3  # the disk must have room for the files so often


@dataclass(frozen=True)
class Load:
    """What is moved."""

    name: str
    files: int
    size: int

    def write(self, folder: Path) -> Path:
        """Make the files, of random bytes."""
        place = folder / self.name
        place.mkdir()
        for number in range(self.files):
            with (place / f"{number:05d}.bin").open("wb") as out:
                left = self.size
                while left:
                    piece = min(left, 16 * MB)
                    out.write(secrets.token_bytes(piece))
                    left -= piece
        return place


@dataclass(frozen=True)
class Tool:
    """A program that moves files: how it is called, and with what environment."""

    name: str
    up: Callable[[Path, str], list[str]]
    down: Callable[[str, Path], list[str]]
    environment: Mapping[str, str]


def panneuro(environment: Mapping[str, str]) -> Tool:
    """Ours, with everything as it comes."""
    command = [sys.executable, "-m", "panneuro_hub.client"]
    return Tool(
        "panneuro",
        lambda source, name: [*command, "upload", str(source), f"{PROJECT}/{name}", "--json"],
        lambda name, target: [*command, "download", f"{PROJECT}/{name}", str(target), "--json"],
        environment,
    )


def rclone(environment: Mapping[str, str], name: str, options: list[str]) -> Tool:
    """Rclone with its own checksums, and any options."""
    command = [
        str(Path(sysconfig.get_path("scripts")) / "rclone"),
        "--config=",
        *("copy", "--s3-no-check-bucket"),
        *options,
    ]
    remote = f":s3,env_auth=true,provider=SeaweedFS:{BUCKET}/{PROJECT}"
    return Tool(
        name,
        lambda source, key: [*command, str(source), f"{remote}/{key}"],
        lambda key, target: [*command, f"{remote}/{key}", str(target)],
        environment,
    )


def aws(environment: Mapping[str, str], program: str) -> Tool:
    """``aws s3 cp --recursive`` as it comes."""
    command = [program, "s3", "cp", "--recursive", "--only-show-errors"]
    place = f"s3://{BUCKET}/{PROJECT}"
    return Tool(
        "aws s3 cp",
        lambda source, key: [*command, str(source), f"{place}/{key}/"],
        lambda key, target: [*command, f"{place}/{key}/", str(target)],
        environment,
    )


class Service(ThreadingHTTPServer):
    """The service's answers to a session's ticket: the same keys for all tools of a run."""

    def __init__(self, seaweedfs: SeaweedFS, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        grants = (Grant(f"s3://{BUCKET}/{PROJECT}/", "write", "to measure", PROJECT),)
        self.credential = asyncio.run(vend(seaweedfs, grants))
        self.view = SessionView(
            user="bench",
            project=PROJECT,
            title="Speed",
            level="write",
            prefix=grants[0].prefix,
            scratch=None,
            endpoint_url=seaweedfs.endpoint_url,
            region=seaweedfs.region,
            prefixes={PROJECT: grants[0].prefix},
            grants=grants,
            denied=(),
        )
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.ticket_file = folder / "ticket"
        self.ticket_file.write_text(Ticket.new("bench", "").encode())

    def __enter__(self) -> Service:
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


class _Answers(BaseHTTPRequestHandler):
    server: Service

    def do_GET(self) -> None:
        keys = self.path == "/api/credentials"
        document = self.server.credential.to_json() if keys else self.server.view.to_json()
        body = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing; the figures are what is to be seen."""


async def vend(seaweedfs: SeaweedFS, grants: tuple[Grant, ...]) -> Credential:
    """Keys of six hours, made by the store's real STS."""
    session = get_session()
    session.set_credentials(*seaweedfs.vendor)
    vending = Vending({"s3": S3CredentialMaker(session=session)})
    settings = S3Store(
        type="s3",
        bucket=BUCKET,
        role_arn=seaweedfs.role_arn,
        region=seaweedfs.region,
        endpoint_url=seaweedfs.endpoint_url,
        credential_lifetime=timedelta(hours=6),
    )
    try:
        request = CredentialRequest("bench/", "bench", PROJECT, settings, grants)
        return (await vending.credential(request)).credential
    finally:
        await vending.close()


def environments(seaweedfs: SeaweedFS, service: Service) -> tuple[dict[str, str], dict[str, str]]:
    """What ours is given, and what the others are."""
    plain = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AWS_", "PANNEURO_", "RCLONE_"))
    }
    keys = service.credential
    ours = {
        **plain,
        "PANNEURO_SERVICE_URL": service.url,
        "PANNEURO_TICKET_FILE": str(service.ticket_file),
    }
    theirs = {
        **plain,
        "AWS_ACCESS_KEY_ID": keys.access_key_id,
        "AWS_SECRET_ACCESS_KEY": keys.secret_access_key,
        "AWS_SESSION_TOKEN": keys.session_token,
        "AWS_REGION": seaweedfs.region,
        "AWS_DEFAULT_REGION": seaweedfs.region,
        "AWS_ENDPOINT_URL": seaweedfs.endpoint_url,
        "AWS_ENDPOINT_URL_S3": seaweedfs.endpoint_url,
        "AWS_EC2_METADATA_DISABLED": "true",
        "RCLONE_S3_ENDPOINT": seaweedfs.endpoint_url,
        "RCLONE_S3_REGION": seaweedfs.region,
    }
    return ours, theirs


@dataclass(frozen=True)
class Took:
    """Seconds that a command took, and seconds of CPU that it used."""

    wall: float
    cpu: float


def timed(command: list[str], environment: Mapping[str, str]) -> Took:
    """Run a command, which must end well."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(  # noqa: S603 - the tools that are measured
        command, env=environment, capture_output=True, text=True, check=False
    )
    wall = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        said = done.stdout[-500:] + done.stderr[-500:]
        raise click.ClickException(f"{command[:3]} failed: {said}")
    return Took(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


Round = dict[str, tuple[Took, Took]]
"""Up and down, by the tool."""


def one_round(
    tools: list[Tool], load: Load, source: Path, folder: Path, seaweedfs: SeaweedFS, number: int
) -> Round:
    """Every tool up and down once; what is there is gone before the next one."""
    times = {}
    turned = tools[number % len(tools) :] + tools[: number % len(tools)]
    for tool in turned:
        key, target = f"{load.name}-{number}", folder / "target"
        up = timed(tool.up(source, key), tool.environment)
        down = timed(tool.down(key, target), tool.environment)
        if sum(place.stat().st_size for place in target.rglob("*.bin")) != load.files * load.size:
            raise click.ClickException(f"{tool.name} did not bring all of {load.name}")
        times[tool.name] = up, down
        shutil.rmtree(target)
        empty(seaweedfs)
    return times


def empty(seaweedfs: SeaweedFS) -> None:
    """Delete every object."""
    access_key, secret_key = seaweedfs.admin
    bucket = boto3.resource(
        "s3",
        endpoint_url=seaweedfs.endpoint_url,
        region_name=seaweedfs.region,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
    ).Bucket(BUCKET)
    bucket.objects.filter(Prefix=f"{PROJECT}/").delete()


def report(load: Load, rounds: list[Round]) -> str:
    """The medians of a load, and ours by theirs: under 1, ours takes less time."""
    rows = []
    for name in rounds[0]:
        cells = [name]
        for way in (0, 1):
            theirs = [times[name][way] for times in rounds]
            ours = [times["panneuro"][way].wall for times in rounds]
            wall = median(took.wall for took in theirs)
            ratio = ratio_of_medians(ours, [took.wall for took in theirs])
            cpu = median(took.cpu for took in theirs)
            cells += [f"{wall:.1f} s", f"{load.files * load.size / MB / wall:.0f} MB/s"]
            cells += [str(ratio), f"{cpu:.1f} s"]
        rows.append(cells)
    columns = ["up", "", "panneuro by it", "CPU"]
    head = ["", *columns, "down", *columns[1:]]
    return f"{load.files} of {load.size / MB:g} MB\n\n{table(head, rows)}\n"


@click.command
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(min=1))
@click.option("--small", default=10_000, show_default=True, help="How many files of 10 kB.")
@click.option("--large", default=2000, show_default=True, help="MB of the one large file.")
@click.option("--aws", "aws_program", help="The aws program; without it, it is left out.")
@click.option("--json", "output", type=click.Path(path_type=Path), help="Write the figures here.")
@click.option("--folder", type=click.Path(path_type=Path), help="Where files are made.")
def main(
    rounds: int,
    small: int,
    large: int,
    aws_program: str | None,
    output: Path | None,
    folder: Path | None,
) -> None:
    """Measure and print."""
    loads = [Load("small", small, 10_000), Load("large", 1, large * MB)]
    figures: dict[str, object] = {"circumstances": circumstances()}
    with tempfile.TemporaryDirectory(dir=folder) as made:
        work = Path(made)
        needed = _TIMES_LEFT * max(load.files * load.size for load in loads)
        if shutil.disk_usage(work).free < needed:
            raise click.ClickException(f"{work} needs {needed} free bytes")
        with ExitStack() as stack:
            seaweedfs = stack.enter_context(SeaweedFS(work / "store", bucket=BUCKET))
            service = stack.enter_context(Service(seaweedfs, work))
            ours, theirs = environments(seaweedfs, service)
            tools = [
                panneuro(ours),
                rclone(theirs, "rclone", []),
                rclone(theirs, "rclone, 32 at a time", ["--transfers=32", "--checkers=32"]),
            ]
            if aws_program:
                tools.append(aws(theirs, aws_program))
            for load in loads:
                source = load.write(work)
                times = [
                    one_round(tools, load, source, work, seaweedfs, number)
                    for number in range(rounds)
                ]
                shutil.rmtree(source)
                figures[load.name] = [
                    {name: [asdict(took) for took in both] for name, both in one.items()}
                    for one in times
                ]
                click.echo(report(load, times))
    figures["load_afterwards"] = os.getloadavg()
    if output is not None:
        write_json(output, figures)
    click.echo(str(figures["circumstances"]))


if __name__ == "__main__":
    main()
