"""What the unit tests share: the example collaboration, a moment, golden files."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from panneuro_hub import collaboration as room
from panneuro_hub.collaboration import Collaboration

# Timings are never asserted: a busy machine is no error.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("quick", settings.get_profile("unhurried"), max_examples=10)
settings.load_profile("unhurried")

GOLDEN = Path(__file__).parent.parent / "data" / "golden"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="write the golden files anew (give tests/unit on the command line)",
    )


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compare text with a golden file, or write it with ``--update-golden``."""

    def compare(name: str, text: str) -> None:
        path = GOLDEN / name
        if request.config.getoption("--update-golden", default=False):
            path.write_text(text, encoding="utf-8")
        assert text == path.read_text(encoding="utf-8"), f"{name} is not what it was"

    return compare


@pytest.fixture(scope="session")
def example(example_file: Path) -> Collaboration:
    """The example collaboration, loaded."""
    return room.load_file(example_file)


@pytest.fixture
def now() -> datetime:
    """A day before every date of the example."""
    return datetime(2026, 11, 22, 12, tzinfo=UTC)
