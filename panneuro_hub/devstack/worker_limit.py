"""The number of Dask workers that this machine can run."""

from __future__ import annotations

from dask.system import CPU_COUNT
from distributed.system import MEMORY_LIMIT

_WORKERS_PER_CORE = 2
# A worker and its nanny, with arrays small enough for a demo.
_MEMORY = 2**30  # bytes


def compute_worker_limit(cores: int = CPU_COUNT, memory: int = MEMORY_LIMIT) -> int:
    """Return how many workers all clusters on this machine may have together; at least one.

    Parameters
    ----------
    cores : int
        By default this machine's, or those of the container that this process is in.
    memory : int
        Bytes, likewise.
    """
    return max(1, min(_WORKERS_PER_CORE * cores, memory // _MEMORY))
