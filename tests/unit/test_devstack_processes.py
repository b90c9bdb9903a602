"""Children that start in order and leave nothing behind; real processes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from testing.waiting import wait_until

from panneuro_hub.devstack.errors import DevstackError
from panneuro_hub.devstack.processes import (
    ChildProcess,
    ProcessGroup,
    claim_port,
    find_free_port,
    list_children,
    log_contains,
)

pytestmark = pytest.mark.slow

PATIENCE = 20.0  # seconds, for machines that are busy
ENVIRONMENT = {"PATH": os.defpath}
# Says so when a signal comes; which ones it obeys is told by its arguments.
STUBBORN = """
import signal, sys, time
def heard(number, frame):
    print("heard", signal.Signals(number).name, flush=True)
    if signal.Signals(number).name in sys.argv[1:]:
        sys.exit(0)
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, heard)
print("ready", flush=True)
while True:
    time.sleep(60)
"""
# Starts a child of its own, in a session of its own, and does not stop it.
CARELESS = """
import subprocess, sys
command = [sys.executable, "-c", "import time; time.sleep(600)"]
child = subprocess.Popen(command, start_new_session=True)
print("child", child.pid, flush=True)
print("ready", flush=True)
child.wait()
"""
# A demo that ends without stopping anything.
KILLED = """
import os, sys
from pathlib import Path
from panneuro_hub.devstack.processes import ChildProcess, log_contains
source = "import time; print('ready', flush=True); time.sleep(600)"
child = ChildProcess("sleeper", [sys.executable, "-c", source], Path(sys.argv[1]), {})
if sys.argv[2] == "later":
    child.wait_until_ready(log_contains("ready"), 20)
print(child.pid, flush=True)
os.kill(os.getpid(), 9)
"""


def start(
    processes: ProcessGroup, folder: Path, name: str, source: str, *arguments: str
) -> ChildProcess:
    child = processes.start(
        name,
        [sys.executable, "-c", source, *arguments],
        log=folder / f"{name}.log",
        environment=ENVIRONMENT,
    )
    child.wait_until_ready(log_contains("ready"), PATIENCE)
    return child


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def test_ready_when_the_line_is_in_the_log(tmp_path: Path) -> None:
    with ProcessGroup() as processes:
        child = start(processes, tmp_path, "one", STUBBORN, "SIGINT")

        assert child.exit_code is None
        assert processes.children == (child,)


def test_a_child_that_ends_shows_the_end_of_its_log(tmp_path: Path) -> None:
    source = "print('a clue'); raise SystemExit(3)"
    with (
        ProcessGroup() as processes,
        pytest.raises(DevstackError, match=r"(?s)hub ended .*3.*a clue"),
    ):
        start(processes, tmp_path, "hub", source)


def test_a_child_that_is_never_ready_is_given_up(tmp_path: Path) -> None:
    with ProcessGroup() as processes:
        child = start(processes, tmp_path, "slow", STUBBORN, "SIGINT")

        with pytest.raises(DevstackError, match=r"(?s)slow was not ready after 0 s.*ready"):
            child.wait_until_ready(log_contains("never"), 0)


@pytest.mark.parametrize(
    ("obeys", "heard"),
    [
        (["SIGINT"], ["SIGINT"]),
        (["SIGTERM"], ["SIGINT", "SIGTERM"]),
        ([], ["SIGINT", "SIGTERM"]),
    ],
)
def test_signals_grow_harder(tmp_path: Path, obeys: list[str], heard: list[str]) -> None:
    with ProcessGroup() as processes:
        child = start(processes, tmp_path, "stubborn", STUBBORN, *obeys)
        child.stop(PATIENCE if obeys == ["SIGINT"] else 0.5)

    assert child.exit_code == (0 if obeys else -signal.SIGKILL)
    assert [line.split()[1] for line in child.log_text().splitlines()[1:]] == heard


def test_the_last_one_stops_first(tmp_path: Path) -> None:
    ends = []

    class Watched(ChildProcess):
        def stop(self, patience: float = 10) -> None:
            ends.append(self.name)
            super().stop(patience)

    with ProcessGroup() as processes:
        for name in ("store", "provider", "hub"):
            start(processes, tmp_path, name, STUBBORN, "SIGINT").__class__ = Watched

    assert ends == ["hub", "provider", "store"]


def test_sigint_reaches_a_child_of_a_background_job(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a shell does for "command &"
    try:
        source = "import time\nprint('ready', flush=True)\ntime.sleep(600)"
        with ProcessGroup() as processes:
            child = start(processes, tmp_path, "plain", source)
            child.stop(PATIENCE)
    finally:
        signal.signal(signal.SIGINT, before)

    assert "KeyboardInterrupt" in child.log_text()


@pytest.mark.skipif(sys.platform != "linux", reason="adopting orphans is Linux's")
def test_what_a_killed_child_left_is_ended(tmp_path: Path) -> None:
    with ProcessGroup() as processes:
        child = start(processes, tmp_path, "careless", CARELESS)
        left = int(child.log_text().split()[1])
        os.kill(child.pid, signal.SIGKILL)
        wait_until(lambda: processes.ended() is child)
        assert is_running(left)

    assert not is_running(left)
    assert left not in list_children(os.getpid())


@pytest.mark.skipif(sys.platform != "linux", reason="dying with the parent is Linux's")
@pytest.mark.parametrize("when", ["at once", "later"])
def test_children_die_with_a_killed_parent(tmp_path: Path, when: str) -> None:
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path / "log"), when],
        capture_output=True,
        check=False,
    )

    assert killed.returncode == -signal.SIGKILL
    child = int(killed.stdout)
    wait_until(lambda: not is_running(child))


def test_children_see_only_the_environment_they_are_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a secret")
    source = "import os\nprint(sorted(os.environ))\nprint('ready', flush=True)\ninput()"
    with ProcessGroup() as processes, pytest.raises(DevstackError, match="PATH") as error:
        start(processes, tmp_path, "one", source).wait_until_ready(log_contains("never"), PATIENCE)

    assert "AWS" not in str(error.value)


def test_a_port_that_is_taken_or_spoken_for_is_not_free() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        taken = holder.getsockname()[1]

        assert find_free_port(taken) != taken
    spare = find_free_port()
    assert find_free_port(spare) == spare
    assert find_free_port(spare, avoid=[spare]) != spare


def test_a_port_that_one_has_chosen_no_other_chooses() -> None:
    port = find_free_port()
    with claim_port(port) as first, claim_port(port) as second:
        assert (first, second) == (True, False)
    with claim_port(port) as later:
        assert later
