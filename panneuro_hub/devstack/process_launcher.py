"""Become another program that ends when its parent does.

Run as a script by `panneuro_hub.devstack.processes`, and imported by nobody, so that it
starts in a few milliseconds: ``python -I process_launcher.py PARENT_PID PROGRAM ARGUMENT…``

A fresh interpreter does this rather than ``preexec_fn``, which is not safe in a
process with threads (reading and writing Zarr starts some).
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


def main(arguments: list[str]) -> None:
    """Set the signals straight, tie this process to its parent, and become the program."""
    parent, program = int(arguments[0]), arguments[1:]
    # A shell starts background jobs with SIGINT ignored, which exec would hand on.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    if sys.platform == "linux":
        # SIGTERM, not SIGKILL: a hub uses it to stop its own children.
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it ended before we asked to be told
            sys.exit(1)
    os.execvp(program[0], program)  # noqa: S606 - no shell is the point


if __name__ == "__main__":
    main(sys.argv[1:])
