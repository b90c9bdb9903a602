"""Compare what a read needs with the memory that is left."""

from __future__ import annotations

from pathlib import Path

from panneuro_hub.catalog.text_format import format_size

_MEMINFO = Path("/proc/meminfo")
_CGROUP = Path("/sys/fs/cgroup")


def check_memory(needed: int, what: str) -> None:
    """Refuse a read that would take more memory than there is.

    Raises
    ------
    MemoryError
        If `needed` bytes are more than what is left.
    """
    left = read_available_memory()
    if left is not None and needed > left:
        raise MemoryError(
            f"{what} takes {format_size(needed)} of memory, and {format_size(left)} are left; "
            "read a smaller part"
        )


def read_available_memory(meminfo: Path = _MEMINFO, cgroup: Path = _CGROUP) -> int | None:
    """Return the bytes that this process may still take, or `None` if nothing says so."""
    amounts = [_read_machine_memory(meminfo), _read_cgroup_memory(cgroup)]
    return min((amount for amount in amounts if amount is not None), default=None)


def _read_machine_memory(meminfo: Path) -> int | None:
    try:
        lines = meminfo.read_text().splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    return int(found[0]) * 1024 if found else None


def _read_cgroup_memory(cgroup: Path) -> int | None:
    """Of the second version of control groups, as containers have it."""
    try:
        limit = (cgroup / "memory.max").read_text().strip()
        used = int((cgroup / "memory.current").read_text())
    except (OSError, ValueError):
        return None
    return max(0, int(limit) - used) if limit.isdigit() else None
