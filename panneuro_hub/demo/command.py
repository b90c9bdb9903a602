"""``panneuro-hub demo``: start everything, say where and as whom, and stop on Ctrl-C."""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from panneuro_hub.demo.console import StepConsole
from panneuro_hub.demo.errors import DemoError
from panneuro_hub.demo.running_demo import RunningDemo, run_demo
from panneuro_hub.devstack.samples.people import PEOPLE
from panneuro_hub.errors import PanNeuroError

FOLDER = Path(".demo")
_RENEW_AFTER = 60  # s: often enough to be seen
_RENEW_AFTER_IN_CHECK = 10  # s
_LOOK_AGAIN = 1.0  # s
_LOCK = ".panneuro-demo"  # also what tells the folder of a demo from any other


def demo(folder: Path = FOLDER) -> int:
    """Run the demo until Ctrl-C.

    Parameters
    ----------
    folder : Path
        Where it keeps its files; only people's homes in it outlive it.

    Returns
    -------
    int
        The exit status: 0 after Ctrl-C, 1 if a part did not start or ended by itself.
    """
    console = StepConsole()
    try:
        with (
            _interrupt_once(),
            _lock_folder(folder),
            run_demo(folder, _RENEW_AFTER, console.step) as it,
        ):
            console.say(format_welcome(it))
            _wait(it)
    except KeyboardInterrupt:
        console.say("stopped; nothing is left running")
        return 0
    except PanNeuroError as problem:
        print(f"panneuro-hub demo: {problem}", file=sys.stderr)
        return 1
    return 0


def check(folder: Path | None = None) -> int:
    """Start the demo, do the whole main job in it, and stop it.

    Parameters
    ----------
    folder : Path, optional
        Where it keeps its files; by default a folder of its own, which stays only if
        a step fails.

    Returns
    -------
    int
        The exit status: 0 if every step happened, 1 if not, 130 after Ctrl-C.
    """
    console = StepConsole()
    place = folder or Path(tempfile.mkdtemp(prefix="panneuro-demo-"))
    try:
        with _interrupt_once(), _lock_folder(place):
            _main_job(place, console)
    except KeyboardInterrupt:
        print("panneuro-hub demo: interrupted; nothing is left running", file=sys.stderr)
        return 130
    except PanNeuroError as problem:
        print(f"FAILED after the step above: {problem}\nIts files are in {place}", file=sys.stderr)
        return 1
    if folder is None:
        shutil.rmtree(place)
    console.say(f"all of it happened, in {console.elapsed:.1f} s")
    return 0


def _main_job(place: Path, console: StepConsole) -> None:
    from panneuro_hub.demo import check as main_job

    with run_demo(place, _RENEW_AFTER_IN_CHECK, console.step) as it:
        try:
            asyncio.run(main_job.check(it, console))
        except PanNeuroError as problem:
            logs = "\n".join(f"The log of the {name} ends:\n{end}" for name, end in it.logs.items())
            raise DemoError(f"{problem}\n{logs}") from problem
    console.step("everything is stopped")


def format_welcome(demo: RunningDemo) -> str:
    """Where to go, and whom to log in as."""
    width = max(len(person.name) for person in PEOPLE)
    people = [f"    {person.name:{width}}  {person.about}" for person in demo.people]
    return "\n".join(
        [
            "",
            f"Open {demo.hub_url} and log in as one of these; there are no passwords:",
            "",
            *people,
            "",
            f"Datasets, notebooks and who may do what are at {demo.hub_url}/services/panneuro/.",
            f"The collaboration is {demo.settings.collaboration}; edit it, and the hub follows.",
            f"Logs are in {Path(demo.settings.folder).parent / 'logs'}. Ctrl-C stops everything.",
            "",
        ]
    )


def _wait(demo: RunningDemo) -> None:
    ended = None
    while ended is None:
        threading.Event().wait(_LOOK_AGAIN)
        ended = demo.processes.ended()
    raise DemoError(
        f"the {ended.name} ended by itself with {ended.exit_code}; its log {ended.log} ends:\n"
        f"{ended.log_tail()}"
    )


@contextmanager
def _interrupt_once() -> Iterator[None]:
    """Turn the first SIGINT, SIGTERM or SIGHUP into `KeyboardInterrupt`, and pass over more.

    A second Ctrl-C would otherwise break off the stopping, and leave servers running.
    """

    def once(number: int, frame: FrameType | None) -> None:
        for each in numbers:
            signal.signal(each, signal.SIG_IGN)
        print("\nstopping everything …", file=sys.stderr, flush=True)
        raise KeyboardInterrupt

    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as under nohup
        numbers.append(signal.SIGHUP)
    before = {number: signal.signal(number, once) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _lock_folder(folder: Path) -> Iterator[None]:
    """Hold `folder` for one demo at a time.

    Raises
    ------
    DemoError
        If another demo runs in it, or if it holds something else: a demo deletes what
        an earlier one left.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not (folder / _LOCK).exists() and any(folder.iterdir()):
        raise DemoError(f"{folder} holds other files; name an empty folder, or one of a demo")
    descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as taken:
        os.close(descriptor)
        raise DemoError(
            f"another demo runs in {folder}; stop it, or name another folder"
        ) from taken
    try:
        yield
    finally:
        os.close(descriptor)
