"""What all tests share."""

from __future__ import annotations

from pathlib import Path

import pytest
from testing.scheduling import ServerScheduling

ROOT = Path(__file__).parent.parent


@pytest.hookimpl(optionalhook=True)  # there is none with -p no:xdist
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> ServerScheduling | None:
    """Group tests by their servers where files are given to workers as a whole."""
    return ServerScheduling(config, log) if config.getoption("dist") == "loadfile" else None


@pytest.fixture(scope="session")
def example_file() -> Path:
    """The example collaboration."""
    return ROOT / "examples" / "collaboration.yaml"
