"""What the machine says of a process and of itself."""

from __future__ import annotations

import json
import os
import platform
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


def cpu_seconds(pid: int) -> float:
    """CPU time that a process has used, all of its threads, in user and system mode.

    Its own CPU clock, which counts nanoseconds; /proc/PID/stat counts hundredths of a
    second.

    Source: clock_getcpuclockid(3), whose clock of a process is this number on Linux.

    Raises
    ------
    ProcessLookupError
        If there is no such process.
    """
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError as problem:
        raise ProcessLookupError(f"there is no process {pid}") from problem


def end_in_order() -> None:
    """Let SIGTERM end this process as Ctrl-C does: what it has started is stopped."""
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))


def circumstances() -> dict[str, Any]:
    """When and where figures were taken."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "load": [round(load, 2) for load in os.getloadavg()],
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
    }


def write_json(path: Path, document: Any) -> None:
    """Write figures for other programs."""
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
