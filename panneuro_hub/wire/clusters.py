"""What a Dask gateway tells the service of its clusters, and what it is told."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Running:
    """One cluster that runs; cores and memory (bytes) are of one worker."""

    session: str
    name: str
    workers: int
    cores: float
    memory: int


@dataclass(frozen=True)
class Stop:
    """A session whose cluster must stop, and why, for its person."""

    session: str
    reason: str
