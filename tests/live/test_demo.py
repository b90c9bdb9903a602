"""The demo as a person runs it: real parts, its whole check, and nothing left behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from testing.waiting import wait_until_async

from panneuro_hub.demo.check import PROFILE, PROJECT
from panneuro_hub.devstack.hub_visitor import visit_hub
from panneuro_hub.devstack.kernel_client import start_kernel
from panneuro_hub.devstack.processes import list_children
from panneuro_hub.devstack.samples.people import PEOPLE

PATIENCE = 120.0  # seconds, for machines that are busy
RUN = "import sys; from panneuro_hub.demo import command; sys.exit(command.{}())"


def descendants(pid: int) -> list[int]:
    return [each for child in list_children(pid) for each in (child, *descendants(child))]


def running(pids: list[int]) -> dict[int, str]:
    """Which of them still run, with their command lines."""
    found = {}
    for pid in pids:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
            command = Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if state != "Z":
            found[pid] = command
    return found


@contextmanager
def demo(folder: Path) -> Iterator[tuple[subprocess.Popen[str], str, str]]:
    """A running demo, what it said, and its address."""
    process = subprocess.Popen(
        [sys.executable, "-c", RUN.format("demo")], cwd=folder, stdout=subprocess.PIPE, text=True
    )
    try:
        said = ""
        assert process.stdout is not None
        for line in process.stdout:
            said += line
            if "Ctrl-C stops everything" in line:
                break
        address = re.search(r"^Open (http://127\.0\.0\.1:\d+) ", said, re.MULTILINE)
        assert address, said
        yield process, said, address[1]
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE)


def second_demo(folder: Path) -> str:
    """What another demo says that is started in the same folder."""
    second = subprocess.run(
        [sys.executable, "-c", RUN.format("demo")],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert second.returncode == 1
    return second.stderr


async def start_server(hub_url: str) -> None:
    async with visit_hub(hub_url) as ada:
        await ada.log_in("ada")
        await ada.start({"project": PROJECT, f"profile--{PROJECT}": PROFILE})
        async with start_kernel(ada, await ada.enter()) as python:
            assert (await python.run("6 * 7")).text.strip() == "42"


def test_check_does_the_whole_main_job() -> None:
    done = subprocess.run(
        [sys.executable, "-c", RUN.format("check")],
        capture_output=True,
        text=True,
        timeout=5 * PATIENCE,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    for step in (
        "zoe, in no team, is not let in",
        "ada is logged in through the identity provider",
        f"a {PROFILE} server is started in {PROJECT}",
        "4 datasets are found: nhp-navigation/grasshopper-receptor.zarr",
        "a dataset opens as what it is",
        "929 spikes: 6.30 ms before a spike",
        "the store says: 403 Forbidden",
        "keys renewed",
        "a Dask cluster is started from the notebook: 2 workers for nhp-navigation",
        "10 chunks were read by 2 workers",
        "a worker is refused where it is not theirs",
        "keys renewed on 2 of 2 workers",
        "the cluster is closed",
        "everything is stopped",
    ):
        assert step in done.stdout


async def test_ctrl_c_leaves_nothing_running(tmp_path: Path) -> None:
    with demo(tmp_path) as (process, said, address):
        for person in PEOPLE:
            assert f"{person.name} " in said
        assert "another demo runs in .demo" in second_demo(tmp_path)
        await start_server(address)
        pids = descendants(process.pid)
        assert any("singleuser" in command for command in running(pids).values())
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGINT)  # people press it twice

        process.wait(PATIENCE)

        assert running(pids) == {}
        assert process.returncode == 0


@pytest.mark.skipif(sys.platform != "linux", reason="dying with the parent is Linux's")
async def test_a_killed_demo_leaves_nothing_running(tmp_path: Path) -> None:
    with demo(tmp_path) as (process, _, address):
        await start_server(address)
        pids = descendants(process.pid)
        os.kill(process.pid, signal.SIGKILL)

        await wait_until_async(lambda: not running(pids), "the end of all processes")
